//! Memory that stays: the engine's pages are locked once it stands.
//!
//! Called once by [`start`](super::start), after every ring, book and segment is mapped and before the market is of any
//! weight. What exists then is locked (`MCL_CURRENT`), each page from the moment it is first touched (`MCL_ONFAULT`):
//! without that the kernel would read the whole of each mapped segment and every thread's stack in at once. What is mapped
//! later is not locked (no `MCL_FUTURE`): the hot path maps nothing, and a segment's next mapping, a new thread or a growing
//! heap would fail at the limit in the middle of a session. A later segment's pages are dirty page cache, which the kernel
//! writes out but does not take away before it has.
#![allow(unsafe_code, reason = "three system calls")]

use std::io;

use crate::config::LockMemory;
use crate::run::{Failure, exit};

/// Locks the memory of this process as `asked`, and says in the log what came of it.
///
/// # Errors
/// `E_MEM_001` when it is refused and was asked for with `on`; with `auto` a refusal is only told.
pub fn lock(asked: LockMemory) -> Result<(), Failure> {
    if asked == LockMemory::Off {
        return Ok(());
    }
    let limit = raised_limit();
    let Err(error) = lock_all() else {
        tracing::info!(locked_kb = status_kb("VmLck"), "memory is locked: no page of the engine is taken away");
        return Ok(());
    };
    let why = refusal(&error, limit, status_kb("VmSize"));
    if asked == LockMemory::On {
        return Err(Failure::new(
            "E_MEM_001",
            exit::CONFIG,
            "the memory of the engine cannot be locked",
            why,
            "raise the limit (`ulimit -l unlimited`, LimitMEMLOCK=infinity, --ulimit memlock=-1), or set \
             topology.lock_memory=auto",
        ));
    }
    tracing::warn!("memory is not locked, so its pages may be taken away: {why}");
    Ok(())
}

fn refusal(error: &io::Error, limit: Option<u64>, mapped_kb: Option<u64>) -> String {
    let limit = match limit {
        Some(libc::RLIM_INFINITY) => "there is no limit".to_owned(),
        Some(bytes) => format!("the limit is {} KiB", bytes / 1024),
        None => "the limit is not known".to_owned(),
    };
    match mapped_kb {
        Some(mapped_kb) => format!("{error}; {limit}, {mapped_kb} KiB are mapped"),
        None => format!("{error}; {limit}"),
    }
}

/// Raises the limit of locked memory as far as this process may by itself, and returns it, in bytes.
fn raised_limit() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `getrlimit` fills the struct that it is given.
    if unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) } != 0 {
        return None;
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `setrlimit` reads the struct only. A refusal leaves the limit as it was, which `mlockall` then tells.
    unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
    Some(limit.rlim_max)
}

fn lock_all() -> io::Result<()> {
    // SAFETY: `mlockall` changes where pages may live and nothing of what they hold.
    match unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_ONFAULT) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A line of /proc/self/status, in KiB.
fn status_kb(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_tells_the_limit_and_what_is_mapped() {
        let error = io::Error::from_raw_os_error(libc::ENOMEM);
        let told = refusal(&error, Some(8 << 20), Some(300_000));
        assert!(told.contains("the limit is 8192 KiB, 300000 KiB are mapped"), "{told}");
        assert!(refusal(&error, Some(libc::RLIM_INFINITY), None).ends_with("there is no limit"));
    }

    #[test]
    fn the_kernels_table_is_read() {
        assert!(status_kb("VmSize").is_some_and(|kb| kb > 0));
        assert_eq!(status_kb("VmNothing"), None);
    }
}
