//! The synthetic market: seeded to the byte, deaf to its clients, adverse when somebody is informed.

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

/// How many times longer the checks of the specification run when asked to.
fn long() -> u64 {
    if std::env::var_os("TOUCHLINE_LONG").is_some() { 8 } else { 1 }
}

/// Mean and its standard error from twenty stretches of a series: neighbours hang together, stretches hardly.
fn mean_by_stretches(series: &[f64]) -> (f64, f64) {
    let length = (series.len() / 20).max(1);
    let means: Vec<f64> = series.chunks_exact(length).map(|part| part.iter().sum::<f64>() / length as f64).collect();
    let count = means.len() as f64;
    let mean = means.iter().sum::<f64>() / count;
    let variance = means.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}

/// What the maker kept of each fill `steps` steps later, in half ticks: `d (mid then - price)`.
fn kept(run: &Run, steps: usize) -> Vec<f64> {
    let rows = run.venue.my_trades(MAKER, BTCUSDT, TradesQuery { limit: usize::MAX, ..TradesQuery::default() });
    let later = |row: &touchline::sim::TradeRow| {
        let step = (row.time.since(start()).nanos() / STEP.nanos()) as usize;
        let mid = run.mids.get(step + steps).filter(|mid| **mid > 0)?;
        Some(((mid - 2 * row.price_e8 / 1_000_000) * row.side.sign()) as f64)
    };
    rows.iter().filter_map(later).collect()
}

/// Check (a): a market in which nobody knows anything and nothing happens pays the effective half-spread, at any horizon.
#[test]
fn without_news_the_naive_maker_earns_its_half_spread_and_the_markout_curve_is_flat() {
    let quiet = SyntheticConfig {
        informed_share: 0.0,
        diffusion_ticks: 0.0,
        maker_noise_ticks: 0.0,
        noise_limits_per_s: 0.0,
        seed: 21,
        ..SyntheticConfig::default()
    };
    let run = run(quiet, 1_800 * long(), Some(NaiveMaker::new(8)));
    let (effective, _) = mean_by_stretches(&kept(&run, 0));
    for steps in [10, 50, 300] {
        let curve = kept(&run, steps);
        let (mean, error) = mean_by_stretches(&curve);
        println!("{steps} steps: {mean:.2} +- {error:.2} of {effective:.2} half ticks, {} fills", curve.len());
        assert!(curve.len() > 500, "{}", curve.len());
        // The book is whole again within a maker's visit: half a tick is its grain.
        assert!((mean - effective).abs() < 4.0 * error + 1.0, "{mean} +- {error}, not {effective}");
        assert!(mean - 4.0 * error > 0.0);
    }
}

/// Check (b): more informed takers, or greater news, pull the curve down, through zero.
#[test]
fn news_pulls_the_markout_curve_down_and_through_zero() {
    let at = |informed_share, news_ticks, seed| {
        let config = SyntheticConfig { informed_share, news_ticks, seed, ..SyntheticConfig::default() };
        let run = run(config, 1_800 * long(), Some(NaiveMaker::new(4)));
        let (kept, error) = mean_by_stretches(&kept(&run, 50));
        let (impact, _, fills) = impact(&run);
        println!(
            "share {informed_share} news {news_ticks}: kept {kept:.2} +- {error:.2}, impact {impact:.2}, {fills} fills"
        );
        (kept, error, impact)
    };
    let rungs = [at(0.0, 60.0, 31), at(0.2, 60.0, 31), at(0.6, 60.0, 31), at(0.6, 120.0, 31)];
    for pair in rungs.windows(2) {
        let error = pair[0].1.hypot(pair[1].1);
        assert!(pair[1].0 < pair[0].0 - 2.0 * error, "{pair:?}");
    }
    assert!(rungs[0].0 - 4.0 * rungs[0].1 > 0.0, "nobody knows anything: it earns");
    assert!(rungs[3].0 + 4.0 * rungs[3].1 < 0.0, "the half-spread of four ticks is below what news costs");
    // The half-spread at which it would break even is what a fill moves the mid: it grows with the news' size.
    let ratio = rungs[3].2 / rungs[2].2;
    assert!((1.2..4.0).contains(&ratio), "twice the news costs {ratio} times as much");
}

/// Check (c): nobody can tell where the mid goes, but for the moment in which makers learn what others knew.
#[test]
fn the_mid_is_a_martingale_beyond_the_window_in_which_news_spreads() {
    let seconds = 14_400 * long();
    let run = run(SyntheticConfig { seed: 41, ..SyntheticConfig::default() }, seconds, None);
    let every = |step: usize| -> Vec<f64> { run.mids.iter().skip(600).step_by(step).map(|mid| *mid as f64).collect() };
    let moves =
        |mids: &[f64], lag: usize| -> Vec<f64> { mids.windows(lag + 1).map(|part| part[lag] - part[0]).collect() };
    let variance_ratio = |step: usize, q: usize| {
        let mids = every(step);
        let square = |moves: &[f64]| moves.iter().map(|step| step * step).sum::<f64>() / moves.len() as f64;
        square(&moves(&mids, q)) / (q as f64 * square(&moves(&mids, 1)))
    };
    let (short, long) = (variance_ratio(5, 4), variance_ratio(300, 4));
    let count = (seconds / 30) as f64;
    // Lo and MacKinlay: variance 2 (2q - 1)(q - 1) / (3 q N).
    let error = (2.0 * 7.0 * 3.0 / (12.0 * count)).sqrt();
    println!("variance ratios over four steps: {short:.3} of half a second, {long:.3} +- {error:.3} of thirty");
    assert!((long - 1.0).abs() < 4.0 * error, "{long}");
    assert!(short > 1.1, "what is private for two seconds comes out in that time: {short}");
    let steps = moves(&every(300), 1);
    let (mean, error) = mean_by_stretches(&steps);
    assert!(mean.abs() < 4.0 * error, "{mean} +- {error}");
}

