//! Cores of one's own: isolation, ticks, callbacks, siblings, kernel work.

use super::finding::{Finding, Question, Severity, boot_with, write_into};
use super::machine::{Cores, Machine};

/// All findings about who else runs on the hot cores.
pub fn look(machine: &Machine) -> Vec<Finding> {
    vec![
        spare(machine),
        isolated(machine),
        nohz_full(machine),
        rcu_nocbs(machine),
        siblings(machine),
        workqueues(machine),
        watchdog(machine),
    ]
}

const ONE_CORE: &str = "no core is left for everything else, so nothing can be kept away from a hot one";

fn spare(machine: &Machine) -> Finding {
    let question = Question {
        name: "cores",
        severity: Severity::High,
        why: "a hot thread that shares its core waits for whole time slices, milliseconds each",
    };
    let Some(status) = machine.text("/proc/self/status") else { return question.unknown("no /proc/self/status") };
    let allowed = super::machine::field(&status, "Cpus_allowed_list").and_then(Cores::parse);
    match allowed {
        None => question.unknown("/proc/self/status does not tell which cores may be used"),
        Some(allowed) if allowed.0.len() < 2 => question.bad(
            format!("this process may use core {allowed} only"),
            "taskset --all-tasks --cpu-list --pid 0-1 $$  # or give the container or the machine two cores at least",
        ),
        Some(allowed) => question.good(format!("this process may use cores {allowed}")),
    }
}

fn isolated(machine: &Machine) -> Finding {
    let question = Question {
        name: "isolated",
        severity: Severity::High,
        why: "on a core that the scheduler balances, any other thread may take the place of a hot one for milliseconds",
    };
    if machine.cold().is_none() {
        return question.unknown(ONE_CORE);
    }
    let Some(isolated) = machine.text("/sys/devices/system/cpu/isolated").and_then(|text| Cores::parse(&text)) else {
        return question.unknown("no /sys/devices/system/cpu/isolated");
    };
    let open = machine.hot.without(&isolated);
    if open.is_empty() {
        return question.good(format!("cores {isolated} are isolated"));
    }
    question.bad(
        format!("hot core {open} is not isolated"),
        boot_with(&format!("isolcpus=managed_irq,domain,{}", machine.hot)),
    )
}

fn nohz_full(machine: &Machine) -> Finding {
    let question = Question {
        name: "nohz_full",
        severity: Severity::Medium,
        why: "the scheduler's tick interrupts a core 100 to 1000 times a second, some microseconds each",
    };
    if machine.cold().is_none() {
        return question.unknown(ONE_CORE);
    }
    let asked = machine.kernel_parameter("nohz_full");
    let in_force = machine.text("/sys/devices/system/cpu/nohz_full").and_then(|text| Cores::parse(&text));
    let open = match (&in_force, &asked) {
        (Some(cores), _) => machine.hot.without(cores),
        // Without the file the kernel has no such feature, or hides it; the command line then tells only what was asked.
        (None, Some(None)) => machine.hot.clone(),
        (None, Some(Some(_))) => {
            return question
                .unknown("it is on the kernel's command line, but this kernel does not show what came of it");
        }
        (None, None) => return question.unknown("neither /sys/devices/system/cpu/nohz_full nor /proc/cmdline"),
    };
    if open.is_empty() {
        return question.good(format!("no tick on cores {}", in_force.unwrap_or_default()));
    }
    question.bad(format!("the tick runs on hot core {open}"), boot_with(&format!("nohz_full={}", machine.hot)))
}

fn rcu_nocbs(machine: &Machine) -> Finding {
    let question = Question {
        name: "rcu_nocbs",
        severity: Severity::Medium,
        why: "the kernel frees its memory in callbacks on the core that asked for it, tens of microseconds in a row",
    };
    if machine.cold().is_none() {
        return question.unknown(ONE_CORE);
    }
    // A core without ticks has its callbacks elsewhere by that alone.
    let without_ticks = machine.text("/sys/devices/system/cpu/nohz_full").and_then(|text| Cores::parse(&text));
    let Some(asked) = machine.kernel_parameter("rcu_nocbs") else { return question.unknown("no /proc/cmdline") };
    let offloaded = match asked.as_deref() {
        // A bare `rcu_nocbs` allows it and names no core; `all` and `N` stand for all.
        Some("all" | "0-N") => machine.online(),
        Some(list) => Cores::parse(list).unwrap_or_default(),
        None => Cores::default(),
    };
    let open = machine.hot.without(&offloaded).without(&without_ticks.unwrap_or_default());
    if open.is_empty() {
        return question.good("callbacks of the hot cores run elsewhere");
    }
    question.bad(format!("callbacks run on hot core {open}"), boot_with(&format!("rcu_nocbs={}", machine.hot)))
}

