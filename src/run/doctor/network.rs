//! The network card: how long it waits before it tells, and whether it may be polled.

use super::finding::{Finding, Question, Severity};
use super::machine::{Machine, field};
use super::memory::{CAP_NET_ADMIN, has_capability};

/// All findings about the network.
pub fn look(machine: &Machine) -> Vec<Finding> {
    vec![coalescing(machine), busy_poll(machine)]
}

/// Network devices with hardware, or a virtual card, behind them.
fn cards(machine: &Machine) -> Vec<String> {
    let mut names = machine.names("/sys/class/net");
    names.retain(|name| machine.has(&format!("/sys/class/net/{name}/device")));
    names
}

/// What `ethtool -c` tells: microseconds that a received packet may wait, and whether the card chooses them itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Coalescing {
    /// `None` when the card has no such setting.
    rx_usecs: Option<u64>,
    is_adaptive: bool,
}

fn parse_coalescing(text: &str) -> Option<Coalescing> {
    let rx_usecs = field(text, "rx-usecs")?;
    let adaptive = field(text, "Adaptive RX").unwrap_or_default();
    Some(Coalescing { rx_usecs: rx_usecs.parse().ok(), is_adaptive: adaptive.starts_with("on") })
}

fn coalescing(machine: &Machine) -> Finding {
    let question = Question {
        name: "coalescing",
        severity: Severity::Medium,
        why: "a card that gathers packets before it interrupts delays each tick by that time, and by a time that changes if it adapts",
    };
    let cards = cards(machine);
    if cards.is_empty() {
        return question.unknown("no network card");
    }
    let mut waiting = Vec::new();
    let mut known = Vec::new();
    for card in &cards {
        let Some(found) = machine.coalescing(card).and_then(|text| parse_coalescing(&text)) else { continue };
        if found.is_adaptive || found.rx_usecs.is_some_and(|usecs| usecs > 0) {
            let adaptive = if found.is_adaptive { ", adaptive" } else { "" };
            waiting.push((card, format!("{card} waits {} us{adaptive}", found.rx_usecs.unwrap_or_default())));
        }
        if found.is_adaptive || found.rx_usecs.is_some() {
            known.push(card.as_str());
        }
    }
    if !waiting.is_empty() {
        let found: Vec<&str> = waiting.iter().map(|(_, text)| text.as_str()).collect();
        let mend: Vec<String> =
            waiting.iter().map(|(card, _)| format!("sudo ethtool -C {card} adaptive-rx off rx-usecs 0")).collect();
        return question.bad(found.join("; "), mend.join(" && "));
    }
    if known.is_empty() {
        return question.unknown(format!(
            "{}: the driver does not tell, or ethtool is not installed (sudo apt-get install ethtool)",
            cards.join(" ")
        ));
    }
    question.good(format!("{} does not wait", known.join(" ")))
}

fn busy_poll(machine: &Machine) -> Finding {
    let question = Question {
        name: "busy_poll",
        severity: Severity::Low,
        why: "a thread that polls the card itself saves the interrupt and the wake-up, some microseconds a tick",
    };
    let path = "/proc/sys/net/core/busy_read";
    let Some(usecs) = machine.text(path).and_then(|text| text.parse::<u64>().ok()) else {
        return question.unknown(format!("no {path}"));
    };
    if has_capability(machine, CAP_NET_ADMIN) == Some(true) {
        return question.good("this process may ask for it on its own sockets (CAP_NET_ADMIN)");
    }
    if usecs > 0 {
        return question.good(format!("{usecs} us on every socket"));
    }
    question.bad("off, and this process may not ask for it on its own sockets", "sudo sysctl -w net.core.busy_read=50")
}

#[cfg(test)]
pub mod tests {
    use super::super::State::{Bad, Good, Unknown};
    use super::super::machine::fixture::{Files, expect};
    use super::*;

    const STILL: &str = "Coalesce parameters for eth0:\nAdaptive RX: off  TX: off\nrx-usecs:\t0\nrx-frames:\t0\n";
    const MOVING: &str = "Coalesce parameters for eth0:\nAdaptive RX: on  TX: on\nrx-usecs:\t50\nrx-frames:\t0\n";
    const SILENT: &str = "Coalesce parameters for eth0:\nAdaptive RX: n/a  TX: n/a\nrx-usecs:\tn/a\n";

    pub const GOOD: &Files = &[
        ("/sys/class/net/lo/mtu", "65536\n"),
        ("/sys/class/net/eth0/device/vendor", "0x8086\n"),
        ("/ethtool/eth0", STILL),
        ("/proc/sys/net/core/busy_read", "50\n"),
    ];
    pub const BAD: &Files = &[
        ("/sys/class/net/eth0/device/vendor", "0x8086\n"),
        ("/ethtool/eth0", MOVING),
        ("/proc/sys/net/core/busy_read", "0\n"),
    ];

    #[test]
    fn a_card_that_waits_is_named_with_its_time() {
        let finding = expect(BAD, look, "coalescing", Bad);
        assert_eq!(finding.found, "eth0 waits 50 us, adaptive");
        assert_eq!(finding.mend.unwrap(), "sudo ethtool -C eth0 adaptive-rx off rx-usecs 0");
        expect(GOOD, look, "coalescing", Good);
    }

    #[test]
    fn a_card_without_the_setting_and_a_machine_without_a_card_are_unknown() {
        let card = ("/sys/class/net/eth0/device/vendor", "0x1af4\n");
        expect(&[card, ("/ethtool/eth0", SILENT)], look, "coalescing", Unknown);
        expect(&[card], look, "coalescing", Unknown);
        expect(&[("/sys/class/net/lo/mtu", "65536\n")], look, "coalescing", Unknown);
    }
}
