//! Twins of the quote stream: the inputs of the decisions in their one total order, and the actions that followed.
//!
//! A market update is journaled by reference, as the number of the feed record that it was made from; all other inputs
//! by content. What may be absent has a byte that says so, because every number may be a value.

use bytemuck::{Pod, Zeroable};

use super::feed::whole;
use super::record::{Kind, Record, RecordBuf, RecordError};
use crate::types::{
    Action, Asset, Balance, ClientOrderId, Command, Control, ExecKind, ExecReport, ExecSource, FeeAsset, Fill,
    HalfTicks, Input, InstrumentId, NewOrder, OrderKind, OrderStatus, Price, Qty, QuoteDecision, QuoteSide,
    RejectReason, SessionId, Side, SideReason, TimeInForce, TimestampNs, TradeId, VenueOrderId,
};

/// An input as it is journaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputEvent {
    /// The market update that this feed record gave rise to.
    Market {
        /// The feed record's number.
        feed_seq: u64,
    },
    /// One of our orders changed.
    Exec(ExecReport),
    /// An asset's balance.
    Balance(Balance),
    /// A deadline passed.
    Timer,
    /// A command from outside.
    Control(Control),
}

impl InputEvent {
    /// The twin of an input; `feed_seq` is the feed record behind a market update and unused otherwise.
    pub fn of(input: &Input, feed_seq: u64) -> InputEvent {
        match input {
            Input::Market(_) => InputEvent::Market { feed_seq },
            Input::Exec(report) => InputEvent::Exec(*report),
            Input::Balance(balance) => InputEvent::Balance(*balance),
            Input::Timer => InputEvent::Timer,
            Input::Control(control) => InputEvent::Control(*control),
        }
    }

    /// Writes the payload into `buf` and returns its kind. The header's time is the input's `now`.
    pub fn encode(&self, buf: &mut RecordBuf) -> Kind {
        match self {
            InputEvent::Market { feed_seq } => {
                buf.hold(feed_seq);
                Kind::InputMarket
            }
            InputEvent::Exec(report) => {
                buf.hold(&RawExec::of(report));
                Kind::InputExec
            }
            InputEvent::Balance(balance) => {
                let mut asset = [0; 24];
                let name = balance.asset.as_str().as_bytes();
                asset[..name.len()].copy_from_slice(name);
                asset[23] = name.len() as u8;
                buf.hold(&RawBalance { asset, free_e8: balance.free_e8, locked_e8: balance.locked_e8 });
                Kind::InputBalance
            }
            InputEvent::Timer => {
                buf.begin();
                Kind::InputTimer
            }
            InputEvent::Control(control) => {
                buf.hold(&RawControl::of(control));
                Kind::InputControl
            }
        }
    }
}

/// A record of the quote stream, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuoteEvent {
    /// An input.
    Input(InputEvent),
    /// What a decision asked for.
    Action(Action),
    /// The stream ends here on purpose.
    End,
}

impl QuoteEvent {
    /// Reads a record of the quote stream.
    ///
    /// # Errors
    /// When the record is not of the quote stream, or its payload does not fit its kind.
    pub fn decode(record: &Record<'_>) -> Result<QuoteEvent, RecordError> {
        let payload = record.payload;
        Ok(match record.header.kind {
            Kind::InputMarket => QuoteEvent::Input(InputEvent::Market { feed_seq: whole(payload)? }),
            Kind::InputExec => QuoteEvent::Input(InputEvent::Exec(whole::<RawExec>(payload)?.report()?)),
            Kind::InputBalance => {
                let raw = whole::<RawBalance>(payload)?;
                let len = usize::from(raw.asset[23]);
                let asset = raw
                    .asset
                    .get(..len.min(23))
                    .and_then(|name| std::str::from_utf8(name).ok())
                    .and_then(|name| Asset::new(name).ok())
                    .filter(|_| len <= 23)
                    .ok_or(RecordError::Unknown { what: "asset name of length", value: len as u64 })?;
                QuoteEvent::Input(InputEvent::Balance(Balance {
                    asset,
                    free_e8: raw.free_e8,
                    locked_e8: raw.locked_e8,
                }))
            }
            Kind::InputTimer if payload.is_empty() => QuoteEvent::Input(InputEvent::Timer),
            Kind::InputControl => QuoteEvent::Input(InputEvent::Control(whole::<RawControl>(payload)?.control()?)),
            Kind::ActionQuote => QuoteEvent::Action(Action::Quote(whole::<RawQuote>(payload)?.decision()?)),
            Kind::ActionPlace | Kind::ActionCancel | Kind::ActionAmend | Kind::ActionQuery | Kind::ActionFills => {
                let raw = whole::<RawCommand>(payload)?;
                QuoteEvent::Action(Action::Command(raw.command(record.header.kind)?))
            }
            Kind::End => QuoteEvent::End,
            Kind::InputTimer => return Err(RecordError::Length { len: payload.len() }),
            kind => return Err(RecordError::Unknown { what: "quote kind", value: kind as u64 }),
        })
    }
}

