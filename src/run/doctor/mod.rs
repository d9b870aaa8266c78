//! `touchline doctor`: what of this machine lengthens the tail, why, and the command that mends it.
//!
//! Owns the order of the findings and how they are told. Each group of findings is a file that reads /proc and /sys
//! below a root; nothing here changes anything (`tools/tune` does, on request). Runs on the main thread.

mod cores;
mod finding;
mod frequency;
mod interrupts;
mod limits;
mod machine;
mod memory;
mod network;

use std::path::PathBuf;

use serde_json::json;

pub use finding::{Finding, Severity, State};
use machine::{Cores, Machine};

use super::{Failure, engine, exit};
use crate::config::ConfigArgs;
use crate::topology::{Plan, cores_at_hand, tile};

/// Flags of `touchline doctor`.
#[derive(Clone, Debug, clap::Args)]
pub struct DoctorArgs {
    /// Where the hot threads would run is read from here.
    #[command(flatten)]
    config: ConfigArgs,
    /// Print one JSON object on stdout.
    #[arg(long)]
    json: bool,
    /// Look at the /proc and /sys below that folder: a copy of another machine's.
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
}

/// Looks at everything and tells what was found.
///
/// # Errors
/// `E_DOCTOR_001` when a setting of weight (`high` or `medium`) is bad, after telling all of them.
pub fn run(args: DoctorArgs) -> Result<(), Failure> {
    let config = args.config.load()?;
    let cores = if args.root == std::path::Path::new("/") {
        cores_at_hand(&config.topology.cores)
    } else {
        let online = Machine::online_below(&args.root);
        let wanted = &config.topology.cores;
        online.0.into_iter().filter(|core| wanted.is_empty() || wanted.contains(core)).collect()
    };
    let plan = engine::plan_on(&config, &cores);
    let hot = hot_cores(&plan);
    let findings = look(&Machine::new(&args.root, hot.clone()));
    if args.json {
        println!("{}", as_json(&hot, &findings));
    } else {
        print!("{}", as_text(&hot, &findings));
    }
    conclude(&findings)
}

/// The cores on which decisions are made: those of the seats that hold a hot tile.
fn hot_cores(plan: &Plan) -> Cores {
    let hot = [tile::FEED, tile::BOOK, tile::QUOTE, tile::PLACE];
    Cores(hot.iter().filter_map(|name| plan.seat_of(name)?.core).collect())
}

fn look(machine: &Machine) -> Vec<Finding> {
    let groups = [cores::look, frequency::look, memory::look, limits::look, interrupts::look, network::look];
    groups.iter().flat_map(|look| look(machine)).collect()
}

fn is_bad(finding: &Finding) -> bool {
    finding.state == State::Bad
}

/// Nothing, or the failure that names the worst finding. Low ones are told and do not fail.
fn conclude(findings: &[Finding]) -> Result<(), Failure> {
    let heavy: Vec<&Finding> =
        findings.iter().filter(|finding| is_bad(finding) && finding.severity > Severity::Low).collect();
    // The first of the heaviest: `max_by_key` would take the last.
    let Some(worst) = heavy.iter().rev().max_by_key(|finding| finding.severity) else { return Ok(()) };
    Err(Failure::new(
        "E_DOCTOR_001",
        exit::MISMATCH,
        format!("{} settings of this machine lengthen the tail, first {}: {}", heavy.len(), worst.name, worst.found),
        worst.why,
        "run the command below each finding, or those that can be undone with tools/tune; docs/TUNING.md tells more",
    ))
}

fn count(findings: &[Finding], state: State) -> usize {
    findings.iter().filter(|finding| finding.state == state).count()
}

fn as_json(hot: &Cores, findings: &[Finding]) -> serde_json::Value {
    json!({
        "hot_cores": hot.0,
        "good": count(findings, State::Good),
        "bad": count(findings, State::Bad),
        "unknown": count(findings, State::Unknown),
        "findings": findings,
    })
}

