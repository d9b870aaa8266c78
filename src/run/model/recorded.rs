//! `model check --data`: the volatility estimators against the realised volatility of recorded sessions.
//!
//! Files that continue each other are one session. It runs through the same market stage as a live one; its mids, and
//! where the book was lost, go to [`compare_sigma`], which asks all three estimators once a second. A recording without a
//! snapshot has no book that may be trusted, so its mids are those of the recorded best prices, and the output says so.
//! An estimator without bias has a ratio of one to the realised volatility over a whole session.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::Failure;
use super::super::inspect::recording_failure;
use crate::import::Recording;
use crate::pipeline::features::{SigmaComparison, compare_sigma};
use crate::pipeline::market::MarketStage;
use crate::pipeline::sync::SyncRule;
use crate::pipeline::{FeaturesConfig, SigmaKind};
use crate::types::{BookState, DurationNs, HalfTicks, MarketUpdate, Side, TimestampNs};
use crate::wire::FeedEvent;

/// Prints a line for each instrument of each recording.
pub(super) fn run(files: &[PathBuf], is_json: bool) -> Result<(), Failure> {
    let mut sessions = Vec::new();
    for group in continued(files)? {
        sessions.extend(measure(&group)?);
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

/// Longest pause between the end of a file and the start of the one that continues it.
const CONTINUES_WITHIN: DurationNs = DurationNs::from_secs(60);

/// The files as sessions: one that starts within a minute of the end of the one before, on the same market, goes on
/// with it.
fn continued(files: &[PathBuf]) -> Result<Vec<Vec<PathBuf>>, Failure> {
    let mut groups: Vec<Vec<PathBuf>> = Vec::new();
    let mut last: Option<(Vec<String>, SyncRule, TimestampNs)> = None;
    for file in files {
        let failed = |error| recording_failure(&error);
        let recording = Recording::open(&[file]).map_err(failed)?;
        let symbols: Vec<String> = recording.instruments().iter().map(|found| found.symbol().to_owned()).collect();
        let mut reader = recording.reader();
        let (mut first, mut end) = (None, TimestampNs::ZERO);
        while let Some(line) = reader.advance().map_err(failed)? {
            first.get_or_insert(line.recv_ts);
            end = end.max(line.recv_ts);
        }
        let goes_on = last.as_ref().zip(first).is_some_and(|((known, rule, before), first)| {
            *known == symbols
                && *rule == recording.rule()
                && first >= *before
                && first.since(*before) <= CONTINUES_WITHIN
        });
        match groups.last_mut() {
            Some(group) if goes_on => group.push(file.clone()),
            _ => groups.push(vec![file.clone()]),
        }
        last = Some((symbols, recording.rule(), end));
    }
    Ok(groups)
}

/// One instrument of one session.
struct Session {
    files: String,
    symbol: String,
    /// The mids are those of the recorded best prices, for want of a snapshot.
    by_touch: bool,
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
        let mut value = json!({
            "recording": self.files,
            "symbol": self.symbol,
            "mids": if self.by_touch { "best prices" } else { "book" },
            "realised": realised,
        });
        for row in &self.found.rows {
            value[name(row.kind)] =
                json!({ "per_sqrt_s": row.per_sqrt_s, "of_realised": row.of_realised, "seconds": row.samples });
        }
        value
    }

    fn text(&self) -> String {
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4e}"));
        let note = if self.by_touch { " (no snapshot: mids of the recorded best prices)" } else { "" };
        let mut out = format!("{} {}{note}\n", self.files, self.symbol);
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

fn measure(files: &[PathBuf]) -> Result<Vec<Session>, Failure> {
    let recording = Recording::open(files).map_err(|error| recording_failure(&error))?;
    let mut stage = MarketStage::new(recording.instruments(), recording.rule());
    let mut by_book: Vec<Mids> = vec![Mids::new(); recording.instruments().len()];
    let mut by_touch = by_book.clone();
    recording
        .for_each(|recv_ts, event| {
            if let FeedEvent::Touch(touch) = event
                && let Some(mids) = by_touch.get_mut(touch.instrument.index())
            {
                let (bid, ask) = (touch.bid.price, touch.ask.price);
                mids.push((recv_ts, (bid < ask).then(|| HalfTicks::mid(bid, ask))));
            }
            let Some(MarketUpdate::Book(view)) = stage.on_event(event) else { return };
            let Some(mids) = by_book.get_mut(view.instrument.index()) else { return };
            let book = stage.book(view.instrument);
            let best = book.best(Side::Bid).zip(book.best(Side::Ask));
            let live = best.filter(|(bid, ask)| view.state == BookState::Live && bid.price < ask.price);
            mids.push((recv_ts, live.map(|(bid, ask)| HalfTicks::mid(bid.price, ask.price))));
        })
        .map_err(|error| recording_failure(&error))?;
    let config = FeaturesConfig::default();
    let names: Vec<_> =
        files.iter().map(|file| file.file_name().unwrap_or(file.as_os_str()).to_string_lossy()).collect();
    let mut sessions = Vec::new();
    for ((instrument, by_book), by_touch) in recording.instruments().iter().zip(by_book).zip(by_touch) {
        let is_by_touch = by_book.iter().all(|(_, mid)| mid.is_none());
        sessions.push(Session {
            files: names.join(" + "),
            symbol: instrument.symbol().to_owned(),
            by_touch: is_by_touch,
            found: compare_sigma(&config, if is_by_touch { by_touch } else { by_book }),
        });
    }
    Ok(sessions)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn golden(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
    }

    #[test]
    fn a_recording_has_its_realised_volatility_in_both_outputs() {
        let sessions = measure(&[golden("hftbacktest_usdm.txt")]).unwrap();
        let [session] = &sessions[..] else { panic!("one symbol is in the recording") };
        let json = session.json();
        assert_eq!((&json["symbol"], &json["realised"][0]["step_s"]), (&json!("ETHUSDT"), &json!(1)));
        assert!(json["windowed"].is_object() && json["ewma"].is_object() && json["parkinson"].is_object());
        assert!(session.text().contains("parkinson"), "{}", session.text());
    }

    #[test]
    fn only_files_that_go_on_are_one_session() {
        let folder = tempfile::tempdir().unwrap();
        let text = std::fs::read_to_string(golden("hftbacktest_usdm.txt")).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let (first, second) = lines.split_at(lines.len() / 2);
        let write = |name: &str, lines: &[&str]| {
            let path = folder.path().join(name);
            std::fs::write(&path, lines.join("\n") + "\n").unwrap();
            path
        };
        let files = [write("a.txt", first), write("b.txt", second)];
        assert_eq!(continued(&files).unwrap(), vec![files.to_vec()]);
        let backwards = [files[1].clone(), files[0].clone()];
        assert_eq!(continued(&backwards).unwrap().len(), 2, "a file that starts earlier continues nothing");
    }

    #[test]
    fn a_recording_that_is_none_is_a_coded_sentence() {
        assert_eq!(measure(&[golden("binance_exchange_info.json")]).err().unwrap().code, "E_INPUT_001");
    }
}
