//! `replay --explain SEQ`: why a quote was made. Input, features, the model's figures, risk, and what became of the orders.
//!
//! Runs the session again up to the decision of that record and asks the pipeline. Text and JSON say the same.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::rerun::{Rerun, Taken, VerifyError, bad};
use crate::pipeline::{Explanation, Modelled, Working};
use crate::types::{
    Action, Actions, Command, Input, Instrument, MarketUpdate, Price, QuoteDecision, QuoteSide, Side, TimestampNs,
};
use crate::wire::{QuoteEvent, Stream};

/// Records looked through for a decision that is near.
const NEAR: u64 = 100_000;

/// Why a record cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The journal cannot be replayed.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The record is something else.
    #[error("quote record {seq} is {is}, no quote decision")]
    NoDecision {
        /// The record.
        seq: u64,
        /// What it is.
        is: String,
        /// The quote decisions before and after it.
        near: [Option<u64>; 2],
    },
    /// There is no such record.
    #[error("there is no quote record {seq}: the stream ends with {last}")]
    Beyond {
        /// The record asked for.
        seq: u64,
        /// The last one that is there.
        last: u64,
        /// The last quote decision.
        near: Option<u64>,
    },
    /// The decisions are not those of the session any more.
    #[error("quote record {seq}: recorded {recorded:?}; made {made:?}")]
    Differs {
        /// The record.
        seq: u64,
        /// What the journal holds.
        recorded: Box<QuoteDecision>,
        /// What is decided now.
        made: Box<Option<QuoteDecision>>,
    },
}

/// A decision with its reasons.
pub struct Explained {
    seq: u64,
    input_seq: u64,
    now: TimestampNs,
    input: Input,
    instrument: Instrument,
    decision: QuoteDecision,
    why: Explanation,
    commands: Vec<Command>,
}

/// Runs a session up to the quote record `seq` and explains it.
///
/// # Errors
/// [`ExplainError`].
pub fn explain(session_dir: &Path, seq: u64) -> Result<Explained, ExplainError> {
    let mut run = Rerun::open(session_dir)?;
    if let Some(pipeline) = &mut run.pipeline {
        pipeline.explain();
    }
    let mut quote = run.journal.stream(Stream::Quote).map_err(VerifyError::from)?;
    let (mut actions, mut taken) = (Actions::new(), None);
    let (mut last, mut before) = (0, None);
    while let Some(record) = quote.next().map_err(VerifyError::from)? {
        let at = record.header.seq;
        let event = QuoteEvent::decode(&record).map_err(bad(&record))?;
        last = at;
        let is_decision = matches!(event, QuoteEvent::Action(Action::Quote(_)));
        if at == seq {
            let (QuoteEvent::Action(Action::Quote(decision)), Some((input_seq, now, input)), Some(pipeline)) =
                (&event, taken, &run.pipeline)
            else {
                let is = name_of(&event);
                let mut after = None;
                while let Some(record) = quote.next().map_err(VerifyError::from)?.filter(|r| r.header.seq < at + NEAR) {
                    let event = QuoteEvent::decode(&record).map_err(bad(&record))?;
                    if matches!(event, QuoteEvent::Action(Action::Quote(_))) {
                        after = Some(record.header.seq);
                        break;
                    }
                }
                return Err(ExplainError::NoDecision { seq, is, near: [before, after] });
            };
            let id = decision.instrument;
            let about = |action: &&Action| match action {
                Action::Quote(made) => made.instrument == id,
                Action::Command(command) => command.instrument() == id,
            };
            let (mut made, mut commands) = (None, Vec::new());
            for action in actions.as_slice().iter().filter(about) {
                match action {
                    Action::Quote(quote) => made = Some(*quote),
                    Action::Command(command) => commands.push(*command),
                }
            }
            let why = pipeline.explanation(id).filter(|_| made == Some(*decision));
            let (Some(why), Some(instrument)) = (why, run.instruments.get(id.index())) else {
                return Err(ExplainError::Differs { seq, recorded: Box::new(*decision), made: Box::new(made) });
            };
            let (instrument, decision, why) = (*instrument, *decision, why.clone());
            return Ok(Explained { seq, input_seq, now, input, instrument, decision, why, commands });
        }
        if is_decision {
            before = Some(at);
        }
        if let QuoteEvent::Input(event) = event
            && let Some(pipeline) = &mut run.pipeline
            && let Taken::Input(input) = run.books.input(event)?
        {
            actions.clear();
            pipeline.on_event(record.header.ts, &input, &mut actions);
            taken = Some((at, record.header.ts, input));
        }
    }
    Err(ExplainError::Beyond { seq, last, near: before })
}

