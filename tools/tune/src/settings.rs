//! What each setting changes: files of /proc and /sys, and the word that goes into each.

use std::path::{Path, PathBuf};

/// Every setting, in the order in which `all` applies them.
pub const NAMES: &[&str] =
    &["governor", "turbo", "idle", "thp", "swappiness", "irq", "workqueues", "watchdog", "numa_balancing", "busy_poll"];

/// The files of /proc and /sys below a root.
pub struct Kernel {
    root: PathBuf,
    /// Below `/` the kernel answers; a copy only keeps what is written, so its answer is worked out here.
    is_copy: bool,
}

/// One file that will be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The setting that asks for it.
    pub setting: &'static str,
    /// The file.
    pub path: String,
    /// All of what it holds now.
    pub before: String,
    /// What is written into it.
    pub word: String,
}

impl Kernel {
    /// The files below `root`.
    pub fn new(root: &Path) -> Kernel {
        Kernel { root: root.to_owned(), is_copy: root != Path::new("/") }
    }

    fn place(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// All of what a file holds; `None` when it is missing or may not be read.
    pub fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.place(path)).ok()
    }

    /// Writes a word into a file that exists.
    pub fn write(&self, path: &str, word: &str) -> std::io::Result<()> {
        use std::io::Write;
        let text = match self.read(path) {
            Some(before) if self.is_copy => answered(&before, word),
            _ => word.to_owned(),
        };
        // Never creates: a file that the kernel does not have is none of its settings.
        let mut options = std::fs::OpenOptions::new();
        options.write(true).truncate(self.is_copy).open(self.place(path))?.write_all(text.as_bytes())
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.place(folder)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// Folders of all cores, `/sys/devices/system/cpu/cpu0` and so on.
    fn cores(&self) -> Vec<String> {
        let folder = "/sys/devices/system/cpu";
        let is_core = |name: &String| {
            name.strip_prefix("cpu").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
        };
        self.names(folder).into_iter().filter(is_core).map(|name| format!("{folder}/{name}")).collect()
    }
}

/// What a file shows after `word` was written into it: where it offers words, the brackets move; elsewhere it is the word.
fn answered(before: &str, word: &str) -> String {
    let bare = before.replace(['[', ']'], "");
    if before.contains('[') && bare.split_whitespace().any(|offered| offered == word) {
        let words: Vec<String> = bare
            .split_whitespace()
            .map(|offered| if offered == word { format!("[{offered}]") } else { offered.to_owned() })
            .collect();
        let end = if before.ends_with('\n') { "\n" } else { "" };
        return words.join(" ") + end;
    }
    format!("{word}\n")
}

/// The word that brings a file back to what it showed: the one in brackets, or all of it.
pub fn word_in_force(text: &str) -> &str {
    let in_brackets = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    in_brackets.map_or_else(|| text.trim(), |(word, _)| word)
}

/// A list of cores as a hexadecimal mask; `None` when it is no list.
pub fn mask(list: &str) -> Option<String> {
    let mut words = vec![0_u32];
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        if last < first || last > 8191 {
            return None;
        }
        words.resize(words.len().max(last / 32 + 1), 0);
        for core in first..=last {
            words[core / 32] |= 1 << (core % 32);
        }
    }
    let text: Vec<String> = words.iter().rev().map(|word| format!("{word:08x}")).collect();
    Some(text.join(","))
}

/// Whether two masks are of the same cores, however many zeros they are written with.
fn same_mask(one: &str, other: &str) -> bool {
    let bare = |mask: &str| mask.trim().replace(',', "").trim_start_matches('0').to_owned();
    bare(one) == bare(other)
}

