//! Position and profit as `position:<symbol>` and `pnl:<symbol>` say them: one statement of each with every fill.
//!
//! Fed with the session's own quote stream, so no fill is missed and none counts twice, and with the engine's newest
//! figures, which bring the mid that positions are marked to. Pure: what is to be written is asked for.

use std::collections::VecDeque;

use super::entry::Fields;
use crate::kpi::{Ledger, PnlSplit};
use crate::pipeline::PipelineSnapshot;
use crate::pipeline::orders::TradeIds;
use crate::types::{BaseAtoms, ExecKind, HalfTicks, Instrument, SessionId, TimestampNs, format_e8};
use crate::wire::{InputEvent, QuoteEvent, Record, RecordError};

/// Statements that wait for delivery, at most; beyond, the older one of each key is left out, as a later one says more.
const WAITING_MAX: usize = 1024;

/// A hash to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Which instrument.
    pub instrument: usize,
    /// The key.
    pub key: String,
    /// Its fields, all of them.
    pub fields: Fields,
}

struct Account {
    instrument: Instrument,
    ledger: Ledger,
    trade_ids: TradeIds,
    fills: u64,
    /// The figures that the last statement of profit was made from.
    told_at: TimestampNs,
}

/// The statements of one session.
pub struct Statements {
    session: SessionId,
    accounts: Vec<Account>,
    waiting: VecDeque<Statement>,
    interval_ns: u64,
}

impl Statements {
    /// Statements of a session that has no position yet; profit is marked anew every `interval_ns`.
    pub fn new(session: SessionId, instruments: &[Instrument], interval_ns: u64) -> Statements {
        let account = |instrument: &Instrument| Account {
            instrument: *instrument,
            ledger: Ledger::new(*instrument),
            trade_ids: TradeIds::new(),
            fills: 0,
            told_at: TimestampNs::ZERO,
        };
        let accounts = instruments.iter().map(account).collect();
        Statements { session, accounts, waiting: VecDeque::new(), interval_ns }
    }

    /// Takes the next record of the quote stream; a fill of ours makes two statements.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn on_record(&mut self, record: &Record<'_>) -> Result<(), RecordError> {
        let QuoteEvent::Input(InputEvent::Exec(report)) = QuoteEvent::decode(record)? else { return Ok(()) };
        let ExecKind::Fill(fill) = report.kind else { return Ok(()) };
        let index = report.instrument.index();
        if let Some(account) = self.accounts.get_mut(index)
            && report.client_id.session == self.session
            && account.trade_ids.insert(fill.trade_id)
        {
            account.ledger.on_fill(&fill);
            account.fills += 1;
            self.tell_position(index, record.header.ts);
            self.tell_pnl(index, record.header.ts, self.accounts[index].ledger.pnl());
        }
        Ok(())
    }

    /// Takes the newest figures of an instrument: the mid that its position is marked to and, at the interval or when
    /// `now`, the engine's own profit. Figures that have not seen every fill yet are not told.
    pub fn on_figures(&mut self, index: usize, figures: &PipelineSnapshot, now: bool) {
        let Some(account) = self.accounts.get_mut(index) else { return };
        if let Some(mark) = figures.mark {
            account.ledger.on_mid(mark);
        }
        let due = figures.now.since(account.told_at).nanos() >= self.interval_ns;
        if figures.counters.fills == account.fills && figures.mark.is_some() && (due || now) {
            account.told_at = figures.now;
            self.tell_pnl(index, figures.now, figures.pnl);
        }
    }

    /// Forgets what waits and states everything anew: after a new connection, where the server may know nothing.
    pub fn tell_all(&mut self, now: TimestampNs) {
        self.waiting.clear();
        for index in 0..self.accounts.len() {
            self.tell_position(index, now);
            self.tell_pnl(index, now, self.accounts[index].ledger.pnl());
        }
    }

    /// What is to be written, oldest first.
    pub fn waiting(&self) -> &VecDeque<Statement> {
        &self.waiting
    }

    /// Says that the first `count` have been written.
    pub fn delivered(&mut self, count: usize) {
        self.waiting.drain(..count.min(self.waiting.len()));
    }

    fn tell_position(&mut self, index: usize, now: TimestampNs) {
        let account = &self.accounts[index];
        let atoms = account.ledger.atoms();
        let fields = vec![
            ("session", self.session.to_string()),
            ("ts_ns", now.nanos().to_string()),
            ("qty", decimal(atoms)),
            ("lots", (atoms.get() / account.instrument.spec.lot_e8).to_string()),
            ("atoms", atoms.get().to_string()),
            ("fills", account.fills.to_string()),
        ];
        self.put(index, "position", fields);
    }

    fn tell_pnl(&mut self, index: usize, now: TimestampNs, pnl: PnlSplit) {
        let account = &self.accounts[index];
        let mut fields = vec![("session", self.session.to_string()), ("ts_ns", now.nanos().to_string())];
        for (name, money) in [
            ("total", pnl.total),
            ("gross", pnl.gross),
            ("spread", pnl.spread),
            ("inventory", pnl.inventory),
            ("fees", pnl.fees),
        ] {
            fields.push((name, money.to_string()));
        }
        fields.push(("mark", account.ledger.mid().map_or(String::new(), |mid| mid_text(&account.instrument, mid))));
        fields.push(("fills", account.fills.to_string()));
        self.put(index, "pnl", fields);
    }

    fn put(&mut self, index: usize, name: &str, fields: Fields) {
        let key = format!("{name}:{}", self.accounts[index].instrument.symbol());
        if self.waiting.len() >= WAITING_MAX
            && let Some(older) = self.waiting.iter().position(|statement| statement.key == key)
        {
            self.waiting.remove(older);
        }
        self.waiting.push_back(Statement { instrument: index, key, fields });
    }
}

