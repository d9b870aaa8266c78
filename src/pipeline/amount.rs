//! Amounts in configuration: decimal text, exact.
//!
//! Owns [`Amount`]. Configuration and journal read it on cold threads; the pipeline turns it into lots or money once,
//! when it is built. It never rounds.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::types::{Money, format_e8, parse_e8};

/// An amount in units of 1e-8 of whatever currency its key names. Written as decimal text; a plain number is accepted
/// when its shortest text has at most eight places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(i64);

impl Amount {
    /// From units of 1e-8.
    pub const fn from_e8(e8: i64) -> Amount {
        Amount(e8)
    }

    /// From whole units.
    pub const fn whole(units: i64) -> Amount {
        Amount(units * 100_000_000)
    }

    /// Units of 1e-8.
    pub const fn e8(self) -> i64 {
        self.0
    }

    /// As money, when the amount is of quote currency.
    pub const fn money(self) -> Money {
        Money::from_e8(self.0)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        format_e8(self.0, &mut text);
        f.write_str(&text)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AmountText;

        fn read<E: de::Error>(text: &str) -> Result<Amount, E> {
            parse_e8(text.as_bytes()).map(Amount).map_err(|err| E::custom(format_args!("`{text}`: {err}")))
        }

        impl Visitor<'_> for AmountText {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal number with at most eight places")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                read(text)
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Amount, E> {
                read(&value.to_string())
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Amount, E> {
                read(&value.to_string())
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Amount, E> {
                // Display prints the shortest text that reads back as the same float, without an exponent.
                read(&value.to_string())
            }
        }

        deserializer.deserialize_any(AmountText)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_numbers_are_read_exactly() {
        for (json, e8) in
            [("\"0.01\"", 1_000_000), ("0.01", 1_000_000), ("1000", 100_000_000_000), ("-2", -200_000_000)]
        {
            assert_eq!(serde_json::from_str::<Amount>(json).unwrap(), Amount::from_e8(e8), "{json}");
        }
        assert_eq!(serde_json::to_string(&Amount::from_e8(1_000_000)).unwrap(), "\"0.01\"");
        assert!(serde_json::from_str::<Amount>("0.000000001").is_err(), "nine places cannot be kept exactly");
        assert!(serde_json::from_str::<Amount>("\"ten\"").is_err());
    }
}
