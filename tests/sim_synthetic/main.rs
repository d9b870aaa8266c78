//! The synthetic market: seeded to the byte, deaf to its clients, adverse when somebody is informed.

mod checks;

use std::collections::BTreeMap;

use touchline::sim::{
    AccountConfig, AccountId, FillCause, MarketSource, OrderRef, SymbolConfig, SyntheticConfig, TradesQuery, UserEvent,
    Venue, VenueConfig, VenueMarketEvent, VenueOrder, VenueOrderKind,
};
use touchline::types::{
    Asset, DurationNs, Filters, Instrument, InstrumentId, InstrumentSpec, Level, Money, Price, Qty, Side, Symbol,
    TimestampNs,
};
use xxhash_rust::xxh3::Xxh3;

const MAKER: AccountId = AccountId(1);
const BTCUSDT: InstrumentId = InstrumentId(0);
const STEP: DurationNs = DurationNs::from_millis(100);

fn asset(name: &str) -> Asset {
    Symbol::new(name).unwrap()
}

fn start() -> TimestampNs {
    TimestampNs::from_millis(1_700_000_000_000)
}

fn instrument(id: u16, symbol: &str, base: &str) -> Instrument {
    let spec = InstrumentSpec {
        symbol: asset(symbol),
        base: asset(base),
        quote: asset("USDT"),
        tick_e8: 1_000_000,
        lot_e8: 1_000,
        filters: Filters {
            qty_min: Qty::from_lots(1),
            notional_min: Money::from_e8(500_000_000),
            ..Filters::default()
        },
    };
    Instrument::new(InstrumentId(id), spec)
}

fn venue(sources: Vec<SyntheticConfig>) -> Venue {
    let mut config = VenueConfig::new(start());
    let names = [("BTCUSDT", "BTC"), ("ETHUSDT", "ETH")];
    config.symbols = (0..sources.len())
        .map(|index| SymbolConfig::new(instrument(index as u16, names[index].0, names[index].1)))
        .collect();
    config.order_limits = Vec::new();
    let balances = ["BTC", "ETH", "USDT"].map(|name| (asset(name), 1_000_000_000_000_000)).to_vec();
    config.accounts = vec![AccountConfig { id: MAKER, balances }];
    Venue::new(config, sources.into_iter().map(MarketSource::Synthetic).collect()).unwrap()
}

/// Quotes mid plus and minus a constant, one order a side, and looks ten times a second.
struct NaiveMaker {
    half_spread: i64,
    qty_e8: i64,
    working: [Option<(u64, Price)>; 2],
}

impl NaiveMaker {
    fn new(half_spread: i64) -> NaiveMaker {
        NaiveMaker { half_spread, qty_e8: 1_000_000, working: [None, None] }
    }

    fn act(&mut self, now: TimestampNs, venue: &mut Venue) {
        venue.advance(now);
        for side in Side::BOTH {
            if let Some((id, _)) = self.working[side.index()]
                && !venue.order(MAKER, BTCUSDT, OrderRef::id(id)).unwrap().status.is_open()
            {
                self.working[side.index()] = None;
            }
        }
        let Some((bid, ask)) = touch_of_others(venue) else { return };
        let mid = (bid + ask).div_euclid(2);
        for (side, price) in [(Side::Bid, mid - self.half_spread), (Side::Ask, mid + 1 + self.half_spread)] {
            let price = Price::from_ticks(price);
            let working = &mut self.working[side.index()];
            if working.is_some_and(|(_, at)| at == price) {
                continue;
            }
            if let Some((id, _)) = working.take() {
                venue.cancel(now, MAKER, BTCUSDT, OrderRef::id(id), None, None).unwrap();
            }
            let price_e8 = price.ticks() * 1_000_000;
            let order = VenueOrder::limit(BTCUSDT, side, VenueOrderKind::LimitMaker, price_e8, self.qty_e8, None);
            if let Ok(placed) = venue.place(now, MAKER, &order) {
                *working = Some((placed.order.order_id, price));
            }
        }
    }
}

