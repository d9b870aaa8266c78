//! A socket that notes when it was last read from: where tick-to-order starts.

use std::io::{self, Read, Write};
use std::ops::Range;

use mio::net::TcpStream;
use quanta::Clock;

/// Bytes taken from the socket at once: more than any usual message, and one system call for a burst of them.
const BUFFER_BYTES: usize = 64 << 10;

/// A non-blocking TCP stream with a buffer of its own and the time stamp counter of its last successful read.
///
/// The WebSocket library clears the memory that it reads into before each read, whether or not anything comes. Asked in
/// a loop it would do nothing else, and wipe the nearer caches with it; so the socket is asked [here](Self::fill), and
/// the library only when there is something for it.
#[derive(Debug)]
pub struct StampedStream {
    inner: TcpStream,
    clock: Clock,
    last_read_tsc: u64,
    /// Before and after the last write.
    last_write_tsc: [u64; 2],
    buffer: Box<[u8]>,
    /// What of the buffer has not been handed on.
    unread: Range<usize>,
    has_ended: bool,
}

impl StampedStream {
    /// Wraps a stream.
    pub fn new(inner: TcpStream, clock: Clock) -> StampedStream {
        let last_read_tsc = clock.raw();
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        StampedStream { inner, clock, last_read_tsc, last_write_tsc: [0; 2], buffer, unread: 0..0, has_ended: false }
    }

    /// Whether a read would find something, be it the end: what is left in the buffer, or else what the socket has now.
    ///
    /// # Errors
    /// When the socket fails; never because it has nothing.
    pub fn fill(&mut self) -> io::Result<bool> {
        if !self.unread.is_empty() || self.has_ended {
            return Ok(true);
        }
        match self.inner.read(&mut self.buffer) {
            Ok(read) => {
                self.last_read_tsc = self.clock.raw();
                self.unread = 0..read;
                self.has_ended = read == 0;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The counter right after the last read that returned bytes. A frame is complete at that read: the library only
    /// reads when its buffer holds no whole frame.
    pub fn last_read_tsc(&self) -> u64 {
        self.last_read_tsc
    }

    /// The counter right before the last write and right after it.
    pub fn last_write_tsc(&self) -> [u64; 2] {
        self.last_write_tsc
    }

    /// The socket, to be registered with a poll.
    pub fn socket(&mut self) -> &mut TcpStream {
        &mut self.inner
    }
}

impl Read for StampedStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if !self.fill()? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let read = (&self.buffer[self.unread.clone()]).read(buf)?;
        self.unread.start += read;
        Ok(read)
    }
}

impl Write for StampedStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let ready = self.clock.raw();
        let written = self.inner.write(buf);
        self.last_write_tsc = [ready, self.clock.raw()];
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
