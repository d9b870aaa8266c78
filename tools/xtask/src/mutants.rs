//! `cargo xtask mutants`: each mistake of a list is made in a scratch copy of the source, and a test must notice.
//!
//! A mutation is a text that must occur exactly once in its file, what it becomes, and the tests that should notice.
//! A text that is gone, or occurs twice, is an error: a mutation that changes nothing proves nothing. What is not in
//! the list is left to cargo-mutants, which `--file` and `--shard` call.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::steps::{cargo, root, target};

/// One mistake.
struct Mutation {
    name: &'static str,
    file: &'static str,
    find: &'static str,
    replace: &'static str,
    /// Filters of library tests.
    tests: &'static [&'static str],
}

const fn mutation(
    name: &'static str,
    file: &'static str,
    find: &'static str,
    replace: &'static str,
    tests: &'static [&'static str],
) -> Mutation {
    Mutation { name, file, find, replace, tests }
}

/// The list of the models' specification first, then the mistakes that its sections warn of.
const MUTATIONS: &[Mutation] = &[
    mutation(
        "flip-psi",
        "src/pipeline/quoter/frame.rs",
        "let skew = skew_ticks.clamp(",
        "let skew = -skew_ticks.clamp(",
        &["pipeline::quoter"],
    ),
    mutation(
        "swap-weighted-mid",
        "src/pipeline/features/shape.rs",
        "bid.price.ticks() as f64 * ask_qty + ask.price.ticks() as f64 * bid_qty",
        "bid.price.ticks() as f64 * bid_qty + ask.price.ticks() as f64 * ask_qty",
        &["pipeline::features"],
    ),
    mutation(
        "invert-m",
        "src/venue/binance/decode.rs",
        "aggressor: if fields.boolean(\"m\")? { Side::Ask } else { Side::Bid }",
        "aggressor: if fields.boolean(\"m\")? { Side::Bid } else { Side::Ask }",
        &["venue::binance::decode"],
    ),
    mutation(
        "drop-tau-lag-live",
        "src/pipeline/features/toxicity.rs",
        "let Some(effective) = self.effective_parts.filter(|_| self.closed.len() == self.window) else { return };\n        let raw = self.imbalance as f64 / self.all as f64;",
        "let Some(effective) = self.effective_parts.filter(|_| self.closed.len() == self.window) else { return };\n        let open = (self.open.bought - self.open.sold).abs();\n        let raw = (self.imbalance + open) as f64 / (self.all + self.open.lots()) as f64;",
        &["pipeline::features"],
    ),
    mutation(
        "drop-tau-lag-sm1",
        "src/sim/reference/sm1.rs",
        "        self.count(arrival.side);\n        arrival\n",
        "        self.count(arrival.side);\n        (arrival.tau, arrival.tau_raw, arrival.tau_signed) = (self.tau, self.tau_raw, self.tau_signed);\n        arrival\n",
        &["sim::reference::sm1"],
    ),
    mutation(
        "poisson-in-as",
        "src/sim/reference/as2008.rs",
        "    arrivals: Arrivals::Literal,\n",
        "    arrivals: Arrivals::Poisson,\n",
        &["sim::reference::as2008"],
    ),
    mutation(
        "excess-kurtosis",
        "src/stats/psr.rs",
        "(kurtosis - 1.0) / 4.0",
        "(kurtosis - 4.0) / 4.0",
        &["stats::psr"],
    ),
    mutation(
        "as-skew-sign",
        "src/models/avellaneda.rs",
        "Offsets { bid: half + skew, ask: half - skew }",
        "Offsets { bid: half - skew, ask: half + skew }",
        &["models::avellaneda", "sim::reference::as2008"],
    ),
    mutation(
        "round-inward",
        "src/pipeline/quoter/bound.rs",
        "Side::Bid => ticks.floor(),\n            Side::Ask => ticks.ceil(),",
        "Side::Bid => ticks.ceil(),\n            Side::Ask => ticks.floor(),",
        &["pipeline::quoter"],
    ),
    mutation(
        "ofi-ask-sign",
        "src/pipeline/features/flow.rs",
        "        - when(ask.price <= last_ask.price, ask)\n",
        "        + when(ask.price <= last_ask.price, ask)\n",
        &["pipeline::features"],
    ),
    mutation(
        "imbalance-sign",
        "src/pipeline/features/shape.rs",
        "value: (bid - ask) / all",
        "value: (ask - bid) / all",
        &["pipeline::features"],
    ),
    mutation(
        "rls-without-forgetting",
        "src/pipeline/estimators/rls.rs",
        "let variance = (self.variance - gain * x * self.variance) / self.lambda;",
        "let variance = self.variance - gain * x * self.variance;",
        &["pipeline::estimators"],
    ),
    mutation(
        "queue-cancel-ahead",
        "src/sim/queue.rs",
        "front - (1.0 - behind) * gone",
        "front - behind * gone",
        &["sim::queue", "sim::reference::cst"],
    ),
    mutation(
        "queue-trades-twice",
        "src/sim/queue.rs",
        "let gone = prev - new - place.traded;",
        "let gone = prev - new;",
        &["sim::queue"],
    ),
    mutation(
        "markout-sign",
        "src/kpi/spread.rs",
        "realised: side.sign() * (after.get() - HalfTicks::from(price).get()),",
        "realised: side.sign() * (HalfTicks::from(price).get() - after.get()),",
        &["kpi"],
    ),
    mutation(
        "fee-earned",
        "src/kpi/ledger.rs",
        "self.cash = self.cash - fee;",
        "self.cash = self.cash + fee;",
        &["kpi"],
    ),
];