/// Best bid and ask without the maker's own orders, in ticks.
fn touch_of_others(venue: &Venue) -> Option<(i64, i64)> {
    let own: BTreeMap<(Side, Price), i64> =
        venue.resting(BTCUSDT).iter().map(|order| ((order.side, order.price), order.remaining.lots())).collect();
    let depth = venue.depth(BTCUSDT, 5);
    let best = |side, levels: &[Level]| {
        levels
            .iter()
            .find(|level| level.qty.lots() > own.get(&(side, level.price)).copied().unwrap_or_default())
            .map(|level| level.price.ticks())
    };
    Some((best(Side::Bid, &depth.bids)?, best(Side::Ask, &depth.asks)?))
}

/// What a run of the naive maker shows.
struct Run {
    venue: Venue,
    /// Twice the mid of others at every step, in ticks.
    mids: Vec<i64>,
    events: u64,
}

fn run(source: SyntheticConfig, seconds: u64, mut maker: Option<NaiveMaker>) -> Run {
    let mut venue = venue(vec![source]);
    let mut events = Xxh3::new();
    let mut mids = Vec::new();
    for step in 0..seconds * 10 {
        let now = start().plus(DurationNs::from_nanos(step * STEP.nanos()));
        match &mut maker {
            Some(maker) => maker.act(now, &mut venue),
            None => venue.advance(now),
        }
        mids.push(touch_of_others(&venue).map_or(0, |(bid, ask)| bid + ask));
        for event in venue.market_events() {
            events.update(format!("{event:?}").as_bytes());
        }
        for event in venue.user_events() {
            events.update(format!("{event:?}").as_bytes());
        }
    }
    venue.check().unwrap();
    Run { venue, mids, events: events.digest() }
}

/// Mean of `d * (mid 5 s later - mid at the fill)`, in half ticks per fill and its standard error, over fills as maker.
fn impact(run: &Run) -> (f64, f64, usize) {
    let rows = run.venue.my_trades(MAKER, BTCUSDT, TradesQuery { limit: usize::MAX, ..TradesQuery::default() });
    let later = 50;
    let moves: Vec<f64> = rows
        .iter()
        .filter_map(|row| {
            let step = (row.time.since(start()).nanos() / STEP.nanos()) as usize;
            let before = run.mids.get(step)?;
            let after = run.mids.get(step + later)?;
            Some(((after - before) * row.side.sign()) as f64)
        })
        .collect();
    let count = moves.len() as f64;
    let mean = moves.iter().sum::<f64>() / count;
    let variance = moves.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt(), moves.len())
}

/// Mean of `d * (mid 5 s later - price)` in half ticks per fill: what the maker kept.
fn markout(run: &Run) -> f64 {
    let rows = run.venue.my_trades(MAKER, BTCUSDT, TradesQuery { limit: usize::MAX, ..TradesQuery::default() });
    let kept: Vec<f64> = rows
        .iter()
        .filter_map(|row| {
            let step = (row.time.since(start()).nanos() / STEP.nanos()) as usize;
            let after = run.mids.get(step + 50)?;
            Some(((after - 2 * row.price_e8 / 1_000_000) * row.side.sign()) as f64)
        })
        .collect();
    kept.iter().sum::<f64>() / kept.len() as f64
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let first = run(SyntheticConfig::default(), 120, Some(NaiveMaker::new(8)));
    let second = run(SyntheticConfig::default(), 120, Some(NaiveMaker::new(8)));
    assert_eq!(first.events, second.events);
    let other = run(SyntheticConfig { seed: 2, ..SyntheticConfig::default() }, 120, Some(NaiveMaker::new(8)));
    assert_ne!(first.events, other.events);
}

