//! The counts on record, how fresh ones compare with them, and the rule for changing them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The counts on record, from the project's folder.
pub const RECORD: &str = "benches/record/gate.json";

/// How much more than on record is too much, in thousandths.
const TOLERANCE: u64 = 10;
/// The same where compiler, libraries or valgrind are other ones than the record's: they alone move a count by some per
/// cent.
const TOLERANCE_OTHER_TOOLS: u64 = 100;

/// A case of this ending is the one without it, looked at while it works.
const WATCHED: &str = "_watched";

/// Instructions of one function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Of all calls together.
    pub instructions: u64,
    /// How often the function ran for them.
    pub units: u64,
}

/// Instructions by name.
pub type Counts = BTreeMap<String, Count>;

/// What is on record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// What it was counted with.
    pub tools: String,
    /// Each function with the reason for its count.
    pub functions: BTreeMap<String, (Count, String)>,
}

impl Record {
    /// Reads the file's text.
    ///
    /// # Errors
    /// When something is missing; a count without a reason is.
    pub fn parse(text: &str) -> Result<Record, String> {
        let wrong = |what: &str| format!("{RECORD}: {what}");
        let value: Value = serde_json::from_str(text).map_err(|why| wrong(&why.to_string()))?;
        let tools = value["tools"].as_str().ok_or_else(|| wrong("it has no tools"))?.to_owned();
        let mut functions = BTreeMap::new();
        for (name, row) in value["functions"].as_object().ok_or_else(|| wrong("it has no functions"))? {
            let number = |key: &str| row[key].as_u64().ok_or_else(|| wrong(&format!("{name} has no {key}")));
            let count = Count { instructions: number("instructions")?, units: number("units")? };
            let because = row["because"].as_str().map(str::trim).filter(|because| !because.is_empty());
            let because = because.ok_or_else(|| wrong(&format!("{name} has no reason")))?.to_owned();
            functions.insert(name.clone(), (count, because));
        }
        Ok(Record { tools, functions })
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let row = |(name, (count, because)): (&String, &(Count, String))| {
            let row = json!({ "instructions": count.instructions, "units": count.units, "because": because });
            (name.clone(), row)
        };
        let functions: serde_json::Map<String, Value> = self.functions.iter().map(row).collect();
        let value = json!({ "tools": self.tools, "functions": functions });
        serde_json::to_string_pretty(&value).unwrap_or_default() + "\n"
    }

    /// Takes the named counts for that reason, every one that changed when `all` is among the names, and forgets what is
    /// not counted any more when it was named.
    ///
    /// # Errors
    /// When a name is neither counted nor on record, when nothing changes, or when other tools counted only a part.
    pub fn accept(&mut self, counted: &Counts, names: &[String], because: &str, tools: &str) -> Result<u64, String> {
        let all = names.iter().any(|name| name == "all");
        if !all && !self.functions.is_empty() && self.tools != tools {
            return Err(format!("the record was counted with {}, this was with {tools}: accept `all`", self.tools));
        }
        let known: Vec<String> = self.functions.keys().chain(counted.keys()).cloned().collect();
        if let Some(name) = names.iter().find(|name| *name != "all" && !known.contains(name)) {
            return Err(format!("there is no function {name}"));
        }
        let mut changes = 0;
        for name in known.iter().filter(|name| all || names.contains(name)) {
            let was = self.functions.get(name).map(|(count, _)| *count);
            match counted.get(name) {
                now if now.copied() == was => continue,
                Some(now) => self.functions.insert(name.clone(), (*now, because.to_owned())),
                None => self.functions.remove(name),
            };
            changes += 1;
        }
        tools.clone_into(&mut self.tools);
        if changes == 0 { Err("no count has changed".to_owned()) } else { Ok(changes) }
    }
}

