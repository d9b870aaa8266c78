//! Names of things.

use std::fmt;

/// Which instrument of the session: an index into its instrument list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct InstrumentId(pub u16);

impl InstrumentId {
    /// The index into the session's instrument list.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The venue's own number of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct VenueOrderId(pub u64);

/// The venue's number of a trade, unique per symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TradeId(pub i64);

/// One run of the engine: milliseconds since the epoch at its start, made unique by whoever creates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SessionId(pub u64);

/// Every order id of every engine starts so; an order without it is somebody else's and is never touched.
const OWN_PREFIX: &str = "tl";

impl SessionId {
    /// Writes its text, as [`Display`](fmt::Display) does, without a formatter: each order's name begins with it.
    pub fn push_to(self, out: &mut String) {
        let mut digits = [0_u8; 13];
        let mut at = digits.len();
        let mut rest = self.0;
        loop {
            at -= 1;
            digits[at] = b"0123456789abcdefghijklmnopqrstuvwxyz"[(rest % 36) as usize];
            rest /= 36;
            if rest == 0 {
                break;
            }
        }
        out.push_str(OWN_PREFIX);
        out.push_str(std::str::from_utf8(&digits[at..]).unwrap_or_default());
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.push_to(&mut text);
        f.write_str(&text)
    }
}

/// Our name for an order: the session and a counter that never repeats within it.
///
/// As text `<session>-<counter>`, 5 to 36 characters of `[a-z0-9-]`, which every venue accepts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ClientOrderId {
    /// The run of the engine that placed the order.
    pub session: SessionId,
    /// Which order of that run, from 1.
    pub counter: u64,
}

impl ClientOrderId {
    /// Writes its text, as [`Display`](fmt::Display) does, without a formatter.
    pub fn push_to(self, out: &mut String) {
        self.push_stem_to(out);
        out.push_str(itoa::Buffer::new().format(self.counter));
    }

    /// Writes what the names of all orders of its session begin with: all but the counter.
    pub fn push_stem_to(self, out: &mut String) {
        self.session.push_to(out);
        out.push('-');
    }

    /// Reads an id back from the venue's text; `None` for an order that no Touchline engine placed.
    pub fn parse(text: &str) -> Option<ClientOrderId> {
        let (session, counter) = text.strip_prefix(OWN_PREFIX)?.split_once('-')?;
        if session.is_empty() || counter.is_empty() || (counter.starts_with('0') && counter.len() > 1) {
            return None;
        }
        let canonical = session.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
            && counter.bytes().all(|b| b.is_ascii_digit());
        if !canonical {
            return None;
        }
        let session = SessionId(u64::from_str_radix(session, 36).ok()?);
        Some(ClientOrderId { session, counter: counter.parse().ok()? })
    }
}

impl fmt::Display for ClientOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.push_to(&mut text);
        f.write_str(&text)
    }
}

impl fmt::Debug for ClientOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is longer than the name can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name may have at most {limit} bytes")]
pub struct TextTooLong {
    /// The most bytes that fit.
    pub limit: usize,
}

/// UTF-8 text of at most 23 bytes, held inline so that names can be copied without allocation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Symbol {
    bytes: [u8; 23],
    len: u8,
}

/// The name of a currency: the same inline text as a symbol.
pub type Asset = Symbol;

impl Symbol {
    /// A name of that text.
    ///
    /// # Errors
    /// When the text has more than 23 bytes.
    pub fn new(text: &str) -> Result<Symbol, TextTooLong> {
        let mut bytes = [0_u8; 23];
        let target = bytes.get_mut(..text.len()).ok_or(TextTooLong { limit: 23 })?;
        target.copy_from_slice(text.as_bytes());
        Ok(Symbol { bytes, len: text.len() as u8 })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The text's bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len as usize]
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_order_id_survives_its_text() {
        for (session, counter) in [(0, 1), (1_795_370_000_123, 42), (u64::MAX, u64::MAX)] {
            let id = ClientOrderId { session: SessionId(session), counter };
            let text = id.to_string();
            assert!(text.len() <= 36, "{text}");
            assert_eq!(ClientOrderId::parse(&text), Some(id));
        }
    }

    #[test]
    fn foreign_order_ids_are_not_ours() {
        for text in ["", "tl", "tl-1", "tlabc", "tlabc-", "tlabc-01", "tlABC-1", "x-TKT5PX2F0011", "tlabc-1x", "tl+1-1"]
        {
            assert_eq!(ClientOrderId::parse(text), None, "{text}");
        }
    }
}
