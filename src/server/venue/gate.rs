//! The byte side of each connection, where it can be made to fail: a socket that ends, is reset, or stays open and
//! carries nothing any more.
//!
//! Owns the listener [`Gates`], its sockets [`Gate`], and [`Switch`], by which a connection's handlers and the hub
//! reach the socket under them.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

// Zero is a connection that works.
const CLOSED: u8 = 1;
const RESET: u8 = 2;
const DEAD: u8 = 3;

#[derive(Debug, Default)]
struct State {
    mode: AtomicU8,
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

    /// Ends it with a RST.
    pub fn reset(&self) {
        self.set(RESET);
    }

    /// Leaves it open: what is written goes nowhere, and nothing is read.
    pub fn deaden(&self) {
        self.set(DEAD);
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
        Pin::new(&mut self.socket).poll_write(cx, bytes)
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
