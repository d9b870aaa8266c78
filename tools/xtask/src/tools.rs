//! The tools that system tests use: found, installed, or named with the line that installs them.

use std::process::{Command, Stdio};

/// A tool, how to see that it works, and the Debian packages that bring it.
struct Tool {
    name: &'static str,
    probe: &'static [&'static str],
    packages: &'static [&'static str],
}

const TOOLS: &[Tool] = &[
    Tool { name: "valgrind (gate)", probe: &["valgrind", "--version"], packages: &["valgrind"] },
    Tool { name: "strace (hot path test)", probe: &["strace", "--version"], packages: &["strace"] },
    Tool { name: "C++20 compiler", probe: &["c++", "--version"], packages: &["g++"] },
    Tool {
        name: "python3 with venv (ccxt, archive and notebook tests)",
        probe: &["python3", "-c", "import venv, ensurepip"],
        packages: &["python3", "python3-venv"],
    },
    Tool {
        name: "clang++ with libFuzzer (the matching core's fuzz target)",
        // The compiler alone does not bring the fuzzer's library.
        probe: &[
            "sh",
            "-c",
            "ls $(dirname $(clang++ -print-libgcc-file-name --rtlib=compiler-rt))/libclang_rt.fuzzer*",
        ],
        packages: &["clang", "libclang-rt-dev"],
    },
    Tool { name: "redis-server", probe: &["redis-server", "--version"], packages: &["redis-server"] },
];

/// Finds every tool; installs what is missing when that needs no question.
///
/// # Errors
/// With the exact line to run, when `require` is set and a tool is missing.
pub fn ensure(require: bool) -> Result<(), String> {
    let missing: Vec<&Tool> = TOOLS.iter().filter(|tool| !works(tool.probe)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().flat_map(|tool| tool.packages).copied().collect();
    let line = format!("apt-get install --yes {}", packages.join(" "));
    if is_root() && works(&["apt-get", "--version"]) {
        eprintln!("xtask: installing {}", packages.join(" "));
        let _ = Command::new("apt-get").arg("update").stdout(Stdio::null()).status();
        let _ = Command::new("apt-get").args(["install", "--yes"]).args(&packages).stdout(Stdio::null()).status();
    }
    let missing: Vec<&str> = missing.iter().filter(|tool| !works(tool.probe)).map(|tool| tool.name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let what = format!("missing: {}. To install: sudo {line}", missing.join(", "));
    if require {
        return Err(what);
    }
    eprintln!("xtask: {what}. Tests that need them will say that they skip.");
    Ok(())
}

pub(crate) fn works(command: &[&str]) -> bool {
    Command::new(command[0])
        .args(&command[1..])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