/// The files that a setting would change: those that exist and are not so already.
pub fn changes(kernel: &Kernel, name: &str, cold: &str) -> Vec<Change> {
    let mut found = Vec::new();
    let mut want = |setting: &'static str, path: String, word: &str| {
        let Some(before) = kernel.read(&path) else { return };
        if word_in_force(&before) != word {
            found.push(Change { setting, path, before, word: word.to_owned() });
        }
    };
    match name {
        "governor" => {
            for core in kernel.cores() {
                want("governor", format!("{core}/cpufreq/scaling_governor"), "performance");
            }
        }
        "turbo" => {
            want("turbo", "/sys/devices/system/cpu/intel_pstate/no_turbo".to_owned(), "1");
            want("turbo", "/sys/devices/system/cpu/cpufreq/boost".to_owned(), "0");
        }
        "idle" => {
            for core in kernel.cores() {
                for state in kernel.names(&format!("{core}/cpuidle")) {
                    let folder = format!("{core}/cpuidle/{state}");
                    let latency =
                        kernel.read(&format!("{folder}/latency")).and_then(|text| text.trim().parse::<u64>().ok());
                    if latency.is_some_and(|us| us > 10) {
                        want("idle", format!("{folder}/disable"), "1");
                    }
                }
            }
        }
        "thp" => {
            for file in ["enabled", "defrag"] {
                want("thp", format!("/sys/kernel/mm/transparent_hugepage/{file}"), "madvise");
            }
        }
        "swappiness" => want("swappiness", "/proc/sys/vm/swappiness".to_owned(), "1"),
        "irq" => {
            for irq in kernel.names("/proc/irq") {
                want("irq", format!("/proc/irq/{irq}/smp_affinity_list"), cold);
            }
        }
        "workqueues" => {
            let path = "/sys/devices/virtual/workqueue/cpumask";
            let mask = mask(cold).unwrap_or_default();
            if kernel.read(path).is_some_and(|now| !same_mask(&now, &mask)) {
                want("workqueues", path.to_owned(), &mask);
            }
        }
        "watchdog" => want("watchdog", "/proc/sys/kernel/nmi_watchdog".to_owned(), "0"),
        "numa_balancing" => want("numa_balancing", "/proc/sys/kernel/numa_balancing".to_owned(), "0"),
        "busy_poll" => want("busy_poll", "/proc/sys/net/core/busy_read".to_owned(), "50"),
        _ => {}
    }
    found
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Files of a machine as it comes.
    pub const MACHINE: &[(&str, &str)] = &[
        ("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "schedutil\n"),
        ("/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "powersave\n"),
        ("/sys/devices/system/cpu/cpu1/cpuidle/state1/latency", "2\n"),
        ("/sys/devices/system/cpu/cpu1/cpuidle/state1/disable", "0\n"),
        ("/sys/devices/system/cpu/cpu1/cpuidle/state2/latency", "133\n"),
        ("/sys/devices/system/cpu/cpu1/cpuidle/state2/disable", "0\n"),
        ("/sys/devices/system/cpu/intel_pstate/no_turbo", "0\n"),
        ("/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n"),
        ("/sys/kernel/mm/transparent_hugepage/defrag", "always defer defer+madvise [madvise] never\n"),
        ("/proc/sys/vm/swappiness", "60\n"),
        ("/proc/irq/24/smp_affinity_list", "0-1\n"),
        ("/proc/irq/25/smp_affinity_list", "1\n"),
        ("/proc/irq/default_smp_affinity", "3\n"),
        ("/sys/devices/virtual/workqueue/cpumask", "3\n"),
        ("/proc/sys/kernel/nmi_watchdog", "1\n"),
        ("/proc/sys/kernel/numa_balancing", "1\n"),
        ("/proc/sys/net/core/busy_read", "0\n"),
    ];

    #[test]
    fn a_file_that_offers_words_is_answered_as_the_kernel_does() {
        assert_eq!(answered("always [madvise] never\n", "never"), "always madvise [never]\n");
        assert_eq!(answered("60\n", "1"), "1\n");
        assert_eq!(word_in_force("always defer defer+madvise [madvise] never\n"), "madvise");
        assert_eq!(word_in_force("0-1\n"), "0-1");
    }

    #[test]
    fn masks_are_of_the_cores_of_the_list() {
        assert_eq!(mask("0").as_deref(), Some("00000001"));
        assert_eq!(mask("0-1,33").as_deref(), Some("00000002,00000003"));
        assert_eq!(mask("2-1"), None);
        assert!(same_mask("1\n", "00000001") && !same_mask("3", "1"));
    }

    #[test]
    fn what_is_right_already_and_what_does_not_exist_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("proc/sys/vm");
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("swappiness"), "1\n").unwrap();
        let kernel = Kernel::new(dir.path());
        for name in NAMES {
            assert_eq!(changes(&kernel, name, "0"), [], "{name}");
        }
        assert!(kernel.write("/proc/sys/vm/none", "1").is_err());
    }
}
