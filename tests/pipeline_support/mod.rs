//! A pipeline on a table: one instrument, a clock that is a number, and short words for inputs.
#![allow(dead_code, reason = "each test binary uses its own part")]

use touchline::pipeline::{Amount, Pipeline, PipelineConfig, PipelineSnapshot, QuoterKind};
use touchline::types::{
    Action, Actions, BookState, BookView, ClientOrderId, Command, Control, DesyncReason, ExecKind, ExecReport,
    ExecSource, FeeAsset, Fill, Filters, Input, Instrument, InstrumentId, InstrumentSpec, Level, MarketUpdate, Money,
    NewOrder, Price, Qty, SessionId, Side, Symbol, TimestampNs, Trade, TradeId,
};

pub const ID: InstrumentId = InstrumentId(0);
pub const START_MS: u64 = 1_700_000_000_000;

/// Tick 0.01, lot 0.001, least quantity 0.002, least notional 5.
pub fn instrument() -> Instrument {
    Instrument::new(
        ID,
        InstrumentSpec {
            symbol: Symbol::new("BTCUSDT").unwrap(),
            base: Symbol::new("BTC").unwrap(),
            quote: Symbol::new("USDT").unwrap(),
            tick_e8: 1_000_000,
            lot_e8: 100_000,
            filters: Filters {
                qty_min: Qty::from_lots(2),
                notional_min: Money::from_e8(500_000_000),
                ..Filters::default()
            },
        },
    )
}

/// Naive, five ticks, orders of 1.0, position up to 3.0.
pub fn naive() -> PipelineConfig {
    let mut config = PipelineConfig::default();
    config.quoter.kind = QuoterKind::Naive;
    config.quoter.half_spread_ticks = 5.0;
    config.quoter.order_qty = Some(Amount::whole(1));
    config.risk.position_max = Some(Amount::whole(3));
    config
}

pub struct Table {
    pub pipeline: Pipeline,
    pub actions: Actions,
    pub now_ms: u64,
    pub update_id: u64,
    /// Everything asked for so far.
    pub log: Vec<Action>,
}

pub fn time(ms: u64) -> TimestampNs {
    TimestampNs::from_millis(START_MS + ms)
}

pub fn view(now_ms: u64, update_id: u64, bid: i64, ask: i64) -> BookView {
    let mut view = BookView::empty(ID, BookState::Live);
    view.event_ts = time(now_ms);
    view.recv_ts = time(now_ms);
    view.update_id = update_id;
    let level = |price: i64, lots: i64| Level { price: Price::from_ticks(price), qty: Qty::from_lots(lots) };
    view.set_levels(Side::Bid, (0..5).map(|depth| level(bid - depth, 5000 + 100 * depth)));
    view.set_levels(Side::Ask, (0..5).map(|depth| level(ask + depth, 4000 + 100 * depth)));
    view
}

impl Table {
    /// The user stream is up; no book yet.
    pub fn new(config: &PipelineConfig) -> Table {
        let pipeline = Pipeline::new(SessionId(7), &[instrument()], config).unwrap();
        let mut table = Table { pipeline, actions: Actions::new(), now_ms: 0, update_id: 0, log: Vec::new() };
        table.control(Control::UserStreamUp);
        table
    }

    pub fn input(&mut self, input: Input) -> Vec<Command> {
        self.actions.clear();
        self.pipeline.on_event(time(self.now_ms), &input, &mut self.actions);
        self.log.extend_from_slice(self.actions.as_slice());
        if let Some(deadline) = self.pipeline.next_deadline() {
            assert!(deadline > time(self.now_ms), "a deadline that has passed would spin");
        }
        let commands = self.actions.as_slice().iter().filter_map(|action| match action {
            Action::Command(command) => Some(*command),
            Action::Quote(_) => None,
        });
        commands.collect()
    }

    pub fn control(&mut self, control: Control) -> Vec<Command> {
        self.input(Input::Control(control))
    }

    pub fn book(&mut self, bid: i64, ask: i64) -> Vec<Command> {
        self.update_id += 1;
        self.input(Input::Market(MarketUpdate::Book(view(self.now_ms, self.update_id, bid, ask))))
    }

    pub fn desync(&mut self) -> Vec<Command> {
        let view = BookView::empty(ID, BookState::Syncing(DesyncReason::Gap));
        self.input(Input::Market(MarketUpdate::Book(view)))
    }

    pub fn trade(&mut self, aggressor: Side) -> Vec<Command> {
        let trade = Trade {
            instrument: ID,
            event_ts: time(self.now_ms),
            recv_ts: time(self.now_ms),
            id: TradeId(1),
            price: Price::from_ticks(10_000),
            qty: Qty::from_lots(5),
            aggressor,
        };
        self.input(Input::Market(MarketUpdate::Trade(trade)))
    }

    pub fn exec(&mut self, client_id: ClientOrderId, kind: ExecKind) -> Vec<Command> {
        let report = report(self.now_ms, client_id, kind);
        self.input(Input::Exec(report))
    }

    /// Runs timers until `until_ms`.
    pub fn wait(&mut self, until_ms: u64) -> Vec<(u64, Command)> {
        let mut commands = Vec::new();
        while let Some(deadline) = self.pipeline.next_deadline().filter(|deadline| *deadline <= time(until_ms)) {
            self.now_ms = deadline.nanos().div_ceil(1_000_000) - START_MS;
            let at = self.now_ms;
            commands.extend(self.input(Input::Timer).into_iter().map(|command| (at, command)));
        }
        self.now_ms = until_ms;
        commands
    }

    pub fn snapshot(&self) -> PipelineSnapshot {
        self.pipeline.snapshot(ID)
    }

    /// Books at 100.00 / 100.02 and both orders taken by the venue.
    pub fn quoting(config: &PipelineConfig) -> (Table, NewOrder, NewOrder) {
        let mut table = Table::new(config);
        let placed = placed(&table.book(9_999, 10_001));
        assert_eq!(placed.len(), 2);
        for order in &placed {
            table.exec(order.client_id, ExecKind::Accepted);
        }
        (table, placed[0], placed[1])
    }
}

pub fn report(now_ms: u64, client_id: ClientOrderId, kind: ExecKind) -> ExecReport {
    ExecReport {
        instrument: ID,
        client_id,
        venue_id: None,
        event_ts: time(now_ms),
        recv_ts: time(now_ms),
        source: ExecSource::UserStream,
        kind,
    }
}

pub fn fill(order: &NewOrder, trade_id: i64, lots: i64, cum: i64) -> ExecKind {
    ExecKind::Fill(Fill {
        trade_id: TradeId(trade_id),
        side: order.side,
        price: order.price,
        qty: Qty::from_lots(lots),
        cum_qty: Qty::from_lots(cum),
        order_qty: order.qty,
        fee_e8: 0,
        fee_asset: FeeAsset::None,
        is_maker: true,
    })
}

pub fn placed(commands: &[Command]) -> Vec<NewOrder> {
    let orders = commands.iter().filter_map(|command| match command {
        Command::Place(order) => Some(*order),
        _ => None,
    });
    orders.collect()
}

pub fn canceled(commands: &[Command]) -> Vec<ClientOrderId> {
    let ids = commands.iter().filter_map(|command| match command {
        Command::Cancel { client_id, .. } => Some(*client_id),
        _ => None,
    });
    ids.collect()
}

pub fn queried(commands: &[Command]) -> Vec<ClientOrderId> {
    let ids = commands.iter().filter_map(|command| match command {
        Command::Query { client_id, .. } | Command::Fills { client_id, .. } => Some(*client_id),
        _ => None,
    });
    ids.collect()
}