/// Writes an action's payload into `buf` and returns its kind. The header's time is the input's `now`.
pub fn encode_action(action: &Action, buf: &mut RecordBuf) -> Kind {
    match action {
        Action::Quote(decision) => encode_quote(decision, buf),
        Action::Command(command) => encode_command(command, buf),
    }
}

// Each in a function of its own: joined, they would share one copy of a length that only the program knows.
#[inline(never)]
fn encode_quote(decision: &QuoteDecision, buf: &mut RecordBuf) -> Kind {
    buf.hold(&RawQuote::of(decision));
    Kind::ActionQuote
}

#[inline(never)]
fn encode_command(command: &Command, buf: &mut RecordBuf) -> Kind {
    let (kind, raw) = RawCommand::of(command);
    buf.hold(&raw);
    kind
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct RawBalance {
    /// Text of at most 23 bytes; the last byte is its length.
    asset: [u8; 24],
    free_e8: i64,
    locked_e8: i64,
}

#[derive(Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct RawExec {
    session: u64,
    counter: u64,
    venue_id: u64,
    event_ts: u64,
    recv_ts: u64,
    trade_id: i64,
    price: i64,
    qty: i64,
    cum_qty: i64,
    order_qty: i64,
    fee_e8: i64,
    instrument: u16,
    kind: u8,
    source: u8,
    has_venue_id: u8,
    /// Reject reason, order status or side, as the kind says.
    detail: u8,
    fee_asset: u8,
    is_maker: u8,
}

#[derive(Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct RawControl {
    session: u64,
    counter: u64,
    instrument: u16,
    kind: u8,
    reserved: [u8; 5],
}

#[derive(Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct RawQuote {
    mid_half_ticks: i64,
    position: i64,
    bid_price: i64,
    bid_qty: i64,
    ask_price: i64,
    ask_qty: i64,
    instrument: u16,
    has_bid: u8,
    has_ask: u8,
    bid_reason: u8,
    ask_reason: u8,
    reserved: [u8; 2],
}

#[derive(Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct RawCommand {
    session: u64,
    counter: u64,
    venue_id: u64,
    price: i64,
    qty: i64,
    instrument: u16,
    has_venue_id: u8,
    side: u8,
    order_kind: u8,
    reserved: [u8; 3],
}

impl RawExec {
    fn of(report: &ExecReport) -> RawExec {
        let mut raw = RawExec {
            session: report.client_id.session.0,
            counter: report.client_id.counter,
            venue_id: report.venue_id.map_or(0, |id| id.0),
            has_venue_id: u8::from(report.venue_id.is_some()),
            event_ts: report.event_ts.nanos(),
            recv_ts: report.recv_ts.nanos(),
            instrument: report.instrument.0,
            source: report.source as u8,
            ..RawExec::default()
        };
        raw.kind = match report.kind {
            ExecKind::Accepted => 0,
            ExecKind::Rejected(reason) => {
                raw.detail = reason as u8;
                1
            }
            ExecKind::Fill(fill) => {
                raw.trade_id = fill.trade_id.0;
                raw.detail = fill.side as u8;
                raw.price = fill.price.ticks();
                raw.qty = fill.qty.lots();
                raw.cum_qty = fill.cum_qty.lots();
                raw.order_qty = fill.order_qty.lots();
                raw.fee_e8 = fill.fee_e8;
                raw.fee_asset = fill.fee_asset as u8;
                raw.is_maker = u8::from(fill.is_maker);
                2
            }
            ExecKind::Canceled { cum_qty } => {
                raw.cum_qty = cum_qty.lots();
                3
            }
            ExecKind::Expired { cum_qty } => {
                raw.cum_qty = cum_qty.lots();
                4
            }
            ExecKind::CancelRejected(reason) => {
                raw.detail = reason as u8;
                5
            }
            ExecKind::Amended { qty } => {
                raw.qty = qty.lots();
                6
            }
            ExecKind::AmendRejected(reason) => {
                raw.detail = reason as u8;
                7
            }
            ExecKind::PlaceUnknown => 8,
            ExecKind::CancelUnknown => 9,
            ExecKind::Status { status, cum_qty, order_qty } => {
                raw.detail = status as u8;
                raw.cum_qty = cum_qty.lots();
                // Records of before the first amend hold a zero here, which says that it was not told.
                raw.order_qty = order_qty.lots();
                10
            }
            ExecKind::NotFound => 11,
            ExecKind::QueryFailed => 12,
        };
        raw
    }

