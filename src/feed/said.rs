//! What is said on a WebSocket connection: a text in one masked frame (RFC 6455, sections 5.2 and 5.3).
//!
//! An order over the WebSocket API is such a text. The library takes one by value and copies it to where it frames
//! it; here it is framed where it leaves from, in a buffer that stays.

use std::io::{self, ErrorKind, Write};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use ring::rand::{SecureRandom, SystemRandom};

/// First byte: a text, the last frame of its message.
const TEXT: u8 = 0x81;
/// In the second byte: that there is a mask.
const MASKED: u8 = 0x80;
/// Room for usual requests.
const ROOM: usize = 1 << 10;

/// See the module.
pub(super) struct Said {
    frame: Vec<u8>,
    /// How much of it has left.
    left: usize,
    /// Nobody between us and the venue may guess a mask: from a seed of the system's, without a system call a frame.
    masks: ChaCha12Rng,
}

impl Said {
    /// Nothing said yet.
    pub(super) fn new() -> Said {
        let mut seed = [0; 32];
        // TLS has its keys from there as well: a system that gives none gives no connection to speak of.
        SystemRandom::new().fill(&mut seed).expect("the system has random numbers");
        Said { frame: Vec::with_capacity(ROOM), left: 0, masks: ChaCha12Rng::from_seed(seed) }
    }

    /// Whether some of what was said is still here.
    pub(super) fn is_waiting(&self) -> bool {
        self.left < self.frame.len()
    }

    /// Frames a text. What was said before has left.
    pub(super) fn say(&mut self, text: &[u8]) {
        let mask = self.masks.next_u32().to_ne_bytes();
        self.left = 0;
        self.frame.clear();
        self.frame.push(TEXT);
        match text.len() {
            length @ 0..=125 => self.frame.push(MASKED | length as u8),
            length @ 126..=0xFFFF => {
                self.frame.push(MASKED | 126);
                self.frame.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                self.frame.push(MASKED | 127);
                self.frame.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        self.frame.extend_from_slice(&mask);
        let begin = self.frame.len();
        self.frame.extend_from_slice(text);
        let [a, b, c, d] = mask;
        let twice = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (eights, rest) = self.frame[begin..].as_chunks_mut();
        eights.iter_mut().for_each(|eight| *eight = (u64::from_ne_bytes(*eight) ^ twice).to_ne_bytes());
        rest.iter_mut().zip(mask.into_iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    }

    /// Lets leave what has not left.
    ///
    /// # Errors
    /// What the writer says; `WouldBlock` when some has to stay.
    pub(super) fn leave(&mut self, by: &mut impl Write) -> io::Result<()> {
        while self.is_waiting() {
            match by.write(&self.frame[self.left..]) {
                // TLS whose queue is full: a dead peer is found out by its silence.
                Ok(0) => return Err(ErrorKind::WouldBlock.into()),
                Ok(taken) => self.left += taken,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tungstenite::protocol::Role;
    use tungstenite::{Message, WebSocket};

    use super::*;

    #[test]
    fn a_peer_reads_what_was_said_whatever_its_length_and_no_mask_comes_twice() {
        let mut said = Said::new();
        let mut masks = Vec::new();
        for length in [0, 1, 3, 7, 8, 125, 126, 300, 65_535, 65_536, 100_000] {
            let text = "abcdefg".chars().cycle().take(length).collect::<String>();
            said.say(text.as_bytes());
            assert!(said.is_waiting());
            let mut sent = Vec::new();
            said.leave(&mut sent).unwrap();
            assert!(!said.is_waiting());
            let begin = sent.len() - text.len() - 4;
            masks.push(<[u8; 4]>::try_from(&sent[begin..begin + 4]).unwrap());
            let mut peer = WebSocket::from_raw_socket(io::Cursor::new(sent), Role::Server, None);
            assert_eq!(peer.read().unwrap(), Message::text(text));
        }
        let count = masks.len();
        masks.sort_unstable();
        masks.dedup();
        assert!(masks.len() == count && Said::new().masks.next_u32() != Said::new().masks.next_u32());
    }

    /// Takes so many bytes a call, and nothing each other time.
    struct Narrow(Vec<u8>, bool);

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.0.extend_from_slice(&bytes[..bytes.len().min(7)]);
            Ok(bytes.len().min(7))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_socket_does_not_take_stays_and_leaves_later_in_its_order() {
        let (mut said, mut whole) = (Said::new(), Vec::new());
        said.say(b"an order of thirty bytes or so");
        whole.extend_from_slice(&said.frame);
        let mut narrow = Narrow(Vec::new(), false);
        let mut refused = 0;
        while let Err(error) = said.leave(&mut narrow) {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            refused += 1;
        }
        assert_eq!((narrow.0, refused > 3), (whole, true));
    }
}
