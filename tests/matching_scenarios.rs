//! The text scenarios of `tests/data/scenarios`, read by the Rust face here and by a C++ program that never sees Rust.

mod common;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use touchline::matching::{
    CancelReason, Capacity, Growth, MatchingCore, Message, OrderEntry, RejectReason, Report, SelfTrade,
};
use touchline::types::{Level, OrderKind, Price, Qty, Side, TimeInForce};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn scenarios() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join("tests/data/scenarios"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    assert!(files.len() >= 7, "scenarios are missing: {files:?}");
    files
}

fn side(word: &str) -> Side {
    match word {
        "bid" => Side::Bid,
        "ask" => Side::Ask,
        _ => panic!("no side: {word}"),
    }
}

fn side_name(side: Side) -> &'static str {
    if side == Side::Bid { "bid" } else { "ask" }
}

fn price(word: &str) -> Price {
    Price::from_ticks(word.parse().unwrap())
}

fn qty(word: &str) -> Qty {
    Qty::from_lots(word.parse().unwrap())
}

fn message(words: &[&str]) -> Message {
    let id = words[1].parse().unwrap();
    match words[0] {
        "cancel" => Message::Cancel { id },
        "modify" => Message::Modify { id, price: price(words[2]), qty: qty(words[3]) },
        "new" => {
            let kind = match words[5] {
                "gtc" => OrderKind::Limit(TimeInForce::Gtc),
                "ioc" => OrderKind::Limit(TimeInForce::Ioc),
                "fok" => OrderKind::Limit(TimeInForce::Fok),
                "post" => OrderKind::PostOnly,
                "market" => OrderKind::Market,
                other => panic!("no kind: {other}"),
            };
            let (mut owner, mut stp) = (0, SelfTrade::None);
            for option in &words[6..] {
                match option.split_once('=').unwrap() {
                    ("owner", value) => owner = value.parse().unwrap(),
                    ("stp", "none") => stp = SelfTrade::None,
                    ("stp", "expire_maker") => stp = SelfTrade::ExpireMaker,
                    ("stp", "expire_taker") => stp = SelfTrade::ExpireTaker,
                    ("stp", "expire_both") => stp = SelfTrade::ExpireBoth,
                    ("stp", "decrement") => stp = SelfTrade::Decrement,
                    _ => panic!("no option: {option}"),
                }
            }
            let (side, price, qty) = (side(words[2]), price(words[3]), qty(words[4]));
            Message::New(OrderEntry { id, owner, side, price, qty, kind, stp })
        }
        other => panic!("no message: {other}"),
    }
}

fn report_text(report: &Report) -> String {
    match *report {
        Report::Accepted { id } => format!("accepted {id}"),
        Report::Trade { maker_id, taker_id, price, qty, aggressor, maker_remaining, taker_remaining } => format!(
            "trade {maker_id} {taker_id} {} {} {} {} {}",
            price.ticks(),
            qty.lots(),
            side_name(aggressor),
            maker_remaining.lots(),
            taker_remaining.lots()
        ),
        Report::Cancelled { id, remaining, reason } => {
            let reason = match reason {
                CancelReason::User => "user",
                CancelReason::IocRest => "ioc_rest",
                CancelReason::Fok => "fok",
                CancelReason::MarketRest => "market_rest",
                CancelReason::SelfTrade => "self_trade",
            };
            format!("cancelled {id} {} {reason}", remaining.lots())
        }
        Report::Modified { id, price, remaining } => format!("modified {id} {} {}", price.ticks(), remaining.lots()),
        Report::Rejected { id, reason } => {
            let reason = match reason {
                RejectReason::Quantity => "quantity",
                RejectReason::DuplicateId => "duplicate_id",
                RejectReason::UnknownOrder => "unknown_order",
                RejectReason::WouldCross => "would_cross",
                RejectReason::LevelOverflow => "level_overflow",
                RejectReason::Capacity => "capacity",
                RejectReason::Malformed => "malformed",
            };
            format!("rejected {id} {reason}")
        }
    }
}

fn depth_text(core: &MatchingCore, side: Side) -> String {
    let mut levels = vec![Level::default(); core.level_count(side)];
    let count = core.top(side, &mut levels);
    let mut text = String::new();
    for level in &levels[..count] {
        write!(text, " {}x{}", level.price.ticks(), level.qty.lots()).unwrap();
    }
    text.trim_start().to_owned()
}

fn answer(core: &MatchingCore, words: &[&str]) -> String {
    let none = || "none".to_owned();
    match words[0] {
        "bids" => depth_text(core, Side::Bid),
        "asks" => depth_text(core, Side::Ask),
        "best" => {
            core.best(side(words[1])).map_or_else(none, |level| format!("{}x{}", level.price.ticks(), level.qty.lots()))
        }
        "qty" => core.qty_at(side(words[1]), price(words[2])).lots().to_string(),
        "ahead" => core.ahead_of(words[1].parse().unwrap()).map_or_else(none, |qty| qty.lots().to_string()),
        "order" => core.order(words[1].parse().unwrap()).map_or_else(none, |order| {
            let (price, remaining) = (order.price.ticks(), order.remaining.lots());
            format!("{} {price} {remaining} owner={}", side_name(order.side), order.owner)
        }),
        "queue" => {
            let mut text = String::new();
            core.for_each_order_at(side(words[1]), price(words[2]), |order| {
                write!(text, " {}x{}", order.id, order.remaining.lots()).unwrap();
            });
            text.trim_start().to_owned()
        }
        other => panic!("no question: {other}"),
    }
}