#[test]
fn how_the_clock_is_stepped_changes_nothing() {
    let digest = |step_ms: u64| {
        let mut venue = venue(vec![SyntheticConfig::default(), SyntheticConfig { seed: 9, ..Default::default() }]);
        let mut digest = Xxh3::new();
        for now_ms in (0..=30_000).step_by(step_ms as usize) {
            venue.advance(start().plus(DurationNs::from_millis(now_ms)));
            venue.market_events().for_each(|event| digest.update(format!("{event:?}").as_bytes()));
        }
        digest.digest()
    };
    assert_eq!(digest(8), digest(10_000));
    let mut hopping = venue(vec![SyntheticConfig::default()]);
    let mut last = start();
    while let Some(next) = hopping.next_event_at().filter(|at| *at <= start().plus(DurationNs::from_secs(5))) {
        assert!(next >= last, "time never goes back");
        last = next;
        hopping.advance(next);
    }
}

#[test]
fn exogenous_flow_does_not_hear_its_clients() {
    let alone = run(SyntheticConfig::default(), 60, None);
    let watched = run(SyntheticConfig::default(), 60, Some(NaiveMaker::new(2)));
    assert_ne!(alone.events, watched.events, "the maker does change the market");
    assert_eq!(alone.venue.flow_digest(BTCUSDT), watched.venue.flow_digest(BTCUSDT));
    assert_ne!(alone.venue.flow_digest(BTCUSDT), venue(vec![SyntheticConfig::default()]).flow_digest(BTCUSDT));
}

#[test]
fn informed_flow_moves_the_market_against_the_maker() {
    let share = |informed_share| SyntheticConfig { informed_share, seed: 5, ..SyntheticConfig::default() };
    let calm = run(share(0.0), 1_800, Some(NaiveMaker::new(8)));
    let toxic = run(share(0.5), 1_800, Some(NaiveMaker::new(8)));
    let (calm_impact, calm_error, calm_fills) = impact(&calm);
    let (toxic_impact, toxic_error, toxic_fills) = impact(&toxic);
    let (calm_kept, toxic_kept) = (markout(&calm), markout(&toxic));
    println!(
        "5 s after a fill, half ticks: informed 0: impact {calm_impact:.2} +- {calm_error:.2}, kept {calm_kept:.2} \
         ({calm_fills} fills); informed 0.5: impact {toxic_impact:.2} +- {toxic_error:.2}, kept {toxic_kept:.2} \
         ({toxic_fills} fills)"
    );
    assert!(calm_fills > 300 && toxic_fills > 300);
    // Without informed traders the mid does not move against a fill by more than chance and the half-spread is kept.
    assert!(calm_impact > -3.0 * calm_error - 1.0, "{calm_impact} +- {calm_error}");
    assert!(calm_kept > 0.0);
    // With them it does, far beyond chance.
    assert!(toxic_impact + 4.0 * toxic_error < calm_impact - 4.0 * calm_error);
    assert!(toxic_kept < calm_kept - 4.0);
}

#[test]
fn a_maker_near_the_touch_is_filled_within_seconds_each_fill_with_its_cause() {
    for seed in 1..=5 {
        let run = run(SyntheticConfig { seed, ..SyntheticConfig::default() }, 30, Some(NaiveMaker::new(8)));
        let rows = run.venue.my_trades(MAKER, BTCUSDT, TradesQuery { limit: usize::MAX, ..TradesQuery::default() });
        assert!(rows.len() >= 5, "seed {seed}: {} fills", rows.len());
        assert!(rows.iter().all(|row| row.is_maker == (row.cause != FillCause::Taker)));
    }
    let long = run(SyntheticConfig::default(), 600, Some(NaiveMaker::new(8)));
    let rows = long.venue.my_trades(MAKER, BTCUSDT, TradesQuery { limit: usize::MAX, ..TradesQuery::default() });
    let count = |cause| rows.iter().filter(|row| row.cause == cause).count();
    let counts = FillCause::ALL.map(count);
    println!("600 s: {} fills, queue {}, through {}, cross {}", rows.len(), counts[0], counts[1], counts[2]);
    assert!(counts[0] > 0 && counts[1] > 0 && counts[2] > 0, "{counts:?}");
}

