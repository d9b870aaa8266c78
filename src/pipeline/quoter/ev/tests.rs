use super::*;
use crate::models::expected::{exponential_optimum, logistic_optimum};
use crate::pipeline::estimators::{Estimates, Intensity};
use crate::pipeline::features::Toxicity;
use crate::pipeline::quoter::sample;
use crate::types::Level;

fn config() -> QuoterConfig {
    QuoterConfig {
        maker_fee_bps: 0.0,
        full_skew_ticks: 0.0,
        ev_switch_ticks: 0.0,
        ev_outside_ticks: 400,
        ev_inside_ticks: 0,
        k_ticks: 0.0,
        ..QuoterConfig::default()
    }
}

/// A market one tick wide with nobody behind the touch.
fn thin() -> QuoteInputs {
    let level = |price, qty| Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) };
    sample::with_levels(&[level(5_999_999, 10)], &[level(6_000_000, 10)])
}

fn reached(k_per_tick: f64) -> Estimates {
    let side = Intensity { a_per_s: 2.0, k_per_tick, k_error_per_tick: 0.0, observations: 100 };
    Estimates { intensity: [Some(side); 2], ..Estimates::default() }
}

/// Distances of bid and ask from the mid.
fn distances(config: &QuoterConfig, inputs: &QuoteInputs) -> (f64, f64) {
    let quote = EvMaker::new(config).quote(inputs).unwrap();
    let mid = inputs.book.mid.ticks_f64();
    (mid - quote.bid_ticks, quote.ask_ticks - mid)
}

#[test]
fn the_grid_finds_cost_plus_one_over_k() {
    // quant.md 9, oracle (i), in hundredths of its unit: (c, k) = (.2, 1.5) and (.5, 10).
    for (cost, k) in [(0.2, 1.5), (0.5, 10.0)] {
        let (cost, k) = (cost * 100.0, k / 100.0);
        let inputs = QuoteInputs { estimates: reached(k), ..thin() };
        let config = QuoterConfig { ev_adverse_ticks: cost, ev_toxicity: ToxicityKind::Off, ..config() };
        let (bid, ask) = distances(&config, &inputs);
        let want = exponential_optimum(cost, k);
        assert!((bid - want).abs() <= 0.5 + 1e-6 && (ask - want).abs() <= 0.5 + 1e-6, "{bid} {ask}, not {want}");
    }
}

#[test]
fn the_grid_finds_the_logistic_optimum_of_a_trained_model() {
    // Oracle (ii), in hundredths of its unit.
    for (a, b, cost) in [(-1.0, 2.0, 0.1), (0.0, 1.0, 0.3), (1.0, 0.5, 0.2)] {
        let (b, cost) = (b / 100.0, cost * 100.0);
        let mut inputs = sample::flowing();
        let quiet = thin();
        (inputs.others, inputs.best_bid, inputs.best_ask, inputs.book) =
            (quiet.others, quiet.best_bid, quiet.best_ask, quiet.book);
        let mut model = trained::tests::blank();
        // The offset is counted from the touch, half a tick from the mid.
        model.fill_intercept = -a - b * 0.5;
        model.signals[0].fill = -b;
        model.adverse_intercept = cost;
        let config = QuoterConfig { ev_model: Some(Box::new(model)), ..config() };
        let (bid, ask) = distances(&config, &inputs);
        let (want, _) = logistic_optimum(a, b, cost);
        assert!((bid - want).abs() <= 0.5 + 1e-6 && (ask - want).abs() <= 0.5 + 1e-6, "{bid} {ask}, not {want}");
    }
}

#[test]
fn a_commission_is_a_cost_like_any_other_and_what_earns_nothing_is_not_quoted() {
    let inputs = QuoteInputs { estimates: reached(0.2), ..thin() };
    // 1e-6 of six million ticks: six ticks.
    let config = QuoterConfig { maker_fee_bps: 0.01, ev_toxicity: ToxicityKind::Off, ..config() };
    let (bid, ask) = distances(&config, &inputs);
    assert!((bid - 11.0).abs() <= 0.5 + 1e-3 && (ask - 11.0).abs() <= 0.5 + 1e-3, "{bid} {ask}");
    let dear = QuoterConfig { maker_fee_bps: 10.0, ..config };
    let quote = EvMaker::new(&dear).quote(&inputs).unwrap();
    assert_eq!((quote.bid_qty, quote.ask_qty), (Qty::ZERO, Qty::ZERO), "6000 ticks are never earned within 400");
}