    fn report(&self) -> Result<ExecReport, RecordError> {
        let cum_qty = Qty::from_lots(self.cum_qty);
        let kind = match self.kind {
            0 => ExecKind::Accepted,
            1 => ExecKind::Rejected(reject_reason(self.detail)?),
            2 => ExecKind::Fill(Fill {
                trade_id: TradeId(self.trade_id),
                side: side(self.detail)?,
                price: Price::from_ticks(self.price),
                qty: Qty::from_lots(self.qty),
                cum_qty,
                order_qty: Qty::from_lots(self.order_qty),
                fee_e8: self.fee_e8,
                fee_asset: fee_asset(self.fee_asset)?,
                is_maker: flag(self.is_maker)?,
            }),
            3 => ExecKind::Canceled { cum_qty },
            4 => ExecKind::Expired { cum_qty },
            5 => ExecKind::CancelRejected(reject_reason(self.detail)?),
            6 => ExecKind::Amended { qty: Qty::from_lots(self.qty) },
            7 => ExecKind::AmendRejected(reject_reason(self.detail)?),
            8 => ExecKind::PlaceUnknown,
            9 => ExecKind::CancelUnknown,
            10 => ExecKind::Status {
                status: order_status(self.detail)?,
                cum_qty,
                order_qty: Qty::from_lots(self.order_qty),
            },
            11 => ExecKind::NotFound,
            12 => ExecKind::QueryFailed,
            value => return unknown("report kind", value),
        };
        Ok(ExecReport {
            instrument: InstrumentId(self.instrument),
            client_id: ClientOrderId { session: SessionId(self.session), counter: self.counter },
            venue_id: flag(self.has_venue_id)?.then_some(VenueOrderId(self.venue_id)),
            event_ts: TimestampNs::from_nanos(self.event_ts),
            recv_ts: TimestampNs::from_nanos(self.recv_ts),
            source: match self.source {
                0 => ExecSource::Response,
                1 => ExecSource::UserStream,
                2 => ExecSource::Query,
                value => return unknown("report source", value),
            },
            kind,
        })
    }
}

impl RawControl {
    fn of(control: &Control) -> RawControl {
        let plain = |kind| RawControl { kind, ..RawControl::default() };
        match control {
            Control::Resume => plain(0),
            Control::Reduce => plain(1),
            Control::Halt => plain(2),
            Control::Stop => plain(3),
            Control::UserStreamDown => plain(4),
            Control::UserStreamUp => plain(5),
            Control::Orphan { instrument, client_id } => RawControl {
                session: client_id.session.0,
                counter: client_id.counter,
                instrument: instrument.0,
                ..plain(6)
            },
        }
    }

    fn control(&self) -> Result<Control, RecordError> {
        Ok(match self.kind {
            0 => Control::Resume,
            1 => Control::Reduce,
            2 => Control::Halt,
            3 => Control::Stop,
            4 => Control::UserStreamDown,
            5 => Control::UserStreamUp,
            6 => Control::Orphan {
                instrument: InstrumentId(self.instrument),
                client_id: ClientOrderId { session: SessionId(self.session), counter: self.counter },
            },
            value => return unknown("control", value),
        })
    }
}