#[test]
fn the_market_is_lively_and_never_crossed() {
    let mut venue = venue(vec![SyntheticConfig::default()]);
    let (mut events, mut trades, mut spreads, mut steps) = (0, 0, 0, 0);
    for second in 1..=120 {
        venue.advance(start().plus(DurationNs::from_secs(second)));
        let depth = venue.depth(BTCUSDT, 1);
        let (bid, ask) = (depth.bids[0].price, depth.asks[0].price);
        assert!(bid < ask);
        spreads += ask.ticks_above(bid);
        steps += 1;
        for event in venue.market_events() {
            events += 1;
            trades += usize::from(matches!(event, VenueMarketEvent::Trade(_)));
        }
    }
    println!("{} messages/s, {} trades/s, mean spread {} ticks", events / 120, trades / 120, spreads / steps);
    assert!(events / 120 >= 15, "{events}");
    assert!(trades / 120 >= 2, "{trades}");
    assert!((4..=40).contains(&(spreads / steps)), "{}", spreads / steps);
}

#[test]
fn diffs_join_the_snapshot_and_agree_with_every_touch() {
    let mut venue = venue(vec![SyntheticConfig::default()]);
    let mut maker = NaiveMaker::new(8);
    let mut books: [BTreeMap<i64, i64>; 2] = [BTreeMap::new(), BTreeMap::new()];
    let mut book_id = None;
    let mut touches = BTreeMap::new();
    let (mut last_id, mut compared, mut whole_books) = (0, 0, 0);
    for step in 0..1_200 {
        // Off the grid of the diffs, so that the snapshot falls inside a window.
        let now = start().plus(DurationNs::from_millis(step * 100 + step % 7));
        maker.act(now, &mut venue);
        let events: Vec<VenueMarketEvent> = venue.market_events().collect();
        for event in events {
            match event {
                VenueMarketEvent::DepthDiff { first_id, last_id: to, bids, asks, .. } => {
                    assert_eq!(first_id, last_id + 1, "diffs are contiguous");
                    assert!(to >= first_id);
                    last_id = to;
                    let Some(at) = book_id else { continue };
                    if to <= at {
                        continue;
                    }
                    assert!(first_id <= at + 1, "the first diff left joins the snapshot");
                    for (side, levels) in books.iter_mut().zip([bids, asks]) {
                        for level in levels {
                            if level.qty.is_zero() {
                                side.remove(&level.price.ticks());
                            } else {
                                side.insert(level.price.ticks(), level.qty.lots());
                            }
                        }
                    }
                    book_id = Some(to);
                    if let Some((bid, ask)) = touches.get(&to) {
                        assert_eq!(books[0].last_key_value().map(|(p, q)| (*p, *q)), *bid);
                        assert_eq!(books[1].first_key_value().map(|(p, q)| (*p, *q)), *ask);
                        compared += 1;
                    }
                }
                VenueMarketEvent::BookTicker(touch) => {
                    let plain = |level: Option<Level>| level.map(|level| (level.price.ticks(), level.qty.lots()));
                    let known = touches.insert(touch.update_id, (plain(touch.bid), plain(touch.ask)));
                    assert!(known.is_none(), "one touch for an update id");
                }
                VenueMarketEvent::Trade(_) | VenueMarketEvent::AggTrade(_) => {}
            }
        }
        if step > 300 && last_id == venue.depth(BTCUSDT, 1).last_update_id {
            let depth = venue.depth(BTCUSDT, 5_000);
            for (side, levels) in books.iter().zip([&depth.bids, &depth.asks]) {
                let whole: BTreeMap<_, _> =
                    levels.iter().map(|level| (level.price.ticks(), level.qty.lots())).collect();
                assert_eq!(*side, whole, "the diffs' book is the venue's");
                whole_books += 1;
            }
        }
        if step == 300 {
            let depth = venue.depth(BTCUSDT, 5_000);
            for (side, levels) in books.iter_mut().zip([&depth.bids, &depth.asks]) {
                *side = levels.iter().map(|level| (level.price.ticks(), level.qty.lots())).collect();
            }
            assert!(depth.last_update_id >= last_id);
            book_id = Some(depth.last_update_id);
        }
    }
    println!("{compared} touches and {whole_books} whole sides compared");
    assert!(compared > 100 && whole_books > 10, "{compared} {whole_books}");
}

