//! What the process may have: its share of the cores, and files.

use super::finding::{Finding, Question, Severity};
use super::machine::{Machine, field};

/// All findings about limits.
pub fn look(machine: &Machine) -> Vec<Finding> {
    vec![quota(machine), files(machine)]
}

/// What a control group allows: the share of one core, in thousandths; `None` for all there is.
fn share(max: &str) -> Option<Option<u64>> {
    let mut words = max.split_whitespace();
    let (quota, period) = (words.next()?, words.next().unwrap_or("100000"));
    if quota == "max" || quota == "-1" {
        return Some(None);
    }
    let (quota, period) = (quota.parse::<u64>().ok()?, period.parse::<u64>().ok().filter(|&period| period > 0)?);
    Some(Some(quota.saturating_mul(1000) / period))
}

fn quota(machine: &Machine) -> Finding {
    let question = Question {
        name: "cpu_quota",
        severity: Severity::High,
        why: "a control group that has used up its share stops until the next period, tens of milliseconds",
    };
    let Some(groups) = machine.text("/proc/self/cgroup") else { return question.unknown("no /proc/self/cgroup") };
    let mut known = 0;
    let mut tightest: Option<(u64, String)> = None;
    let mut take = |path: String, max: &str| {
        let Some(allowed) = share(max) else { return };
        known += 1;
        if let Some(allowed) = allowed.filter(|share| tightest.as_ref().is_none_or(|(least, _)| share < least)) {
            tightest = Some((allowed, path));
        }
    };
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        // A quota of any group above binds as well; inside a container the group's own folder is the mount's root.
        let mut group = group.trim_end_matches('/').to_owned();
        loop {
            if controllers.is_empty() {
                let path = format!("/sys/fs/cgroup{group}/cpu.max");
                if let Some(max) = machine.text(&path) {
                    take(path, &max);
                }
            } else if controllers.split(',').any(|controller| controller == "cpu") {
                for mount in ["cpu", "cpu,cpuacct"] {
                    let path = format!("/sys/fs/cgroup/{mount}{group}/cpu.cfs_quota_us");
                    let period = machine.text(&format!("/sys/fs/cgroup/{mount}{group}/cpu.cfs_period_us"));
                    if let Some(quota) = machine.text(&path) {
                        take(path, &format!("{quota} {}", period.as_deref().unwrap_or("100000")));
                    }
                }
            }
            match group.rfind('/') {
                Some(at) => group.truncate(at),
                None => break,
            }
        }
    }
    match tightest {
        Some((share, path)) => question.bad(
            format!("{path} allows {}.{:03} cores", share / 1000, share % 1000),
            "systemctl set-property UNIT CPUQuota=  # or start the container without --cpus and give it --cpuset-cpus",
        ),
        None if known > 0 => question.good("no quota"),
        // The root group of a machine has no such file, and no quota; a container's mount may just not show it.
        None => question.unknown("no control group shows a quota"),
    }
}

/// Sockets, segments, libraries: far more than an engine opens, so that reconnects never run out of them.
const FILES: u64 = 1024;

fn files(machine: &Machine) -> Finding {
    let question = Question {
        name: "files",
        severity: Severity::Low,
        why: "a process that may open no more files cannot reconnect",
    };
    let limits = machine.text("/proc/self/limits").unwrap_or_default();
    let Some(soft) = field(&limits, "Max open files").and_then(|row| row.split_whitespace().next()) else {
        return question.unknown("no `Max open files` in /proc/self/limits");
    };
    if soft == "unlimited" || soft.parse::<u64>().is_ok_and(|files| files >= FILES) {
        return question.good(soft);
    }
    question.bad(soft, format!("ulimit -n {FILES}  # for good: LimitNOFILE={FILES} under systemd"))
}

#[cfg(test)]
pub mod tests {
    use super::super::State::{Bad, Good, Unknown};
    use super::super::machine::fixture::{Files, expect};
    use super::*;

    pub const GOOD: &Files = &[
        ("/proc/self/cgroup", "0::/touchline.slice/engine\n"),
        ("/sys/fs/cgroup/touchline.slice/engine/cpu.max", "max 100000\n"),
        ("/proc/self/limits", "Limit  Soft Limit  Hard Limit  Units\nMax open files  20000  20000  files\n"),
    ];
    pub const BAD: &Files = &[
        ("/proc/self/cgroup", "0::/touchline.slice/engine\n"),
        ("/sys/fs/cgroup/touchline.slice/cpu.max", "150000 100000\n"),
        ("/sys/fs/cgroup/touchline.slice/engine/cpu.max", "max 100000\n"),
        ("/proc/self/limits", "Limit  Soft Limit  Hard Limit  Units\nMax open files  256  1024  files\n"),
    ];

    #[test]
    fn a_quota_of_a_group_above_binds() {
        let finding = expect(BAD, look, "cpu_quota", Bad);
        assert_eq!(finding.found, "/sys/fs/cgroup/touchline.slice/cpu.max allows 1.500 cores");
    }

    #[test]
    fn quotas_of_the_older_control_groups_are_understood() {
        let group = ("/proc/self/cgroup", "4:cpu,cpuacct:/docker/x\n");
        let quota = "/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us";
        let period = "/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us";
        expect(&[group, (quota, "-1"), (period, "100000")], look, "cpu_quota", Good);
        expect(&[group, (quota, "50000"), (period, "100000")], look, "cpu_quota", Bad);
        expect(&[group], look, "cpu_quota", Unknown);
    }
}