impl RawQuote {
    fn of(decision: &QuoteDecision) -> RawQuote {
        let ticks = |side: QuoteSide| side.price.map_or(0, Price::ticks);
        RawQuote {
            mid_half_ticks: decision.mid.get(),
            position: decision.position.lots(),
            bid_price: ticks(decision.bid),
            bid_qty: decision.bid.qty.lots(),
            ask_price: ticks(decision.ask),
            ask_qty: decision.ask.qty.lots(),
            instrument: decision.instrument.0,
            has_bid: u8::from(decision.bid.price.is_some()),
            has_ask: u8::from(decision.ask.price.is_some()),
            bid_reason: decision.bid.reason as u8,
            ask_reason: decision.ask.reason as u8,
            reserved: [0; 2],
        }
    }

    fn decision(&self) -> Result<QuoteDecision, RecordError> {
        let side = |has, price, qty, reason| {
            Ok::<_, RecordError>(QuoteSide {
                price: flag(has)?.then_some(Price::from_ticks(price)),
                qty: Qty::from_lots(qty),
                reason: side_reason(reason)?,
            })
        };
        Ok(QuoteDecision {
            instrument: InstrumentId(self.instrument),
            mid: HalfTicks::new(self.mid_half_ticks),
            position: Qty::from_lots(self.position),
            bid: side(self.has_bid, self.bid_price, self.bid_qty, self.bid_reason)?,
            ask: side(self.has_ask, self.ask_price, self.ask_qty, self.ask_reason)?,
        })
    }
}

impl RawCommand {
    fn of(command: &Command) -> (Kind, RawCommand) {
        let raw = |instrument: InstrumentId, id: ClientOrderId, venue_id: Option<VenueOrderId>| RawCommand {
            session: id.session.0,
            counter: id.counter,
            venue_id: venue_id.map_or(0, |id| id.0),
            has_venue_id: u8::from(venue_id.is_some()),
            instrument: instrument.0,
            ..RawCommand::default()
        };
        match *command {
            Command::Place(order) => (
                Kind::ActionPlace,
                RawCommand {
                    price: order.price.ticks(),
                    qty: order.qty.lots(),
                    side: order.side as u8,
                    order_kind: match order.kind {
                        OrderKind::Limit(TimeInForce::Gtc) => 0,
                        OrderKind::Limit(TimeInForce::Ioc) => 1,
                        OrderKind::Limit(TimeInForce::Fok) => 2,
                        OrderKind::PostOnly => 3,
                        OrderKind::Market => 4,
                    },
                    ..raw(order.instrument, order.client_id, None)
                },
            ),
            Command::Cancel { instrument, client_id, venue_id } => {
                (Kind::ActionCancel, raw(instrument, client_id, venue_id))
            }
            Command::Amend { instrument, client_id, venue_id, qty } => {
                (Kind::ActionAmend, RawCommand { qty: qty.lots(), ..raw(instrument, client_id, venue_id) })
            }
            Command::Query { instrument, client_id } => (Kind::ActionQuery, raw(instrument, client_id, None)),
            Command::Fills { instrument, client_id, venue_id } => {
                (Kind::ActionFills, raw(instrument, client_id, Some(venue_id)))
            }
        }
    }

    fn command(&self, kind: Kind) -> Result<Command, RecordError> {
        let instrument = InstrumentId(self.instrument);
        let client_id = ClientOrderId { session: SessionId(self.session), counter: self.counter };
        let venue_id = flag(self.has_venue_id)?.then_some(VenueOrderId(self.venue_id));
        Ok(match kind {
            Kind::ActionPlace => Command::Place(NewOrder {
                instrument,
                client_id,
                side: side(self.side)?,
                price: Price::from_ticks(self.price),
                qty: Qty::from_lots(self.qty),
                kind: match self.order_kind {
                    0 => OrderKind::Limit(TimeInForce::Gtc),
                    1 => OrderKind::Limit(TimeInForce::Ioc),
                    2 => OrderKind::Limit(TimeInForce::Fok),
                    3 => OrderKind::PostOnly,
                    4 => OrderKind::Market,
                    value => return unknown("order kind", value),
                },
            }),
            Kind::ActionCancel => Command::Cancel { instrument, client_id, venue_id },
            Kind::ActionAmend => Command::Amend { instrument, client_id, venue_id, qty: Qty::from_lots(self.qty) },
            Kind::ActionFills => Command::Fills { instrument, client_id, venue_id: VenueOrderId(self.venue_id) },
            _ => Command::Query { instrument, client_id },
        })
    }
}

