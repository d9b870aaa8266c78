//! The undo file: every path that was changed and all of what it held, one a line, written before the first change.

use std::io::Write;
use std::path::Path;

use crate::settings::Change;

const FIRST_LINE: &str = "touchline tune undo 1";

/// Writes what the changes will replace, to the disk itself.
///
/// # Errors
/// When the file exists (it holds what an earlier run replaced) or cannot be written.
pub fn write(path: &Path, changes: &[Change]) -> Result<(), String> {
    let mut text = format!("{FIRST_LINE}\n");
    for change in changes {
        text += &format!("{}\t{}\n", change.path, escaped(&change.before));
    }
    let written = std::fs::OpenOptions::new().write(true).create_new(true).open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        // Without a copy on the disk a restart between here and the change would lose the way back.
        file.sync_all()
    });
    written.map_err(|why| match why.kind() {
        std::io::ErrorKind::AlreadyExists => {
            format!("{} holds what an earlier run replaced: run `tune --undo` first", path.display())
        }
        _ => format!("cannot write the undo file {}, so nothing was changed: {why}", path.display()),
    })
}

/// Paths and what they held, in the order of the changes.
///
/// # Errors
/// When the file cannot be read or is not one of ours.
pub fn read(path: &Path) -> Result<Vec<(String, String)>, String> {
    let text = std::fs::read_to_string(path).map_err(|why| format!("cannot read {}: {why}", path.display()))?;
    let mut lines = text.lines();
    if lines.next() != Some(FIRST_LINE) {
        return Err(format!("{} is no undo file", path.display()));
    }
    lines
        .enumerate()
        .map(|(at, line)| {
            let (name, before) = line.split_once('\t').ok_or(format!("{}:{}: no tab", path.display(), at + 2))?;
            // Root follows these paths: nothing but what this program changes.
            if !(name.starts_with("/proc/") || name.starts_with("/sys/")) || name.contains("..") {
                return Err(format!("{}:{}: `{name}` is no setting", path.display(), at + 2));
            }
            Ok((name.to_owned(), unescaped(before)))
        })
        .collect()
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r")
}

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        out.push(match letter {
            '\\' => match letters.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some(other) => other,
                None => '\\',
            },
            other => other,
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_read_back_to_the_byte() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("undo");
        let texts = ["60\n", "always [madvise] never\n", "", "two\nlines\\n\r\n", "no end"];
        let change = |before: &str| Change {
            setting: "thp",
            path: "/proc/sys/vm/x".to_owned(),
            before: before.to_owned(),
            word: "1".to_owned(),
        };
        write(&path, &texts.map(change)).unwrap();
        let read: Vec<String> = read(&path).unwrap().into_iter().map(|(_, before)| before).collect();
        assert_eq!(read, texts);
        assert!(write(&path, &[]).unwrap_err().contains("earlier run"));
    }

    #[test]
    fn a_file_that_is_not_ours_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("undo");
        for text in
            ["", "root:x:0:0\n", "touchline tune undo 1\n/etc/passwd\tx\n", "touchline tune undo 1\n/proc/../etc\tx\n"]
        {
            std::fs::write(&path, text).unwrap();
            assert!(read(&path).is_err(), "{text}");
        }
    }
}
