//! What measurements ask of the machine: time that was run, memory that was taken, one core, a Python with peers.

use std::path::{Path, PathBuf};
use std::process::Command;

unsafe extern "C" {
    fn compare_allocations() -> u64;
    fn compare_bytes_in_use() -> u64;
}

/// Allocations of the whole process so far.
pub fn allocations() -> u64 {
    // SAFETY: reads a counter.
    unsafe { compare_allocations() }
}

/// Bytes that the allocator has handed out and not got back.
pub fn bytes_in_use() -> u64 {
    // SAFETY: asks the C library for its own count.
    unsafe { compare_bytes_in_use() }
}

/// Seconds that this process has run, user and system.
pub fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes to the one structure that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The greatest resident set of this program so far; what started it does not count, as it does in `getrusage`.
pub fn peak_rss_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// Pins this process, and with it whatever it starts, to the last core.
pub fn pin_to_one_core() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // SAFETY: the set is valid zeroed, and the calls read and write nothing else.
    unsafe {
        let mut set = std::mem::zeroed::<libc::cpu_set_t>();
        libc::CPU_SET(cores - 1, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}

/// A Python in which `imports` work: made once beside this tool's build, of `packages`.
pub fn python_with(name: &str, imports: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| format!("this program's path: {error}"))?;
    let venv = own.ancestors().nth(2).unwrap_or(Path::new(".")).join(name);
    let python = venv.join("bin/python");
    let works = || Command::new(&python).args(["-c", imports]).output().is_ok_and(|output| output.status.success());
    if !works() {
        eprintln!("installing the peers into {}", venv.display());
        let _ = Command::new("python3").args(["-m", "venv"]).arg(&venv).output();
        let _ = Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages).output();
    }
    if works() { Ok(python) } else { Err(format!("the peers cannot be installed into {}", venv.display())) }
}

/// A folder of this process's own, in memory where the system has such a folder, so that no disk is measured.
pub fn scratch_folder(parent: Option<&Path>, name: &str) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let usual = || if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    parent.map_or_else(usual, Path::to_owned).join(format!("touchline-compare-{name}-{}", std::process::id()))
}