fn as_text(hot: &Cores, findings: &[Finding]) -> String {
    let mut out = format!("hot threads would run on core {hot}\n");
    for finding in findings {
        let state = match (finding.state, finding.severity) {
            (State::Good, _) => "good",
            (State::Unknown, _) => "?",
            (State::Bad, Severity::Low) => "bad, low",
            (State::Bad, Severity::Medium) => "bad, medium",
            (State::Bad, Severity::High) => "bad, high",
        };
        out += &format!("{state:12} {:15} {}\n", finding.name, finding.found);
        if let Some(mend) = &finding.mend {
            out += &format!("{:28} why:  {}\n{:28} mend: {mend}\n", "", finding.why, "");
        }
    }
    let [good, bad, unknown] = [State::Good, State::Bad, State::Unknown].map(|state| count(findings, state));
    out + &format!("{good} good, {bad} bad, {unknown} not known here\n")
}

#[cfg(test)]
mod tests {
    use super::machine::fixture::{Files, looked_at};
    use super::*;

    /// One machine of the files of all groups; a file that two groups know is theirs together.
    fn whole(groups: [&'static Files; 6]) -> Vec<(&'static str, &'static str)> {
        let mut files: Vec<(&'static str, &'static str)> = Vec::new();
        for (path, text) in groups.into_iter().flatten() {
            match files.iter_mut().find(|(known, _)| known == path) {
                Some((_, known)) => *known = format!("{known}{text}").leak(),
                None => files.push((path, text)),
            }
        }
        files
    }

    fn good() -> Vec<(&'static str, &'static str)> {
        use super::*;
        whole([
            cores::tests::GOOD,
            frequency::tests::GOOD,
            memory::tests::GOOD,
            limits::tests::GOOD,
            interrupts::tests::GOOD,
            network::tests::GOOD,
        ])
    }

    fn bad() -> Vec<(&'static str, &'static str)> {
        whole([
            cores::tests::BAD,
            frequency::tests::BAD,
            memory::tests::BAD,
            limits::tests::BAD,
            interrupts::tests::BAD,
            network::tests::BAD,
        ])
    }

    #[test]
    fn on_a_tuned_machine_every_finding_is_good() {
        let findings = looked_at(&good(), look);
        let others: Vec<&Finding> = findings.iter().filter(|finding| finding.state != State::Good).collect();
        assert!(others.is_empty(), "{others:#?}");
        assert!(findings.iter().all(|finding| finding.mend.is_none()));
        assert_eq!(conclude(&findings), Ok(()));
    }

    #[test]
    fn on_an_untuned_machine_every_finding_is_bad_and_has_its_command() {
        let findings = looked_at(&bad(), look);
        let others: Vec<&Finding> = findings.iter().filter(|finding| !is_bad(finding)).collect();
        assert!(others.is_empty(), "{others:#?}");
        assert!(findings.iter().all(|finding| finding.mend.as_ref().is_some_and(|mend| !mend.is_empty())));
        let failure = conclude(&findings).unwrap_err();
        assert_eq!((failure.code, failure.exit), ("E_DOCTOR_001", exit::MISMATCH));
        assert!(failure.what.contains("first cores: "), "{failure}");
    }

    #[test]
    fn where_no_file_tells_nothing_is_called_good() {
        let findings = looked_at(&[], look);
        let others: Vec<&Finding> = findings.iter().filter(|finding| finding.state != State::Unknown).collect();
        assert!(others.is_empty(), "{others:#?}");
        assert_eq!(conclude(&findings), Ok(()));
    }

    #[test]
    fn one_bad_setting_fails_by_its_weight() {
        let with = |path: &'static str, text: &'static str| {
            let mut files = good();
            files.retain(|(known, _)| *known != path);
            files.push((path, text));
            conclude(&looked_at(&files, look))
        };
        assert!(with("/sys/devices/system/cpu/intel_pstate/no_turbo", "0").is_ok(), "turbo is a matter of taste");
        let failure = with("/sys/devices/system/cpu/isolated", "").unwrap_err();
        assert!(failure.what.starts_with("1 settings") && failure.what.contains("isolated"), "{failure}");
    }

    #[test]
    fn the_json_has_every_finding_with_its_state() {
        let findings = looked_at(&bad(), look);
        let told = as_json(&Cores::parse("1").unwrap(), &findings);
        assert_eq!(told["hot_cores"], json!([1]));
        assert_eq!(told["bad"], json!(findings.len()));
        assert_eq!(told["findings"][0]["state"], json!("bad"));
        assert_eq!(told["findings"][0]["severity"], json!("high"));
    }
}
