//! What a machine tells of itself: files of /proc and /sys below a root, and the words they are written in.
//!
//! Reading is thin and never fails: a file that is missing or may not be read is `None`, which findings turn into "not
//! known here". Everything that parses is a pure function. With a root other than `/` it is a copy of another machine's
//! files that is looked at; what `ethtool -c` says of a device is read from `ethtool/DEVICE` there.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A machine, and the cores of it that the engine's hot threads run on.
#[derive(Clone, Debug)]
pub struct Machine {
    root: PathBuf,
    /// Cores of hot threads.
    pub hot: Cores,
}

impl Machine {
    /// The machine whose files lie below `root`.
    pub fn new(root: &Path, hot: Cores) -> Machine {
        Machine { root: root.to_owned(), hot }
    }

    /// The cores that are online below `root`; empty when it does not tell.
    pub fn online_below(root: &Path) -> Cores {
        let machine = Machine::new(root, Cores::default());
        machine.online()
    }

    /// A file's text without the white space around it.
    pub fn text(&self, path: &str) -> Option<String> {
        let bytes = std::fs::read(self.place(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// Names in a folder, sorted; none when it is missing.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.place(folder)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// Whether there is such a file or folder.
    pub fn has(&self, path: &str) -> bool {
        self.place(path).exists()
    }

    /// Cores that are online.
    pub fn online(&self) -> Cores {
        self.text("/sys/devices/system/cpu/online").and_then(|text| Cores::parse(&text)).unwrap_or_default()
    }

    /// Cores that are left for everything that is not hot; `None` when there are none.
    pub fn cold(&self) -> Option<Cores> {
        let cold = Cores(self.online().0.difference(&self.hot.0).copied().collect());
        (!cold.0.is_empty()).then_some(cold)
    }

    /// A parameter of the kernel's command line: `Some(None)` when the line is known and does not have it.
    pub fn kernel_parameter(&self, name: &str) -> Option<Option<String>> {
        self.text("/proc/cmdline").map(|line| kernel_parameter(&line, name).map(str::to_owned))
    }

    /// What `ethtool -c` says of a network device.
    pub fn coalescing(&self, device: &str) -> Option<String> {
        if self.root != Path::new("/") {
            return self.text(&format!("/ethtool/{device}"));
        }
        let output = Command::new("ethtool").args(["-c", device]).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn place(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

/// A set of cores, written as the kernel does: `0-3,6`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cores(pub BTreeSet<usize>);

impl Cores {
    /// The set that a list names; `None` when it is no list. Empty text and `(null)` are the empty set.
    pub fn parse(text: &str) -> Option<Cores> {
        let text = text.trim();
        let mut cores = BTreeSet::new();
        if text.is_empty() || text == "(null)" {
            return Some(Cores(cores));
        }
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
            // The kernel itself allows no more than 8192; a longer range is no list of cores.
            if last < first || last - first > 8192 {
                return None;
            }
            cores.extend(first..=last);
        }
        Some(Cores(cores))
    }

    /// The set of a hexadecimal mask, `f` or `ffffffff,00000003`.
    pub fn parse_mask(text: &str) -> Option<Cores> {
        let digits: String = text.trim().chars().filter(|&c| c != ',').collect();
        let mut cores = BTreeSet::new();
        for (place, digit) in digits.chars().rev().enumerate() {
            let value = digit.to_digit(16)?;
            cores.extend((0..4).filter(|bit| value >> bit & 1 == 1).map(|bit| place * 4 + bit));
        }
        Some(Cores(cores))
    }

    /// The set as a hexadecimal mask.
    pub fn mask(&self) -> String {
        let words = self.0.last().map_or(1, |last| last / 32 + 1);
        let word =
            |at: usize| self.0.iter().filter(|&&core| core / 32 == at).fold(0_u32, |w, core| w | 1 << (core % 32));
        let words: Vec<String> = (0..words)
            .rev()
            .map(|at| if words > 1 { format!("{:08x}", word(at)) } else { format!("{:x}", word(at)) })
            .collect();
        words.join(",")
    }

    /// Those of this set that `other` has not.
    pub fn without(&self, other: &Cores) -> Cores {
        Cores(self.0.difference(&other.0).copied().collect())
    }

    /// Whether both have a core.
    pub fn meets(&self, other: &Cores) -> bool {
        !self.0.is_disjoint(&other.0)
    }

    /// Whether it has no core.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cores = self.0.iter().copied().peekable();
        let mut is_first = true;
        while let Some(first) = cores.next() {
            let mut last = first;
            while let Some(next) = cores.next_if_eq(&(last + 1)) {
                last = next;
            }
            let comma = if is_first { "" } else { "," };
            is_first = false;
            match last - first {
                0 => write!(f, "{comma}{first}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

/// A parameter's value on a kernel command line, the last one when it stands there twice; empty for a bare flag.
pub fn kernel_parameter<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split_whitespace().rev().find_map(|word| match word.split_once('=') {
        Some((key, value)) => (key == name).then_some(value),
        None => (word == name).then_some(""),
    })
}

/// The word that stands in brackets: the one in force of those that a file offers.
pub fn chosen(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('[')?;
    rest.split_once(']').map(|(word, _)| word)
}

/// The value of a line `name: value` or `name<spaces>value`, as /proc writes its tables.
pub fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let rest = line.trim_start().strip_prefix(name)?;
        let value = rest.trim_start_matches([':', ' ', '\t']);
        (value.len() < rest.len() || rest.is_empty()).then(|| value.trim())
    })
}

#[cfg(test)]
pub mod fixture {
    //! Machines that consist of a few files.

    use super::*;
    use crate::run::doctor::{Finding, State};

    /// A file's path and its text.
    pub type Files = [(&'static str, &'static str)];

    /// What `look` finds on a machine of these files, whose hot thread is on core 1 of two.
    pub fn looked_at(files: &Files, look: fn(&Machine) -> Vec<Finding>) -> Vec<Finding> {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files.iter().chain(&[("/sys/devices/system/cpu/online", "0-1\n")]) {
            let place = dir.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::write(place, text).unwrap();
        }
        look(&Machine::new(dir.path(), Cores::parse("1").unwrap()))
    }

    /// Asserts that one finding of `look` is of that state on these files, and tells what was found.
    pub fn expect(files: &Files, look: fn(&Machine) -> Vec<Finding>, name: &str, state: State) -> Finding {
        let findings = looked_at(files, look);
        let finding = findings.iter().find(|finding| finding.name == name);
        let finding = finding.unwrap_or_else(|| panic!("no finding is called {name}: {findings:?}")).clone();
        assert_eq!(finding.state, state, "{name} on {files:?}: {finding:?}");
        finding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_are_read_and_written_as_the_kernel_does() {
        for text in ["", "0", "0-1", "0,2-5,8", "3-3"] {
            let cores = Cores::parse(text).unwrap();
            assert_eq!(cores.to_string(), text.replace("3-3", "3"));
        }
        assert_eq!(Cores::parse("(null)"), Some(Cores::default()));
        for text in ["a", "1-", "3-1", "0-99999999"] {
            assert_eq!(Cores::parse(text), None, "{text}");
        }
    }

    #[test]
    fn masks_are_read_and_written() {
        for (mask, list) in [("3", "0-1"), ("00000001,80000000", "31-32"), ("f0", "4-7"), ("0", "")] {
            assert_eq!(Cores::parse_mask(mask).unwrap().to_string(), list);
        }
        assert_eq!(Cores::parse("0-1").unwrap().mask(), "3");
        assert_eq!(Cores::parse("31-32").unwrap().mask(), "00000001,80000000");
        assert_eq!(Cores::parse_mask("x"), None);
    }

    #[test]
    fn a_kernel_parameter_is_found_by_its_whole_name_and_the_last_one_counts() {
        let line = "quiet isolcpus=2 xisolcpus=9 isolcpus=managed_irq,1";
        assert_eq!(kernel_parameter(line, "isolcpus"), Some("managed_irq,1"));
        assert_eq!(kernel_parameter(line, "quiet"), Some(""));
        assert_eq!(kernel_parameter(line, "cpus"), None);
    }

    #[test]
    fn words_and_fields_are_found() {
        assert_eq!(chosen("always [madvise] never"), Some("madvise"));
        assert_eq!(chosen("always"), None);
        assert_eq!(field("VmLck:\t      12 kB\nVmLckX: 1", "VmLck"), Some("12 kB"));
        assert_eq!(
            field("Max locked memory         8388608    unlimited  bytes", "Max locked memory"),
            Some("8388608    unlimited  bytes")
        );
        assert_eq!(field("VmLckX: 1", "VmLck"), None);
    }
}
