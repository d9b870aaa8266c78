//! The house has floors, and a module imports only lower ones. This test reads the source and proves it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Floor of each top-level module, as `docs/ARCHITECTURE.md` draws it.
const FLOORS: &[(u8, &[&str])] = &[
    (0, &["types"]),
    (1, &["book", "matching", "metrics", "models", "stats", "wire"]),
    (2, &["kpi", "pipeline", "sim", "venue"]),
    (3, &["archive", "feed", "gateway", "import", "journal", "redis", "report", "server", "train"]),
    (4, &["tiles", "topology"]),
    (5, &["cli", "config", "run", "main"]),
];

/// Imports between neighbours of one floor that are allowed, each with its reason.
const NEIGHBOURS: &[(&str, &str)] = &[
    // The simulated exchange answers with the protocol's own filters, codes and signatures.
    ("sim", "venue"),
    // Decisions keep their money in the ledger that reports use too.
    ("pipeline", "kpi"),
    // The archive is made from journals, and a report from both.
    ("archive", "journal"),
    ("report", "journal"),
    ("report", "archive"),
    // What Redis is told of an instrument is what the session file says of it.
    ("redis", "journal"),
    // Orders over the WebSocket API go over a connection like the market data's.
    ("gateway", "feed"),
    // A tile runs where the wiring table says.
    ("tiles", "topology"),
];

/// Words that would bring the outside world into floors 0 to 2.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "Instant::now",
    "SystemTime::now",
    "quanta::",
    "static mut",
    "thread_local!",
];

fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let relative = path.strip_prefix(&root).unwrap();
                let module = relative.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((module, path, text));
            }
        }
    }
    found.sort();
    found
}

/// The code of a file without the tests at its end.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap()
}

/// Top-level modules named by `crate::…` in code.
fn imports(text: &str) -> Vec<String> {
    let mut named = Vec::new();
    for line in code(text).lines() {
        let line = line.split("//").next().unwrap();
        for (at, _) in line.match_indices("crate::").chain(line.match_indices("touchline::")) {
            let rest = line[at..].split_once("::").unwrap().1;
            match rest.strip_prefix('{') {
                Some(group) => named.extend(group.split(',').map(|item| head(item.trim()))),
                None => named.push(head(rest)),
            }
        }
    }
    named.retain(|name| !name.is_empty());
    named
}

fn head(path: &str) -> String {
    path.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

fn floors() -> BTreeMap<&'static str, u8> {
    FLOORS.iter().flat_map(|(floor, modules)| modules.iter().map(|module| (*module, *floor))).collect()
}

#[test]
fn every_module_stands_on_a_floor() {
    let floors = floors();
    for (module, path, _) in sources() {
        assert!(module == "lib" || floors.contains_key(module.as_str()), "{} stands on no floor", path.display());
    }
}

#[test]
fn a_module_imports_only_lower_floors() {
    let floors = floors();
    let mut broken = Vec::new();
    for (module, path, text) in sources() {
        if module == "lib" {
            continue;
        }
        let own = floors[module.as_str()];
        for import in imports(&text) {
            let Some(&floor) = floors.get(import.as_str()) else { continue };
            // The top floor is one storey: verbs, their configuration and the command line.
            let neighbour = own == 5 || import == module || NEIGHBOURS.contains(&(module.as_str(), import.as_str()));
            if floor > own || (floor == own && !neighbour) {
                broken.push(format!("{}: {module} (floor {own}) imports {import} (floor {floor})", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_lower_floors_know_no_clock_socket_file_or_thread() {
    let floors = floors();
    let mut broken = Vec::new();
    for (module, path, text) in sources() {
        if floors.get(module.as_str()).is_none_or(|floor| *floor > 2) {
            continue;
        }
        for (number, line) in code(&text).lines().enumerate() {
            let line = line.split("//").next().unwrap();
            for word in IMPURE {
                if line.contains(word) {
                    broken.push(format!("{}:{}: {word}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_import_reader_sees_what_it_must() {
    let text = "use crate::types::{A, B};\n// crate::run::x\nlet a = crate::book::f();\nuse crate::{wire, feed::X};\n";
    assert_eq!(imports(text), ["types", "book", "wire", "feed"]);
}
