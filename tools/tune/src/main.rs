//! Applies the settings of a machine that shorten the tail and can be undone: `cargo run --package tune -- --help`.
//!
//! A program of its own, without a dependency: it is the only one here that wants to be root, so it should be short enough
//! to be read first. `touchline doctor` says what is worth changing.

mod settings;
mod undo;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use settings::{Change, Kernel};

const HELP: &str = "\
Usage: tune [--dry-run] [--cold LIST] [--undo-file FILE] [--root DIR] SETTING…
       tune --undo [--undo-file FILE] [--root DIR]

Writes into /proc and /sys what was asked for, after it has written what stood there into the undo file. Nothing survives
a restart. Run it as root.

Settings
  governor        performance on every core
  turbo           off
  idle            no idle state that takes more than 10 us to leave
  thp             transparent huge pages only where a program asks for them
  swappiness      1: swap only to avoid running out of memory
  irq             every interrupt on the cold cores, as far as the kernel allows
  workqueues      the kernel's deferred work on the cold cores
  watchdog        no lock-up detector
  numa_balancing  off
  busy_poll       50 us on every socket that is opened from then on
  all             all of them

Options
  --cold LIST       cores that serve interrupts and deferred work, such as 0 or 0-1; 0 by default
  --dry-run         print what would change, and change nothing
  --undo            write back what the undo file holds, and remove it when everything is as it was
  --undo-file FILE  /var/lib/touchline-tune.undo by default
  --root DIR        work below that folder, on a copy of /proc and /sys
";

/// The command line, understood.
#[derive(Debug, PartialEq, Eq)]
struct Order {
    settings: Vec<String>,
    cold: String,
    is_dry: bool,
    is_undo: bool,
    undo_file: PathBuf,
    root: PathBuf,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() || arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        print!("{HELP}");
        return ExitCode::from(if arguments.is_empty() { 2 } else { 0 });
    }
    let order = match understood(&arguments) {
        Ok(order) => order,
        Err(why) => {
            eprintln!("tune: {why}; see --help");
            return ExitCode::from(2);
        }
    };
    match carried_out(&order) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("tune: {why}");
            ExitCode::FAILURE
        }
    }
}

fn understood(arguments: &[String]) -> Result<Order, String> {
    let mut order = Order {
        settings: Vec::new(),
        cold: "0".to_owned(),
        is_dry: false,
        is_undo: false,
        undo_file: PathBuf::from("/var/lib/touchline-tune.undo"),
        root: PathBuf::from("/"),
    };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().cloned().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--dry-run" => order.is_dry = true,
            "--undo" => order.is_undo = true,
            "--cold" => order.cold = value()?,
            "--undo-file" => order.undo_file = value()?.into(),
            "--root" => order.root = value()?.into(),
            "all" => order.settings.extend(settings::NAMES.iter().map(|name| (*name).to_owned())),
            name if settings::NAMES.contains(&name) => order.settings.push(name.to_owned()),
            other => return Err(format!("`{other}` is neither a setting nor an option")),
        }
    }
    if order.is_undo && !order.settings.is_empty() {
        return Err("--undo takes everything back and wants no setting".to_owned());
    }
    if !order.is_undo && order.settings.is_empty() {
        return Err("no setting is named".to_owned());
    }
    if settings::mask(&order.cold).is_none() {
        return Err(format!("--cold `{}` is no list of cores", order.cold));
    }
    Ok(order)
}

fn carried_out(order: &Order) -> Result<(), String> {
    let kernel = Kernel::new(&order.root);
    if order.is_undo {
        return undone(&kernel, &order.undo_file);
    }
    let mut changes = Vec::new();
    for name in &order.settings {
        let found = settings::changes(&kernel, name, &order.cold);
        if found.is_empty() {
            println!("{name:15} nothing to change here");
        }
        changes.extend(found);
    }
    for change in &changes {
        println!("{:15} {}: {} -> {}", change.setting, change.path, shown(&change.before), change.word);
    }
    if order.is_dry || changes.is_empty() {
        return Ok(());
    }
    undo::write(&order.undo_file, &changes)?;
    let refused: Vec<&Change> = changes.iter().filter(|change| !applied(&kernel, change)).collect();
    println!("{} of {} changed; `tune --undo` takes it back", changes.len() - refused.len(), changes.len());
    // Interrupts of a processor's own queues cannot be moved: the kernel says no, and the rest is done all the same.
    if refused.iter().any(|change| change.setting != "irq") {
        return Err("some settings were refused: root is needed, and the kernel's leave".to_owned());
    }
    Ok(())
}

fn applied(kernel: &Kernel, change: &Change) -> bool {
    match kernel.write(&change.path, &change.word) {
        Ok(()) => true,
        Err(why) => {
            println!("refused         {}: {why}", change.path);
            false
        }
    }
}

