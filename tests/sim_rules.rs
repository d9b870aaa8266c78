//! The venue as an exchange: orders, balances, refusals, counts and events on an otherwise empty market.

use touchline::sim::{
    AccountConfig, AccountId, CancelReplaceMode, CancelRestriction, CommissionAsset, Execution, ExecutionType,
    FeeSchedule, FillCause, MarketSource, OrderLimit, OrderRef, StpMode, SymbolConfig, TradesQuery, UserEvent, Venue,
    VenueConfig, VenueConfigError, VenueMarketEvent, VenueOrder, VenueOrderKind, VenueOrderStatus, VenueReject,
};
use touchline::types::{
    Asset, DurationNs, Filters, Instrument, InstrumentId, InstrumentSpec, Money, Price, Qty, Side, Symbol, TimeInForce,
    TimestampNs, TradeId,
};

const ANNA: AccountId = AccountId(1);
const BORIS: AccountId = AccountId(2);
const BTCUSDT: InstrumentId = InstrumentId(0);
const UNIT: i64 = 100_000_000;
const GTC: VenueOrderKind = VenueOrderKind::Limit(TimeInForce::Gtc);

fn asset(name: &str) -> Asset {
    Symbol::new(name).unwrap()
}

fn instrument() -> Instrument {
    let spec = InstrumentSpec {
        symbol: asset("BTCUSDT"),
        base: asset("BTC"),
        quote: asset("USDT"),
        tick_e8: 1_000_000,
        lot_e8: 1_000,
        filters: Filters {
            price_min: Some(Price::from_ticks(1)),
            price_max: Some(Price::from_ticks(100_000_000)),
            qty_min: Qty::from_lots(1),
            qty_max: Qty::from_lots(900_000_000),
            notional_min: Money::from_e8(5 * UNIT),
        },
    };
    Instrument::new(BTCUSDT, spec)
}

fn config() -> VenueConfig {
    let mut config = VenueConfig::new(at(0));
    config.symbols = vec![SymbolConfig::new(instrument())];
    config.order_limits = Vec::new();
    config.accounts = [ANNA, BORIS]
        .map(|id| AccountConfig { id, balances: vec![(asset("USDT"), 100_000 * UNIT), (asset("BTC"), 2 * UNIT)] })
        .to_vec();
    config
}

fn venue(change: impl FnOnce(&mut VenueConfig)) -> Venue {
    let mut config = config();
    change(&mut config);
    Venue::new(config, vec![MarketSource::Empty]).unwrap()
}

fn at(millis: u64) -> TimestampNs {
    TimestampNs::from_millis(1_700_000_000_000 + millis)
}

fn limit(side: Side, kind: VenueOrderKind, price: i64, qty_e8: i64, name: &str) -> VenueOrder {
    let name = (!name.is_empty()).then(|| name.to_owned());
    VenueOrder::limit(BTCUSDT, side, kind, price * UNIT, qty_e8, name)
}

fn executions(venue: &mut Venue, account: AccountId) -> Vec<Execution> {
    venue
        .user_events()
        .filter_map(|(owner, event)| match event {
            UserEvent::Execution(execution) if owner == account => Some(*execution),
            _ => None,
        })
        .collect()
}

fn balance(venue: &Venue, account: AccountId, name: &str) -> (i64, i64) {
    let balance = venue.account(account).unwrap().of(asset(name));
    (balance.free_e8, balance.locked_e8)
}

