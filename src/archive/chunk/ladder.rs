//! A dictionary of decimals that are a number of steps each: prices of a row group lie near each other.
//!
//! As byte planes a decimal of eight places costs three times its number of ticks, because a step of 0.01 is a million
//! of its digits. A row group's prices are a few thousand different ones, found by their distance from the least
//! without any hashing; which of them a row has takes little more than the ticks themselves.

/// Steps that the values of a row group may spread over.
const SPREAD: usize = 1 << 16;

/// The dictionary of one column chunk, and the buffers that make it.
#[derive(Default)]
pub(super) struct Ladder {
    /// The different decimals, in the order of their first use.
    pub rungs: Vec<i64>,
    /// The number of each row's decimal among them.
    pub numbers: Vec<u32>,
    /// By distance from the least: the number, plus one; zero for none yet.
    places: Vec<u32>,
}

impl Ladder {
    /// Makes the dictionary of `steps` times `step`. `false`, and nothing to be used, when they spread too far or repeat
    /// too little for a dictionary to be worth it.
    ///
    /// `least` and `most` are those of the steps.
    pub(super) fn climb(&mut self, steps: &[i64], (least, most): (i64, i64), step: i64) -> bool {
        let Some(spread) = most.checked_sub(least).and_then(|spread| usize::try_from(spread).ok()) else {
            return false;
        };
        if spread >= SPREAD {
            return false;
        }
        self.places.clear();
        self.places.resize(spread + 1, 0);
        self.rungs.clear();
        self.numbers.clear();
        let most_rungs = steps.len() / 8;
        self.numbers.extend(steps.iter().map(|&number| {
            let place = &mut self.places[(number - least) as usize];
            if *place == 0 {
                self.rungs.push(number * step);
                *place = self.rungs.len() as u32;
            }
            *place - 1
        }));
        self.rungs.len() <= most_rungs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_finds_its_decimal() {
        let mut ladder = Ladder::default();
        let steps: Vec<i64> = (0..1_000).map(|row| 50 - row * row % 17).collect();
        assert!(ladder.climb(&steps, (34, 50), 1_000_000));
        for (row, &number) in steps.iter().enumerate() {
            assert_eq!(ladder.rungs[ladder.numbers[row] as usize], number * 1_000_000);
        }
        assert!(!ladder.climb(&[1, 1 << 20], (1, 1 << 20), 1), "too far apart");
        assert!(!ladder.climb(&(0..1_000).collect::<Vec<_>>(), (0, 999), 1), "all different");
        assert!(!ladder.climb(&[i64::MIN, i64::MAX], (i64::MIN, i64::MAX), 1));
    }
}