/// A table for people, and what is wrong.
#[derive(Debug, Default)]
pub struct Verdict {
    /// One line a function.
    pub table: String,
    /// One sentence for each that fails, its name first.
    pub problems: Vec<String>,
}

/// Compares what was counted with `tools`. `is_whole` says that every function was counted.
pub fn compared(record: &Record, counted: &Counts, tools: &str, is_whole: bool) -> Verdict {
    let tolerance = if tools == record.tools { TOLERANCE } else { TOLERANCE_OTHER_TOOLS };
    let mut verdict = Verdict::default();
    verdict.table += &format!("{:26} {:>12} {:>12} {:>8} {:>8}\n", "function", "recorded", "counted", "change", "each");
    for (name, now) in counted {
        let each = now.instructions / now.units.max(1);
        if let Some(plain) = name.strip_suffix(WATCHED).and_then(|plain| counted.get(plain))
            && now.instructions > plain.instructions
        {
            let more = now.instructions - plain.instructions;
            verdict.problems.push(format!("{name} takes {more} instructions more than unwatched: looking costs it"));
        }
        let Some((was, _)) = record.functions.get(name) else {
            verdict.problems.push(format!("{name} is not on record"));
            verdict.table += &format!("{name:26} {:>12} {:>12} {:>8} {each:>8}\n", "-", now.instructions, "");
            continue;
        };
        // Compared for the same work: a case whose units change is another case.
        if was.units != now.units {
            verdict.problems.push(format!("{name} ran {} times for the record and {} times now", was.units, now.units));
        }
        let change = 100.0 * (now.instructions as f64 / was.instructions.max(1) as f64 - 1.0);
        verdict.table +=
            &format!("{name:26} {:>12} {:>12} {change:>+7.2}% {each:>8}\n", was.instructions, now.instructions);
        if u128::from(now.instructions) * 1000 >= u128::from(was.instructions) * u128::from(1000 + tolerance) {
            verdict.problems.push(format!(
                "{name} got slower: {} instructions instead of {}, {change:+.2} %",
                now.instructions, was.instructions
            ));
        } else if change <= -1.0 {
            verdict.table += &format!("{:26} got faster; put it on record, or the gain may be lost unseen\n", "");
        }
    }
    if is_whole {
        let gone = record.functions.keys().filter(|name| !counted.contains_key(*name));
        verdict.problems.extend(gone.map(|name| format!("{name} is on record and is no longer counted")));
    }
    verdict
}

