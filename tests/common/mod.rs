//! What the system tests share.

#![allow(dead_code, reason = "each test program uses its part")]

pub mod mutation;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Says that a test skips and why: to whoever runs it alone, and to `cargo xtask test`, which counts at the end.
pub fn skip(why: &str) {
    println!("skipped: {why}");
    let Some(list) = std::env::var_os("TOUCHLINE_SKIPS") else { return };
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(list).unwrap();
    file.write_all(format!("{test}: {why}\n").as_bytes()).unwrap();
}

/// The folder of real recordings: `TOUCHLINE_DATA`, or `../shared/data` beside the repository. When it is absent the
/// reason is printed and the caller skips; with `TOUCHLINE_REQUIRE_DATA=1` absence is a failure.
pub fn data_dir() -> Option<PathBuf> {
    let dir = match std::env::var_os("TOUCHLINE_DATA") {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
    };
    if dir.is_dir() {
        return Some(dir);
    }
    let required = std::env::var("TOUCHLINE_REQUIRE_DATA").is_ok_and(|value| value == "1");
    assert!(!required, "recordings are required, but there is no folder {}", dir.display());
    skip(&format!("no folder of recordings at {}", dir.display()));
    None
}

/// The versions of the Python packages that tests use, one `name==version` a line.
const PINS: [&str; 2] =
    [include_str!("../python/requirements.txt"), include_str!("../../tools/notebook/requirements.txt")];

/// A Python with these packages, of the versions that are pinned: made once under the target folder. `None`, with the
/// reason printed, where that is impossible; with `TOUCHLINE_REQUIRE_TOOLS=1` that is a failure.
pub fn python_with(packages: &[&str]) -> Option<PathBuf> {
    // Tests of one program run at once: only one of them may install.
    static INSTALL: std::sync::Mutex<()> = std::sync::Mutex::new(());
    const HAS_THEM: &str = "import importlib, importlib.metadata, sys\n\
        for name, _, version in (argument.partition('==') for argument in sys.argv[1:]):\n \
            importlib.import_module(name)\n \
            assert version in ('', importlib.metadata.version(name)), name";
    let _installing = INSTALL.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
    let venv = target.join("pyarrow-venv");
    let python = venv.join("bin/python");
    let pinned =
        |name: &&str| PINS.iter().flat_map(|pins| pins.lines()).find(|pin| pin.split("==").next() == Some(name));
    let wanted: Vec<&str> = packages.iter().map(|name| pinned(name).unwrap_or(name)).collect();
    let works = || {
        let check = Command::new(&python).args(["-c", HAS_THEM]).args(&wanted).output();
        check.is_ok_and(|output| output.status.success())
    };
    if !works() {
        let _ = Command::new("python3").args(["-m", "venv"]).arg(&venv).output();
        let _ = Command::new(&python).args(["-m", "pip", "install", "-q"]).args(&wanted).output();
    }
    if works() {
        return Some(python);
    }
    assert!(
        std::env::var_os("TOUCHLINE_REQUIRE_TOOLS").is_none_or(|value| value != "1"),
        "{} cannot be installed into {}",
        wanted.join(", "),
        venv.display()
    );
    skip(&format!("no Python with {}, and they cannot be installed into {}", wanted.join(", "), venv.display()));
    None
}

/// Every file under a folder with its bytes, by its path within it; none where there is no folder.
pub fn files_under(root: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, files);
            } else {
                files.insert(path.strip_prefix(root).unwrap().display().to_string(), std::fs::read(&path).unwrap());
            }
        }
    }
    let mut files = BTreeMap::new();
    walk(root, root, &mut files);
    files
}
