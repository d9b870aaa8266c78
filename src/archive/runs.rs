//! Values that stand still for a while, each kept once with how often it comes.
//!
//! A depth message of fifty levels has one time, one number and one symbol; whether a column has values hardly changes
//! within a row group. Filled by `rows`, read by `chunk`, and neither ever spells the rows out.

/// Values in their order; equal ones that follow each other are one run.
#[derive(Debug)]
pub(super) struct Runs<T> {
    runs: Vec<(T, usize)>,
    len: usize,
}

impl<T> Default for Runs<T> {
    fn default() -> Self {
        Runs { runs: Vec::new(), len: 0 }
    }
}

impl<T: Copy + Eq> Runs<T> {
    /// Bytes that a run takes.
    pub(super) const RUN_BYTES: usize = size_of::<(T, usize)>();

    /// Adds a value so many times. Returns the bytes that it takes.
    pub(super) fn push(&mut self, value: T, times: usize) -> usize {
        self.len += times;
        match self.runs.last_mut() {
            Some((last, count)) if *last == value => {
                *count += times;
                0
            }
            _ if times == 0 => 0,
            _ => {
                self.runs.push((value, times));
                Self::RUN_BYTES
            }
        }
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Each run's value and how often it comes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (T, usize)> {
        self.runs.iter().copied()
    }

    /// Each run's value.
    pub(super) fn values(&self) -> impl Iterator<Item = T> {
        self.runs.iter().map(|&(value, _)| value)
    }

    /// Forgets all values and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.runs.clear();
        self.len = 0;
    }
}

impl<T: Copy + Eq> FromIterator<T> for Runs<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut runs = Runs::default();
        for value in values {
            runs.push(value, 1);
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_neighbours_are_one_run() {
        let mut runs: Runs<i64> = [5, 5, 7].into_iter().collect();
        assert_eq!(runs.push(7, 3) + runs.push(1, 0), 0);
        assert_eq!(runs.push(5, 2), Runs::<i64>::RUN_BYTES);
        assert_eq!(runs.iter().collect::<Vec<_>>(), [(5, 2), (7, 4), (5, 2)]);
        assert_eq!(runs.len(), 8);
        runs.clear();
        assert_eq!((runs.len(), runs.values().count()), (0, 0));
    }
}
