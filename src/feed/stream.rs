//! A socket that notes when it was last read from: where tick-to-order starts.

use std::io::{self, Read, Write};

use mio::net::TcpStream;
use quanta::Clock;

/// A non-blocking TCP stream with the time stamp counter of its last successful read.
#[derive(Debug)]
pub struct StampedStream {
    inner: TcpStream,
    clock: Clock,
    last_read_tsc: u64,
}

impl StampedStream {
    /// Wraps a stream.
    pub fn new(inner: TcpStream, clock: Clock) -> StampedStream {
        let last_read_tsc = clock.raw();
        StampedStream { inner, clock, last_read_tsc }
    }

    /// The counter right after the last read that returned bytes. A frame is complete at that read: the library only
    /// reads when its buffer holds no whole frame.
    pub fn last_read_tsc(&self) -> u64 {
        self.last_read_tsc
    }

    /// The socket, to be registered with a poll.
    pub fn socket(&mut self) -> &mut TcpStream {
        &mut self.inner
    }
}

impl Read for StampedStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf)?;
        self.last_read_tsc = self.clock.raw();
        Ok(read)
    }
}

impl Write for StampedStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.inner.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
