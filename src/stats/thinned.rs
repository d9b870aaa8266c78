//! A sample taken at regular steps that never grows beyond a bound.

/// Every value at first; when there are too many, every second one goes and from then on half as many are taken. What is
/// kept are always the values of regular steps, the first among them.
#[derive(Clone, Debug)]
pub struct Thinned<T> {
    values: Vec<T>,
    most: usize,
    /// One in so many values is taken.
    step: u64,
    seen: u64,
}

impl<T> Thinned<T> {
    /// An empty sample of at most `most` values, two at least.
    pub fn new(most: usize) -> Thinned<T> {
        Thinned { values: Vec::new(), most: most.max(2), step: 1, seen: 0 }
    }

    /// The next value.
    pub fn push(&mut self, value: T) {
        let is_taken = self.seen.is_multiple_of(self.step);
        self.seen += 1;
        if !is_taken {
            return;
        }
        self.values.push(value);
        if self.values.len() > self.most {
            let mut at = 0;
            self.values.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.step *= 2;
        }
    }

    /// What is kept, in its order.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// Gives up what is kept.
    pub fn into_values(self) -> Vec<T> {
        self.values
    }

    /// How many values there were.
    pub fn seen(&self) -> u64 {
        self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_lies_at_regular_steps() {
        let mut thinned = Thinned::new(4);
        for value in 0..4 {
            thinned.push(value);
        }
        assert_eq!(thinned.values(), [0, 1, 2, 3]);
        for value in 4..17 {
            thinned.push(value);
        }
        assert_eq!((thinned.values(), thinned.seen()), (&[0, 8, 16][..], 17));
    }
}