fn unknown<T>(what: &'static str, value: u8) -> Result<T, RecordError> {
    Err(RecordError::Unknown { what, value: u64::from(value) })
}

fn flag(value: u8) -> Result<bool, RecordError> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        value => unknown("flag", value),
    }
}

fn side(value: u8) -> Result<Side, RecordError> {
    Side::from_index(value).map_or_else(|| unknown("side", value), Ok)
}

/// A function that reads an enum's number, from the list of all its values.
macro_rules! numbered {
    ($name:ident, $type:ident, $what:literal, [$($value:ident),* $(,)?]) => {
        fn $name(value: u8) -> Result<$type, RecordError> {
            [$($type::$value),*].into_iter().find(|&known| known as u8 == value).map_or_else(|| unknown($what, value), Ok)
        }
    };
}

numbered!(
    reject_reason,
    RejectReason,
    "reject reason",
    [
        WouldCross,
        InsufficientBalance,
        Filter,
        RateLimit,
        DuplicateId,
        Clock,
        Auth,
        MarketClosed,
        UnknownOrder,
        Other,
        NotSent
    ]
);
numbered!(order_status, OrderStatus, "order status", [New, PartiallyFilled, Filled, Canceled, Rejected, Expired]);
numbered!(fee_asset, FeeAsset, "fee asset", [None, Base, Quote, Other]);
numbered!(
    side_reason,
    SideReason,
    "side reason",
    [Model, PostOnlyClamp, Separation, Book, Position, Filter, Throttled, Collar, Balance, State, Warmup, NoEdge]
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::record::{Flags, Stream};

    fn client_id() -> impl Strategy<Value = ClientOrderId> {
        (any::<u64>(), any::<u64>())
            .prop_map(|(session, counter)| ClientOrderId { session: SessionId(session), counter })
    }

    fn venue_id() -> impl Strategy<Value = Option<VenueOrderId>> {
        proptest::option::of(any::<u64>().prop_map(VenueOrderId))
    }

    fn qty() -> impl Strategy<Value = Qty> {
        any::<i64>().prop_map(Qty::from_lots)
    }

    fn any_side() -> impl Strategy<Value = Side> {
        (0..2_u8).prop_map(|index| Side::from_index(index).unwrap())
    }

    fn any_fill() -> impl Strategy<Value = Fill> {
        ((any::<i64>(), any_side(), any::<i64>(), qty()), (qty(), qty(), any::<i64>(), 0..4_u8, any::<bool>()))
            .prop_map(|((trade_id, side, price, qty), (cum_qty, order_qty, fee_e8, asset, is_maker))| Fill {
                trade_id: TradeId(trade_id),
                side,
                price: Price::from_ticks(price),
                qty,
                cum_qty,
                order_qty,
                fee_e8,
                fee_asset: fee_asset(asset).unwrap(),
                is_maker,
            })
    }

    fn exec_kind() -> impl Strategy<Value = ExecKind> {
        let reason = || (0..11_u8).prop_map(|value| reject_reason(value).unwrap());
        prop_oneof![
            Just(ExecKind::Accepted),
            reason().prop_map(ExecKind::Rejected),
            any_fill().prop_map(ExecKind::Fill),
            qty().prop_map(|cum_qty| ExecKind::Canceled { cum_qty }),
            qty().prop_map(|cum_qty| ExecKind::Expired { cum_qty }),
            reason().prop_map(ExecKind::CancelRejected),
            qty().prop_map(|qty| ExecKind::Amended { qty }),
            reason().prop_map(ExecKind::AmendRejected),
            Just(ExecKind::PlaceUnknown),
            Just(ExecKind::CancelUnknown),
            (0..6_u8, qty(), qty()).prop_map(|(status, cum_qty, order_qty)| {
                ExecKind::Status { status: order_status(status).unwrap(), cum_qty, order_qty }
            }),
            Just(ExecKind::NotFound),
            Just(ExecKind::QueryFailed),
        ]
    }

    fn input() -> impl Strategy<Value = InputEvent> {
        let exec = (any::<u16>(), client_id(), venue_id(), any::<[u64; 2]>(), 0..3_u8, exec_kind()).prop_map(
            |(instrument, client_id, venue_id, [event, recv], source, kind)| {
                InputEvent::Exec(ExecReport {
                    instrument: InstrumentId(instrument),
                    client_id,
                    venue_id,
                    event_ts: TimestampNs::from_nanos(event),
                    recv_ts: TimestampNs::from_nanos(recv),
                    source: [ExecSource::Response, ExecSource::UserStream, ExecSource::Query][source as usize],
                    kind,
                })
            },
        );
        let control = prop_oneof![
            Just(Control::Resume),
            Just(Control::Reduce),
            Just(Control::Halt),
            Just(Control::Stop),
            Just(Control::UserStreamDown),
            Just(Control::UserStreamUp),
            (any::<u16>(), client_id())
                .prop_map(|(id, client_id)| Control::Orphan { instrument: InstrumentId(id), client_id }),
        ];
        prop_oneof![
            any::<u64>().prop_map(|feed_seq| InputEvent::Market { feed_seq }),
            exec,
            ("[A-Z0-9]{0,23}", any::<i64>(), any::<i64>()).prop_map(|(asset, free_e8, locked_e8)| {
                InputEvent::Balance(Balance { asset: Asset::new(&asset).unwrap(), free_e8, locked_e8 })
            }),
            Just(InputEvent::Timer),
            control.prop_map(InputEvent::Control),
        ]
    }

    fn action() -> impl Strategy<Value = Action> {
        let side = || {
            (proptest::option::of(any::<i64>().prop_map(Price::from_ticks)), qty(), 0..12_u8)
                .prop_map(|(price, qty, reason)| QuoteSide { price, qty, reason: side_reason(reason).unwrap() })
        };
        let quote = (any::<u16>(), any::<i64>(), qty(), side(), side()).prop_map(|(id, mid, position, bid, ask)| {
            Action::Quote(QuoteDecision { instrument: InstrumentId(id), mid: HalfTicks::new(mid), position, bid, ask })
        });
        let kinds = [
            OrderKind::Limit(TimeInForce::Gtc),
            OrderKind::Limit(TimeInForce::Ioc),
            OrderKind::Limit(TimeInForce::Fok),
            OrderKind::PostOnly,
            OrderKind::Market,
        ];
        let command = (any::<u16>(), client_id(), venue_id(), qty(), any::<i64>(), any_side(), 0..5_usize, 0..5_u8)
            .prop_map(move |(id, client_id, venue_id, qty, price, side, kind, which)| {
                let instrument = InstrumentId(id);
                Action::Command(match which {
                    0 => Command::Place(NewOrder {
                        instrument,
                        client_id,
                        side,
                        price: Price::from_ticks(price),
                        qty,
                        kind: kinds[kind],
                    }),
                    1 => Command::Cancel { instrument, client_id, venue_id },
                    2 => Command::Amend { instrument, client_id, venue_id, qty },
                    3 => Command::Fills { instrument, client_id, venue_id: venue_id.unwrap_or(VenueOrderId(7)) },
                    _ => Command::Query { instrument, client_id },
                })
            });
        prop_oneof![quote, command]
    }

    fn through_record(buf: &mut RecordBuf, kind: Kind) -> Result<QuoteEvent, RecordError> {
        let units = buf.finish(Stream::Quote, kind, Flags::NONE, 1, TimestampNs::ZERO).to_vec();
        QuoteEvent::decode(&Record::from_units(&units).unwrap())
    }

    proptest! {
        #[test]
        fn every_input_survives_its_record(input in input()) {
            let mut buf = RecordBuf::default();
            let kind = input.encode(&mut buf);
            prop_assert_eq!(through_record(&mut buf, kind), Ok(QuoteEvent::Input(input)));
        }

        #[test]
        fn every_action_survives_its_record(action in action()) {
            let mut buf = RecordBuf::default();
            let kind = encode_action(&action, &mut buf);
            prop_assert_eq!(through_record(&mut buf, kind), Ok(QuoteEvent::Action(action)));
        }

        #[test]
        fn foreign_payloads_are_refused_or_read_never_a_panic(kind in 0..64_u8, payload: Vec<u8>) {
            if let Some(kind) = Kind::from_u8(kind) {
                let mut buf = RecordBuf::default();
                buf.begin();
                buf.put(&payload);
                let _ = through_record(&mut buf, kind);
            }
        }
    }
}
