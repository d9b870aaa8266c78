//! Interrupts: which cores serve devices.

use super::finding::{Finding, Question, Severity};
use super::machine::{Cores, Machine};

/// All findings about interrupts.
pub fn look(machine: &Machine) -> Vec<Finding> {
    vec![affinity(machine), balancer(machine)]
}

/// Numbers of /proc/interrupts whose device has interrupted at least once; the lines with names are the processor's own.
fn busy(interrupts: &str) -> Vec<u32> {
    let rows = interrupts.lines().filter_map(|line| {
        let (number, rest) = line.split_once(':')?;
        let number = number.trim().parse().ok()?;
        let count: u64 = rest.split_whitespace().map_while(|word| word.parse::<u64>().ok()).sum();
        (count > 0).then_some(number)
    });
    rows.collect()
}

fn affinity(machine: &Machine) -> Finding {
    let question = Question {
        name: "irq",
        severity: Severity::Medium,
        why: "a device that interrupts a hot core takes it for 2 to 50 microseconds, and leaves cold caches behind",
    };
    let Some(cold) = machine.cold() else { return question.unknown("there is one core only") };
    let Some(interrupts) = machine.text("/proc/interrupts") else { return question.unknown("no /proc/interrupts") };
    let mut on_hot = Vec::new();
    let mut known = 0;
    for irq in busy(&interrupts) {
        let read = |file: &str| machine.text(&format!("/proc/irq/{irq}/{file}")).filter(|text| !text.is_empty());
        let list = read("effective_affinity_list").or_else(|| read("smp_affinity_list"));
        let Some(cores) = list.and_then(|text| Cores::parse(&text)) else { continue };
        known += 1;
        if cores.meets(&machine.hot) {
            on_hot.push(irq.to_string());
        }
    }
    if known == 0 {
        return question.unknown("no interrupt shows its cores in /proc/irq");
    }
    if on_hot.is_empty() {
        return question.good(format!("{known} interrupts in use, none on hot core {}", machine.hot));
    }
    question.bad(
        format!(
            "{} of {known} interrupts in use are served by hot core {}: {}",
            on_hot.len(),
            machine.hot,
            on_hot.join(" ")
        ),
        format!("for irq in {}; do echo {cold} | sudo tee /proc/irq/$irq/smp_affinity_list; done", on_hot.join(" ")),
    )
}

fn balancer(machine: &Machine) -> Finding {
    let question = Question {
        name: "irqbalance",
        severity: Severity::Low,
        why: "the daemon moves interrupts back to any core, every ten seconds",
    };
    let mut processes = 0;
    for name in machine.names("/proc").into_iter().filter(|name| name.bytes().all(|b| b.is_ascii_digit())) {
        let Some(program) = machine.text(&format!("/proc/{name}/comm")) else { continue };
        processes += 1;
        if program == "irqbalance" {
            return question
                .bad(format!("irqbalance runs as process {name}"), "sudo systemctl disable --now irqbalance");
        }
    }
    // A container sees its own processes; the machine's first one is then not the init that starts daemons.
    if processes == 0 { question.unknown("no processes in /proc") } else { question.good("irqbalance is not seen") }
}

#[cfg(test)]
pub mod tests {
    use super::super::State::{Bad, Good, Unknown};
    use super::super::machine::fixture::{Files, expect};
    use super::*;

    const TABLE: &str =
        "           CPU0       CPU1\n 24:   7  0  PCI-MSI eth0-rx\n 25:   0  0  PCI-MSI idle\nLOC:  5 5  Local timer\n";

    pub const GOOD: &Files = &[
        ("/proc/interrupts", TABLE),
        ("/proc/irq/24/smp_affinity_list", "0-1\n"),
        ("/proc/irq/24/effective_affinity_list", "0\n"),
        ("/proc/irq/25/effective_affinity_list", "1\n"),
        ("/proc/1/comm", "systemd\n"),
    ];
    pub const BAD: &Files = &[
        ("/proc/interrupts", TABLE),
        ("/proc/irq/24/smp_affinity_list", "0-1\n"),
        ("/proc/irq/24/effective_affinity_list", "1\n"),
        ("/proc/1/comm", "systemd\n"),
        ("/proc/812/comm", "irqbalance\n"),
    ];

    #[test]
    fn an_interrupt_counts_where_it_is_served_and_only_when_it_is_in_use() {
        let finding = expect(BAD, look, "irq", Bad);
        assert_eq!(finding.mend.unwrap(), "for irq in 24; do echo 0 | sudo tee /proc/irq/$irq/smp_affinity_list; done");
        expect(GOOD, look, "irq", Good);
        let hidden: &Files = &[("/proc/interrupts", TABLE)];
        expect(hidden, look, "irq", Unknown);
    }
}
