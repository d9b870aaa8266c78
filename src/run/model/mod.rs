//! `touchline model`: what is known about the models, checked.
//!
//! `model check` computes every numeric oracle of the specification with the library code that quotes, reports and
//! simulates, and prints what it should be beside what it is. `model evaluate` is in [`evaluate`]. Rows are data in [`rows`], by section; nothing here
//! holds a result. With `--data` it measures the volatility estimators against recorded sessions instead. Runs on the
//! main thread, writes no file.

mod evaluate;
mod lab;
mod recorded;
mod row;
mod rows;

use std::path::PathBuf;

use serde_json::{Value, json};

use self::lab::{Lab, Size};
use self::row::{Row, Verdict};
use super::{Failure, exit};

/// Flags of `model`.
#[derive(Debug, clap::Args)]
pub struct ModelArgs {
    #[command(subcommand)]
    verb: ModelVerb,
}

#[derive(Debug, clap::Subcommand)]
enum ModelVerb {
    /// Compute every oracle of the models and compare.
    Check(CheckArgs),
    /// Let the expected-value maker compete with the best constant half-spread on simulated days that neither has seen.
    Evaluate(Box<evaluate::EvaluateArgs>),
}

/// Flags of `model check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Measure the volatility estimators against the realised volatility of these recordings; each stands for itself.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub data: Vec<PathBuf>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    pub json: bool,
    /// Simulate fewer paths, with the wider tolerances that they allow.
    #[arg(long)]
    pub quick: bool,
}

/// Runs the verb.
///
/// # Errors
/// `E_MODEL_001` when a row misses its value; `E_INPUT_001` when a recording cannot be read; `E_MODEL_002` when an
/// evaluation cannot be made.
pub fn run(args: ModelArgs) -> Result<(), Failure> {
    match args.verb {
        ModelVerb::Check(args) if args.data.is_empty() => check(&args),
        ModelVerb::Check(args) => recorded::run(&args.data, args.json),
        ModelVerb::Evaluate(args) => evaluate::run(&args),
    }
}

fn check(args: &CheckArgs) -> Result<(), Failure> {
    let lab = Lab::new(if args.quick { Size::Quick } else { Size::Full });
    let verdicts = judge(&rows::all(&lab), &lab);
    if args.json {
        println!("{}", as_json(&verdicts));
    } else {
        print!("{}", as_text(&verdicts));
    }
    conclude(&verdicts)
}

fn judge(rows: &[Row], lab: &Lab) -> Vec<Verdict> {
    rows.iter().map(|row| row.judge(lab)).collect()
}

/// Nothing, or the failure that names the rows that missed.
fn conclude(verdicts: &[Verdict]) -> Result<(), Failure> {
    let missed: Vec<&Verdict> = verdicts.iter().filter(|verdict| !verdict.is_met).collect();
    let Some(first) = missed.first() else { return Ok(()) };
    Err(Failure::new(
        "E_MODEL_001",
        exit::MISMATCH,
        format!("{} of {} oracles are missed, first {} {}", missed.len(), verdicts.len(), first.section, first.name),
        format!("it should be {} and is {}", first.want, first.ours),
        "the code of that section no longer computes what its source says; run the section's tests",
    ))
}

fn as_json(verdicts: &[Verdict]) -> Value {
    let rows: Vec<Value> = verdicts.iter().map(Verdict::json).collect();
    let met = verdicts.iter().filter(|verdict| verdict.is_met).count();
    json!({ "rows": rows, "checked": verdicts.len(), "met": met })
}

fn as_text(verdicts: &[Verdict]) -> String {
    let mut out = format!("{:7} {:56} {:>26} {:>14}  {:8} {}\n", "section", "row", "expected", "ours", "source", "");
    for verdict in verdicts {
        out += &verdict.text();
    }
    let met = verdicts.iter().filter(|verdict| verdict.is_met).count();
    out += &format!("{met} of {} rows pass\n", verdicts.len());
    out
}

#[cfg(test)]
mod tests {
    use super::row::{Source, row};
    use super::*;

    #[test]
    fn every_oracle_is_met_and_every_section_has_its_rows() {
        let is_long = std::env::var_os("TOUCHLINE_LONG").is_some();
        let lab = Lab::new(if is_long { Size::Full } else { Size::Quick });
        let verdicts = judge(&rows::all(&lab), &lab);
        let missed: String = verdicts.iter().filter(|verdict| !verdict.is_met).map(Verdict::text).collect();
        assert!(missed.is_empty(), "{missed}");
        for (section, at_least) in rows::LEAST {
            let found = verdicts.iter().filter(|verdict| verdict.section == *section).count();
            assert!(found >= *at_least, "section {section} has {found} rows and not {at_least}");
        }
    }

    #[test]
    fn one_row_that_misses_fails_the_command_and_is_named() {
        let lab = Lab::new(Size::Quick);
        let good = row("2.2", "right", 0.25, 1e-9, Source::Theory, |_| 0.25);
        let wrong = row("2.3", "deliberately wrong", 0.25, 1e-9, Source::Theory, |_| 0.26);
        let unknown = row("2.4", "not a number", 0.25, 1e-9, Source::Theory, |_| f64::NAN);
        assert!(conclude(&judge(std::slice::from_ref(&good), &lab)).is_ok());
        let failure = conclude(&judge(&[good, wrong], &lab)).unwrap_err();
        assert_eq!((failure.code, failure.exit), ("E_MODEL_001", exit::MISMATCH));
        assert!(failure.what.contains("1 of 2") && failure.what.contains("2.3 deliberately wrong"), "{failure}");
        assert!(conclude(&judge(&[unknown], &lab)).is_err());
    }
}