fn decimal(atoms: BaseAtoms) -> String {
    let mut text = String::new();
    format_e8(atoms.get(), &mut text);
    text
}

/// A mid may lie between two ticks: its value of one unit of base is exact.
fn mid_text(instrument: &Instrument, mid: HalfTicks) -> String {
    instrument.value(mid, BaseAtoms::new(100_000_000)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ClientOrderId, ExecReport, ExecSource, FeeAsset, Fill, Price, Qty, Side, TradeId};
    use crate::wire::{Flags, Kind, RecordBuf, Stream};

    fn report(session: u64, trade: i64, side: Side) -> ExecReport {
        ExecReport {
            instrument: Instrument::btcusdt().id,
            client_id: ClientOrderId { session: SessionId(session), counter: 1 },
            venue_id: None,
            event_ts: TimestampNs::ZERO,
            recv_ts: TimestampNs::ZERO,
            source: ExecSource::UserStream,
            kind: ExecKind::Fill(Fill {
                trade_id: TradeId(trade),
                side,
                price: Price::from_ticks(10_000),
                qty: Qty::from_lots(100_000),
                cum_qty: Qty::from_lots(100_000),
                order_qty: Qty::from_lots(100_000),
                fee_e8: 0,
                fee_asset: FeeAsset::None,
                is_maker: true,
            }),
        }
    }

    fn take(statements: &mut Statements, report: ExecReport) {
        let mut buf = RecordBuf::default();
        let kind = InputEvent::Exec(report).encode(&mut buf);
        assert_eq!(kind, Kind::InputExec);
        let units = buf.finish(Stream::Quote, kind, Flags::NONE, 1, TimestampNs::from_nanos(9));
        statements.on_record(&Record::from_units(units).unwrap()).unwrap();
    }

    fn field<'a>(statement: &'a Statement, name: &str) -> &'a str {
        &statement.fields.iter().find(|(key, _)| *key == name).unwrap().1
    }

    #[test]
    fn each_fill_of_ours_is_stated_once_in_order() {
        let mut statements = Statements::new(SessionId(5), &[Instrument::btcusdt()], 1);
        take(&mut statements, report(5, 1, Side::Bid));
        take(&mut statements, report(5, 1, Side::Bid));
        take(&mut statements, report(6, 2, Side::Bid));
        take(&mut statements, report(5, 3, Side::Ask));
        let told: Vec<(&str, &str)> = statements
            .waiting()
            .iter()
            .map(|told| {
                (told.key.as_str(), if told.key.starts_with("pos") { field(told, "qty") } else { field(told, "total") })
            })
            .collect();
        assert_eq!(
            told,
            [("position:BTCUSDT", "1"), ("pnl:BTCUSDT", "0"), ("position:BTCUSDT", "0"), ("pnl:BTCUSDT", "0")]
        );
        statements.delivered(3);
        assert_eq!(statements.waiting().len(), 1);
        statements.tell_all(TimestampNs::ZERO);
        assert_eq!(statements.waiting().len(), 2);
        assert_eq!(field(&statements.waiting()[0], "fills"), "2");
    }

    #[test]
    fn waiting_statements_are_bounded_and_the_last_word_is_kept() {
        let mut statements = Statements::new(SessionId(5), &[Instrument::btcusdt()], 1);
        for trade in 0..2 * WAITING_MAX as i64 {
            take(&mut statements, report(5, trade, Side::Bid));
        }
        assert_eq!(statements.waiting().len(), WAITING_MAX);
        let last = statements.waiting().iter().rfind(|told| told.key == "position:BTCUSDT").unwrap();
        assert_eq!(field(last, "qty"), (2 * WAITING_MAX).to_string());
    }
}
