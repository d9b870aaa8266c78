//! Random numbers of the reference simulations, split by purpose.
//!
//! One ChaCha8 generator a purpose, seeded alike and told apart by its stream number, so that a strategy that trades
//! more often does not shift the prices another one sees: two strategies on one seed see common random numbers.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What numbers are drawn for: the stream number of the generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Moves of the mid or of the value.
    Price = 1,
    /// Which orders arrive, and when.
    Flow = 2,
    /// Whether an order meets the quote.
    Fill = 3,
    /// News: whether, when and in which direction.
    News = 4,
}

/// The generator of `purpose` for `seed`.
pub fn generator(seed: u64, purpose: Purpose) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(purpose as u64);
    rng
}

/// Mean and standard deviation of a sample, added value by value (Welford).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    n: u64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// Takes one value.
    pub fn push(&mut self, value: f64) {
        self.n += 1;
        let off = value - self.mean;
        self.mean += off / self.n as f64;
        self.squares += off * (value - self.mean);
    }

    /// Values taken.
    pub fn count(&self) -> u64 {
        self.n
    }

    /// Mean; 0 without values.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Standard deviation with `n - 1`; NaN below two values.
    pub fn std(&self) -> f64 {
        (self.squares / (self.n as f64 - 1.0)).sqrt()
    }

    /// Standard error of the mean; NaN below two values.
    pub fn error(&self) -> f64 {
        self.std() / (self.n as f64).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn moments_are_those_of_the_sample() {
        let mut moments = Moments::default();
        [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0].into_iter().for_each(|value| moments.push(value));
        assert_eq!((moments.count(), moments.mean()), (8, 5.0));
        assert!((moments.std() - (32.0_f64 / 7.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn purposes_draw_from_streams_of_their_own_and_seeds_repeat() {
        let draw = |seed, purpose| generator(seed, purpose).random::<u64>();
        assert_eq!(draw(1, Purpose::Price), draw(1, Purpose::Price));
        assert_ne!(draw(1, Purpose::Price), draw(1, Purpose::Flow));
        assert_ne!(draw(1, Purpose::Price), draw(2, Purpose::Price));
    }
}
