//! Between a socket, or the TLS over it, and the WebSocket library: where its frames begin and end.
//!
//! Nearly everything that a venue says is a text or binary message in one frame without a mask. Such a message is cut
//! here, in the buffer that was read ahead, and the library never sees it: it would clear four kilobytes, copy the frame
//! there and take it apart in some four thousand instructions. All else goes to the library, a whole frame at a time and
//! unchanged: handshakes, pings, closes, fragments, frames longer than the buffer, and whatever breaks the protocol
//! (RFC 6455, section 5.2). What we say ourselves goes [past it](super::said) as well, between two of its frames.

use std::io::{self, Read, Write};
use std::ops::Range;

use tungstenite::stream::MaybeTlsStream;

use super::StampedStream;
use super::said::Said;
use super::stream::{Ahead, BUFFER_BYTES};

/// First bytes: the last frame of its message, no extension, text or binary.
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
/// In the first byte: whether it is the message's last frame, and what kind of frame. Control frames begin at 8.
const LAST: u8 = 0x80;
const KIND: u8 = 0x0F;
const CONTROL: u8 = 8;
/// The end of the answer to a handshake, and how one begins that frames follow.
const HEAD_END: &[u8; 4] = b"\r\n\r\n";
const SWITCHES: &[u8] = b"HTTP/1.1 101";
/// Everything from here on is the library's.
const ALL: u64 = u64::MAX;

/// See the module.
pub(super) struct Frames {
    inner: MaybeTlsStream<StampedStream>,
    /// What came out of TLS. Without TLS the stream's own buffer is cut.
    plain: Option<Ahead>,
    /// TLS may have more than it has given.
    tls_holds: bool,
    /// The answer to the handshake has been handed on.
    is_answered: bool,
    /// Bytes that the library may take before the next frame is looked at.
    owed: u64,
    /// The library has begun a message of several frames.
    is_fragmented: bool,
    /// What was said without the library.
    said: Said,
    /// The socket has taken a part of what the library said last.
    is_amid: bool,
}

/// What has come.
pub(super) enum Next {
    /// Nothing whole.
    Nothing,
    /// A text message, and where it lies.
    Text(Range<usize>),
    /// A binary message, likewise.
    Binary(Range<usize>),
    /// Something that the library is to read.
    Library,
}

/// What stands first in the buffer.
enum First {
    /// Not all of it is there.
    Part,
    /// A message in one frame: what it is, where it begins, where it ends.
    Message(u8, usize, usize),
    /// So many bytes for the library.
    Library(u64),
}

impl Frames {
    /// Over a socket, or TLS, on which a handshake comes first.
    pub(super) fn new(inner: MaybeTlsStream<StampedStream>) -> Frames {
        let plain = (!matches!(inner, MaybeTlsStream::Plain(_))).then(Ahead::new);
        Frames {
            inner,
            plain,
            tls_holds: true,
            is_answered: false,
            owed: 0,
            is_fragmented: false,
            said: Said::new(),
            is_amid: false,
        }
    }

    /// Over a socket that frames come from at once.
    pub(super) fn open(socket: StampedStream) -> Frames {
        Frames { is_answered: true, ..Frames::new(MaybeTlsStream::Plain(socket)) }
    }

    /// What comes next; the buffer and the socket are asked.
    ///
    /// # Errors
    /// When the socket or TLS fails.
    #[inline]
    pub(super) fn next(&mut self) -> io::Result<Next> {
        if !self.ahead().has_some() && !self.more()? {
            return Ok(Next::Nothing);
        }
        if self.owed > 0 {
            return Ok(Next::Library);
        }
        loop {
            let is_fragmented = self.is_fragmented;
            let ahead = self.ahead_mut();
            match first(ahead.bytes(), is_fragmented) {
                First::Message(BINARY, begin, end) => return Ok(Next::Binary(ahead.cut(begin, end))),
                First::Message(_, begin, end) => {
                    if simdutf8::basic::from_utf8(&ahead.bytes()[begin..end]).is_ok() {
                        return Ok(Next::Text(ahead.cut(begin, end)));
                    }
                    // The library says what is wrong with a text that is none.
                    return Ok(self.leave(end as u64));
                }
                First::Library(length) => return Ok(self.leave(length)),
                // The rest will not come: the library says what that means.
                First::Part if ahead.has_ended() => return Ok(self.leave(ALL)),
                First::Part => {
                    if !self.more()? {
                        return Ok(Next::Nothing);
                    }
                }
            }
        }
    }

