//! Writes JSON text straight into a string, fields in the order of Binance's pages.
//!
//! Amounts are decimal text with eight places; nothing here touches a float. Used for every answer and event.

use std::fmt::{Display, Write};

use crate::types::{TimestampNs, format_e8_padded};

/// The unit of every time in an answer or event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum TimeUnit {
    /// The default.
    #[default]
    Millis,
    /// Asked for by `timeUnit=MICROSECOND` or the header `X-MBX-TIME-UNIT`.
    Micros,
}

impl TimeUnit {
    /// The unit of that name, in either case; `None` for a name that Binance does not know.
    pub fn parse(name: &str) -> Option<TimeUnit> {
        match name {
            "MILLISECOND" | "millisecond" => Some(TimeUnit::Millis),
            "MICROSECOND" | "microsecond" => Some(TimeUnit::Micros),
            _ => None,
        }
    }

    /// A time in this unit.
    pub fn of(self, at: TimestampNs) -> u64 {
        match self {
            TimeUnit::Millis => at.millis(),
            TimeUnit::Micros => at.micros(),
        }
    }
}

/// An object being written. The brace is closed by [`Object::end`].
pub struct Object<'o> {
    out: &'o mut String,
}

impl<'o> Object<'o> {
    /// Opens an object at the end of `out`.
    pub fn open(out: &'o mut String) -> Object<'o> {
        out.push('{');
        Object { out }
    }

    fn name(&mut self, name: &str) -> &mut String {
        if !self.out.ends_with('{') {
            self.out.push(',');
        }
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
        self.out
    }

    /// A string field.
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        let out = self.name(name);
        push_text(out, value);
        self
    }

    /// A number or boolean field.
    pub fn plain(&mut self, name: &str, value: impl Display) -> &mut Self {
        // Writing to a String cannot fail.
        let _ = write!(self.name(name), "{value}");
        self
    }

    /// An amount in units of 1e-8 as decimal text.
    pub fn amount(&mut self, name: &str, e8: i64) -> &mut Self {
        let out = self.name(name);
        push_amount(out, e8);
        self
    }

    /// A field that is JSON already.
    pub fn raw(&mut self, name: &str, json: &str) -> &mut Self {
        self.name(name).push_str(json);
        self
    }

    /// A field that `write` writes.
    pub fn with(&mut self, name: &str, write: impl FnOnce(&mut String)) -> &mut Self {
        write(self.name(name));
        self
    }

    /// Closes the object.
    pub fn end(&mut self) {
        self.out.push('}');
    }
}

/// Writes a list, `write` writing each element.
pub fn push_list<T>(out: &mut String, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut String, T)) {
    out.push('[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

/// Writes a JSON string.
pub fn push_text(out: &mut String, value: &str) {
    if value.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        out.push_str(&serde_json::Value::from(value).to_string());
        return;
    }
    out.push('"');
    out.push_str(value);
    out.push('"');
}

/// Writes an amount of 1e-8 units as decimal text in quotes.
pub fn push_amount(out: &mut String, e8: i64) {
    out.push('"');
    format_e8_padded(e8, out);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_json_and_amounts_exact() {
        let mut out = String::new();
        let mut object = Object::open(&mut out);
        object.text("s", "BTC\"USDT").plain("n", -1).amount("p", 6_125_010_000_000);
        object.with("l", |out| push_list(out, [1, 2], push_amount));
        object.end();
        assert_eq!(out, r#"{"s":"BTC\"USDT","n":-1,"p":"61250.10000000","l":["0.00000001","0.00000002"]}"#);
        serde_json::from_str::<serde_json::Value>(&out).unwrap();
    }
}
