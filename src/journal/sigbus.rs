//! What happens when a mapped file is cut by somebody else: one line and a known exit code, not a silent death.
//!
//! A touch of a page that its file no longer has raises SIGBUS, on whichever thread it was. Nothing can be mended there:
//! the handler writes one line to stderr and ends the process, with calls only that a signal handler may make. What was
//! committed before the cut is in the files and is found by their next reader.
#![allow(unsafe_code)]

use std::io;

/// Writes `line` and ends the process with `exit` on SIGBUS. The line should end with a line break.
///
/// # Errors
/// When the system refuses the handler.
pub fn end_on_sigbus(line: &'static str, exit: u8) -> io::Result<()> {
    let handler = move || {
        // SAFETY: `write` may be called in a signal handler, and the text is static. Whether it could be written changes
        // nothing.
        let _ = unsafe { libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len()) };
        signal_hook::low_level::exit(i32::from(exit));
    };
    // SAFETY: the handler makes two calls, both of which may be made in a signal handler; it allocates and locks nothing.
    unsafe { signal_hook::low_level::register(libc::SIGBUS, handler) }.map(drop)
}
