//! Money in serialised figures: a number with all its digits.

use serde::{Serialize, Serializer};

use crate::types::Money;

/// Writes an amount as a JSON number; a float would round it.
///
/// # Errors
/// When the serialiser refuses raw text, which JSON's does not.
pub fn money<S: Serializer>(amount: &Money, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::Error;
    serde_json::value::RawValue::from_string(amount.to_string()).map_err(S::Error::custom)?.serialize(serializer)
}

/// As [`money`], with `null` for none.
///
/// # Errors
/// As [`money`].
pub fn optional_money<S: Serializer>(amount: &Option<Money>, serializer: S) -> Result<S::Ok, S::Error> {
    match amount {
        Some(amount) => money(amount, serializer),
        None => serializer.serialize_none(),
    }
}