    /// Leaves what comes next to the library.
    fn leave(&mut self, length: u64) -> Next {
        if let Some(&byte) = self.ahead().bytes().first()
            && byte & KIND < CONTROL
        {
            self.is_fragmented = byte & LAST == 0;
        }
        self.owed = length;
        Next::Library
    }

    /// Whether a text may be [said](Self::say): nothing of the library's is half sent.
    pub(super) fn may_say(&self) -> bool {
        !self.is_amid && !self.said.is_waiting()
    }

    /// Says a text in a frame of its own.
    ///
    /// # Errors
    /// What the socket says; `WouldBlock` when it has not taken all. The rest leaves before anything else, with the next
    /// flush.
    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        self.said.say(text.as_bytes());
        self.flush()
    }

    /// Whether the library may still take some of what was left to it.
    pub(super) fn owes(&self) -> bool {
        self.owed > 0
    }

    /// What lies there, of the message that came last.
    pub(super) fn piece(&self, at: &Range<usize>) -> &[u8] {
        self.ahead().piece(at)
    }

    fn ahead(&self) -> &Ahead {
        match (&self.inner, &self.plain) {
            (_, Some(plain)) => plain,
            (MaybeTlsStream::Plain(socket), None) => socket.ahead(),
            _ => unreachable!("there is a buffer above TLS"),
        }
    }

    fn ahead_mut(&mut self) -> &mut Ahead {
        match (&mut self.inner, &mut self.plain) {
            (_, Some(plain)) => plain,
            (MaybeTlsStream::Plain(socket), None) => socket.ahead_mut(),
            _ => unreachable!("there is a buffer above TLS"),
        }
    }

    /// Reads more; whether anything came, be it the end.
    fn more(&mut self) -> io::Result<bool> {
        let Some(plain) = &mut self.plain else {
            return self.socket_mut().map_or(Ok(false), StampedStream::more);
        };
        // TLS that has given all it had is asked only when the socket has something: it is slower to say no.
        if !self.tls_holds
            && let MaybeTlsStream::Rustls(tls) = &mut self.inner
            && !tls.sock.fill()?
        {
            return Ok(false);
        }
        self.tls_holds = plain.more(&mut self.inner)?;
        Ok(self.tls_holds)
    }

    /// The socket below.
    pub(super) fn socket(&self) -> Option<&StampedStream> {
        match &self.inner {
            MaybeTlsStream::Plain(socket) => Some(socket),
            MaybeTlsStream::Rustls(tls) => Some(&tls.sock),
            _ => None,
        }
    }

    fn socket_mut(&mut self) -> Option<&mut StampedStream> {
        match &mut self.inner {
            MaybeTlsStream::Plain(socket) => Some(socket),
            MaybeTlsStream::Rustls(tls) => Some(&mut tls.sock),
            _ => None,
        }
    }

    /// What of the answer to the handshake may be read: all of it once it is there, and nothing of the frames behind it.
    fn answer(&mut self) -> io::Result<()> {
        loop {
            let ahead = self.ahead();
            let bytes = ahead.bytes();
            let known = bytes.len().min(SWITCHES.len());
            self.owed = match bytes.windows(HEAD_END.len()).position(|four| four == HEAD_END) {
                // A refusal, or no answer at all: no frames will follow.
                _ if bytes[..known] != SWITCHES[..known] => ALL,
                Some(at) => (at + HEAD_END.len()) as u64,
                None if ahead.has_ended() || bytes.len() == BUFFER_BYTES => ALL,
                None if self.more()? => continue,
                None => return Ok(()),
            };
            self.is_answered = true;
            return Ok(());
        }
    }
}

