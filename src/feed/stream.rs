//! A socket that notes when it was last read from, where tick-to-order starts, and the buffer that it is read into.

use std::io::{self, Read, Write};
use std::ops::Range;

use mio::net::TcpStream;
use quanta::Clock;

/// Bytes taken at once: more than any usual message, and one system call for a burst of them.
pub(super) const BUFFER_BYTES: usize = 64 << 10;

/// What was read ahead, and what of it has not been taken.
#[derive(Debug)]
pub(super) struct Ahead {
    buffer: Box<[u8]>,
    unread: Range<usize>,
    has_ended: bool,
}

impl Ahead {
    pub(super) fn new() -> Ahead {
        Ahead { buffer: vec![0; BUFFER_BYTES].into_boxed_slice(), unread: 0..0, has_ended: false }
    }

    /// What has not been taken.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.unread.clone()]
    }

    /// Whether there is something, be it the end.
    pub(super) fn has_some(&self) -> bool {
        !self.unread.is_empty() || self.has_ended
    }

    /// Whether the other side will say no more than what is here.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Marks so many bytes as taken.
    pub(super) fn take(&mut self, count: usize) {
        self.unread.start += count;
    }

    /// Takes `end` bytes and tells where those from `begin` on lie: they stay there until more is read.
    pub(super) fn cut(&mut self, begin: usize, end: usize) -> Range<usize> {
        let first = self.unread.start;
        self.take(end);
        first + begin..first + end
    }

    /// What was cut.
    pub(super) fn piece(&self, at: &Range<usize>) -> &[u8] {
        &self.buffer[at.clone()]
    }

    /// Reads more behind what is there; whether anything came, be it the end. Nothing does when the buffer is full.
    ///
    /// # Errors
    /// When the reader fails; never because it has nothing now.
    pub(super) fn more(&mut self, from: &mut impl Read) -> io::Result<bool> {
        if self.unread.is_empty() {
            self.unread = 0..0;
        } else if self.unread.start > 0 {
            self.buffer.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
        }
        let room = &mut self.buffer[self.unread.end..];
        if room.is_empty() {
            return Ok(false);
        }
        match from.read(room) {
            Ok(read) => {
                self.unread.end += read;
                self.has_ended = read == 0;
                Ok(true)
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Hands out what there is; a reader that has nothing now would block.
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if !self.has_some() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let read = self.bytes().read(into)?;
        self.take(read);
        Ok(read)
    }
}

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
    ahead: Ahead,
}

impl StampedStream {
    /// Wraps a stream.
    pub fn new(inner: TcpStream, clock: Clock) -> StampedStream {
        let last_read_tsc = clock.raw();
        StampedStream { inner, clock, last_read_tsc, last_write_tsc: [0; 2], ahead: Ahead::new() }
    }

    /// Whether a read would find something, be it the end: what is left in the buffer, or else what the socket has now.
    ///
    /// # Errors
    /// When the socket fails; never because it has nothing.
    pub fn fill(&mut self) -> io::Result<bool> {
        Ok(self.ahead.has_some() || self.more()?)
    }

    /// Reads more from the socket, behind what is left in the buffer; whether anything came, be it the end.
    pub(super) fn more(&mut self) -> io::Result<bool> {
        let came = self.ahead.more(&mut self.inner)?;
        if came {
            self.last_read_tsc = self.clock.raw();
        }
        Ok(came)
    }

    /// What was read and not taken.
    pub(super) fn ahead(&self) -> &Ahead {
        &self.ahead
    }

    /// The same, to take from.
    pub(super) fn ahead_mut(&mut self) -> &mut Ahead {
        &mut self.ahead
    }

    /// The counter right after the last read that returned bytes. A frame is complete at that read: more is read only
    /// when the buffer holds no whole frame.
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
        self.fill()?;
        self.ahead.read(buf)
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
