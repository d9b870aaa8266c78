//! Seeded mutations: the same inputs on every machine, for as long as is asked.

use std::time::{Duration, Instant};

/// xorshift64.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    /// One time of so many.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn one_of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// A few changes anywhere: bytes, bits, pieces that go, come twice or move, and words that mean something to the reader.
pub fn mutate(input: &mut Vec<u8>, words: &[&[u8]], random: &mut Random) {
    for _ in 0..=random.below(3) {
        if input.is_empty() {
            return;
        }
        let at = random.below(input.len());
        match random.below(7) {
            0 => input[at] = random.below(256) as u8,
            1 => input[at] ^= 1 << random.below(8),
            2 => drop(input.remove(at)),
            3 => input.truncate(at),
            4 => drop(input.splice(at..at, random.one_of(words).iter().copied())),
            5 => {
                let end = (at + random.below(24)).min(input.len());
                let piece = input[at..end].to_vec();
                let to = random.below(input.len());
                drop(input.splice(to..to, piece));
            }
            _ => drop(input.drain(at..(at + random.below(24)).min(input.len()))),
        }
    }
}

/// How long mutations go on: `TOUCHLINE_FUZZ_SECONDS`, or ten.
pub fn patience() -> Duration {
    let given = std::env::var("TOUCHLINE_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(given.unwrap_or(10))
}

/// What mutations begin with: `TOUCHLINE_FUZZ_SEED`, or 42.
pub fn seed() -> u64 {
    std::env::var("TOUCHLINE_FUZZ_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(42)
}

/// Hands out one generator an input until the time is over, and says how many that were. An input depends on the seed
/// and its number alone; on a panic both are told, and `TOUCHLINE_FUZZ_INPUT` makes that input the only one.
pub fn for_each_input(mut attack: impl FnMut(&mut Random)) -> u64 {
    struct Told(u64, u64);
    impl Drop for Told {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("found by TOUCHLINE_FUZZ_SEED={} TOUCHLINE_FUZZ_INPUT={}", self.0, self.1);
            }
        }
    }
    let only: Option<u64> = std::env::var("TOUCHLINE_FUZZ_INPUT").ok().and_then(|text| text.parse().ok());
    let mut told = Told(seed(), only.unwrap_or(0));
    let begun = Instant::now();
    loop {
        // Neighbouring numbers must not give neighbouring streams; and xorshift never leaves zero.
        let mixed = (told.0 ^ told.1.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        attack(&mut Random(mixed | 1));
        told.1 += 1;
        if only.is_some() || begun.elapsed() >= patience() {
            return told.1;
        }
    }
}
