//! splitmix64, as the definitions of the workloads ask for.

use touchline::types::Side;

/// The generator; its number is the state.
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// Uniform from zero to below one, 53 bits of it.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform below `bound`, by its share.
    pub fn share_of(&mut self, bound: u64) -> u64 {
        (self.unit() * bound as f64) as u64
    }

    /// Either side.
    pub fn side(&mut self) -> Side {
        if self.next() & 1 == 0 { Side::Bid } else { Side::Ask }
    }
}

/// One number's 64 bits, stirred.
pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
