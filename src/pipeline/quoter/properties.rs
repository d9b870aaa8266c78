//! What holds for every built-in model, over random inputs: before the bounds it leans against the position and widens
//! with toxicity, and after them nothing crosses, leaves a filter or passes a limit.

use proptest::prelude::*;

use super::*;
use crate::pipeline::config::{GlftForm, ToxicityKind};
use crate::pipeline::features::Toxicity;
use crate::types::{Filters, Instrument, InstrumentId, InstrumentSpec, Money, Price, Side, Symbol};

#[derive(Clone, Debug)]
struct Case {
    config: QuoterConfig,
    bid: i64,
    spread: i64,
    usage: f64,
    sigma_ticks: Option<f64>,
    tau: f64,
    signed: f64,
}

fn config() -> impl Strategy<Value = QuoterConfig> {
    let shape = (0_usize..5, 0_usize..3, any::<bool>(), 0.0_f64..40.0, 0.0_f64..60.0);
    let skew = (0.0_f64..80.0, 0.05_f64..40.0, prop::option::of(1e-6_f64..100.0), 0.001_f64..2.0, 0.01_f64..50.0);
    let rest = (0.0_f64..20.0, -0.5_f64..0.5, -5.0_f64..20.0, 0.0_f64..3.0);
    (shape, skew, rest).prop_map(
        |((kind, toxicity, fee_floor, half, k), (full_skew, skew_max, gamma, decay, a), (impact, drift, fee, eta))| {
            QuoterConfig {
                kind: [QuoterKind::Naive, QuoterKind::Hybrid, QuoterKind::As, QuoterKind::Glft, QuoterKind::Glft][kind],
                glft_form: if kind == 3 { GlftForm::Closed } else { GlftForm::Exact },
                toxicity: [ToxicityKind::Symmetric, ToxicityKind::Signed, ToxicityKind::Off][toxicity],
                fee_floor,
                half_spread_ticks: half,
                k_ticks: k,
                full_skew_ticks: full_skew,
                skew_max_bps: skew_max,
                gamma,
                intensity_decay_per_tick: decay,
                intensity_per_s: a,
                impact_ticks: impact,
                drift_ticks_per_s: drift,
                maker_fee_bps: fee,
                size_skew: eta,
                ..QuoterConfig::default()
            }
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let market = (1_000_i64..1_000_000, 1_i64..200, prop::option::of(0.01_f64..300.0));
    (config(), market, -1.2_f64..1.2, 0.0_f64..1.0, -1.0_f64..1.0).prop_map(
        |(config, (bid, spread, sigma_ticks), usage, tau, signed)| Case {
            config,
            bid,
            spread,
            usage,
            sigma_ticks,
            tau,
            signed,
        },
    )
}

fn instrument() -> Instrument {
    let name = |text| Symbol::new(text).unwrap();
    let filters = Filters {
        qty_min: Qty::from_lots(3),
        notional_min: Money::from_e8(5 * 100_000_000),
        price_min: Some(Price::from_ticks(900)),
        price_max: Some(Price::from_ticks(990_000)),
        ..Filters::default()
    };
    let spec = InstrumentSpec {
        symbol: name("BTCUSDT"),
        base: name("BTC"),
        quote: name("USDT"),
        tick_e8: 1_000_000,
        lot_e8: 100_000,
        filters,
    };
    Instrument::new(InstrumentId(0), spec)
}

/// Limit 3.0, orders of 0.25: a dozen of them a side.
fn inputs(case: &Case, usage: f64, tau: f64) -> QuoteInputs {
    let level = |ticks| Level { price: Price::from_ticks(ticks), qty: Qty::from_lots(10) };
    let (best_bid, best_ask) = (level(case.bid), level(case.bid + case.spread));
    let mut inputs = sample::inputs();
    inputs.book.mid = crate::types::HalfTicks::mid(best_bid.price, best_ask.price);
    let lots = (usage * 3_000.0).round() as i64;
    let (tau_bid, tau_ask) = ((-case.signed).max(0.0) * tau, case.signed.max(0.0) * tau);
    QuoteInputs {
        best_bid,
        best_ask,
        reference_ticks: inputs.book.mid.ticks_f64(),
        position: Qty::from_lots(lots),
        room: [Qty::from_lots((3_000 - lots).max(0)), Qty::from_lots((3_000 + lots).max(0))],
        position_base: lots as f64 * 1e-3,
        position_max_base: 3.0,
        order_qty: Qty::from_lots(250),
        sigma_ticks: case.sigma_ticks,
        toxicity: Some(Toxicity { raw: tau, tau, signed: case.signed, tau_bid, tau_ask }),
        tick: 0.01,
        lot: 1e-3,
        ..inputs
    }
}

/// A quoter that has seen the market and been refreshed.
fn warm(case: &Case) -> Box<dyn Quoter> {
    let mut quoter = build(&case.config);
    let flat = inputs(case, 0.0, case.tau);
    quoter.quote(&flat);
    quoter.refresh(&flat);
    quoter
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn a_longer_position_never_raises_a_quote(case in case(), step in 0.0_f64..0.6) {
        let mut quoter = warm(&case);
        let less = quoter.quote(&inputs(&case, case.usage, case.tau)).unwrap();
        let more = quoter.quote(&inputs(&case, case.usage + step, case.tau)).unwrap();
        let slack = 1e-9 * less.bid_ticks.abs();
        prop_assert!(more.bid_ticks <= less.bid_ticks + slack, "{less:?} {more:?}");
        prop_assert!(more.ask_ticks <= less.ask_ticks + slack, "{less:?} {more:?}");
        prop_assert!(more.bid_qty <= less.bid_qty && more.ask_qty >= less.ask_qty, "{less:?} {more:?}");
        prop_assert!(less.bid_ticks < less.ask_ticks);
    }

    #[test]
    fn more_toxicity_never_narrows(case in case(), share in 0.0_f64..1.0) {
        let mut quoter = warm(&case);
        let toxic = quoter.quote(&inputs(&case, case.usage, case.tau)).unwrap();
        let calm = quoter.quote(&inputs(&case, case.usage, case.tau * share)).unwrap();
        let slack = 1e-9 * calm.bid_ticks.abs();
        prop_assert!(toxic.ask_ticks - toxic.bid_ticks >= calm.ask_ticks - calm.bid_ticks - slack);
        prop_assert!(toxic.bid_ticks <= calm.bid_ticks + slack && toxic.ask_ticks >= calm.ask_ticks - slack);
    }

    #[test]
    fn what_rests_is_legal_whatever_the_model_wants(case in case(), join_only in any::<bool>()) {
        let mut quoter = warm(&case);
        let inputs = inputs(&case, case.usage, case.tau);
        let wanted = quoter.quote(&inputs).unwrap();
        let instrument = instrument();
        let bounds = Bounds {
            instrument: &instrument,
            best_bid: inputs.best_bid,
            best_ask: inputs.best_ask,
            position: inputs.position,
            join_only,
            room: inputs.room,
        };
        let sides = bound(&wanted, &bounds);
        let prices = sides.map(|side| side.price);
        if let [Some(bid), Some(ask)] = prices {
            prop_assert!(bid < ask);
        }
        for (side, quote) in Side::BOTH.into_iter().zip(sides) {
            let Some(price) = quote.price else { continue };
            let (own, other) = match side {
                Side::Bid => (inputs.best_bid.price, inputs.best_ask.price),
                Side::Ask => (inputs.best_ask.price, inputs.best_bid.price),
            };
            prop_assert!(price.ticks_above(other) * side.sign() < 0, "{side:?} at {price:?} crosses");
            prop_assert!(!join_only || price.ticks_above(own) * side.sign() <= 0, "{side:?} improves");
            prop_assert!((900..=990_000).contains(&price.ticks()));
            prop_assert!(quote.qty >= Qty::from_lots(3) && quote.qty <= inputs.room[side.index()]);
            prop_assert!(instrument.notional(price, quote.qty) >= Money::from_e8(5 * 100_000_000));
        }
    }
}

#[test]
fn every_model_quotes_both_sides_of_a_flat_book() {
    for kind in [QuoterKind::Naive, QuoterKind::Hybrid, QuoterKind::As, QuoterKind::Glft, QuoterKind::Ev] {
        let config = QuoterConfig { kind, maker_fee_bps: 0.0, k_ticks: 2.0, ..QuoterConfig::default() };
        let quote = build(&config).quote(&sample::inputs()).unwrap();
        assert!(quote.bid_ticks < 6_000_000.0 && quote.ask_ticks > 6_000_000.0, "{kind:?}");
        assert!(quote.bid_qty > Qty::ZERO && quote.ask_qty > Qty::ZERO, "{kind:?}");
    }
}