fn undone(kernel: &Kernel, undo_file: &Path) -> Result<(), String> {
    let saved = undo::read(undo_file)?;
    let mut different = 0;
    // The last change first, so that settings that hang on each other come back in order.
    for (path, before) in saved.iter().rev() {
        let outcome = if kernel.read(path).as_ref() == Some(before) {
            Ok(())
        } else {
            kernel.write(path, settings::word_in_force(before))
        };
        match outcome {
            Ok(()) if kernel.read(path).as_ref() == Some(before) => println!("restored        {path}"),
            Ok(()) => {
                different += 1;
                println!("different       {path}: {} before", shown(before));
            }
            Err(why) => {
                different += 1;
                println!("refused         {path}: {why}");
            }
        }
    }
    if different > 0 {
        return Err(format!("{different} of {} are not as they were; {} is kept", saved.len(), undo_file.display()));
    }
    std::fs::remove_file(undo_file).map_err(|why| format!("cannot remove {}: {why}", undo_file.display()))?;
    println!("{} restored", saved.len());
    Ok(())
}

fn shown(bytes: &str) -> &str {
    bytes.trim()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn order(arguments: &[&str]) -> Result<Order, String> {
        understood(&arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>())
    }

    /// A copy of a machine's files, and everything in it.
    fn machine() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in settings::tests::MACHINE {
            let place = dir.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::write(place, text).unwrap();
        }
        dir
    }

    fn everything(folder: &Path, into: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                everything(&path, into);
            } else {
                into.insert(path.clone(), std::fs::read(path).unwrap());
            }
        }
    }

    fn contents(dir: &tempfile::TempDir) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        everything(dir.path(), &mut found);
        found
    }

    fn run(dir: &tempfile::TempDir, undo: &Path, arguments: &[&str]) -> Result<(), String> {
        let mut all = arguments.to_vec();
        let (root, undo) = (dir.path().to_str().unwrap(), undo.to_str().unwrap());
        all.extend(["--root", root, "--undo-file", undo]);
        carried_out(&order(&all).unwrap())
    }

    #[test]
    fn undo_restores_every_file_byte_for_byte_and_removes_the_undo_file() {
        let (dir, elsewhere) = (machine(), tempfile::tempdir().unwrap());
        let undo = elsewhere.path().join("undo");
        let before = contents(&dir);
        run(&dir, &undo, &["all"]).unwrap();
        let changed = contents(&dir);
        let differing = before.iter().filter(|(path, bytes)| changed[*path] != **bytes).count();
        // Every setting but those that were right already; each has at least one file.
        assert!(differing >= settings::NAMES.len(), "{differing} files changed: {changed:#?}");
        assert!(undo.exists());
        run(&dir, &undo, &["--undo"]).unwrap();
        assert_eq!(contents(&dir), before);
        assert!(!undo.exists());
    }

    #[test]
    fn a_dry_run_changes_nothing_and_leaves_no_undo_file() {
        let (dir, elsewhere) = (machine(), tempfile::tempdir().unwrap());
        let undo = elsewhere.path().join("undo");
        let before = contents(&dir);
        run(&dir, &undo, &["--dry-run", "all"]).unwrap();
        assert_eq!(contents(&dir), before);
        assert!(!undo.exists());
    }

    #[test]
    fn a_second_run_never_writes_over_the_first_undo_file() {
        let (dir, elsewhere) = (machine(), tempfile::tempdir().unwrap());
        let undo = elsewhere.path().join("undo");
        run(&dir, &undo, &["thp"]).unwrap();
        let saved = std::fs::read(&undo).unwrap();
        let after_thp = contents(&dir);
        assert!(run(&dir, &undo, &["swappiness"]).is_err());
        assert_eq!(std::fs::read(&undo).unwrap(), saved);
        assert_eq!(contents(&dir), after_thp, "nothing is changed that could not be undone");
        // What is right already needs no undo, and is no error.
        run(&dir, &undo, &["thp"]).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_restored_keeps_the_undo_file() {
        let (dir, elsewhere) = (machine(), tempfile::tempdir().unwrap());
        let undo = elsewhere.path().join("undo");
        run(&dir, &undo, &["swappiness", "watchdog"]).unwrap();
        let gone = dir.path().join("proc/sys/vm/swappiness");
        std::fs::remove_file(&gone).unwrap();
        std::fs::create_dir(&gone).unwrap();
        let why = run(&dir, &undo, &["--undo"]).unwrap_err();
        assert!(why.starts_with("1 of 2"), "{why}");
        assert!(undo.exists());
        assert_eq!(std::fs::read_to_string(dir.path().join("proc/sys/kernel/nmi_watchdog")).unwrap(), "1\n");
    }

    #[test]
    fn orders_are_understood_or_refused() {
        assert_eq!(order(&["thp", "--cold", "0-1"]).unwrap().cold, "0-1");
        assert_eq!(order(&["all"]).unwrap().settings.len(), settings::NAMES.len());
        for wrong in
            [&["nonsense"][..], &["--undo", "thp"], &["--dry-run"], &["thp", "--cold", "x"], &["thp", "--root"]]
        {
            assert!(order(wrong).is_err(), "{wrong:?}");
        }
    }
}
