//! The byte side of each connection, where it can be made to fail: a socket that ends, is reset, or stays open and
//! carries nothing any more.
//!
//! Owns the listener [`Gates`], its sockets [`Gate`], and [`Switch`], by which a connection's handlers and the hub
//! reach the socket under them.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use crate::sim::faults::Cut;

// Zero is a connection that works.
const CLOSED: u8 = 1;
const RESET: u8 = 2;
const DEAD: u8 = 3;

#[derive(Debug, Default)]
struct State {
    mode: AtomicU8,
    /// What the mode becomes once `left` bytes have been written; zero for nothing.
    armed: AtomicU8,
    left: AtomicU64,
    reader: AtomicWaker,
}

/// Ends the connection that it belongs to.
#[derive(Clone, Debug, Default)]
pub struct Switch(Arc<State>);

impl Switch {
    /// Ends the connection with a FIN, whatever it is doing.
    pub fn close(&self) {
        self.set(CLOSED);
    }

    /// Ends it as a fault does, after so many further bytes.
    pub fn fail(&self, cut: Cut, bytes: u64) {
        let mode = match cut {
            Cut::Reset => RESET,
            // What is written goes nowhere from then on, and nothing is read.
            Cut::HalfOpen => DEAD,
            _ => CLOSED,
        };
        if bytes == 0 {
            self.set(mode);
        } else {
            self.0.left.store(bytes, Ordering::Relaxed);
            // Release here, Acquire in `passes`: whoever sees it armed sees how many bytes are left.
            self.0.armed.store(mode, Ordering::Release);
        }
    }

    /// How many of these bytes may be written before the mode turns.
    fn passes(&self, bytes: usize) -> usize {
        if self.0.armed.load(Ordering::Acquire) == 0 {
            return bytes;
        }
        usize::try_from(self.0.left.load(Ordering::Relaxed)).map_or(bytes, |left| left.min(bytes))
    }

    /// So many bytes were written; the mode turns when they were the last that may pass.
    fn passed(&self, bytes: usize) {
        let armed = self.0.armed.load(Ordering::Acquire);
        if armed != 0 && self.0.left.fetch_sub(bytes as u64, Ordering::Relaxed) == bytes as u64 {
            self.0.armed.store(0, Ordering::Relaxed);
            self.set(armed);
        }
    }

    fn set(&self, mode: u8) {
        // Release here, Acquire in `mode`: whoever is woken sees why.
        self.0.mode.store(mode, Ordering::Release);
        self.0.reader.wake();
    }

    fn mode(&self) -> u8 {
        self.0.mode.load(Ordering::Acquire)
    }
}

/// A client's socket.
#[derive(Debug)]
pub struct Gate {
    socket: TcpStream,
    switch: Switch,
}

impl Gate {
    /// The error by which the connection's owner learns that it is over, if it is.
    fn over(&self) -> Option<io::Error> {
        match self.switch.mode() {
            CLOSED => Some(io::ErrorKind::ConnectionAborted.into()),
            RESET => {
                // With nothing to linger for, closing sends a RST. A socket that refuses is closed with a FIN instead.
                let _ = self.socket.set_zero_linger();
                Some(io::ErrorKind::ConnectionReset.into())
            }
            _ => None,
        }
    }
}

impl AsyncRead for Gate {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Registered before the look: a switch that turns in between wakes.
        self.switch.0.reader.register(cx.waker());
        if let Some(error) = self.over() {
            return Poll::Ready(Err(error));
        }
        if self.switch.mode() == DEAD {
            return Poll::Pending;
        }
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Gate {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(error) = self.over() {
            return Poll::Ready(Err(error));
        }
        if self.switch.mode() == DEAD {
            return Poll::Ready(Ok(bytes.len()));
        }
        let bytes = &bytes[..self.switch.passes(bytes.len())];
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = written {
            self.switch.passed(count);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.switch.mode() == DEAD {
            // Even the end is not told.
            return Poll::Pending;
        }
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// Listens on a port.
#[derive(Debug)]
pub struct Gates(pub TcpListener);

impl Listener for Gates {
    type Io = Gate;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Gate, SocketAddr) {
        let (socket, address) = Listener::accept(&mut self.0).await;
        // Without it an answer may wait 40 ms for the peer's acknowledgement; a socket that refuses still works.
        let _ = socket.set_nodelay(true);
        (Gate { socket, switch: Switch::default() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Gates>> for Switch {
    fn connect_info(stream: IncomingStream<'_, Gates>) -> Switch {
        stream.io().switch.clone()
    }
}