/// What became of a mutation.
enum Fate {
    /// By these tests.
    Killed(Vec<String>),
    Survived,
    DoesNotCompile,
}

/// Makes each mutation whose name contains one of `names` (all without names), and reports.
///
/// # Errors
/// When a text is not where it should be, when the tests fail without a mutation, or when a mutation survives.
pub fn named(names: &[String]) -> Result<(), String> {
    let chosen: Vec<&Mutation> = MUTATIONS
        .iter()
        .filter(|m| names.is_empty() || names.iter().any(|name| m.name.contains(name.as_str())))
        .collect();
    if chosen.is_empty() {
        let all: Vec<&str> = MUTATIONS.iter().map(|m| m.name).collect();
        return Err(format!("no mutation is called so; there are {}", all.join(", ")));
    }
    // Every anchor before the first build: a wrong one should not cost an hour.
    for m in &chosen {
        mutated(m)?;
    }
    let scratch = target().join("mutants").join("tree");
    copy_sources(&scratch)?;
    let mut filters: Vec<&str> = chosen.iter().flat_map(|m| m.tests).copied().collect();
    filters.sort_unstable();
    filters.dedup();
    println!("==> without a mutation");
    match run_tests(&scratch, &filters)? {
        Fate::Survived => {}
        Fate::Killed(tests) => return Err(format!("tests fail without a mutation: {}", tests.join(", "))),
        Fate::DoesNotCompile => return Err("the source does not compile without a mutation".to_owned()),
    }
    let mut survivors = Vec::new();
    for m in chosen {
        let file = scratch.join(m.file);
        write(&file, &mutated(m)?)?;
        let fate = run_tests(&scratch, m.tests);
        write(&file, &read(&root().join(m.file))?)?;
        match fate? {
            Fate::Killed(tests) => println!("killed    {:24} {:40} by {}", m.name, m.file, tests.join(", ")),
            Fate::Survived => {
                println!("SURVIVED  {:24} {}", m.name, m.file);
                survivors.push(m.name);
            }
            Fate::DoesNotCompile => return Err(format!("{} does not compile: mend its replacement", m.name)),
        }
    }
    if survivors.is_empty() { Ok(()) } else { Err(format!("no test noticed {}", survivors.join(", "))) }
}

/// Hands `arguments` to cargo-mutants: `--file src/pipeline/… --shard 0/8` and the like.
///
/// # Errors
/// When cargo-mutants is not installed or a mutant survives.
pub fn generated(arguments: &[String]) -> Result<(), String> {
    let mut command = cargo(&["mutants", "--no-shuffle", "--output", "target/mutants"]);
    command.args(arguments).args(["--", "--lib"]);
    let status = command.status().map_err(|why| format!("cannot start cargo: {why}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("cargo mutants ended with {status}; `cargo install cargo-mutants` if it is missing"))
    }
}

/// The file of a mutation with the mistake made.
fn mutated(m: &Mutation) -> Result<String, String> {
    let text = read(&root().join(m.file))?;
    match text.matches(m.find).count() {
        1 => Ok(text.replacen(m.find, m.replace, 1)),
        count => Err(format!("{}: its text occurs {count} times in {} and not once", m.name, m.file)),
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|why| format!("cannot read {}: {why}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|why| format!("cannot write {}: {why}", path.display()))
}

/// Copies every tracked file, so that the working tree is never touched. A file that is the same already is left
/// alone, or cargo would build all of it again.
pub(crate) fn copy_sources(to: &Path) -> Result<(), String> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    let listed = listed.map_err(|why| format!("cannot list the source with git: {why}"))?;
    for name in String::from_utf8_lossy(&listed.stdout).split('\0').filter(|name| !name.is_empty()) {
        let (from, to): (PathBuf, PathBuf) = (root().join(name), to.join(name));
        let Ok(bytes) = std::fs::read(&from) else { continue };
        if std::fs::read(&to).is_ok_and(|there| there == bytes) {
            continue;
        }
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder).map_err(|why| format!("cannot make {}: {why}", folder.display()))?;
        }
        std::fs::write(&to, bytes).map_err(|why| format!("cannot write {}: {why}", to.display()))?;
    }
    Ok(())
}

fn run_tests(tree: &Path, filters: &[&str]) -> Result<Fate, String> {
    // Dependencies are compiled once for both trees; only the crate itself differs.
    let mut command = cargo(&["test", "--package", "touchline", "--lib", "--no-fail-fast", "--"]);
    command.args(filters).current_dir(tree).env("CARGO_TARGET_DIR", target());
    let output = command.output().map_err(|why| format!("cannot start cargo: {why}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let failed: Vec<String> = text.lines().filter_map(failed_test).map(str::to_owned).collect();
    let has_run = text.contains("test result:");
    match (output.status.success(), failed.is_empty(), has_run) {
        (true, ..) if text.contains(" 0 passed") => Err(format!("no test is called {}", filters.join(" or "))),
        (true, ..) => Ok(Fate::Survived),
        (false, false, _) => Ok(Fate::Killed(failed)),
        (false, true, true) => Err("tests failed and none is named".to_owned()),
        (false, true, false) => Ok(Fate::DoesNotCompile),
    }
}

/// The name in a line `test name ... FAILED`.
fn failed_test(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutation_finds_its_text_once_and_changes_it() {
        for m in MUTATIONS {
            let text = mutated(m).unwrap();
            assert!(m.find != m.replace && text.contains(m.replace), "{}", m.name);
            assert!(!m.tests.is_empty(), "{}", m.name);
        }
    }

    #[test]
    fn failures_are_read_from_the_output() {
        assert_eq!(failed_test("test a::b ... FAILED"), Some("a::b"));
        assert_eq!(failed_test("test a::b ... ok"), None);
    }
}