#[test]
fn money_is_conserved_to_the_last_unit() {
    let mut venue = venue(vec![SyntheticConfig::default()]);
    let totals = |venue: &Venue| ["BTC", "ETH", "USDT"].map(|name| venue.total_e8(asset(name)));
    let before = totals(&venue);
    let mut maker = NaiveMaker { qty_e8: 1_234_000, ..NaiveMaker::new(3) };
    for step in 0..3_000 {
        let now = start().plus(DurationNs::from_millis(step * 100));
        maker.act(now, &mut venue);
        if step % 50 == 7 {
            let side = if step % 100 == 7 { Side::Bid } else { Side::Ask };
            venue.place(now, MAKER, &VenueOrder::market(BTCUSDT, side, 777_000, None)).unwrap();
        }
        if step % 100 == 0 {
            assert_eq!(totals(&venue), before, "at step {step}");
        }
    }
    assert_eq!(totals(&venue), before);
    // The account's balances are its rows, exactly.
    let rows = venue.my_trades(MAKER, BTCUSDT, TradesQuery { limit: usize::MAX, ..TradesQuery::default() });
    assert!(rows.iter().any(|row| row.is_maker) && rows.iter().any(|row| !row.is_maker));
    let (mut base, mut quote) = (0, 0);
    for row in &rows {
        base += row.side.sign() * row.qty_e8;
        quote -= row.side.sign() * row.quote_e8;
        if row.commission_asset == asset("BTC") {
            base -= row.commission_e8;
        } else {
            quote -= row.commission_e8;
        }
    }
    let held = venue.account(MAKER).unwrap();
    assert_eq!(held.of(asset("BTC")).total_e8() - 1_000_000_000_000_000, base);
    assert_eq!(held.of(asset("USDT")).total_e8() - 1_000_000_000_000_000, quote);
    venue.cancel_all(start().plus(DurationNs::from_secs(300)), MAKER, BTCUSDT).unwrap();
    let held = venue.account(MAKER).unwrap();
    assert!(held.assets.iter().all(|balance| balance.locked_e8 == 0), "{held:?}");
    // The last position told is the balance held.
    let mut told = BTreeMap::new();
    for (account, event) in venue.user_events() {
        if let UserEvent::AccountPosition { balances, .. } = event
            && account == MAKER
        {
            told.extend(balances.into_iter().map(|balance| (balance.asset, balance)));
        }
    }
    assert_eq!(told[&asset("USDT")], held.of(asset("USDT")));
    assert_eq!(told[&asset("BTC")], held.of(asset("BTC")));
}

#[test]
fn parameters_out_of_range_are_refused() {
    for source in [
        SyntheticConfig { informed_share: 1.5, ..SyntheticConfig::default() },
        SyntheticConfig { informed_share: f64::NAN, ..SyntheticConfig::default() },
        SyntheticConfig { aggressors_per_s: -1.0, ..SyntheticConfig::default() },
        SyntheticConfig { noise_excitation: 1.0, ..SyntheticConfig::default() },
        SyntheticConfig { start_price: Price::from_ticks(10), ..SyntheticConfig::default() },
    ] {
        let mut config = VenueConfig::new(start());
        config.symbols = vec![SymbolConfig::new(instrument(0, "BTCUSDT", "BTC"))];
        assert!(Venue::new(config, vec![MarketSource::Synthetic(source)]).is_err(), "{source:?}");
    }
}

#[test]
fn an_hour_passes_in_seconds() {
    let mut venue = venue(vec![SyntheticConfig::default()]);
    let mut events = 0;
    for second in 1..=3_600 {
        venue.advance(start().plus(DurationNs::from_secs(second)));
        events += venue.market_events().count();
    }
    assert!(events > 3_600 * 15, "{events}");
    venue.check().unwrap();
}
