//! The tables: which columns each has, of what kind, and how a column is encoded.

use std::fmt::Write;

/// A table of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// One row a level of each depth message; one without a level for a message that has none, and for a notice that
    /// the book is not to be trusted until it has synced again.
    Orderbook,
    /// Best bid and ask as streamed ahead of the depth.
    Touches,
    /// Prints on the tape.
    Trades,
    /// Everything that was asked of and told about our orders, in its order.
    Orders,
    /// Executions of our orders, each once.
    Fills,
    /// Quote targets.
    Quotes,
    /// The account and the model's figures once a second, from running the decisions again.
    Kpi,
    /// Messages of the feed as the journal holds them; on request only.
    Raw,
}

/// What a column holds, which decides its physical type and encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnKind {
    /// Nanoseconds since the epoch, UTC.
    Time,
    /// An unsigned number that mostly grows.
    Id,
    /// A signed number that mostly grows.
    SignedId,
    /// Ticks, lots or units of 1e-8.
    Amount,
    /// A decimal with that many places.
    Decimal(u32),
    /// A measured number.
    Float,
    /// Yes or no.
    Flag,
    /// Text of few different values, kept once a row group.
    Word,
    /// Text of many different values.
    Text,
    /// Bytes as they came.
    Bytes,
}

impl ColumnKind {
    /// Whether the column's values have an exact sum.
    pub(super) const fn has_sum(self) -> bool {
        !matches!(self, Word | Text | Bytes | Float)
    }
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub name: &'static str,
    pub kind: ColumnKind,
    pub optional: bool,
}

const fn required(name: &'static str, kind: ColumnKind) -> Column {
    Column { name, kind, optional: false }
}

const fn optional(name: &'static str, kind: ColumnKind) -> Column {
    Column { name, kind, optional: true }
}

use ColumnKind::{Amount, Bytes, Decimal, Flag, Float, Id, SignedId, Text, Time, Word};

const ORDERBOOK: &[Column] = &[
    required("ts", Time),
    optional("event_ts", Time),
    required("seq", Id),
    required("first_update_id", Id),
    required("last_update_id", Id),
    optional("prev_update_id", Id),
    required("is_snapshot", Flag),
    required("is_dropped", Flag),
    optional("notice", Word),
    optional("side", Word),
    optional("price_ticks", Amount),
    optional("qty_lots", Amount),
    optional("price", Decimal(8)),
    optional("qty", Decimal(8)),
    required("symbol", Word),
    required("session", Word),
];

const TOUCHES: &[Column] = &[
    required("ts", Time),
    required("seq", Id),
    required("update_id", Id),
    required("is_dropped", Flag),
    required("bid_price_ticks", Amount),
    required("bid_qty_lots", Amount),
    required("ask_price_ticks", Amount),
    required("ask_qty_lots", Amount),
    optional("bid_price", Decimal(8)),
    optional("bid_qty", Decimal(8)),
    optional("ask_price", Decimal(8)),
    optional("ask_qty", Decimal(8)),
    required("symbol", Word),
    required("session", Word),
];

const TRADES: &[Column] = &[
    required("ts", Time),
    optional("event_ts", Time),
    required("seq", Id),
    required("trade_id", SignedId),
    required("is_aggregate", Flag),
    required("is_dropped", Flag),
    required("aggressor", Word),
    required("price_ticks", Amount),
    required("qty_lots", Amount),
    optional("price", Decimal(8)),
    optional("qty", Decimal(8)),
    required("symbol", Word),
    required("session", Word),
];

const ORDERS: &[Column] = &[
    required("ts", Time),
    optional("event_ts", Time),
    required("seq", Id),
    required("event", Word),
    required("client_id", Text),
    optional("venue_id", Id),
    optional("source", Word),
    optional("side", Word),
    optional("order_kind", Word),
    optional("reason", Word),
    optional("trade_id", SignedId),
    optional("price_ticks", Amount),
    optional("qty_lots", Amount),
    optional("cum_qty_lots", Amount),
    optional("price", Decimal(8)),
    optional("qty", Decimal(8)),
    required("symbol", Word),
    required("session", Word),
];