/// What is wrong with a commit that touched the record, from git's list of names and states. The one that made the record
/// may have brought the gate too.
pub fn not_alone(commit: &str, files: &str) -> Option<String> {
    let names = || files.lines().filter_map(|line| line.split_once('\t'));
    if names().any(|(status, file)| file == RECORD && status == "A") {
        return None;
    }
    let (_, other) = names().find(|(_, file)| *file != RECORD)?;
    Some(format!(
        "commit {} changes {RECORD} together with {other}: a new record stands in a commit of its own",
        commit.get(..12).unwrap_or(commit)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rows: &[(&str, u64)]) -> Counts {
        let row =
            |(name, instructions): &(&str, u64)| ((*name).to_owned(), Count { instructions: *instructions, units: 4 });
        rows.iter().map(row).collect()
    }

    fn record(rows: &[(&str, u64)]) -> Record {
        let mut record = Record::default();
        record.accept(&counts(rows), &["all".to_owned()], "first", "rustc 1").unwrap();
        record
    }

    #[test]
    fn one_per_cent_more_fails_and_names_the_function() {
        let recorded = record(&[("book_apply_20", 10_000), ("ring_push_pop", 500)]);
        let problems = |rows: &[(&str, u64)], tools| compared(&recorded, &counts(rows), tools, true).problems;
        assert!(problems(&[("book_apply_20", 10_000), ("ring_push_pop", 500)], "rustc 1").is_empty());
        assert!(problems(&[("book_apply_20", 10_099), ("ring_push_pop", 500)], "rustc 1").is_empty());
        let slower = problems(&[("book_apply_20", 10_100), ("ring_push_pop", 500)], "rustc 1");
        assert_eq!(slower, ["book_apply_20 got slower: 10100 instructions instead of 10000, +1.00 %"]);
        // Another compiler moves counts by itself.
        assert!(problems(&[("book_apply_20", 10_900), ("ring_push_pop", 500)], "rustc 2").is_empty());
        assert_eq!(problems(&[("book_apply_20", 11_000), ("ring_push_pop", 500)], "rustc 2").len(), 1);
        let faster = counts(&[("book_apply_20", 9_000), ("ring_push_pop", 500)]);
        let faster = compared(&recorded, &faster, "rustc 1", true);
        assert!(faster.problems.is_empty() && faster.table.contains("got faster"), "{}", faster.table);
    }

    #[test]
    fn a_function_that_appears_or_vanishes_fails() {
        let recorded = record(&[("book_apply_20", 10_000)]);
        assert_eq!(compared(&recorded, &counts(&[]), "rustc 1", true).problems.len(), 1);
        assert!(compared(&recorded, &counts(&[]), "rustc 1", false).problems.is_empty(), "only some were asked for");
        let more = counts(&[("book_apply_20", 10_000), ("ring_push_pop", 5)]);
        assert_eq!(compared(&recorded, &more, "rustc 1", true).problems, ["ring_push_pop is not on record"]);
    }

    #[test]
    fn being_watched_may_cost_nothing() {
        let rows = [("step", 10_000), ("step_watched", 10_001)];
        let problems = compared(&record(&rows), &counts(&rows), "rustc 1", true).problems;
        assert_eq!(problems, ["step_watched takes 1 instructions more than unwatched: looking costs it"]);
        let rows = [("step", 10_000), ("step_watched", 10_000)];
        assert!(compared(&record(&rows), &counts(&rows), "rustc 1", true).problems.is_empty());
    }

    #[test]
    fn only_what_is_named_is_accepted_and_each_count_has_its_reason() {
        let mut recorded = record(&[("a", 1), ("b", 2), ("gone", 3)]);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let now = counts(&[("a", 10), ("b", 20)]);
        assert_eq!(recorded.accept(&now, &names(&["b", "gone"]), "more levels", "rustc 1"), Ok(2));
        let rows = recorded.functions.iter().map(|(n, (c, why))| (n.as_str(), c.instructions, why.as_str()));
        assert_eq!(rows.collect::<Vec<_>>(), [("a", 1, "first"), ("b", 20, "more levels")]);
        assert!(recorded.accept(&now, &names(&["b"]), "again", "rustc 1").is_err(), "nothing changes");
        assert!(recorded.accept(&now, &names(&["c"]), "typo", "rustc 1").is_err());
        assert!(recorded.accept(&now, &names(&["a"]), "other tools", "rustc 2").is_err());
        assert_eq!(recorded.accept(&now, &names(&["all"]), "other tools", "rustc 2"), Ok(1));
        assert_eq!(Record::parse(&recorded.text()), Ok(recorded.clone()));
        assert!(Record::parse(&recorded.text().replace("other tools", " ")).is_err(), "a reason is needed");
        assert!(Record::parse("{}").is_err());
    }

    #[test]
    fn a_commit_that_changes_the_record_changes_nothing_else() {
        assert_eq!(not_alone("0123456789abcdef", "M\tbenches/record/gate.json\n"), None);
        assert_eq!(not_alone("0123456789abcdef", "A\tbenches/record/gate.json\nA\tbenches/hot.rs\n"), None);
        let problem = not_alone("0123456789abcdef", "M\tbenches/record/gate.json\nM\tsrc/book/ladder.rs\n").unwrap();
        assert!(problem.contains("0123456789ab") && problem.contains("src/book/ladder.rs"), "{problem}");
    }
}
