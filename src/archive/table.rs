//! The tables: which columns each has, of what kind, and how a column is encoded.

use std::fmt::Write;

/// A table of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// One row a level of each depth message; one without a level for a message that has none.
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
    /// Yes or no.
    Flag,
    /// Text of few different values, or an order's id.
    Text,
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

use ColumnKind::{Amount, Decimal, Flag, Id, SignedId, Text, Time};

const ORDERBOOK: &[Column] = &[
    required("ts", Time),
    optional("event_ts", Time),
    required("seq", Id),
    required("first_update_id", Id),
    required("last_update_id", Id),
    optional("prev_update_id", Id),
    required("is_snapshot", Flag),
    required("is_dropped", Flag),
    optional("side", Text),
    optional("price_ticks", Amount),
    optional("qty_lots", Amount),
    optional("price", Decimal(8)),
    optional("qty", Decimal(8)),
    required("symbol", Text),
    required("session", Text),
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
    required("symbol", Text),
    required("session", Text),
];

const TRADES: &[Column] = &[
    required("ts", Time),
    optional("event_ts", Time),
    required("seq", Id),
    required("trade_id", SignedId),
    required("is_aggregate", Flag),
    required("is_dropped", Flag),
    required("aggressor", Text),
    required("price_ticks", Amount),
    required("qty_lots", Amount),
    optional("price", Decimal(8)),
    optional("qty", Decimal(8)),
    required("symbol", Text),
    required("session", Text),
];

const ORDERS: &[Column] = &[
    required("ts", Time),
    optional("event_ts", Time),
    required("seq", Id),
    required("event", Text),
    required("client_id", Text),
    optional("venue_id", Id),
    optional("source", Text),
    optional("side", Text),
    optional("order_kind", Text),
    optional("reason", Text),
    optional("trade_id", SignedId),
    optional("price_ticks", Amount),
    optional("qty_lots", Amount),
    optional("cum_qty_lots", Amount),
    optional("price", Decimal(8)),
    optional("qty", Decimal(8)),
    required("symbol", Text),
    required("session", Text),
];

const FILLS: &[Column] = &[
    required("ts", Time),
    optional("event_ts", Time),
    required("seq", Id),
    required("trade_id", SignedId),
    required("client_id", Text),
    optional("venue_id", Id),
    required("source", Text),
    required("side", Text),
    required("is_maker", Flag),
    required("price_ticks", Amount),
    required("qty_lots", Amount),
    required("cum_qty_lots", Amount),
    required("order_qty_lots", Amount),
    required("fee_e8", Amount),
    required("fee_asset", Text),
    optional("price", Decimal(8)),
    optional("qty", Decimal(8)),
    optional("fee", Decimal(8)),
    required("symbol", Text),
    required("session", Text),
];

const QUOTES: &[Column] = &[
    required("ts", Time),
    required("seq", Id),
    required("mid_half_ticks", Amount),
    required("position_lots", Amount),
    optional("bid_price_ticks", Amount),
    required("bid_qty_lots", Amount),
    required("bid_reason", Text),
    optional("ask_price_ticks", Amount),
    required("ask_qty_lots", Amount),
    required("ask_reason", Text),
    optional("mid", Decimal(9)),
    optional("bid_price", Decimal(8)),
    optional("ask_price", Decimal(8)),
    required("symbol", Text),
    required("session", Text),
];

impl Table {
    /// All tables.
    pub const ALL: [Table; 6] =
        [Table::Orderbook, Table::Touches, Table::Trades, Table::Orders, Table::Fills, Table::Quotes];

    /// The folder's name.
    pub const fn name(self) -> &'static str {
        match self {
            Table::Orderbook => "orderbook",
            Table::Touches => "touches",
            Table::Trades => "trades",
            Table::Orders => "orders",
            Table::Fills => "fills",
            Table::Quotes => "quotes",
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
                Flag => ("boolean", String::new()),
                Text => ("binary", "(STRING)".to_owned()),
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