/// What stands first among those bytes.
#[inline]
fn first(bytes: &[u8], is_fragmented: bool) -> First {
    let &[byte, length, ..] = bytes else { return First::Part };
    let (begin, length) = match length {
        0..=125 => (2, u64::from(length)),
        126 => match bytes[2..].first_chunk() {
            Some(length) => (4, u64::from(u16::from_be_bytes(*length))),
            None => return First::Part,
        },
        127 => match bytes[2..].first_chunk() {
            Some(length) => (10, u64::from_be_bytes(*length)),
            None => return First::Part,
        },
        // A mask, which servers do not use: the library refuses it, and reads no further.
        _ => return First::Library(ALL),
    };
    let whole = length.saturating_add(begin as u64);
    if is_fragmented || !matches!(byte, TEXT | BINARY) || whole > BUFFER_BYTES as u64 {
        return First::Library(whole);
    }
    if bytes.len() < whole as usize { First::Part } else { First::Message(byte, begin, whole as usize) }
}

impl Read for Frames {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if !self.is_answered {
            self.answer()?;
        }
        if self.owed > 0 && !self.ahead().has_some() {
            self.more()?;
        }
        let most = into.len().min(usize::try_from(self.owed).unwrap_or(usize::MAX));
        if most == 0 && !into.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let read = self.ahead_mut().read(&mut into[..most])?;
        if self.owed != ALL {
            self.owed -= read as u64;
        }
        Ok(read)
    }
}

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // TLS that cannot write reads instead, and may then hold what the socket does not announce any more.
        self.tls_holds = true;
        self.said.leave(&mut self.inner)?;
        let taken = self.inner.write(bytes)?;
        self.is_amid = taken < bytes.len();
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tls_holds = true;
        self.said.leave(&mut self.inner)?;
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    enum Cut {
        Part,
        Message(usize, usize),
        Library(u64),
    }

    fn cut(head: &[u8], payload: usize, is_fragmented: bool) -> Cut {
        let bytes = [head, &vec![b'x'; payload]].concat();
        match first(&bytes, is_fragmented) {
            First::Part => Cut::Part,
            First::Message(_, begin, end) => Cut::Message(begin, end),
            First::Library(length) => Cut::Library(length),
        }
    }

    #[test]
    fn whole_messages_without_masks_are_cut_and_all_else_is_left_to_the_library() {
        let long = |length: u64| [&[0x82, 127][..], &length.to_be_bytes()].concat();
        let room = BUFFER_BYTES as u64 - 10;
        for (head, payload, want) in [
            (&[][..], 0, Cut::Part),
            (&[0x81], 0, Cut::Part),
            (&[0x81, 0], 0, Cut::Message(2, 2)),
            (&[0x81, 125], 124, Cut::Part),
            (&[0x81, 125], 200, Cut::Message(2, 127)),
            (&[0x82, 126, 1], 0, Cut::Part),
            // The shortest form of a length is not asked for: the library does not either.
            (&[0x82, 126, 0, 3], 3, Cut::Message(4, 7)),
            (&[0x81, 126, 4, 0], 1_024, Cut::Message(4, 1_028)),
            (&long(1)[..9], 0, Cut::Part),
            (&long(70), 70, Cut::Message(10, 80)),
            (&long(room), 5, Cut::Part),
            (&long(room + 1), 5, Cut::Library(BUFFER_BYTES as u64 + 1)),
            (&long(u64::MAX), 5, Cut::Library(u64::MAX)),
            // A ping, a close, the beginning of a message in several frames, its end, an extension, a mask.
            (&[0x89, 4], 0, Cut::Library(6)),
            (&[0x88, 2], 2, Cut::Library(4)),
            (&[0x01, 3], 3, Cut::Library(5)),
            (&[0x80, 3], 3, Cut::Library(5)),
            (&[0xC1, 3], 3, Cut::Library(5)),
            (&[0x81, 0x83], 9, Cut::Library(ALL)),
        ] {
            assert_eq!(cut(head, payload, false), want, "{head:x?} and {payload}");
        }
        assert_eq!(cut(&[0x81, 3], 3, true), Cut::Library(5), "what must not come between fragments");
    }
}