#[test]
fn a_resting_order_locks_and_its_cancel_frees() {
    let mut venue = venue(|_| {});
    let placed =
        venue.place(at(1), ANNA, &limit(Side::Bid, VenueOrderKind::LimitMaker, 60_000, UNIT / 2, "a")).unwrap();
    assert_eq!(placed.order.status, VenueOrderStatus::New);
    assert_eq!(balance(&venue, ANNA, "USDT"), (70_000 * UNIT, 30_000 * UNIT));
    let cancelled = venue.cancel(at(2), ANNA, BTCUSDT, OrderRef::client("a"), Some("why"), None).unwrap();
    assert_eq!((cancelled.order.status, cancelled.cancel_id.as_str()), (VenueOrderStatus::Canceled, "why"));
    assert_eq!(balance(&venue, ANNA, "USDT"), (100_000 * UNIT, 0));
    let told = executions(&mut venue, ANNA);
    let kinds: Vec<_> = told.iter().map(|e| (e.kind, e.client_id.as_str(), e.orig_client_id.as_str())).collect();
    assert_eq!(kinds, [(ExecutionType::New, "a", ""), (ExecutionType::Canceled, "why", "a")]);
    assert!(told[0].on_book && !told[1].on_book);
    let again = venue.cancel(at(3), ANNA, BTCUSDT, OrderRef::client("a"), None, None).unwrap_err();
    assert_eq!((again.code, again.text.as_ref()), (-2011, "Unknown order sent."));
    let gone = venue.order(ANNA, BTCUSDT, OrderRef::id(99)).unwrap_err();
    assert_eq!((gone.code, gone.text.as_ref()), (-2013, "Order does not exist."));
    let foreign = venue.order(BORIS, BTCUSDT, OrderRef::client("a"));
    assert_eq!(foreign, Err(VenueReject::NO_SUCH_ORDER), "nobody sees another account's order");
}

#[test]
fn commissions_come_out_of_what_a_trade_brings() {
    let mut venue = venue(|config| {
        config.fees = FeeSchedule { maker_e8: 100_000, taker_e8: 150_000, asset: CommissionAsset::Received };
    });
    venue.place(at(1), ANNA, &limit(Side::Bid, VenueOrderKind::LimitMaker, 60_000, UNIT / 2, "bid")).unwrap();
    let placed = venue.place(at(2), BORIS, &limit(Side::Ask, GTC, 59_000, UNIT / 4, "hit")).unwrap();
    assert_eq!(placed.order.status, VenueOrderStatus::Filled);
    assert_eq!(placed.fills.len(), 1);
    assert_eq!(placed.fills[0].price_e8, 60_000 * UNIT, "the maker's price");
    assert_eq!(placed.fills[0].commission_e8, 15_000 * UNIT * 15 / 10_000, "15 bp of the quote received");
    assert_eq!(placed.fills[0].commission_asset, asset("USDT"));
    // Anna: 0.25 BTC less 10 bp; 15 000 USDT paid, 15 000 still locked.
    assert_eq!(balance(&venue, ANNA, "BTC"), (2 * UNIT + UNIT / 4 - UNIT / 4_000, 0));
    assert_eq!(balance(&venue, ANNA, "USDT"), (70_000 * UNIT, 15_000 * UNIT));
    assert_eq!(balance(&venue, AccountId::FEES, "BTC"), (UNIT / 4_000, 0));
    let told = executions(&mut venue, ANNA);
    let fill = told[1].fill.unwrap();
    assert_eq!(told[1].kind, ExecutionType::Trade);
    assert_eq!(told[1].order.status, VenueOrderStatus::PartiallyFilled);
    assert_eq!((told[1].order.executed_qty_e8, told[1].order.cum_quote_e8), (UNIT / 4, 15_000 * UNIT));
    assert_eq!((fill.is_maker, fill.cause, fill.trade_id), (true, FillCause::Queue, TradeId(1)));
    let rows = venue.my_trades(BORIS, BTCUSDT, TradesQuery { limit: 10, ..TradesQuery::default() });
    assert_eq!((rows.len(), rows[0].cause, rows[0].is_maker), (1, FillCause::Taker, false));
}

