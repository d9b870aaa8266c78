//! Today's figures beside an earlier run's, by their ratios to each run's own echo: microseconds of different days, or
//! machines, say nothing about each other.

use std::path::Path;

use serde_json::Value;

use crate::run::{Failure, exit};

/// Reads an earlier `latency.json`.
///
/// # Errors
/// When it is none.
pub fn load(path: &Path) -> Result<Value, Failure> {
    let bad = |why: String| {
        Failure::new(
            "E_BENCH_004",
            exit::INPUT,
            format!("{} cannot be compared with", path.display()),
            why,
            "give a latency.json that `touchline bench latency --out DIR` has written",
        )
    };
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    let report: Value = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    if ratios(&report).is_empty() {
        return Err(bad("it holds no maker beside an echo".to_owned()));
    }
    Ok(report)
}

/// Rate, maker, quantile, ratio to the echo.
fn ratios(report: &Value) -> Vec<(String, String, &'static str, f64)> {
    let mut all = Vec::new();
    for (rate, makers) in report.as_object().into_iter().flatten().filter(|(rate, _)| rate.parse::<u32>().is_ok()) {
        for (maker, figures) in makers.as_object().into_iter().flatten().filter(|(maker, _)| *maker != "echo") {
            for quantile in ["p50_us", "p99_us"] {
                if let (Some(own), Some(echo)) = (figures[quantile].as_f64(), makers["echo"][quantile].as_f64())
                    && echo > 0.0
                {
                    all.push((rate.clone(), maker.clone(), quantile, own / echo));
                }
            }
        }
    }
    all
}

/// Lines for people.
pub fn lines(earlier: &Value, now: &Value) -> String {
    let earlier = ratios(earlier);
    let mut text = String::from("ratios to the echo, then and now\n");
    for (rate, maker, quantile, ratio) in ratios(now) {
        let then = earlier.iter().find(|row| (&row.0, &row.1, row.2) == (&rate, &maker, quantile)).map(|row| row.3);
        let then = then.map_or("     -".to_owned(), |then| format!("{then:6.2}"));
        text.push_str(&format!("{rate:>7} {maker:<12} {:<4} {then} {ratio:6.2}\n", quantile.trim_end_matches("_us")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_compared_and_not_microseconds() {
        let report = |echo: f64, rest: f64| serde_json::json!({ "100": { "echo": { "p50_us": echo }, "rest": { "p50_us": rest } }, "hops": {} });
        let text = lines(&report(10.0, 15.0), &report(40.0, 80.0));
        assert!(text.contains("rest         p50    1.50   2.00"), "{text}");
    }

    #[test]
    fn a_file_that_is_no_latency_report_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{}").unwrap();
        assert_eq!(load(file.path()).unwrap_err().code, "E_BENCH_004");
    }
}
