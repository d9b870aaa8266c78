//! One number for a whole state.
//!
//! Owns [`Digester`]: every part of the pipeline writes what its decisions depend on, in a fixed order. Called at the
//! end of a session and by tests, never per event.

use xxhash_rust::xxh3::Xxh3;

use crate::types::{Price, Qty, TimestampNs};

/// Collects state into an xxh3-128.
pub struct Digester {
    hasher: Xxh3,
}

impl Digester {
    /// Nothing collected yet.
    pub fn new() -> Digester {
        Digester { hasher: Xxh3::new() }
    }

    /// Adds an unsigned number.
    pub fn u64(&mut self, value: u64) {
        self.hasher.update(&value.to_le_bytes());
    }

    /// Adds a signed number.
    pub fn i64(&mut self, value: i64) {
        self.hasher.update(&value.to_le_bytes());
    }

    /// Adds a wide number.
    pub fn i128(&mut self, value: i128) {
        self.hasher.update(&value.to_le_bytes());
    }

    /// Adds a float by its bits.
    pub fn f64(&mut self, value: f64) {
        self.u64(value.to_bits());
    }

    /// Adds a float that may be absent.
    pub fn option_f64(&mut self, value: Option<f64>) {
        self.u64(u64::from(value.is_some()));
        self.f64(value.unwrap_or(0.0));
    }

    /// Adds a flag.
    pub fn flag(&mut self, value: bool) {
        self.hasher.update(&[u8::from(value)]);
    }

    /// Adds a time.
    pub fn time(&mut self, value: TimestampNs) {
        self.u64(value.nanos());
    }

    /// Adds a time that may be absent.
    pub fn option_time(&mut self, value: Option<TimestampNs>) {
        self.flag(value.is_some());
        self.time(value.unwrap_or_default());
    }

    /// Adds a price that may be absent.
    pub fn option_price(&mut self, value: Option<Price>) {
        self.flag(value.is_some());
        self.i64(value.unwrap_or_default().ticks());
    }

    /// Adds a quantity.
    pub fn qty(&mut self, value: Qty) {
        self.i64(value.lots());
    }

    /// The digest.
    pub fn finish(&self) -> u128 {
        self.hasher.digest128()
    }
}

impl Default for Digester {
    fn default() -> Self {
        Self::new()
    }
}
