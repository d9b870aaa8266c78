//! `model check --data`: the volatility estimators against the realised volatility of recorded sessions.
//!
//! Each recording runs through the same market stage as a session; its mids, and where the book was lost, go to
//! [`compare_sigma`], which asks all three estimators once a second. An estimator without bias has a ratio of one to
//! the realised volatility over a whole session.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::Failure;
use super::super::inspect::recording_failure;
use crate::import::Recording;
use crate::pipeline::features::{SigmaComparison, compare_sigma};
use crate::pipeline::market::MarketStage;
use crate::pipeline::{FeaturesConfig, SigmaKind};
use crate::types::{BookState, HalfTicks, MarketUpdate, Side, TimestampNs};

/// Prints a line for each instrument of each recording.
pub(super) fn run(files: &[PathBuf], is_json: bool) -> Result<(), Failure> {
    let mut sessions = Vec::new();
    for file in files {
        sessions.extend(measure(file)?);
    }
    if is_json {
        let sessions: Vec<Value> = sessions.iter().map(Session::json).collect();
        println!("{}", json!({ "sessions": sessions }));
    } else {
        println!("volatility of log mids per square root of a second; ratios are to the realised one of 1 s returns");
        sessions.iter().for_each(|session| print!("{}", session.text()));
    }
    Ok(())
}

/// One instrument of one recording.
struct Session {
    file: String,
    symbol: String,
    found: SigmaComparison,
}

fn name(kind: SigmaKind) -> &'static str {
    match kind {
        SigmaKind::Ewma => "ewma",
        SigmaKind::Windowed => "windowed",
        SigmaKind::Parkinson => "parkinson",
    }
}

impl Session {
    fn json(&self) -> Value {
        let realised: Vec<Value> = self
            .found
            .realised
            .iter()
            .map(|row| {
                json!({
                    "step_s": row.step_s,
                    "returns": row.returns,
                    "per_sqrt_s": row.per_sqrt_s,
                    "standard_error": row.standard_error,
                })
            })
            .collect();
        let mut value = json!({ "recording": self.file, "symbol": self.symbol, "realised": realised });
        for row in &self.found.rows {
            value[name(row.kind)] =
                json!({ "per_sqrt_s": row.per_sqrt_s, "of_realised": row.of_realised, "seconds": row.samples });
        }
        value
    }

    fn text(&self) -> String {
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4e}"));
        let mut out = format!("{} {}\n", self.file, self.symbol);
        for row in &self.found.realised {
            let (value, error) = (number(row.per_sqrt_s), number(row.standard_error));
            out += &format!("  realised {:>3} s {value:>12} ± {error:>10} {:>8} returns\n", row.step_s, row.returns);
        }
        for row in &self.found.rows {
            let ratio = row.of_realised.map_or("-".to_owned(), |ratio| format!("{ratio:.3}"));
            let (kind, value) = (name(row.kind), number(row.per_sqrt_s));
            out += &format!("  {kind:14} {value:>12} ratio {ratio:>6} {:>10} seconds\n", row.samples);
        }
        out
    }
}

type Mids = Vec<(TimestampNs, Option<HalfTicks>)>;

fn measure(file: &Path) -> Result<Vec<Session>, Failure> {
    let recording = Recording::open(&[file]).map_err(|error| recording_failure(&error))?;
    let mut stage = MarketStage::new(recording.instruments(), recording.rule());
    let mut mids: Vec<Mids> = vec![Mids::new(); recording.instruments().len()];
    recording
        .for_each(|recv_ts, event| {
            let Some(MarketUpdate::Book(view)) = stage.on_event(event) else { return };
            let Some(mids) = mids.get_mut(view.instrument.index()) else { return };
            let book = stage.book(view.instrument);
            let best = book.best(Side::Bid).zip(book.best(Side::Ask));
            let live = best.filter(|(bid, ask)| view.state == BookState::Live && bid.price < ask.price);
            mids.push((recv_ts, live.map(|(bid, ask)| HalfTicks::mid(bid.price, ask.price))));
        })
        .map_err(|error| recording_failure(&error))?;
    let config = FeaturesConfig::default();
    let file = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
    let session = |(instrument, mids): (&crate::types::Instrument, Mids)| Session {
        file: file.clone(),
        symbol: instrument.symbol().to_owned(),
        found: compare_sigma(&config, mids),
    };
    Ok(recording.instruments().iter().zip(mids).map(session).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
    }

    #[test]
    fn a_recording_has_its_realised_volatility_in_both_outputs() {
        let sessions = measure(&golden("hftbacktest_usdm.txt")).unwrap();
        let [session] = &sessions[..] else { panic!("one symbol is in the recording") };
        let json = session.json();
        assert_eq!((&json["symbol"], &json["realised"][0]["step_s"]), (&json!("ETHUSDT"), &json!(1)));
        assert!(json["windowed"].is_object() && json["ewma"].is_object() && json["parkinson"].is_object());
        assert!(session.text().contains("parkinson"), "{}", session.text());
    }

    #[test]
    fn a_recording_that_is_none_is_a_coded_sentence() {
        assert_eq!(measure(&golden("binance_exchange_info.json")).err().unwrap().code, "E_INPUT_001");
    }
}