#[test]
fn commission_in_quote_keeps_positions_whole_and_is_covered_by_the_lock() {
    let mut venue = venue(|config| {
        config.fees = FeeSchedule { maker_e8: 100_000, taker_e8: 100_000, asset: CommissionAsset::Quote };
    });
    let too_much = limit(Side::Bid, GTC, 50_000, 2 * UNIT, "");
    assert_eq!(venue.place(at(1), ANNA, &too_much), Err(VenueReject::INSUFFICIENT_BALANCE), "fee included");
    venue.place(at(1), ANNA, &limit(Side::Bid, GTC, 50_000, UNIT, "bid")).unwrap();
    assert_eq!(balance(&venue, ANNA, "USDT"), (49_950 * UNIT, 50_050 * UNIT));
    venue.place(at(2), BORIS, &limit(Side::Ask, GTC, 50_000, UNIT, "hit")).unwrap();
    assert_eq!(balance(&venue, ANNA, "BTC"), (3 * UNIT, 0));
    assert_eq!(balance(&venue, ANNA, "USDT"), (49_950 * UNIT, 0));
    assert_eq!(balance(&venue, BORIS, "USDT"), (149_950 * UNIT, 0));
    assert_eq!(balance(&venue, AccountId::FEES, "USDT"), (100 * UNIT, 0));
}

#[test]
fn refusals_speak_binance() {
    let mut venue = venue(|config| config.symbols[0].orders_max = 3);
    venue.place(at(1), BORIS, &limit(Side::Ask, GTC, 60_000, UNIT, "ask")).unwrap();
    venue.place(at(1), ANNA, &limit(Side::Bid, GTC, 100, UNIT, "twice")).unwrap();
    let maker = VenueOrderKind::LimitMaker;
    for (order, code, text) in [
        (limit(Side::Bid, maker, 60_000, UNIT, ""), -2010, "Order would immediately match and take."),
        (limit(Side::Bid, GTC, 99_999, 2 * UNIT, ""), -2010, "Account has insufficient balance for requested action."),
        (
            limit(Side::Ask, maker, 61_000, 3 * UNIT, ""),
            -2010,
            "Account has insufficient balance for requested action.",
        ),
        (limit(Side::Bid, GTC, 100, UNIT, "twice"), -2010, "Duplicate order sent."),
        (limit(Side::Bid, GTC, 100, UNIT / 100, ""), -1013, "Filter failure: NOTIONAL"),
        (limit(Side::Bid, GTC, 100, 999, ""), -1013, "Filter failure: LOT_SIZE"),
        (limit(Side::Bid, GTC, 2_000_000, UNIT, ""), -1013, "Filter failure: PRICE_FILTER"),
        (VenueOrder { symbol: InstrumentId(7), ..limit(Side::Bid, GTC, 100, UNIT, "") }, -1121, "Invalid symbol."),
    ] {
        let before = venue.account(ANNA).unwrap();
        let refused = venue.place(at(2), ANNA, &order).unwrap_err();
        assert_eq!((refused.code, refused.text.as_ref()), (code, text), "{order:?}");
        assert_eq!(venue.account(ANNA).unwrap().assets, before.assets, "a refusal changes nothing");
    }
    venue.place(at(3), ANNA, &limit(Side::Bid, maker, 100, UNIT, "")).unwrap();
    venue.place(at(3), ANNA, &limit(Side::Bid, maker, 100, UNIT, "")).unwrap();
    let full = venue.place(at(3), ANNA, &limit(Side::Bid, maker, 100, UNIT, "")).unwrap_err();
    assert_eq!((full.code, full.text.as_ref()), (-1013, "Filter failure: MAX_NUM_ORDERS"));
    let stranger = venue.place(at(3), AccountId(9), &limit(Side::Bid, maker, 100, UNIT, "")).unwrap_err();
    assert_eq!(stranger.code, -2010);
    let nothing = venue.cancel(at(3), ANNA, BTCUSDT, OrderRef::default(), None, None).unwrap_err();
    assert_eq!(nothing.code, -1102);
    let crossed_ids = OrderRef { order_id: Some(2), client_id: Some("ask") };
    assert_eq!(venue.cancel(at(3), ANNA, BTCUSDT, crossed_ids, None, None), Err(VenueReject::ID_MISMATCH));
    let restricted = Some(CancelRestriction::OnlyPartiallyFilled);
    let kept = venue.cancel(at(3), ANNA, BTCUSDT, OrderRef::client("twice"), None, restricted);
    assert_eq!(kept, Err(VenueReject::CANCEL_RESTRICTION));
    venue.check().unwrap();
}

