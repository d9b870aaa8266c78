//! The checks of the specification, quant.md 12.4 (a) to (g): longer with `TOUCHLINE_LONG=1`.

use super::*;

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

/// The market of the next check. News of J ticks decays for the makers with a window of w; informed takers come at a rate of
/// mu and hit a quote h ticks from the mid while more than h and their cost c of it is private: from the news on for
/// `w ln(J / (h + c))`, in which they take `mu w (J - h - c)` ticks and pay h for each lot. Noise takers, N a second, pay h.
struct Theory {
    noise_per_s: f64,
    informed_per_s: f64,
    news_per_s: f64,
    window_s: f64,
    half_spread: f64,
    cost: f64,
}

impl Theory {
    /// What the maker keeps a second with news of that size, in ticks for each lot of a taker.
    fn kept(&self, news: f64) -> f64 {
        let least = self.half_spread + self.cost;
        let lost = self.window_s * ((news - least) - self.half_spread * (news / least).ln());
        self.noise_per_s * self.half_spread - self.news_per_s * self.informed_per_s * lost
    }

    /// The size of news at which it keeps nothing.
    fn break_even(&self) -> f64 {
        let (mut low, mut high) = (self.half_spread + self.cost, 1e6);
        for _ in 0..100 {
            let middle = (low + high) / 2.0;
            if self.kept(middle) > 0.0 { low = middle } else { high = middle }
        }
        low
    }
}

/// Check (b), the other half: the naive maker's profit crosses zero where theory says that what informed takers know
/// outweighs what noise pays.
#[test]
fn the_naive_makers_profit_crosses_zero_at_the_news_that_theory_predicts() {
    let quiet = SyntheticConfig {
        informed_share: 0.2,
        news_per_s: 0.05,
        info_window: DurationNs::from_secs(10),
        diffusion_ticks: 0.0,
        // One maker that is always there: the mid is what the uninformed know.
        makers: 1,
        requotes_per_s: 20.0,
        maker_noise_ticks: 0.0,
        noise_limits_per_s: 0.0,
        ..SyntheticConfig::default()
    };
    let theory = Theory {
        noise_per_s: quiet.aggressors_per_s * (1.0 - quiet.informed_share),
        informed_per_s: quiet.aggressors_per_s * quiet.informed_share,
        news_per_s: quiet.news_per_s * quiet.informed_share,
        window_s: quiet.info_window.secs_f64(),
        half_spread: 5.0,
        cost: quiet.informed_cost_ticks,
    };
    let predicted = theory.break_even();
    let seconds = 24_000 * long();
    // What the maker kept a second in ticks for each lot of a taker's mean size, against the value at each fill. The mid leaks
    // towards it at a known rate, so its next second tells what is private. Marked to later mids, what news does to the
    // position that earlier news has left would be the greater part of it.
    let leaks = 1.0 - (-1.0 / quiet.info_window.secs_f64()).exp();
    let kept = |news_ticks: f64| {
        // Orders that no taker uses up, so that each of them is filled whole.
        let maker = NaiveMaker { qty_e8: 20_000_000, ..NaiveMaker::new(5) };
        let run = run(SyntheticConfig { news_ticks, seed: 41, ..quiet }, seconds, Some(maker));
        let rows = run.venue.my_trades(MAKER, BTCUSDT, TradesQuery { limit: usize::MAX, ..TradesQuery::default() });
        let gain = |row: &touchline::sim::TradeRow| {
            let step = (row.time.since(start()).nanos() / STEP.nanos()) as usize;
            let mid = |steps: usize| Some(*run.mids.get(step + steps).filter(|mid| **mid > 0)? as f64 / 2.0);
            let value = mid(0)? + (mid(10)? - mid(0)?) / leaks;
            let (price, lots) = (row.price_e8 as f64 / 1e6, row.qty_e8 as f64 / 1e3);
            Some(row.side.sign() as f64 * (value - price) * lots)
        };
        let mean_size = quiet.aggressor_qty.lots() as f64;
        rows.iter().filter_map(gain).sum::<f64>() / mean_size / seconds as f64
    };
    let (below, beyond) = (0.6 * predicted, 1.5 * predicted);
    let (gain, loss) = (kept(below), kept(beyond));
    let crossing = below + (beyond - below) * gain / (gain - loss);
    println!(
        "news of {below:.0} ticks: {gain:.2} a second, {:.2} predicted; of {beyond:.0}: {loss:.2}, {:.2} predicted; zero at \
         {crossing:.0}, {predicted:.0} predicted",
        theory.kept(below),
        theory.kept(beyond)
    );
    assert!(gain > 0.0 && loss < 0.0, "{gain} {loss}");
    assert!((crossing / predicted - 1.0).abs() < 0.2, "{crossing}, not {predicted}");
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