fn siblings(machine: &Machine) -> Finding {
    let question = Question {
        name: "smt",
        severity: Severity::High,
        why: "a sibling thread shares the core's execution units and caches: what runs there slows a hot thread at any time",
    };
    let mut shared = Vec::new();
    let online = machine.online();
    for core in &machine.hot.0 {
        let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
        let Some(mut siblings) = machine.text(&path).and_then(|text| Cores::parse(&text)) else {
            return question.unknown(format!("no {path}"));
        };
        siblings.0.remove(core);
        siblings.0.retain(|sibling| online.0.contains(sibling));
        if !siblings.is_empty() {
            shared.push((core, siblings));
        }
    }
    if shared.is_empty() {
        let caution = if is_guest(machine) { ", as far as a guest can see" } else { "" };
        return question.good(format!("no hot core has a sibling that is online{caution}"));
    }
    let pairs: Vec<String> = shared.iter().map(|(core, siblings)| format!("{core} with {siblings}")).collect();
    let first: Vec<String> = shared
        .iter()
        .flat_map(|(_, siblings)| &siblings.0)
        .map(|sibling| format!("/sys/devices/system/cpu/cpu{sibling}/online"))
        .collect();
    question.bad(format!("hot cores share execution units: {}", pairs.join(", ")), write_into("0", &first.join(" ")))
}

/// Whether the processor says that it is a virtual one.
pub fn is_guest(machine: &Machine) -> bool {
    let text = machine.text("/proc/cpuinfo").unwrap_or_default();
    super::machine::field(&text, "flags").is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor"))
}

fn workqueues(machine: &Machine) -> Finding {
    let question = Question {
        name: "workqueues",
        severity: Severity::Low,
        why: "deferred work of the kernel (writing out pages, among others) runs on any core that the mask allows",
    };
    let Some(cold) = machine.cold() else { return question.unknown(ONE_CORE) };
    let path = "/sys/devices/virtual/workqueue/cpumask";
    let Some(mask) = machine.text(path).and_then(|text| Cores::parse_mask(&text)) else {
        return question.unknown(format!("no {path}"));
    };
    if mask.meets(&machine.hot) {
        return question
            .bad(format!("the kernel's deferred work may run on cores {mask}"), write_into(&cold.mask(), path));
    }
    question.good(format!("the kernel's deferred work runs on cores {mask}"))
}

fn watchdog(machine: &Machine) -> Finding {
    let question = Question {
        name: "watchdog",
        severity: Severity::Low,
        why: "the lock-up detector interrupts every core every few seconds and keeps a performance counter busy",
    };
    let path = "/proc/sys/kernel/nmi_watchdog";
    match machine.text(path).as_deref() {
        Some("0") => question.good("the lock-up detector is off"),
        Some(_) => question.bad("the lock-up detector is on", "sudo sysctl -w kernel.nmi_watchdog=0"),
        None => question.unknown(format!("no {path}")),
    }
}

#[cfg(test)]
pub mod tests {
    use super::super::State::{Bad, Good, Unknown};
    use super::super::machine::fixture::{Files, expect};
    use super::*;

    pub const GOOD: &Files = &[
        ("/proc/self/status", "Name:\ttouchline\nCapEff:\t0000000000005000\nCpus_allowed_list:\t0-1\n"),
        ("/proc/cmdline", "quiet isolcpus=managed_irq,domain,1 nohz_full=1 rcu_nocbs=1\n"),
        ("/sys/devices/system/cpu/isolated", "1\n"),
        ("/sys/devices/system/cpu/nohz_full", "1\n"),
        ("/sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "1\n"),
        ("/sys/devices/virtual/workqueue/cpumask", "1\n"),
        ("/proc/sys/kernel/nmi_watchdog", "0\n"),
    ];
    pub const BAD: &Files = &[
        ("/proc/self/status", "Name:\ttouchline\nCapEff:\t0000000000000000\nCpus_allowed_list:\t1\n"),
        ("/proc/cmdline", "quiet\n"),
        ("/sys/devices/system/cpu/isolated", "\n"),
        ("/sys/devices/system/cpu/nohz_full", "(null)\n"),
        ("/sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "0-1\n"),
        ("/sys/devices/virtual/workqueue/cpumask", "3\n"),
        ("/proc/sys/kernel/nmi_watchdog", "1\n"),
    ];

    #[test]
    fn isolation_is_asked_for_on_the_kernel_line_with_the_hot_cores() {
        let finding = expect(BAD, look, "isolated", Bad);
        assert!(finding.mend.unwrap().contains("isolcpus=managed_irq,domain,1 "));
        expect(&[("/sys/devices/system/cpu/isolated", "0-3\n")], look, "isolated", Good);
    }

    #[test]
    fn a_parameter_that_the_kernel_does_not_show_is_not_taken_for_granted() {
        let asked: &Files = &[("/proc/cmdline", "nohz_full=1")];
        expect(asked, look, "nohz_full", Unknown);
        expect(&[("/proc/cmdline", "quiet")], look, "nohz_full", Bad);
        expect(&[], look, "nohz_full", Unknown);
    }

    #[test]
    fn callbacks_are_elsewhere_by_their_own_parameter_or_because_there_is_no_tick() {
        expect(&[("/proc/cmdline", "rcu_nocbs=all")], look, "rcu_nocbs", Good);
        expect(&[("/proc/cmdline", "rcu_nocbs")], look, "rcu_nocbs", Bad);
        let no_tick: &Files = &[("/proc/cmdline", "nohz_full=1"), ("/sys/devices/system/cpu/nohz_full", "1")];
        expect(no_tick, look, "rcu_nocbs", Good);
    }

    #[test]
    fn a_sibling_that_is_offline_disturbs_nobody() {
        expect(&[("/sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "1,5\n")], look, "smt", Good);
        let finding = expect(BAD, look, "smt", Bad);
        assert_eq!(finding.mend.unwrap(), "echo 0 | sudo tee /sys/devices/system/cpu/cpu0/online");
    }
}