#[test]
fn a_name_is_free_again_once_its_order_is_done() {
    let mut venue = venue(|_| {});
    let order = limit(Side::Bid, GTC, 100, UNIT, "name");
    let first = venue.place(at(1), ANNA, &order).unwrap().order.order_id;
    venue.cancel(at(2), ANNA, BTCUSDT, OrderRef::client("name"), None, None).unwrap();
    let second = venue.place(at(3), ANNA, &order).unwrap().order.order_id;
    assert_ne!(first, second);
    assert_eq!(venue.order(ANNA, BTCUSDT, OrderRef::client("name")).unwrap().order_id, second);
    assert_eq!(venue.order(ANNA, BTCUSDT, OrderRef::id(first)).unwrap().status, VenueOrderStatus::Canceled);
}

#[test]
fn old_orders_without_a_fill_are_forgotten_and_nothing_else_is() {
    let mut venue = venue(|config| config.kept_orders = 2);
    venue.place(at(1), ANNA, &limit(Side::Bid, GTC, 50_000, UNIT / 10, "filled")).unwrap();
    venue.place(at(1), BORIS, &limit(Side::Ask, GTC, 50_000, UNIT / 10, "hit")).unwrap();
    venue.place(at(1), ANNA, &limit(Side::Bid, GTC, 100, UNIT, "open")).unwrap();
    for name in ["first", "second", "third"] {
        venue.place(at(2), ANNA, &limit(Side::Bid, GTC, 100, UNIT, name)).unwrap();
        venue.cancel(at(2), ANNA, BTCUSDT, OrderRef::client(name), None, None).unwrap();
    }
    let known = |name| venue.order(ANNA, BTCUSDT, OrderRef::client(name)).map(|order| order.status);
    assert_eq!(known("first"), Err(VenueReject::NO_SUCH_ORDER));
    assert_eq!(known("second"), Ok(VenueOrderStatus::Canceled));
    assert_eq!((known("filled"), known("open")), (Ok(VenueOrderStatus::Filled), Ok(VenueOrderStatus::New)));
    assert_eq!(venue.all_orders(ANNA, BTCUSDT, None, 2).len(), 2);
    assert_eq!(venue.all_orders(ANNA, BTCUSDT, Some(1), 100).len(), 4);
}

#[test]
fn immediate_orders_expire_with_their_reasons() {
    let mut venue = venue(|_| {});
    venue.place(at(1), BORIS, &limit(Side::Ask, GTC, 60_000, UNIT / 10, "ask")).unwrap();
    let ioc = VenueOrderKind::Limit(TimeInForce::Ioc);
    let fok = VenueOrderKind::Limit(TimeInForce::Fok);
    let killed = venue.place(at(2), ANNA, &limit(Side::Bid, fok, 60_000, UNIT / 5, "")).unwrap().order;
    assert_eq!(
        (killed.status, killed.executed_qty_e8, killed.expiry_reason),
        (VenueOrderStatus::Expired, 0, Some("UNFILLED_FOK_ORDER_EXPIRED"))
    );
    let rest = venue.place(at(3), ANNA, &limit(Side::Bid, ioc, 60_000, UNIT / 5, "")).unwrap().order;
    assert_eq!(
        (rest.status, rest.executed_qty_e8, rest.expiry_reason),
        (VenueOrderStatus::Expired, UNIT / 10, Some("UNFILLED_IOC_QUANTITY_EXPIRED"))
    );
    let empty = venue.place(at(4), ANNA, &VenueOrder::market(BTCUSDT, Side::Bid, UNIT, None)).unwrap().order;
    assert_eq!((empty.status, empty.expiry_reason), (VenueOrderStatus::Expired, Some("INSUFFICIENT_LIQUIDITY")));
    assert_eq!(balance(&venue, ANNA, "USDT"), (94_000 * UNIT, 0), "nothing stays locked");
}

