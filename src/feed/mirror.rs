//! A connection to ourselves: both ends of a socket on this machine, in the hands of one thread.
//!
//! For rehearsals. What goes through it takes the system's whole way of sending and receiving, and the library's, so that
//! their code and tables are in the processor's caches when a frame or an order comes. It reaches nobody: the listener
//! is gone when the pair is made, and a stranger who was quicker is refused.

use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use quanta::Clock;
use rustls::ClientConfig;
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

use super::Connection;

/// Where the near end would look for a lost far one: nobody listens there.
const NOWHERE: &str = "ws://127.0.0.1:9";
/// Nobody is missed: the far end says only what it is told to.
const SILENCE: Duration = Duration::from_secs(1 << 32);
/// Bytes that are taken at once, more than any order has.
const ROOM: usize = 4 << 10;

/// Two connected sockets of this machine that never block, the near one and the far one.
///
/// # Errors
/// When the system gives none, or somebody else was quicker to connect.
fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let (far, from) = listener.accept()?;
    if from != near.local_addr()? {
        return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "a stranger connected to a rehearsal's socket"));
    }
    for stream in [&near, &far] {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
    }
    Ok((near, far))
}

/// The end that plays the venue.
#[derive(Debug)]
pub struct FarEnd {
    socket: WebSocket<TcpStream>,
    room: Box<[u8]>,
}

impl FarEnd {
    /// A far end and the socket that is connected to it.
    ///
    /// # Errors
    /// When the system gives no sockets.
    pub fn new() -> io::Result<(FarEnd, TcpStream)> {
        let (near, far) = pair()?;
        // As a server speaks, without masks.
        let socket = WebSocket::from_raw_socket(far, Role::Server, None);
        Ok((FarEnd { socket, room: vec![0; ROOM].into_boxed_slice() }, near))
    }

    /// A far end and a WebSocket connection to it that is open.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_connection(tls: Arc<ClientConfig>, clock: Clock) -> io::Result<(FarEnd, Connection)> {
        let (far, near) = FarEnd::new()?;
        let near = Connection::new(NOWHERE, tls, clock, SILENCE, 0)?.over(mio::net::TcpStream::from_std(near))?;
        Ok((far, near))
    }

    /// Says a text in a frame of its own; what finds no room waits for the next one.
    pub fn say(&mut self, text: &str) {
        let _ = self.socket.send(Message::text(text));
    }

    /// Takes everything that has come, and forgets it.
    pub fn forget(&mut self) {
        // Shorter than the room, it was the last of it.
        while matches!(self.socket.get_mut().read(&mut self.room), Ok(ROOM)) {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Event, client_config};
    use super::*;

    fn next(near: &mut Connection) -> String {
        loop {
            match near.poll() {
                Event::Text { text, read_tsc } if read_tsc > 0 => return near.text(&text).to_owned(),
                Event::Idle => {}
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_the_far_end_says_is_read_as_from_a_venue_and_what_is_said_to_it_is_forgotten() {
        let (mut far, mut near) = FarEnd::with_connection(client_config(None).unwrap(), Clock::new()).unwrap();
        assert!(near.is_open());
        for length in [0, 1, 125, 126, 1_500, 20_000] {
            for _ in 0..100 {
                far.say(&"x".repeat(length));
                assert_eq!(next(&mut near).len(), length);
                // In all more than any socket buffers, if nobody took it.
                near.send(&"y".repeat(30_000)).unwrap();
                far.forget();
            }
        }
        assert!(matches!(near.poll(), Event::Idle), "nothing but what was said");
    }
}