/// Check (e): what rests is what comes times how long it stays.
#[test]
fn resting_orders_obey_littles_law() {
    let config = SyntheticConfig {
        aggressors_per_s: 0.0,
        makers: 0,
        noise_limits_per_s: 10.0,
        noise_limit_life: DurationNs::from_millis(3_000),
        noise_limit_ticks: 500.0,
        seed: 51,
        ..SyntheticConfig::default()
    };
    let mean_lots = config.aggressor_qty.lots() as f64;
    let mut venue = venue(vec![config]);
    let mut resting = Vec::new();
    for second in 1..=2_400 * long() {
        venue.advance(start().plus(DurationNs::from_secs(second)));
        let depth = venue.depth(BTCUSDT, 5_000);
        let lots: i64 = depth.bids.iter().chain(&depth.asks).map(|level| level.qty.lots()).sum();
        if second > 30 {
            resting.push(lots as f64 / mean_lots);
        }
    }
    let (mean, error) = mean_by_stretches(&resting);
    // Sizes are cut at six means: 1 - exp(-6) of one is left.
    let want = 10.0 * 3.0 * (1.0 - (-6.0_f64).exp());
    println!("{mean:.2} +- {error:.2} mean sizes rest, {want:.2} by Little's law");
    assert!(error < 1.0 && (mean - want).abs() < 4.0 * error, "{mean} +- {error}, not {want}");
}

/// Check (g): without makers and news there is one length, the distance between orders; the spread scales with it.
#[test]
fn with_zero_intelligence_the_spread_is_stationary_and_scales_with_the_distance_between_orders() {
    let spread = |noise_limit_ticks, seed| {
        let config = SyntheticConfig {
            informed_share: 0.0,
            aggressors_per_s: 1.0,
            makers: 0,
            diffusion_ticks: 0.0,
            noise_limits_per_s: 8.0,
            noise_limit_life: DurationNs::from_millis(10_000),
            noise_limit_ticks,
            seed,
            ..SyntheticConfig::default()
        };
        let mut venue = venue(vec![config]);
        let (mut spreads, mut depths) = (Vec::new(), Vec::new());
        for second in 1..=3_600 * long() {
            venue.advance(start().plus(DurationNs::from_secs(second)));
            let depth = venue.depth(BTCUSDT, 5_000);
            if let (true, Some(bid), Some(ask)) = (second > 60, depth.bids.first(), depth.asks.first()) {
                spreads.push(ask.price.ticks_above(bid.price) as f64);
                depths.push((depth.bids.len() + depth.asks.len()) as f64);
            }
        }
        for series in [&spreads, &depths] {
            let (early, late) = series.split_at(series.len() / 2);
            let ((early, one), (late, other)) = (mean_by_stretches(early), mean_by_stretches(late));
            assert!((early - late).abs() < 5.0 * one.hypot(other), "{early} +- {one}, then {late} +- {other}");
        }
        mean_by_stretches(&spreads)
    };
    let (wide, wide_error) = spread(2_000.0, 61);
    let (narrow, narrow_error) = spread(1_000.0, 62);
    let ratio = narrow / wide;
    let error = ratio * (narrow_error / narrow).hypot(wide_error / wide);
    println!(
        "spread {wide:.1} +- {wide_error:.1} ticks, with orders twice as dense {narrow:.1} +- {narrow_error:.1}: {ratio:.3} +- {error:.3}"
    );
    assert!(error < 0.06 && (ratio - 0.5).abs() < 4.0 * error, "{ratio} +- {error}");
}

#[test]
fn noise_that_excites_itself_comes_in_bursts_and_as_often_as_theory_says() {
    let counts = |noise_excitation| {
        let config = SyntheticConfig {
            informed_share: 0.0,
            aggressors_per_s: 2.0,
            noise_excitation,
            aggressor_qty: Qty::from_lots(10),
            maker_qty: Qty::from_lots(1_000_000),
            noise_limits_per_s: 0.0,
            seed: 71,
            ..SyntheticConfig::default()
        };
        let mut venue = venue(vec![config]);
        let mut counts = Vec::new();
        for second in 1..=1_200 * long() {
            venue.advance(start().plus(DurationNs::from_secs(10 * second)));
            // Orders of ten lots meet levels of a million: an aggressor is one trade.
            let trades = venue.market_events().filter(|event| matches!(event, VenueMarketEvent::Trade(_))).count();
            counts.push(trades as f64);
        }
        let (mean, error) = mean_by_stretches(&counts);
        let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / counts.len() as f64;
        println!(
            "excitation {noise_excitation}: {mean:.2} +- {error:.2} in ten seconds, variance {:.2} means",
            variance / mean
        );
        (mean, error, variance / mean)
    };
    let (plain, plain_error, even) = counts(0.0);
    let (excited, excited_error, bursts) = counts(0.6);
    assert!((plain - 20.0).abs() < 4.0 * plain_error && (even - 1.0).abs() < 0.2, "{plain} {even}");
    // 1 / (1 - n) times as many; variance over mean near 1 / (1 - n)^2 for windows far beyond the delay.
    assert!((excited - 50.0).abs() < 4.0 * excited_error, "{excited} +- {excited_error}");
    assert!((4.0..7.5).contains(&bursts), "{bursts}, not somewhat below 6.25");
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
