//! A session begins with what the last one and the tape have taught, and its replay begins with the same.

mod engine_support;
mod pipeline_support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pipeline_support::*;
use touchline::gateway::{Http, plain_get};
use touchline::journal::JournalReader;
use touchline::metrics::Count;
use touchline::pipeline::estimators::back_fill;
use touchline::pipeline::{Pipeline, PipelineConfig, WarmState};
use touchline::run::engine::{self, EngineMode};
use touchline::server::venue::wall_now;
use touchline::types::{
    Action, Actions, Input, MarketUpdate, Price, Qty, SessionId, Side, TimestampNs, Trade, TradeId,
};
use touchline::venue::binance::agg_trades::decode_agg_trades;
use touchline::wire::{QuoteEvent, Stream};

/// A tape of 300 s: ten orders a second that walk up and down by their own rule.
fn tape() -> Vec<Trade> {
    let mut seed = 42_u64;
    let mut mid = 10_000_i64;
    (0..3_000_u64)
        .map(|order| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            mid += i64::from((seed >> 60) == 0) - i64::from((seed >> 60) == 1);
            let aggressor = if seed >> 63 == 0 { Side::Bid } else { Side::Ask };
            let depth = 1 + i64::from((seed >> 40).is_multiple_of(4));
            Trade {
                instrument: ID,
                event_ts: time(order * 100),
                recv_ts: time(order * 100),
                id: TradeId(order as i64 + 1),
                price: Price::from_ticks(mid + aggressor.sign() * depth),
                qty: Qty::from_lots(5),
                aggressor,
            }
        })
        .collect()
}

/// Volatility of these trades a root second, as a share of the price, offline and by the definition: seconds' last mids
/// from the sides that trades show, squared log returns, half-life 60.
fn sigma_by_definition(trades: &[Trade]) -> f64 {
    let (mut bid, mut ask) = (f64::NAN, f64::NAN);
    let (mut biased, mut weight, mut last, mut mid_now) = (0.0_f64, 0.0_f64, f64::NAN, f64::NAN);
    let decay = (-1.0_f64 / 60.0).exp2();
    let mut second = trades[0].event_ts.nanos() / 1_000_000_000;
    for trade in trades {
        let now = trade.event_ts.nanos() / 1_000_000_000;
        while second < now {
            let log_return = mid_now.ln() - last;
            biased = decay * biased + (1.0 - decay) * log_return * log_return;
            weight = decay * weight + (1.0 - decay);
            last = mid_now.ln();
            second += 1;
        }
        let price = trade.price.ticks() as f64;
        let spread = ask - bid;
        match trade.aggressor {
            Side::Bid if bid.is_nan() => (bid, ask) = (price - 1.0, price),
            Side::Ask if bid.is_nan() => (bid, ask) = (price, price + 1.0),
            Side::Bid if price > bid => ask = price,
            Side::Bid => (bid, ask) = (price - spread, price),
            Side::Ask if price < ask => bid = price,
            Side::Ask => (bid, ask) = (price, price + spread),
        }
        mid_now = (bid + ask) / 2.0;
        if last.is_nan() {
            last = mid_now.ln();
        }
    }
    (biased / weight).sqrt()
}

/// The volatility that a pipeline shows after its first book.
fn first_sigma(warm: Option<&WarmState>) -> Option<f64> {
    let mut pipeline = Pipeline::with_warm(SessionId(7), &[instrument()], &PipelineConfig::default(), warm).unwrap();
    let mut actions = Actions::new();
    let input = Input::Market(MarketUpdate::Book(view(300_100, 1, 9_999, 10_001)));
    pipeline.on_event(time(300_100), &input, &mut actions);
    pipeline.snapshot(ID).sigma_ticks
}

#[test]
fn the_first_sigma_is_the_one_computed_from_the_same_back_fill() {
    let config = PipelineConfig::default();
    let trades = tape();
    let offline = sigma_by_definition(&trades) * 10_000.0;
    let state = back_fill(&config, &instrument(), &trades);
    assert!(state.intensity.iter().all(Option::is_some), "{:?}", state.intensity);
    let warm = WarmState { saved_ns: time(300_000).nanos(), instruments: vec![state] };
    let sigma = first_sigma(Some(&warm)).unwrap();
    assert!((sigma / offline - 1.0).abs() < 1e-12, "{sigma} and not {offline}");
    assert_eq!(first_sigma(None), None, "a cold start knows no volatility");
    let aged = warm.aged(time(300_000 + 600_001));
    assert_eq!(first_sigma(Some(&aged)), None, "what is older than ten minutes is learnt anew");
}