fn run(path: &Path) -> usize {
    let text = std::fs::read_to_string(path).unwrap();
    let mut core = MatchingCore::new(Capacity::default());
    let mut reports: Vec<Report> = Vec::new();
    let mut awaited = 0;
    let mut checked = 0;
    for (number, line) in text.lines().enumerate() {
        let place = format!("{}:{}", path.display(), number + 1);
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_report = !matches!(words.first(), None | Some(&("#" | ">" | "?" | "capacity")));
        if is_report {
            assert!(awaited < reports.len(), "{place}: the core reported nothing more");
            assert_eq!(report_text(&reports[awaited]), line, "{place}");
            awaited += 1;
            checked += 1;
            continue;
        }
        match words.first() {
            Some(&">") => {
                assert_eq!(awaited, reports.len(), "{place}: not awaited: {:?}", &reports[awaited..]);
                reports.clear();
                awaited = 0;
                core.submit(&message(&words[1..]), &mut reports);
                core.check().unwrap_or_else(|broken| panic!("{place}: {broken}"));
            }
            Some(&"?") => {
                let at = words.iter().position(|&word| word == "=").unwrap();
                assert_eq!(answer(&core, &words[1..at]), words[at + 1..].join(" "), "{place}");
                checked += 1;
            }
            Some(&"capacity") => {
                assert_eq!(words[3], "refuse", "{place}");
                let (orders, levels) = (words[1].parse().unwrap(), words[2].parse().unwrap());
                core = MatchingCore::new(Capacity { orders, levels, growth: Growth::Refuse });
            }
            _ => {}
        }
    }
    assert_eq!(awaited, reports.len(), "{}: the last reports are not awaited", path.display());
    checked
}

#[test]
fn scenarios_hold_through_the_rust_face() {
    for path in scenarios() {
        let checked = run(&path);
        assert!(checked > 5, "{} proves nothing", path.display());
    }
}

/// Builds a program of `cpp/tests` with sanitizers, for the processor at hand or with the searches of another; `None` when
/// there is no g++ here.
fn build_cpp(name: &str, reach: Option<&str>) -> Option<PathBuf> {
    if Command::new("g++").arg("--version").output().is_err() {
        common::skip(&format!("no g++ on the path, {name}.cpp was not built"));
        return None;
    }
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}{}", reach.unwrap_or_default()));
    let built = Command::new("g++")
        .args(reach.map(|reach| format!("-DTOUCHLINE_REACH={reach}")))
        .args(["-std=c++20", "-O1", "-g", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"])
        .args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"])
        .arg("-I")
        .arg(root().join("cpp/include"))
        .arg(root().join("cpp/tests").join(name).with_extension("cpp"))
        .arg("-o")
        .arg(&program)
        .output()
        .unwrap();
    assert!(built.status.success(), "g++ {name}.cpp:\n{}", String::from_utf8_lossy(&built.stderr));
    Some(program)
}

fn assert_passes(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{text}", output.status);
    text
}

#[test]
fn scenarios_hold_in_cpp_under_sanitizers() {
    let Some(program) = build_cpp("scenarios", None) else { return };
    let text = assert_passes(Command::new(&program).args(scenarios()));
    print!("{text}");

    // The C++ reader must be able to fail: one wrong digit is found and its line named.
    let wrong = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wrong.txt");
    std::fs::write(&wrong, "> new 1 bid 100 5 gtc\naccepted 1\n? bids = 100x6\n").unwrap();
    let output = Command::new(&program).arg(&wrong).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("wrong.txt:3"), "{output:?}");
}

#[test]
fn arbitrary_bytes_never_break_the_core_under_sanitizers() {
    let messages = if std::env::var_os("TOUCHLINE_LONG").is_some() { "2000000" } else { "100000" };
    let mut answers = Vec::new();
    for reach in [None, Some("plain"), has_avx2().then_some("avx2")] {
        let Some(program) = build_cpp("soak", reach) else { return };
        answers.push(assert_passes(Command::new(&program).arg(messages)));
    }
    print!("{}", answers[0]);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "processors differ: {answers:?}");
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("bmi2")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx2() -> bool {
    false
}

/// libFuzzer on the target in cpp/tests/fuzz.cpp: from the corpus on, ten seconds of what it can think of.
#[test]
fn no_input_parts_the_core_from_plain_lists() {
    if Command::new("clang++").arg("--version").output().is_err() {
        common::skip("no clang++ on the path, the fuzz target was not built");
        return;
    }
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    let built = Command::new("clang++")
        .args(["-std=c++20", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fno-sanitize-recover=all"])
        .arg("-fsanitize=fuzzer,address,undefined")
        .arg("-I")
        .arg(root().join("cpp/include"))
        .arg(root().join("cpp/tests/fuzz.cpp"))
        .arg("-o")
        .arg(&program)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&built.stderr);
    if !built.status.success() && text.contains("libclang_rt.fuzzer") {
        common::skip("clang++ has no libFuzzer here, the fuzz target was not linked");
        return;
    }
    assert!(built.status.success(), "clang++ fuzz.cpp:\n{text}");
    let corpus = root().join("tests/data/fuzz_matching");
    let seeds = std::fs::read_dir(&corpus).unwrap().count();
    assert!(seeds > 20, "{seeds} seeds are no corpus");
    // What it finds goes into a folder of its own: the corpus in the repository changes by hand only.
    let found = tempfile::tempdir().unwrap();
    let seconds = std::env::var("TOUCHLINE_FUZZ_SECONDS").unwrap_or_else(|_| "10".to_owned());
    let text = assert_passes(
        Command::new(&program)
            .args([format!("-max_total_time={seconds}"), "-max_len=800".to_owned(), "-timeout=10".to_owned()])
            .arg(format!("-artifact_prefix={}/", env!("CARGO_TARGET_TMPDIR")))
            .arg(found.path())
            .arg(&corpus),
    );
    assert!(text.contains("INITED"), "{text}");
}