fn name_of(event: &QuoteEvent) -> String {
    match event {
        QuoteEvent::Input(input) => {
            let text = format!("{input:?}");
            format!("an input ({})", text.split([' ', '(']).next().unwrap_or(&text))
        }
        QuoteEvent::Action(Action::Command(command)) => format!("a command ({})", verb(command)),
        QuoteEvent::Action(Action::Quote(_)) => "a quote decision that follows no input".to_owned(),
        QuoteEvent::End => "the end of the stream".to_owned(),
    }
}

fn verb(command: &Command) -> &'static str {
    match command {
        Command::Place(_) => "place",
        Command::Cancel { .. } => "cancel",
        Command::Amend { .. } => "amend",
        Command::Query { .. } => "query",
        Command::Fills { .. } => "ask for fills",
    }
}

const SIDES: [&str; 2] = ["bid", "ask"];

impl Explained {
    fn price(&self, price: Price) -> String {
        self.instrument.price_text(price)
    }

    fn side_json(&self, side: QuoteSide) -> Value {
        json!({
            "price": side.price.map(|price| self.price(price)),
            "qty": self.instrument.qty_text(side.qty),
            "reason": format!("{:?}", side.reason),
        })
    }

    fn sides_json(&self, sides: [QuoteSide; 2]) -> Value {
        json!({"bid": self.side_json(sides[0]), "ask": self.side_json(sides[1])})
    }

    fn input_json(&self) -> Value {
        let level = |level: crate::types::Level| json!({"price": self.price(level.price), "qty": self.instrument.qty_text(level.qty)});
        match &self.input {
            Input::Market(MarketUpdate::Book(view)) => json!({
                "kind": "book", "update_id": view.update_id, "state": format!("{:?}", view.state),
                "bid": view.levels(Side::Bid).first().copied().map(level), "ask": view.levels(Side::Ask).first().copied().map(level),
            }),
            Input::Market(MarketUpdate::Touch(touch)) => json!({
                "kind": "touch", "update_id": touch.update_id, "bid": level(touch.bid), "ask": level(touch.ask),
            }),
            Input::Market(MarketUpdate::Trade(trade)) => json!({
                "kind": "trade", "price": self.price(trade.price), "qty": self.instrument.qty_text(trade.qty),
                "aggressor": format!("{:?}", trade.aggressor),
            }),
            Input::Exec(report) => json!({
                "kind": "report", "order": report.client_id.to_string(), "report": format!("{:?}", report.kind),
            }),
            Input::Balance(balance) => json!({"kind": "balance", "asset": balance.asset.as_str()}),
            Input::Timer => json!({"kind": "timer"}),
            Input::Control(control) => json!({"kind": "control", "control": format!("{control:?}")}),
        }
    }