#[test]
fn a_market_order_for_a_quote_amount_buys_whole_lots_within_it() {
    let mut venue = venue(|config| config.fees.taker_e8 = 0);
    venue.place(at(1), BORIS, &limit(Side::Ask, GTC, 60_000, UNIT / 1_000, "")).unwrap();
    venue.place(at(1), BORIS, &limit(Side::Ask, GTC, 61_000, UNIT, "")).unwrap();
    let order = VenueOrder { quote_qty_e8: 100 * UNIT, ..VenueOrder::market(BTCUSDT, Side::Bid, 0, None) };
    let placed = venue.place(at(2), ANNA, &order).unwrap();
    // 60 USDT at 60 000, then 40 / 61 000 = 0.000655737..., cut to 0.00065.
    assert_eq!(placed.order.status, VenueOrderStatus::Filled);
    assert_eq!(placed.order.executed_qty_e8, UNIT / 1_000 + 65_000);
    assert_eq!(placed.order.cum_quote_e8, 60 * UNIT + 61_000 * 65_000);
    assert_eq!(placed.order.orig_quote_qty_e8, 100 * UNIT);
    assert_eq!(balance(&venue, ANNA, "USDT"), (100_000 * UNIT - placed.order.cum_quote_e8, 0));
    let poor = VenueOrder { quote_qty_e8: 99_941 * UNIT, ..VenueOrder::market(BTCUSDT, Side::Bid, 0, None) };
    assert_eq!(venue.place(at(3), ANNA, &VenueOrder { qty_e8: UNIT, ..poor }).unwrap_err().code, -1128);
}

#[test]
fn self_trade_prevention_acts_as_the_arriving_order_says() {
    for (mode, maker, taker, prevented) in [
        (StpMode::ExpireMaker, VenueOrderStatus::ExpiredInMatch, VenueOrderStatus::New, 1),
        (StpMode::ExpireTaker, VenueOrderStatus::New, VenueOrderStatus::ExpiredInMatch, 1),
        (StpMode::ExpireBoth, VenueOrderStatus::ExpiredInMatch, VenueOrderStatus::ExpiredInMatch, 2),
        (StpMode::Decrement, VenueOrderStatus::ExpiredInMatch, VenueOrderStatus::New, 2),
        (StpMode::None, VenueOrderStatus::Filled, VenueOrderStatus::PartiallyFilled, 0),
    ] {
        let mut venue = venue(|_| {});
        let resting =
            venue.place(at(1), ANNA, &limit(Side::Ask, GTC, 30_000, UNIT / 2, "rest")).unwrap().order.order_id;
        let order = VenueOrder { stp: Some(mode), ..limit(Side::Bid, GTC, 30_000, UNIT, "take") };
        let arriving = venue.place(at(2), ANNA, &order).unwrap().order.order_id;
        let status = |id| venue.order(ANNA, BTCUSDT, OrderRef::id(id)).unwrap().status;
        assert_eq!((status(resting), status(arriving)), (maker, taker), "{mode:?}");
        venue.check().unwrap();
        let told = executions(&mut venue, ANNA);
        let acted: Vec<_> = told.iter().filter_map(|execution| execution.prevention).collect();
        assert_eq!(acted.len(), prevented, "{mode:?}");
        assert!(acted.iter().all(|p| p.match_id == 1 && [resting, arriving].contains(&p.counter_order_id)), "{mode:?}");
        // Whatever was taken off is free again: what is locked belongs to open orders.
        let open: i64 = venue
            .open_orders(ANNA, None)
            .iter()
            .filter(|order| order.side == Side::Bid)
            .map(|order| (order.orig_qty_e8 - order.executed_qty_e8 - order.prevented_qty_e8) * 30_000)
            .sum();
        assert_eq!(balance(&venue, ANNA, "USDT").1, open, "{mode:?}");
    }
}

