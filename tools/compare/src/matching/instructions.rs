//! Instructions a message, counted by callgrind: the one figure of this comparison that does not depend on the hour.
//!
//! The tool runs itself under valgrind, once a workload and kind of message. The child makes the workload, learns from a
//! first pass what each message comes to, and in a second pass sends each kind through a function of its own name; the
//! counter runs inside that function only.

use std::process::Command;

use serde_json::{Map, Value, json};

use super::engine::{CANCEL, Instance, Report, Ring};
use super::native::{COUNTED, TOUCHLINE};
use super::workload::{self, Workload};

/// Messages counted, after the fill.
const MESSAGES: usize = 100_000;

/// Runs the counter over the workloads and prints one JSON object.
pub fn run(names: &[&str]) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut report = Map::new();
    for name in names {
        let mut row = Map::new();
        let (mut all, mut messages) = (0, 0);
        for (kind, function, _) in COUNTED {
            let output = Command::new("valgrind")
                .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
                .arg(format!("--toggle-collect={function}"))
                .arg(&program)
                .args(["matching", "--workload", name, "--counted", kind])
                .output()
                .map_err(|error| format!("valgrind: {error}"))?;
            let text = String::from_utf8_lossy(&output.stderr);
            let collected = text.lines().find_map(|line| line.split("Collected : ").nth(1)?.trim().parse::<u64>().ok());
            let sent = String::from_utf8_lossy(&output.stdout).trim().parse::<u64>();
            let (Some(collected), Ok(sent), true) = (collected, sent, output.status.success()) else {
                return Err(format!("valgrind counted nothing of {name}:\n{text}"));
            };
            all += collected;
            messages += sent;
            row.insert(kind.to_owned(), json!({"messages": sent, "instructions": per(collected, sent)}));
        }
        row.insert("all".to_owned(), json!({"messages": messages, "instructions": per(all, messages)}));
        report.insert((*name).to_owned(), Value::Object(row));
    }
    println!("{}", serde_json::to_string_pretty(&Value::Object(report)).map_err(|error| error.to_string())?);
    Ok(())
}

fn per(instructions: u64, messages: u64) -> f64 {
    (instructions as f64 / messages.max(1) as f64 * 10.0).round() / 10.0
}

/// What the counter runs over: sends everything, `counted` through its own function, and prints how many those were.
pub fn child(name: &str, counted: &str) -> Result<(), String> {
    let workload = workload::make(name, MESSAGES, 0, &[]);
    let kinds = kinds(&workload);
    let (_, _, engine) = COUNTED.iter().find(|(kind, ..)| *kind == counted).ok_or("no such kind of message")?;
    let mut room = vec![Report::default(); 1024];
    let mut ring = Ring::over(&mut room);
    let mut instance = Instance::new(TOUCHLINE, workload.orders, workload.levels);
    for message in &workload.fill {
        instance.submit(message, &mut ring);
    }
    let mut sent = 0_u64;
    for (message, kind) in workload.messages.iter().zip(kinds) {
        if kind == counted {
            instance.submit_by(engine, message, &mut ring);
            sent += 1;
        } else {
            instance.submit(message, &mut ring);
        }
    }
    println!("{sent}");
    Ok(())
}

/// What each message of a workload comes to.
fn kinds(workload: &Workload) -> Vec<&'static str> {
    let mut room = vec![Report::default(); 1024];
    let mut ring = Ring::over(&mut room);
    let mut instance = Instance::new(TOUCHLINE, workload.orders, workload.levels);
    for message in &workload.fill {
        instance.submit(message, &mut ring);
    }
    workload
        .messages
        .iter()
        .map(|message| {
            let before = ring.head;
            instance.submit(message, &mut ring);
            match message.action {
                CANCEL => "cancel",
                _ if ring.head - before > 1 => "trade",
                _ => "rest",
            }
        })
        .collect()
}
