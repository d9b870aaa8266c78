//! The baselines' common part: two kinds of connection to the probe, spinning or blocking.

use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;

use super::inbox::{Got, Inbox};

/// What a baseline does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Answers any frame with one request made beforehand: no parsing, no book, no signature. The floor.
    Echo,
    /// What the least honest maker does: parse, book, price, sign, two new orders and two cancels.
    Thin,
}

/// How a baseline waits for the next frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Wait {
    /// Asks the socket again and again.
    Spin,
    /// Sleeps in the socket's read.
    Block,
}

/// Where and how a baseline runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
pub struct BotArgs {
    /// What it does.
    #[arg(value_enum)]
    pub kind: Kind,
    /// How it waits.
    #[arg(long, value_enum, default_value = "spin")]
    pub wait: Wait,
    /// The probe's port.
    #[arg(long)]
    pub port: u16,
    /// The core to run on.
    #[arg(long)]
    pub core: Option<usize>,
}

/// Runs a baseline until the probe closes its market data.
///
/// # Errors
/// When a socket fails.
pub fn run(args: &BotArgs) -> io::Result<()> {
    if let Some(id) = args.core {
        core_affinity::set_for_current(core_affinity::CoreId { id });
    }
    match args.kind {
        Kind::Echo => super::echo::run(args.port, args.wait),
        Kind::Thin => super::thin::run(args.port, args.wait),
    }
}

/// One connection with what it has brought.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    /// What was read.
    pub inbox: Inbox,
}

impl Socket {
    /// A keep-alive connection for requests, never blocking.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn orders(port: u16) -> io::Result<Socket> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Socket { stream, inbox: Inbox::default() })
    }

    /// The market data's WebSocket, its handshake done.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn market(port: u16, wait: Wait) -> io::Result<Socket> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.write_all(
            b"GET /stream?streams=btcusdt@depth@100ms HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\
              Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )?;
        let mut inbox = Inbox::default();
        while inbox.message().is_none() {
            if inbox.fill(&mut stream)? == Got::End {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        stream.set_nonblocking(wait == Wait::Spin)?;
        Ok(Socket { stream, inbox })
    }

    /// Reads once.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn fill(&mut self) -> io::Result<Got> {
        self.inbox.fill(&mut self.stream)
    }

    /// Sends everything.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads and forgets the answers that are there.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn drain(&mut self) -> io::Result<()> {
        while self.fill()? == Got::Bytes {
            self.inbox.clear();
        }
        Ok(())
    }
}
