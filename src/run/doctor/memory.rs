//! Memory: huge pages, swap, nodes, and whether it may be locked.

use super::finding::{Finding, Question, Severity, write_into};
use super::machine::{Machine, chosen, field};

/// All findings about memory.
pub fn look(machine: &Machine) -> Vec<Finding> {
    vec![thp(machine), defrag(machine), swap(machine), numa_balancing(machine), memlock(machine)]
}

const THP: &str = "/sys/kernel/mm/transparent_hugepage";

fn thp(machine: &Machine) -> Finding {
    let question = Question {
        name: "thp",
        severity: Severity::Medium,
        why: "with `always` the kernel copies pages together behind any thread's back, and a fault may wait for 2 MiB to be cleared",
    };
    let path = format!("{THP}/enabled");
    let Some(text) = machine.text(&path) else { return question.unknown(format!("no {path}")) };
    match chosen(&text) {
        Some("always") => question.bad("always", write_into("madvise", &path)),
        Some(word) => question.good(word),
        None => question.unknown(format!("{path} says `{text}`")),
    }
}

fn defrag(machine: &Machine) -> Finding {
    let question = Question {
        name: "thp_defrag",
        severity: Severity::Low,
        why: "with `always` a fault that wants a huge page compacts memory first, milliseconds on a full machine",
    };
    let path = format!("{THP}/defrag");
    let Some(text) = machine.text(&path) else { return question.unknown(format!("no {path}")) };
    match chosen(&text) {
        Some("always") => question.bad("always", write_into("madvise", &path)),
        Some(word) => question.good(word),
        None => question.unknown(format!("{path} says `{text}`")),
    }
}

fn swap(machine: &Machine) -> Finding {
    let question = Question {
        name: "swap",
        severity: Severity::High,
        why: "a page that was swapped out costs a read from disk, in the middle of a decision",
    };
    let Some(text) = machine.text("/proc/swaps") else { return question.unknown("no /proc/swaps") };
    let places: Vec<&str> = text.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    if places.is_empty() {
        return question.good("no swap");
    }
    let swappiness = machine.text("/proc/sys/vm/swappiness").unwrap_or_else(|| "unknown".to_owned());
    question.bad(
        format!("swap on {}, swappiness {swappiness}", places.join(" ")),
        "sudo swapoff --all  # or, to keep it for emergencies: sudo sysctl -w vm.swappiness=1",
    )
}

fn numa_balancing(machine: &Machine) -> Finding {
    let question = Question {
        name: "numa_balancing",
        severity: Severity::Medium,
        why: "the kernel takes away pages on purpose to see which node uses them: each costs a fault",
    };
    let path = "/proc/sys/kernel/numa_balancing";
    match machine.text(path).as_deref() {
        None => question.unknown(format!("no {path}")),
        Some("0") => question.good("off"),
        Some(value) => question.bad(format!("on ({value})"), "sudo sysctl -w kernel.numa_balancing=0"),
    }
}

/// `CAP_IPC_LOCK` and `CAP_NET_ADMIN`: capabilities(7).
const CAP_IPC_LOCK: u32 = 14;
/// See above.
pub const CAP_NET_ADMIN: u32 = 12;

/// Whether this process has a capability; `None` when /proc does not tell.
pub fn has_capability(machine: &Machine, bit: u32) -> Option<bool> {
    let status = machine.text("/proc/self/status")?;
    let mask = u64::from_str_radix(field(&status, "CapEff")?, 16).ok()?;
    Some(mask >> bit & 1 == 1)
}

/// What the engine maps at most with its default rings and segments, in bytes: below that, locking is refused.
const LOCKED_BYTES: u64 = 1 << 30;

fn memlock(machine: &Machine) -> Finding {
    let question = Question {
        name: "memlock",
        severity: Severity::Medium,
        why: "memory that may not be locked can be taken away, and comes back by a fault in the middle of a decision",
    };
    if has_capability(machine, CAP_IPC_LOCK) == Some(true) {
        return question.good("this process may lock as much as it likes (CAP_IPC_LOCK)");
    }
    let limits = machine.text("/proc/self/limits").unwrap_or_default();
    let Some(soft) = field(&limits, "Max locked memory").and_then(|row| row.split_whitespace().next()) else {
        return question.unknown("no `Max locked memory` in /proc/self/limits");
    };
    match soft.parse::<u64>() {
        Err(_) if soft == "unlimited" => question.good("unlimited"),
        Ok(bytes) if bytes >= LOCKED_BYTES => question.good(format!("{bytes} bytes")),
        _ => question.bad(
            format!("{soft} bytes may be locked"),
            "echo '* - memlock unlimited' | sudo tee /etc/security/limits.d/touchline.conf  # and log in again; under \
             systemd LimitMEMLOCK=infinity, under docker --ulimit memlock=-1",
        ),
    }
}

#[cfg(test)]
pub mod tests {
    use super::super::State::{Bad, Good, Unknown};
    use super::super::machine::fixture::{Files, expect};
    use super::*;

    pub const GOOD: &Files = &[
        ("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
        ("/sys/kernel/mm/transparent_hugepage/defrag", "always defer defer+madvise [madvise] never\n"),
        ("/proc/swaps", "Filename\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
        ("/proc/sys/kernel/numa_balancing", "0\n"),
        ("/proc/self/limits", "Limit  Soft Limit  Hard Limit  Units\nMax locked memory  unlimited  unlimited  bytes\n"),
    ];
    pub const BAD: &Files = &[
        ("/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n"),
        ("/sys/kernel/mm/transparent_hugepage/defrag", "[always] defer defer+madvise madvise never\n"),
        ("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/swap.img\tfile\t2097148\t0\t-2\n"),
        ("/proc/sys/vm/swappiness", "60\n"),
        ("/proc/sys/kernel/numa_balancing", "1\n"),
        ("/proc/self/limits", "Limit  Soft Limit  Hard Limit  Units\nMax locked memory  8388608  8388608  bytes\n"),
    ];

    #[test]
    fn swap_is_named_with_its_place() {
        assert_eq!(expect(BAD, look, "swap", Bad).found, "swap on /swap.img, swappiness 60");
        expect(&[], look, "swap", Unknown);
    }

    #[test]
    fn a_process_with_the_capability_needs_no_limit() {
        let limits = ("/proc/self/limits", "Max locked memory  65536  65536  bytes");
        expect(&[limits], look, "memlock", Bad);
        expect(&[limits, ("/proc/self/status", "CapEff:\t0000000000004000")], look, "memlock", Good);
        expect(&[limits, ("/proc/self/status", "CapEff:\t0000000000001000")], look, "memlock", Bad);
    }

    #[test]
    fn a_file_that_offers_words_of_which_none_is_chosen_is_unknown() {
        expect(&[("/sys/kernel/mm/transparent_hugepage/enabled", "never")], look, "thp", Unknown);
    }
}
