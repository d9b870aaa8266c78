//! Names to addresses. Literal addresses at once; names on a thread of their own, because the system's resolver blocks.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use crossbeam::channel::{Receiver, TryRecvError, bounded};

/// A lookup on its way.
#[derive(Debug)]
pub enum Lookup {
    /// The address was literal.
    Known(SocketAddr),
    /// The resolver works on it.
    Asked(Receiver<Option<SocketAddr>>),
}

impl Lookup {
    /// Starts to look up `host`, which may be a literal address, in brackets too.
    pub fn start(host: &str, port: u16) -> Lookup {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Lookup::Known(SocketAddr::new(address, port));
        }
        let (sender, receiver) = bounded(1);
        let host = bare.to_owned();
        let spawned = std::thread::Builder::new().name("resolve".to_owned()).spawn(move || {
            let address = (host.as_str(), port).to_socket_addrs().ok().and_then(|mut all| all.next());
            let _ = sender.send(address);
        });
        // Without a thread the sender is gone, and the lookup reads as failed.
        drop(spawned);
        Lookup::Asked(receiver)
    }

    /// The address: `None` while it is not known, `Some(None)` when there is none.
    pub fn poll(&self) -> Option<Option<SocketAddr>> {
        match self {
            Lookup::Known(address) => Some(Some(*address)),
            Lookup::Asked(receiver) => match receiver.try_recv() {
                Ok(address) => Some(address),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => Some(None),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_addresses_need_no_resolver() {
        let address = Lookup::start("127.0.0.1", 80).poll().flatten().unwrap();
        assert_eq!(address, "127.0.0.1:80".parse().unwrap());
        let address = Lookup::start("[::1]", 80).poll().flatten().unwrap();
        assert_eq!(address, "[::1]:80".parse().unwrap());
    }
}
