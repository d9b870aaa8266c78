//! Bytes of one connection, cut into what they hold: WebSocket frames, HTTP requests, HTTP answers.
//!
//! The probe and the baselines read with it. It knows the little of both protocols that they need and is not on the
//! engine's path, so that a change there moves no baseline.

use std::io::{self, ErrorKind, Read};
use std::ops::Range;

/// What a read came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    /// Some bytes.
    Bytes,
    /// Nothing yet.
    Nothing,
    /// The peer is gone.
    End,
}

/// A frame: its opcode and where its payload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// 1 text, 8 close, 9 ping, 10 pong.
    pub opcode: u8,
    /// The payload, for [`Inbox::bytes`].
    pub payload: Range<usize>,
}

/// An HTTP message: its first line and where its body is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Head, without the empty line.
    pub head: Range<usize>,
    /// Body.
    pub body: Range<usize>,
}

/// Bytes read and not yet cut.
#[derive(Debug)]
pub struct Inbox {
    buf: Vec<u8>,
    start: usize,
    end: usize,
}

impl Default for Inbox {
    fn default() -> Inbox {
        Inbox { buf: vec![0; 64 * 1024], start: 0, end: 0 }
    }
}

impl Inbox {
    /// Reads once.
    ///
    /// # Errors
    /// What the socket says, but for `WouldBlock` and a reset, which are answers.
    pub fn fill(&mut self, source: &mut impl Read) -> io::Result<Got> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buf.len() {
            self.buf.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.end == self.buf.len() {
                self.buf.resize(2 * self.end, 0);
            }
        }
        match source.read(&mut self.buf[self.end..]) {
            Ok(0) => Ok(Got::End),
            Ok(read) => {
                self.end += read;
                Ok(Got::Bytes)
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(Got::Nothing),
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Ok(Got::End),
                _ => Err(error),
            },
        }
    }

    /// The bytes of a range that was cut. Valid until the next [`fill`](Self::fill).
    pub fn bytes(&self, range: &Range<usize>) -> &[u8] {
        &self.buf[range.clone()]
    }

    /// Forgets what waits.
    pub fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Cuts the next whole frame, its mask taken off.
    pub fn frame(&mut self) -> Option<Frame> {
        let bytes = &mut self.buf[self.start..self.end];
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        let (length, mut at) = match second & 0x7F {
            126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
            127 => (usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?, 10),
            short => (usize::from(short), 2),
        };
        if second & 0x80 != 0 {
            let mask: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
            at += 4;
            for (index, byte) in bytes.get_mut(at..at + length)?.iter_mut().enumerate() {
                *byte ^= mask[index % 4];
            }
        } else if bytes.len() < at + length {
            return None;
        }
        let payload = self.start + at..self.start + at + length;
        self.start = payload.end;
        Some(Frame { opcode: first & 0x0F, payload })
    }

    /// Cuts the next whole HTTP message. A body without `Content-Length` is none: nobody here sends one.
    pub fn message(&mut self) -> Option<Message> {
        let bytes = &self.buf[self.start..self.end];
        let head = find(bytes, b"\r\n\r\n")?;
        let length = content_length(&bytes[..head]);
        let body = head + 4..head + 4 + length;
        if bytes.len() < body.end {
            return None;
        }
        let at = self.start;
        self.start += body.end;
        Some(Message { head: at..at + head, body: at + body.start..at + body.end })
    }
}

fn content_length(head: &[u8]) -> usize {
    let name = b"content-length:";
    let lines = head.split(|byte| *byte == b'\n');
    let line = lines.into_iter().find(|line| line.len() > name.len() && line[..name.len()].eq_ignore_ascii_case(name));
    let digits = line.map_or(&b""[..], |line| line[name.len()..].trim_ascii());
    digits.iter().take_while(|byte| byte.is_ascii_digit()).fold(0, |sum, byte| sum * 10 + usize::from(byte - b'0'))
}

/// Where `what` begins in `bytes`.
pub fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// The value that follows `name` up to one of `&`, `"`, `,`, a space or the end.
pub fn value_after<'a>(bytes: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = &bytes[find(bytes, name)? + name.len()..];
    let end = rest.iter().position(|byte| matches!(byte, b'&' | b'"' | b',' | b' ' | b'}')).unwrap_or(rest.len());
    Some(&rest[..end])
}

/// A decimal of at most eight places in 1e-8; what is none reads as far as it is one.
pub fn decimal_e8(text: &[u8]) -> i64 {
    let (mut value, mut places) = (0_i64, None);
    for byte in text {
        match byte {
            b'0'..=b'9' if places.is_none_or(|places| places < 8) => {
                value = value * 10 + i64::from(byte - b'0');
                places = places.map(|places: u32| places + 1);
            }
            b'.' if places.is_none() => places = Some(0),
            _ => break,
        }
    }
    value * 10_i64.pow(8 - places.unwrap_or(0))
}

/// Appends a text frame as a server sends it.
pub fn put_text_frame(payload: &[u8], out: &mut Vec<u8>) {
    put_frame(1, payload, out);
}

/// Appends an unmasked frame.
pub fn put_frame(opcode: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(0x80 | opcode);
    match payload.len() {
        short @ 0..=125 => out.push(short as u8),
        medium @ 126..=65_535 => {
            out.push(126);
            out.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            out.push(127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_frames_are_cut_whole_however_they_arrive() {
        let mut stream =
            b"POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
        put_text_frame(b"first", &mut stream);
        put_text_frame(&[b'x'; 300], &mut stream);
        // A masked one, as clients send.
        stream.extend_from_slice(&[0x81, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2]);
        for step in [1, 7, 1000] {
            let (mut inbox, mut seen) = (Inbox::default(), Vec::new());
            for part in stream.chunks(step) {
                assert_eq!(inbox.fill(&mut &part[..]).unwrap(), Got::Bytes);
                while seen.len() < 2 {
                    let Some(message) = inbox.message() else { break };
                    seen.push(inbox.bytes(&message.body).to_vec());
                }
                while seen.len() >= 2 {
                    let Some(frame) = inbox.frame() else { break };
                    assert_eq!(frame.opcode, 1);
                    seen.push(inbox.bytes(&frame.payload).to_vec());
                }
            }
            assert_eq!(seen, [b"hello".to_vec(), Vec::new(), b"first".to_vec(), vec![b'x'; 300], b"hi".to_vec()]);
        }
    }

    #[test]
    fn decimals_and_fields_are_read() {
        assert_eq!(decimal_e8(b"65000.10000000"), 6_500_010_000_000);
        assert_eq!((decimal_e8(b"7"), decimal_e8(b"0.5")), (700_000_000, 50_000_000));
        assert_eq!(value_after(b"a=1&price=2.5&b=3", b"price="), Some(&b"2.5"[..]));
        assert_eq!(value_after(br#"{"price":"2.5","x":1}"#, br#""price":""#), Some(&b"2.5"[..]));
    }
}
