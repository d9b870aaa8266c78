//! What the system tests share.

use std::path::PathBuf;

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
    println!("skipped: no folder of recordings at {}", dir.display());
    None
}
