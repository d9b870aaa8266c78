//! Clock frequency: governor, turbo, sleeping cores, and the clocks that tell the time.

use super::cores::is_guest;
use super::finding::{Finding, Question, Severity, boot_with, write_into};
use super::machine::{Machine, field};

/// All findings about how fast a hot core runs, and how it tells the time.
pub fn look(machine: &Machine) -> Vec<Finding> {
    vec![governor(machine), turbo(machine), idle_states(machine), clocksource(machine), tsc(machine)]
}

const CPUFREQ: &str = "/sys/devices/system/cpu/cpufreq";

fn governor(machine: &Machine) -> Finding {
    let question = Question {
        name: "governor",
        severity: Severity::Medium,
        why: "a governor that saves power lowers the clock between two ticks, and the next one pays for the climb",
    };
    let path = |core: &usize| format!("/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor");
    let governors: Option<Vec<String>> = machine.hot.0.iter().map(|core| machine.text(&path(core))).collect();
    let Some(governors) = governors.filter(|governors| !governors.is_empty()) else {
        return question.unknown("no cpufreq/scaling_governor of the hot cores; a guest's clock is its host's affair");
    };
    match governors.iter().find(|governor| *governor != "performance") {
        None => question.good(format!("performance on hot core {}", machine.hot)),
        Some(other) => {
            let paths: Vec<String> = machine.hot.0.iter().map(path).collect();
            question.bad(format!("{other} on a hot core"), write_into("performance", &paths.join(" ")))
        }
    }
}

fn turbo(machine: &Machine) -> Finding {
    let question = Question {
        name: "turbo",
        severity: Severity::Low,
        why: "with turbo the clock depends on heat and on what other cores do: faster in the middle, wider in the tail",
    };
    let intel = "/sys/devices/system/cpu/intel_pstate/no_turbo";
    let other = format!("{CPUFREQ}/boost");
    let (is_on, mend) = if let Some(off) = machine.text(intel) {
        (off == "0", write_into("1", intel))
    } else if let Some(boost) = machine.text(&other) {
        (boost == "1", write_into("0", &other))
    } else {
        return question.unknown(format!("neither {intel} nor {other}"));
    };
    if is_on { question.bad("turbo is on", mend) } else { question.good("turbo is off") }
}

/// Exit latency from which a sleeping core is felt, in microseconds.
const WAKING_US: u64 = 10;

fn idle_states(machine: &Machine) -> Finding {
    let question = Question {
        name: "idle",
        severity: Severity::Low,
        why: "a core in a deep sleep needs tens of microseconds to wake; threads that spin never sleep, threads that park do",
    };
    let mut deep = Vec::new();
    let mut states = 0;
    for core in &machine.hot.0 {
        let folder = format!("/sys/devices/system/cpu/cpu{core}/cpuidle");
        for state in machine.names(&folder).into_iter().filter(|name| name.starts_with("state")) {
            let number = |file: &str| machine.text(&format!("{folder}/{state}/{file}"))?.parse::<u64>().ok();
            let Some(latency) = number("latency") else { continue };
            states += 1;
            if latency > WAKING_US && number("disable") != Some(1) {
                deep.push((format!("{folder}/{state}/disable"), latency));
            }
        }
    }
    if states == 0 {
        return question.unknown("no cpuidle of the hot cores; a guest's sleep is its host's affair");
    }
    match deep.iter().map(|(_, latency)| *latency).max() {
        None => question.good(format!("no idle state of a hot core takes more than {WAKING_US} us to leave")),
        Some(longest) => {
            let paths: Vec<&str> = deep.iter().map(|(path, _)| path.as_str()).collect();
            question.bad(
                format!("a hot core may sleep so deep that waking takes {longest} us"),
                write_into("1", &paths.join(" ")),
            )
        }
    }
}

fn clocksource(machine: &Machine) -> Finding {
    let question = Question {
        name: "clocksource",
        severity: Severity::High,
        why: "with another source than the processor's counter each look at the clock costs up to a microsecond, or a system call",
    };
    let folder = "/sys/devices/system/clocksource/clocksource0";
    let Some(current) = machine.text(&format!("{folder}/current_clocksource")) else {
        return question.unknown(format!("no {folder}"));
    };
    // kvm-clock and Hyper-V's page read the same counter without a system call.
    if ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page"].contains(&current.as_str()) {
        return question.good(current);
    }
    let available = machine.text(&format!("{folder}/available_clocksource")).unwrap_or_default();
    let mend = if available.split_whitespace().any(|name| name == "tsc") {
        write_into("tsc", &format!("{folder}/current_clocksource"))
    } else {
        boot_with("clocksource=tsc tsc=reliable")
    };
    question.bad(current, mend)
}

