//! Where a setting came from, for errors that name the place.

use std::fmt;
use std::path::PathBuf;

use crate::redis::without_password;

/// The layer that gave a key its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The embedded default.
    Default,
    /// A config file, with the line when it could be found.
    File {
        /// The file.
        path: PathBuf,
        /// Line from 1; zero when unknown.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// A `--set` on the command line.
    Flag {
        /// The whole argument.
        text: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("the embedded default"),
            Origin::File { path, line: 0 } => write!(f, "{}", path.display()),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Environment { variable } => write!(f, "environment variable {variable}"),
            // Also where the key is mistyped: a url's password is never repeated.
            Origin::Flag { text } => write!(f, "--set {}", without_password(text)),
        }
    }
}

/// The line of a key in a YAML or TOML text, from 1: the first line at which the path's last part is set after its
/// earlier parts were opened. Zero when it is not found (a flow mapping, a dotted key).
pub(super) fn line_of(text: &str, path: &str) -> usize {
    let mut parts = path.split('.');
    let mut wanted = parts.next();
    for (index, line) in text.lines().enumerate() {
        let Some(part) = wanted else { break };
        let trimmed = line.trim().trim_start_matches('[').trim_matches('"');
        let opens = trimmed.strip_prefix(part).is_some_and(|rest| {
            let rest = rest.trim_start_matches('"').trim_start();
            rest.starts_with(':') || rest.starts_with('=') || rest.starts_with(']')
        });
        if opens {
            wanted = parts.next();
            if wanted.is_none() {
                return index + 1;
            }
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_in_yaml_and_toml() {
        let yaml = "a:\n  port: 1\nmetrics:\n  # port\n  port: 2\n";
        assert_eq!(line_of(yaml, "metrics.port"), 5);
        let toml = "[metrics]\nport = 2\n";
        assert_eq!(line_of(toml, "metrics.port"), 2);
        assert_eq!(line_of(toml, "metrics.none"), 0);
    }
}
