//! One finding: what was looked at, what it is, why it matters, and the command that mends it.

use serde::Serialize;

/// What a setting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As a short tail wants it.
    Good,
    /// Not so.
    Bad,
    /// The file that would tell is missing or may not be read, as in many containers: neither good nor bad.
    Unknown,
}

/// How much a bad setting costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Microseconds now and then, or a risk only.
    Low,
    /// Microseconds often, or tens of them now and then: seen at p99.9.
    Medium,
    /// Milliseconds, or microseconds all the time: seen at p99.
    High,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its short name, the same on every machine.
    pub name: &'static str,
    /// What it is.
    pub state: State,
    /// What it costs when it is bad.
    pub severity: Severity,
    /// What was found, with the file's own words.
    pub found: String,
    /// Why it matters for the tail.
    pub why: &'static str,
    /// The command that mends it; only bad findings have one.
    pub mend: Option<String>,
}

/// A finding before it is known what was found.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// Its name.
    pub name: &'static str,
    /// Its weight.
    pub severity: Severity,
    /// Its reason.
    pub why: &'static str,
}

impl Question {
    /// The setting is as it should be.
    pub fn good(self, found: impl Into<String>) -> Finding {
        self.answer(State::Good, found.into(), None)
    }

    /// It is not, and this command mends it.
    pub fn bad(self, found: impl Into<String>, mend: impl Into<String>) -> Finding {
        self.answer(State::Bad, found.into(), Some(mend.into()))
    }

    /// Nothing here tells.
    pub fn unknown(self, reason: impl std::fmt::Display) -> Finding {
        self.answer(State::Unknown, format!("not known here: {reason}"), None)
    }

    fn answer(self, state: State, found: String, mend: Option<String>) -> Finding {
        Finding { name: self.name, state, severity: self.severity, found, why: self.why, mend }
    }
}

/// The command that adds parameters to the kernel's command line, which needs a restart.
pub fn boot_with(parameters: &str) -> String {
    format!(
        "sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&{parameters} /' /etc/default/grub && sudo update-grub && sudo reboot"
    )
}

/// The command that writes a word into one or more files of /proc or /sys, until the next restart.
pub fn write_into(word: &str, files: &str) -> String {
    format!("echo {word} | sudo tee {files}")
}