#[test]
fn an_amend_lowers_in_place_and_renames() {
    let mut venue = venue(|config| config.symbols[0].amends_max = 2);
    venue.place(at(1), ANNA, &limit(Side::Bid, GTC, 50_000, UNIT, "mine")).unwrap();
    venue.place(at(1), BORIS, &limit(Side::Bid, GTC, 50_000, UNIT, "behind")).unwrap();
    let mut amend = |qty_e8, name| venue.amend(at(2), ANNA, BTCUSDT, OrderRef::id(1), qty_e8, name);
    assert_eq!(amend(2 * UNIT, None), Err(VenueReject::AMEND_INCREASE));
    assert_eq!(amend(UNIT, None), Err(VenueReject::AMEND_NO_CHANGE));
    assert_eq!(amend(UNIT / 2 + 1, None).unwrap_err().code, -1013);
    let amended = amend(UNIT / 2, Some("renamed")).unwrap();
    assert_eq!((amended.order.orig_qty_e8, amended.orig_client_id.as_str()), (UNIT / 2, "mine"));
    assert_eq!(balance(&venue, ANNA, "USDT"), (75_000 * UNIT, 25_000 * UNIT));
    let resting = venue.resting(BTCUSDT);
    assert_eq!((resting[0].ahead, resting[1].ahead), (Qty::ZERO, Qty::from_lots(50_000)), "the place is kept");
    let told = executions(&mut venue, ANNA);
    let last = told.last().unwrap();
    assert_eq!(
        (last.kind, last.client_id.as_str(), last.orig_client_id.as_str()),
        (ExecutionType::Replaced, "renamed", "mine")
    );
    assert_eq!(last.execution_id, amended.execution_id);
    let unnamed = venue.amend(at(3), ANNA, BTCUSDT, OrderRef::client("renamed"), UNIT / 4, None).unwrap();
    assert_ne!(unnamed.order.client_id, "renamed", "without a name the venue makes one up");
    let often = venue.amend(at(4), ANNA, BTCUSDT, OrderRef::id(1), UNIT / 8, None);
    assert_eq!(often, Err(VenueReject::AMEND_TOO_OFTEN));
}

#[test]
fn cancel_replace_reports_both_legs() {
    let mut venue = venue(|_| {});
    venue.place(at(1), ANNA, &limit(Side::Bid, GTC, 50_000, UNIT, "old")).unwrap();
    let order = limit(Side::Bid, GTC, 90_000, UNIT, "new");
    let mut replace = |name, mode, order: &VenueOrder| {
        venue.cancel_replace(at(2), ANNA, OrderRef::client(name), None, mode, order).unwrap()
    };
    let stopped = replace("none", CancelReplaceMode::StopOnFailure, &order);
    assert_eq!((stopped.cancel, stopped.new), (Err(VenueReject::UNKNOWN_ORDER), None));
    let poor = replace("none", CancelReplaceMode::AllowFailure, &order);
    assert_eq!(poor.new.unwrap().unwrap_err().code, -2010, "the old order still holds the money");
    let both = replace("old", CancelReplaceMode::StopOnFailure, &order);
    assert!(both.cancel.is_ok() && both.new.unwrap().is_ok(), "the cancel's money pays for the new order");
    let bad = VenueOrder { price_e8: 1, ..order };
    let refused =
        venue.cancel_replace(at(3), ANNA, OrderRef::client("new"), None, CancelReplaceMode::StopOnFailure, &bad);
    assert_eq!(refused.unwrap_err().code, -1013, "filters come before the cancel");
    assert_eq!(venue.open_orders(ANNA, None).len(), 1);
    assert_eq!(venue.cancel_all(at(4), ANNA, BTCUSDT).unwrap().len(), 1);
    assert_eq!(venue.cancel_all(at(4), ANNA, BTCUSDT), Err(VenueReject::UNKNOWN_ORDER));
}