#[test]
fn the_first_quote_of_a_session_knows_the_volatility_of_the_trades_it_asked_the_venue_for() {
    let _alone = engine_support::alone();
    // Two minutes of market lie behind the venue when the engine comes.
    let venue = engine_support::venue_since(TimestampNs::from_nanos(wall_now().nanos() - 120_000_000_000));
    let folder = tempfile::tempdir().unwrap();
    let settings = engine_support::config(&venue, folder.path(), &["quoter.kind=hybrid"]);
    let engine = engine::start(&settings, None, EngineMode::DryRun, "test", None).unwrap();
    let live = engine.live();
    engine_support::until("something is quoted", || live.board().count(Count::Quotes) > 0);
    engine.stop();
    let summary = engine.join();
    assert_eq!(summary.failure, None);

    let reader = JournalReader::open(&summary.journal).unwrap();
    let warm = WarmState::from_json(reader.info().warm.clone().unwrap()).unwrap();
    let mut http = Http::new(&venue.rest_url(), None, None, Duration::from_secs(5)).unwrap();
    let query = "/api/v3/aggTrades?symbol=BTCUSDT&limit=1000";
    let body = plain_get(&mut http, "/api/v3/aggTrades", query).unwrap();
    let all = decode_agg_trades(body, &engine_support::btcusdt()).unwrap();
    assert!(all.len() < 1_000, "all that ever happened");
    // The market went on: which trade was the last that the session was told is found by what it made of them.
    let made = |count: &usize| back_fill(&settings.pipeline(), &engine_support::btcusdt(), &all[..*count]);
    let told =
        (1..=all.len()).rev().find(|count| made(count) == warm.instruments[0]).expect("made of the venue's trades");

    let mut quote = reader.stream(Stream::Quote).unwrap();
    let first = loop {
        let record = quote.next().unwrap().expect("a quote decision");
        if let QuoteEvent::Action(Action::Quote(_)) = QuoteEvent::decode(&record).unwrap() {
            break record.header.seq;
        }
    };
    let session = summary.journal.to_str().unwrap();
    let explained = touchline(&["replay", session, "--explain", &first.to_string(), "--json"], None);
    let explained: serde_json::Value = serde_json::from_str(&explained).unwrap();
    let features = &explained["features"];
    let number = |name: &str| features[name].as_f64().unwrap_or_else(|| panic!("no {name} in {explained}"));
    let offline = sigma_by_definition(&all[..told]) * number("mid_ticks");
    let sigma = number("sigma_ticks");
    assert!((sigma / offline - 1.0).abs() < 1e-9, "{sigma} and not {offline}, of {told} trades");
}

#[test]
fn a_state_of_another_estimator_is_left_out() {
    let mut other = PipelineConfig::default();
    other.features.sigma_half_life_s = 30.0;
    let state = back_fill(&other, &instrument(), &tape());
    let warm = WarmState { saved_ns: 0, instruments: vec![state] };
    assert_eq!(first_sigma(Some(&warm)), None);
}

fn touchline(arguments: &[&str], out: Option<&Path>) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_touchline"));
    command.args(arguments).env_remove("RUST_LOG");
    if let Some(out) = out {
        command.arg("--out").arg(out);
    }
    let done = command.output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{arguments:?}: {text} {}", String::from_utf8_lossy(&done.stderr));
    text
}

fn session_of(out: &Path) -> PathBuf {
    std::fs::read_dir(out.join("journal")).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn a_warm_session_begins_warm_and_replays_to_the_same_actions() {
    let folder = tempfile::tempdir().unwrap();
    let demo = ["demo", "--virtual", "--json", "--seconds", "60", "--seed", "5"];
    let first = folder.path().join("first");
    touchline(&demo, Some(&first));
    let state = session_of(&first).join("state.json");
    let saved = serde_json::from_str(&std::fs::read_to_string(&state).unwrap()).and_then(WarmState::from_json).unwrap();
    assert!(
        saved.instruments[0].sigma.is_some()
            && saved.instruments[0].toxicity.is_some()
            && saved.instruments[0].gamma.is_some(),
        "{saved:?}"
    );

    let set = format!("warm.state_file={}", state.display());
    let second = folder.path().join("second");
    touchline(&[&demo[..], &["--set", &set]].concat(), Some(&second));
    let session: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(session_of(&second).join("session.json")).unwrap()).unwrap();
    assert_eq!(WarmState::from_json(session["warm"].clone()).unwrap(), saved);
    let cold = std::fs::read_to_string(session_of(&first).join("session.json")).unwrap();
    assert!(!cold.contains("\"warm\""), "a cold start says nothing");
    let verdict = touchline(&["replay", "--verify", "--json", session_of(&second).to_str().unwrap()], None);
    let verdict: serde_json::Value = serde_json::from_str(&verdict).unwrap();
    assert_eq!(verdict["identical"], true, "{verdict}");
    // Without the state the same inputs lead elsewhere: the replay does depend on it.
    let path = session_of(&second).join("session.json");
    let mut edited = session;
    edited.as_object_mut().unwrap().remove("warm");
    std::fs::write(&path, serde_json::to_string(&edited).unwrap()).unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_touchline"))
        .args(["replay", "--verify", "--json"])
        .arg(session_of(&second))
        .output()
        .unwrap();
    assert!(!done.status.success(), "the replay of an edited session must differ");
}