    fn model_json(&self, model: &Modelled) -> [(&'static str, Value); 3] {
        let inputs = &model.inputs;
        let imbalance: Vec<_> = inputs.book.imbalance.iter().map(|one| one.map(|one| one.value)).collect();
        let features = json!({
            "mid_ticks": inputs.book.mid.ticks_f64(),
            "weighted_mid_ticks": inputs.book.weighted_mid_ticks,
            "micro_ticks": inputs.book.micro_ticks,
            "best_bid_of_others": self.price(inputs.best_bid.price),
            "best_ask_of_others": self.price(inputs.best_ask.price),
            "imbalance": imbalance,
            "ofi": inputs.ofi,
            "sigma_ticks": inputs.sigma_ticks,
            "tau": inputs.toxicity.map(|toxicity| toxicity.tau),
            "tau_signed": inputs.toxicity.map(|toxicity| toxicity.signed),
            "tau_bid": inputs.toxicity.map(|toxicity| toxicity.tau_bid),
            "tau_ask": inputs.toxicity.map(|toxicity| toxicity.tau_ask),
        });
        let figures = json!({
            "reference_ticks": inputs.reference_ticks,
            "reservation_ticks": model.reservation_ticks(),
            "skew_ticks": model.skew_ticks(),
            "half_spread_ticks": model.wanted.map(|wanted| wanted.half_spread_ticks),
            "floor_ticks": model.frame.floor_ticks,
            "cap_ticks": model.frame.cap_ticks,
            "skew_cap_ticks": model.frame.skew_cap_ticks,
            "floor_bound": model.wanted.map(|wanted| wanted.floor_bound),
            "wanted_bid_ticks": model.wanted.map(|wanted| wanted.bid_ticks),
            "wanted_ask_ticks": model.wanted.map(|wanted| wanted.ask_ticks),
            "wanted_bid_qty": model.wanted.map(|wanted| self.instrument.qty_text(wanted.bid_qty)),
            "wanted_ask_qty": model.wanted.map(|wanted| self.instrument.qty_text(wanted.ask_qty)),
            "k_ticks": model.parameters.k_ticks,
            "gamma": model.parameters.gamma,
            "kappa_ticks": model.parameters.kappa_ticks,
        });
        let position = json!({
            "base": inputs.position_base,
            "max_base": inputs.position_max_base,
            "room_bid": self.instrument.qty_text(inputs.room[0]),
            "room_ask": self.instrument.qty_text(inputs.room[1]),
        });
        [("features", features), ("model", figures), ("position", position)]
    }

    fn working_json(&self, order: &Working) -> Value {
        json!({
            "order": order.client_id.to_string(),
            "side": SIDES[order.side.index()],
            "price": self.price(order.price),
            "rest": self.instrument.qty_text(order.remaining),
            "state": format!("{:?}", order.state),
            "age_ms": order.age.nanos() / 1_000_000,
        })
    }

    fn command_json(&self, command: &Command) -> Value {
        let mut told = json!({"do": verb(command), "order": command.client_id().to_string()});
        match command {
            Command::Place(order) => {
                told["side"] = SIDES[order.side.index()].into();
                told["price"] = self.price(order.price).into();
                told["qty"] = self.instrument.qty_text(order.qty).into();
            }
            Command::Amend { qty, .. } => told["qty"] = self.instrument.qty_text(*qty).into(),
            Command::Cancel { .. } | Command::Query { .. } | Command::Fills { .. } => {}
        }
        told
    }

    /// Everything as one JSON object.
    pub fn json(&self) -> Value {
        let mut told = json!({
            "seq": self.seq,
            "input_seq": self.input_seq,
            "now_ns": self.now.nanos(),
            "symbol": self.instrument.symbol(),
            "input": self.input_json(),
            "pulled": self.why.pulled.map(|reason| format!("{reason:?}")),
            "targets": self.sides_json(self.why.targets),
            "working": self.why.working.iter().map(|order| self.working_json(order)).collect::<Vec<_>>(),
            "commands": self.commands.iter().map(|command| self.command_json(command)).collect::<Vec<_>>(),
        });
        told["position_lots"] = self.decision.position.lots().into();
        if let Some(model) = &self.why.modelled {
            for (name, value) in self.model_json(model) {
                told[name] = value;
            }
            told["bounded"] = model.bounded.map_or(Value::Null, |sides| self.sides_json(sides));
        }
        if let Some(plans) = &self.why.plans {
            for side in Side::BOTH {
                let plan = &plans[side.index()];
                told["plan"][SIDES[side.index()]] = json!({
                    "kept": plan.kept,
                    "places": plan.place,
                    "leaving": plan.leaving,
                    "cancels": plan.cancels.iter().flatten().map(ToString::to_string).collect::<Vec<_>>(),
                    "amends": plan.amend.map(|(order, _)| order.to_string()),
                });
            }
        }
        told
    }

    /// Everything for a person.
    pub fn text(&self) -> String {
        let told = self.json();
        let mut out = format!(
            "quote record {} of {}, decided at {} ns after input {}\n",
            self.seq,
            self.instrument.symbol(),
            self.now.nanos(),
            self.input_seq
        );
        for name in ["input", "features", "position", "model", "bounded", "targets", "plan"] {
            if told[name].is_null() {
                continue;
            }
            let mut line = String::new();
            flat(&told[name], "", &mut line);
            let _ = writeln!(out, "{name:<9}{line}");
        }
        if let Some(reason) = told["pulled"].as_str() {
            let _ = writeln!(out, "pulled   nothing may rest: {reason}");
        }
        for (name, empty) in [("working", "no orders before"), ("commands", "nothing to do")] {
            let rows = told[name].as_array().map(Vec::as_slice).unwrap_or_default();
            if rows.is_empty() {
                let _ = writeln!(out, "{name:<9}{empty}");
            }
            for row in rows {
                let mut line = String::new();
                flat(row, "", &mut line);
                let _ = writeln!(out, "{name:<9}{line}");
            }
        }
        out
    }
}

/// A value as `name value` pairs on one line.
fn flat(value: &Value, name: &str, out: &mut String) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                flat(value, &name, out);
            }
        }
        Value::Null => {}
        Value::String(text) => {
            let _ = write!(out, " {name} {text}");
        }
        Value::Number(number) => {
            let _ = match number.as_f64() {
                Some(figure) if number.is_f64() => write!(out, " {name} {figure:.4}"),
                _ => write!(out, " {name} {number}"),
            };
        }
        other => {
            let _ = write!(out, " {name} {other}");
        }
    }
}