#[test]
fn the_order_count_limits_and_recovers_with_the_window() {
    let mut venue = venue(|config| {
        config.order_limits = vec![OrderLimit { interval: DurationNs::from_secs(10), limit: 2 }];
    });
    let order = limit(Side::Bid, GTC, 100, UNIT, "");
    for _ in 0..2 {
        venue.place(at(1), ANNA, &order).unwrap();
    }
    let full = venue.place(at(2), ANNA, &order).unwrap_err();
    assert_eq!(
        (full.code, full.text.as_ref()),
        (-1015, "Too many new orders; current limit is 2 orders per 10 SECOND.")
    );
    venue.cancel_all(at(2), ANNA, BTCUSDT).unwrap();
    assert_eq!(venue.order_counts(at(2), ANNA)[0].count, 2, "a cancel gives nothing back");
    venue.place(at(10_000), ANNA, &order).unwrap();
    assert_eq!(venue.order_counts(at(10_000), ANNA)[0].count, 1);
}

#[test]
fn public_events_follow_the_book() {
    let mut venue = venue(|_| {});
    venue.place(at(1), BORIS, &limit(Side::Ask, GTC, 60_000, UNIT / 10, "")).unwrap();
    venue.place(at(2), BORIS, &limit(Side::Ask, GTC, 60_000, UNIT / 10, "")).unwrap();
    venue.place(at(3), BORIS, &limit(Side::Ask, GTC, 60_001, UNIT / 10, "")).unwrap();
    venue.place(at(4), ANNA, &limit(Side::Bid, GTC, 60_001, UNIT / 4, "")).unwrap();
    assert_eq!(venue.next_event_at(), Some(at(100)), "one diff, at the end of its window");
    venue.advance(at(250));
    let events: Vec<VenueMarketEvent> = venue.market_events().collect();
    let trades: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            VenueMarketEvent::Trade(trade) => {
                Some((trade.id.0, trade.price.ticks(), trade.qty.lots(), trade.aggressor))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        trades,
        [(1, 6_000_000, 10_000, Side::Bid), (2, 6_000_000, 10_000, Side::Bid), (3, 6_000_100, 5_000, Side::Bid)]
    );
    let aggregates: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            VenueMarketEvent::AggTrade(trade) => Some((trade.id, trade.qty.lots(), trade.first.0, trade.last.0)),
            _ => None,
        })
        .collect();
    assert_eq!(aggregates, [(1, 20_000, 1, 2), (2, 5_000, 3, 3)]);
    let diffs: Vec<_> = events.iter().filter(|event| matches!(event, VenueMarketEvent::DepthDiff { .. })).collect();
    let [VenueMarketEvent::DepthDiff { event_ts, first_id, last_id, bids, asks, .. }] = diffs[..] else {
        panic!("one diff: {diffs:?}")
    };
    assert_eq!((*event_ts, *first_id, *last_id), (at(100), 1, 4));
    assert!(bids.is_empty());
    let asks: Vec<_> = asks.iter().map(|level| (level.price.ticks(), level.qty.lots())).collect();
    assert_eq!(asks, [(6_000_000, 0), (6_000_100, 5_000)]);
    assert_eq!(venue.next_event_at(), None, "nothing changed, nothing is due");
}

#[test]
fn configurations_that_contradict_themselves_are_refused() {
    let no_source = Venue::new(config(), Vec::new()).err();
    assert_eq!(no_source, Some(VenueConfigError::SourceCount { symbols: 1, sources: 0 }));
    let mut fine = config();
    fine.symbols[0].instrument.spec.lot_e8 = 1;
    let inexact = Venue::new(fine, vec![MarketSource::Empty]).err();
    assert_eq!(inexact, Some(VenueConfigError::InexactNotional { index: 0 }));
    let mut twice = config();
    twice.accounts.push(AccountConfig { id: ANNA, balances: Vec::new() });
    assert_eq!(Venue::new(twice, vec![MarketSource::Empty]).err(), Some(VenueConfigError::Account(ANNA)));
    let mut reserved = config();
    reserved.accounts.push(AccountConfig { id: AccountId::FEES, balances: Vec::new() });
    assert_eq!(Venue::new(reserved, vec![MarketSource::Empty]).err(), Some(VenueConfigError::Account(AccountId::FEES)));
}