fn tsc(machine: &Machine) -> Finding {
    let question = Question {
        name: "tsc",
        severity: Severity::Medium,
        why: "the engine stamps with the processor's counter; unless it runs evenly in every state, stamps cost a system call",
    };
    let Some(flags) = machine.text("/proc/cpuinfo").and_then(|text| field(&text, "flags").map(str::to_owned)) else {
        return question.unknown("no flags in /proc/cpuinfo");
    };
    let missing: Vec<&str> = ["constant_tsc", "nonstop_tsc"]
        .into_iter()
        .filter(|wanted| !flags.split_whitespace().any(|flag| flag == *wanted))
        .collect();
    if missing.is_empty() {
        return question.good("constant_tsc and nonstop_tsc");
    }
    let mend = if is_guest(machine) {
        "virsh edit GUEST  # on the host: <cpu mode='host-passthrough'><feature policy='require' name='invtsc'/></cpu>"
    } else {
        "sudo dmesg | grep -i tsc  # the processor or the firmware does not offer it: look there, or use another machine"
    };
    question.bad(format!("the processor does not tell {}", missing.join(" and ")), mend)
}

#[cfg(test)]
pub mod tests {
    use super::super::State::{Bad, Good, Unknown};
    use super::super::machine::fixture::{Files, expect};
    use super::*;

    pub const GOOD: &Files = &[
        ("/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance\n"),
        ("/sys/devices/system/cpu/intel_pstate/no_turbo", "1\n"),
        ("/sys/devices/system/cpu/cpu1/cpuidle/state0/latency", "0\n"),
        ("/sys/devices/system/cpu/cpu1/cpuidle/state1/latency", "2\n"),
        ("/sys/devices/system/cpu/cpu1/cpuidle/state2/latency", "133\n"),
        ("/sys/devices/system/cpu/cpu1/cpuidle/state2/disable", "1\n"),
        ("/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"),
        ("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu tsc constant_tsc nonstop_tsc\n"),
    ];
    pub const BAD: &Files = &[
        ("/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "schedutil\n"),
        ("/sys/devices/system/cpu/cpufreq/boost", "1\n"),
        ("/sys/devices/system/cpu/cpu1/cpuidle/state2/latency", "133\n"),
        ("/sys/devices/system/cpu/cpu1/cpuidle/state2/disable", "0\n"),
        ("/sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n"),
        ("/sys/devices/system/clocksource/clocksource0/available_clocksource", "hpet acpi_pm\n"),
        ("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu tsc constant_tsc\n"),
    ];

    #[test]
    fn a_governor_that_saves_power_is_bad_and_one_that_is_not_told_is_unknown() {
        let finding = expect(BAD, look, "governor", Bad);
        assert!(finding.mend.unwrap().starts_with("echo performance | sudo tee /sys/devices/system/cpu/cpu1/"));
        expect(&[], look, "governor", Unknown);
    }

    #[test]
    fn both_drivers_words_for_turbo_are_understood() {
        let intel = "/sys/devices/system/cpu/intel_pstate/no_turbo";
        expect(&[(intel, "0")], look, "turbo", Bad);
        expect(&[(intel, "1")], look, "turbo", Good);
        let other = "/sys/devices/system/cpu/cpufreq/boost";
        expect(&[(other, "1")], look, "turbo", Bad);
        expect(&[(other, "0")], look, "turbo", Good);
    }

    #[test]
    fn the_clock_is_changed_at_once_where_the_counter_is_on_offer() {
        let current = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
        let offer = "/sys/devices/system/clocksource/clocksource0/available_clocksource";
        let finding = expect(&[(current, "acpi_pm"), (offer, "tsc acpi_pm")], look, "clocksource", Bad);
        assert!(finding.mend.unwrap().starts_with("echo tsc | sudo tee"));
        let finding = expect(BAD, look, "clocksource", Bad);
        assert!(finding.mend.unwrap().contains("clocksource=tsc tsc=reliable"));
        expect(&[(current, "kvm-clock")], look, "clocksource", Good);
    }

    #[test]
    fn a_guest_is_sent_to_its_host_for_an_even_counter() {
        let finding = expect(&[("/proc/cpuinfo", "flags : tsc hypervisor")], look, "tsc", Bad);
        assert!(finding.mend.unwrap().contains("invtsc"));
    }
}