const FILLS: &[Column] = &[
    required("ts", Time),
    optional("event_ts", Time),
    required("seq", Id),
    required("trade_id", SignedId),
    required("client_id", Text),
    optional("venue_id", Id),
    required("source", Word),
    required("side", Word),
    required("is_maker", Flag),
    required("price_ticks", Amount),
    required("qty_lots", Amount),
    required("cum_qty_lots", Amount),
    required("order_qty_lots", Amount),
    required("fee_e8", Amount),
    required("fee_asset", Word),
    optional("price", Decimal(8)),
    optional("qty", Decimal(8)),
    optional("fee", Decimal(8)),
    required("symbol", Word),
    required("session", Word),
];

const QUOTES: &[Column] = &[
    required("ts", Time),
    required("seq", Id),
    required("mid_half_ticks", Amount),
    required("position_lots", Amount),
    optional("bid_price_ticks", Amount),
    required("bid_qty_lots", Amount),
    required("bid_reason", Word),
    optional("ask_price_ticks", Amount),
    required("ask_qty_lots", Amount),
    required("ask_reason", Word),
    optional("mid", Decimal(9)),
    optional("bid_price", Decimal(8)),
    optional("ask_price", Decimal(8)),
    required("symbol", Word),
    required("session", Word),
];

const KPI: &[Column] = &[
    required("ts", Time),
    required("seq", Id),
    required("position_lots", Amount),
    optional("mid_half_ticks", Amount),
    optional("mid", Decimal(9)),
    optional("position", Decimal(8)),
    optional("pnl", Decimal(8)),
    optional("pnl_spread", Decimal(8)),
    optional("pnl_inventory", Decimal(8)),
    optional("fees", Decimal(8)),
    optional("sigma_ticks", Float),
    optional("tau", Float),
    required("k_ticks", Float),
    optional("gamma", Float),
    optional("kappa_ticks", Float),
    optional("half_spread_ticks", Float),
    required("working_orders", Amount),
    required("symbol", Word),
    required("session", Word),
];

const RAW: &[Column] = &[
    required("ts", Time),
    required("seq", Id),
    required("kind", Word),
    required("is_dropped", Flag),
    required("message", Bytes),
    required("symbol", Word),
    required("session", Word),
];

impl Table {
    /// All tables.
    pub const ALL: [Table; 8] = [
        Table::Orderbook,
        Table::Touches,
        Table::Trades,
        Table::Orders,
        Table::Fills,
        Table::Quotes,
        Table::Kpi,
        Table::Raw,
    ];

    /// Whether the table is made only when it is asked for by name.
    pub const fn is_on_request(self) -> bool {
        matches!(self, Table::Raw)
    }

    /// The folder's name.
    pub const fn name(self) -> &'static str {
        match self {
            Table::Orderbook => "orderbook",
            Table::Touches => "touches",
            Table::Trades => "trades",
            Table::Orders => "orders",
            Table::Fills => "fills",
            Table::Quotes => "quotes",
            Table::Kpi => "kpi",
            Table::Raw => "raw",
        }
    }

    /// The table of that name.
    pub fn from_name(name: &str) -> Option<Table> {
        Table::ALL.into_iter().find(|table| table.name() == name)
    }

    pub(super) const fn columns(self) -> &'static [Column] {
        match self {
            Table::Orderbook => ORDERBOOK,
            Table::Touches => TOUCHES,
            Table::Trades => TRADES,
            Table::Orders => ORDERS,
            Table::Fills => FILLS,
            Table::Quotes => QUOTES,
            Table::Kpi => KPI,
            Table::Raw => RAW,
        }
    }

    /// The table's schema in Parquet's own text form.
    pub(super) fn schema_text(self) -> String {
        let mut text = format!("message {} {{", self.name());
        for column in self.columns() {
            let presence = if column.optional { "optional" } else { "required" };
            let (physical, logical) = match column.kind {
                Time => ("int64", "(TIMESTAMP(NANOS,true))".to_owned()),
                Id => ("int64", "(INTEGER(64,false))".to_owned()),
                SignedId | Amount => ("int64", String::new()),
                Decimal(scale) => ("int64", format!("(DECIMAL({DECIMAL_DIGITS},{scale}))")),
                Float => ("double", String::new()),
                Flag => ("boolean", String::new()),
                Word | Text => ("binary", "(STRING)".to_owned()),
                Bytes => ("binary", String::new()),
            };
            // Writing to a String cannot fail.
            let _ = write!(text, " {presence} {physical} {} {logical};", column.name);
        }
        text.push_str(" }");
        text
    }
}

/// Digits of a decimal column: the most that 64 bits hold. A value with more is left out there; its integer is not.
pub(super) const DECIMAL_DIGITS: u32 = 18;