#[test]
fn signed_toxicity_moves_the_threatened_side_alone() {
    let toxicity = Some(Toxicity { raw: 0.6, tau: 0.5, signed: 0.4, tau_bid: 0.0, tau_ask: 0.3 });
    let inputs = QuoteInputs { estimates: reached(0.2), toxicity, ..thin() };
    let with = |ev_toxicity| distances(&QuoterConfig { ev_toxicity, k_ticks: 20.0, ..config() }, &inputs);
    let calm = with(ToxicityKind::Off);
    assert_eq!(with(ToxicityKind::Signed), (calm.0, calm.1 + 6.0));
    assert_eq!(with(ToxicityKind::Symmetric), (calm.0 + 10.0, calm.1 + 10.0));
}

#[test]
fn a_position_makes_its_own_side_dearer_and_the_other_one_cheaper() {
    let config = QuoterConfig { ev_toxicity: ToxicityKind::Off, full_skew_ticks: 10.0, ..config() };
    let at = |usage: f64| {
        let position_base = 0.05 * usage;
        distances(&config, &QuoteInputs { estimates: reached(0.05), position_base, ..thin() })
    };
    // Orders of a fifth of the limit: half of one costs a tenth of the whole skew on both sides.
    assert_eq!(at(0.0), (21.5, 21.5));
    assert_eq!(at(0.5), (26.5, 16.5));
    assert_eq!(at(-1.0), (11.5, 31.5));
}

#[test]
fn an_order_is_kept_for_its_place_until_another_price_is_worth_the_change() {
    let level = |price, qty| Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) };
    let market = sample::with_levels(&[level(1000, 3000), level(999, 500)], &[level(1020, 3000)]);
    let inputs = QuoteInputs { estimates: reached(0.1), ..market };
    let config = QuoterConfig { ev_toxicity: ToxicityKind::Off, ..config() };
    let bid = |config: &QuoterConfig, working: Option<(i64, i64)>| {
        let working = working.map(|(price, ahead)| (Price::from_ticks(price), Qty::from_lots(ahead)));
        let quote = EvMaker::new(config).quote(&QuoteInputs { working: [working, None], ..inputs }).unwrap();
        quote.bid_ticks as i64
    };
    // Three usual orders stand at the touch; nobody stands two ticks behind it.
    let free = bid(&config, None);
    assert_eq!(free, 998);
    assert_eq!(bid(&config, Some((1000, 3000))), free, "at the back of the touch it is worth little");
    assert_eq!(bid(&config, Some((1000, 0))), 1000, "at its front it is worth most");
    assert_eq!(bid(&config, Some((1000, 30))), free, "without a cost of change the best is taken");
    let dear = QuoterConfig { ev_switch_ticks: 0.6, ..config };
    assert_eq!(bid(&dear, Some((1000, 30))), 1000, "a little less is not worth the change");
    assert_eq!(bid(&dear, Some((1000, 3000))), free);
    assert_eq!(bid(&dear, Some((1020, 0))), free, "an order that would cross is not kept");
}

#[test]
fn before_it_is_warm_a_trained_model_quotes_nothing_and_the_parametric_one_what_is_assumed() {
    let model = Some(Box::new(trained::tests::blank()));
    assert_eq!(EvMaker::new(&QuoterConfig { ev_model: model, ..config() }).quote(&thin()), None);
    let cold = QuoteInputs { toxicity: None, ..thin() };
    assert!(EvMaker::new(&config()).quote(&cold).is_some());
    assert_eq!(EvMaker::new(&QuoterConfig { tau_warm: None, ..config() }).quote(&cold), None);
}
