//! Stoikov's microprice from counted transitions: the fit.
//!
//! Owns [`MicroCounts`], what was seen of the book's states from one grid step to the next, and [`MicroFit`], which
//! turns it into the expected move of the mid in each state. Called by [`MicroPrice`](super::MicroPrice) on a timer,
//! never on a market event; its work is bounded by the number of states and it allocates at construction only.
//! Source: Stoikov (2018), "The micro-price"; quant.md 2.4.

use serde::{Deserialize, Serialize};

/// Terms of the series that are added at most. They shrink geometrically, so this is a bound on work, not precision.
const TERMS_MAX: usize = 500;

/// The series ends at a term below this, in half ticks: 1e-9 of a tick.
const TERM_MIN: f64 = 2e-9;

/// A state of the best prices: bucket of the imbalance times capped spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MicroShape {
    /// Buckets of `qb / (qb + qa)`.
    pub buckets: usize,
    /// Spreads told apart, in ticks; the last one holds all wider ones.
    pub spreads: usize,
}

impl MicroShape {
    /// How many states there are.
    pub const fn states(self) -> usize {
        self.buckets * self.spreads
    }

    /// The state of best quantities in lots and a spread in ticks. A quantity share on the border of two buckets
    /// belongs to the one nearer to one half, so that swapping the sides gives the mirrored state.
    pub fn state(self, bid_lots: i64, ask_lots: i64, spread_ticks: i64) -> usize {
        let (scaled, all) = (self.buckets as i64 * bid_lots, (bid_lots + ask_lots).max(1));
        let mut bucket = (scaled / all) as usize;
        if 2 * bucket > self.buckets && scaled % all == 0 {
            bucket -= 1;
        }
        let spread = (spread_ticks.max(1) as usize).min(self.spreads) - 1;
        bucket.min(self.buckets - 1) * self.spreads + spread
    }

    /// The state with bids and asks swapped.
    pub const fn mirror(self, state: usize) -> usize {
        (self.buckets - 1 - state / self.spreads) * self.spreads + state % self.spreads
    }
}

/// Transitions from one grid step to the next, each counted with its mirror.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MicroCounts {
    /// What a state is.
    pub shape: MicroShape,
    /// From a state to a state while the mid stayed.
    pub stayed: Vec<u32>,
    /// From a state to the state right after a move of the mid.
    pub moved: Vec<u32>,
    /// Sum of the moves out of a state, in half ticks.
    pub move_sum: Vec<i64>,
}

impl MicroCounts {
    /// Nothing seen.
    pub fn new(shape: MicroShape) -> MicroCounts {
        let states = shape.states();
        MicroCounts {
            shape,
            stayed: vec![0; states * states],
            moved: vec![0; states * states],
            move_sum: vec![0; states],
        }
    }

    /// Counts `times` transitions during each of which the mid moved by `half_ticks`, and their mirrors: the fit is
    /// antisymmetric by construction and its series converges.
    pub fn add(&mut self, from: usize, to: usize, half_ticks: i64, times: u32) {
        let states = self.shape.states();
        for (from, to, half_ticks) in
            [(from, to, half_ticks), (self.shape.mirror(from), self.shape.mirror(to), -half_ticks)]
        {
            let counts = if half_ticks == 0 { &mut self.stayed } else { &mut self.moved };
            let count = &mut counts[from * states + to];
            *count = count.saturating_add(times);
            self.move_sum[from] = self.move_sum[from].saturating_add(half_ticks.saturating_mul(i64::from(times)));
        }
    }

    /// Transitions counted out of a state, its mirror's among them.
    fn row_sum(&self, state: usize) -> u64 {
        let states = self.shape.states();
        let row = state * states..(state + 1) * states;
        self.stayed[row.clone()].iter().chain(&self.moved[row]).map(|count| u64::from(*count)).sum()
    }

    /// Observations that a state's figures rest on: its own and its mirror's, each once.
    pub fn visits(&self, state: usize) -> u64 {
        // A state that is its own mirror has counted everything twice.
        if self.shape.mirror(state) == state { self.row_sum(state) / 2 } else { self.row_sum(state) }
    }

    /// Whether every vector has the length of its shape: what was read from outside may not.
    pub fn is_whole(&self) -> bool {
        let states = self.shape.states();
        states > 0
            && self.stayed.len() == states * states
            && self.moved.len() == states * states
            && self.move_sum.len() == states
    }
}

/// Working memory and result of a fit.
#[derive(Clone, Debug)]
pub struct MicroFit {
    states: usize,
    /// I - Q, which elimination turns into an upper triangle.
    stay: Vec<f64>,
    /// T, which elimination turns into B = (I - Q)^-1 T.
    after: Vec<f64>,
    /// R K, which elimination turns into G1 = (I - Q)^-1 R K.
    first: Vec<f64>,
    term: Vec<f64>,
    next: Vec<f64>,
    alive: Vec<bool>,
    shift: Vec<f64>,
}

impl MicroFit {
    /// Room for so many states.
    pub fn new(states: usize) -> MicroFit {
        MicroFit {
            states,
            stay: vec![0.0; states * states],
            after: vec![0.0; states * states],
            first: vec![0.0; states],
            term: vec![0.0; states],
            next: vec![0.0; states],
            alive: vec![false; states],
            shift: vec![0.0; states],
        }
    }

    /// Fits counts. States with fewer than `visits_min` visits, and states from which no move of the mid was ever
    /// reached, count as if nothing followed them: their shift is zero. Returns whether any state has a fit.
    pub fn fit(&mut self, counts: &MicroCounts, visits_min: u64) -> bool {
        let states = self.states;
        self.mark_alive(counts, visits_min);
        for from in 0..states {
            let row = from * states;
            let all = if self.alive[from] { counts.row_sum(from) as f64 } else { f64::INFINITY };
            for to in 0..states {
                let stays = f64::from(counts.stayed[row + to]) / all;
                self.stay[row + to] = if from == to { 1.0 - stays } else { -stays };
                self.after[row + to] = f64::from(counts.moved[row + to]) / all;
            }
            self.first[from] = counts.move_sum[from] as f64 / all;
        }
        self.solve();
        self.alive.contains(&true)
    }

    /// Fits probabilities: rows of `stay` (Q) and `moves` (R, one column for each of `half_ticks`) sum to one, rows of
    /// `after` (T) to those of `moves`.
    ///
    /// # Panics
    /// When a slice has not the length that its meaning demands.
    pub fn fit_rows(&mut self, stay: &[f64], moves: &[f64], half_ticks: &[f64], after: &[f64]) {
        let states = self.states;
        assert!(stay.len() == states * states && after.len() == states * states);
        assert_eq!(moves.len(), states * half_ticks.len());
        for from in 0..states {
            for to in 0..states {
                let at = from * states + to;
                self.stay[at] = if from == to { 1.0 - stay[at] } else { -stay[at] };
                self.after[at] = after[at];
            }
            let row = &moves[from * half_ticks.len()..(from + 1) * half_ticks.len()];
            self.first[from] = row.iter().zip(half_ticks).map(|(chance, move_by)| chance * move_by).sum();
        }
        self.solve();
    }

    /// Expected move of the mid in each state, in half ticks.
    pub fn shift(&self) -> &[f64] {
        &self.shift
    }

    /// Expected first move in each state (G1), in half ticks.
    pub fn first_move(&self) -> &[f64] {
        &self.first
    }

    /// Chance of each state right after the first move (B), row by row.
    pub fn after_move(&self) -> &[f64] {
        &self.after
    }

    /// A closed class of states without a move would make I - Q singular, so only states that lead to one are kept.
    fn mark_alive(&mut self, counts: &MicroCounts, visits_min: u64) {
        let states = self.states;
        let enough = |state: usize| counts.visits(state) >= visits_min.max(1);
        for state in 0..states {
            let row = state * states..(state + 1) * states;
            self.alive[state] = enough(state) && counts.moved[row].iter().any(|count| *count > 0);
        }
        loop {
            let mut grew = false;
            for state in 0..states {
                let row = &counts.stayed[state * states..(state + 1) * states];
                if !self.alive[state]
                    && enough(state)
                    && row.iter().zip(&self.alive).any(|(count, alive)| *count > 0 && *alive)
                {
                    self.alive[state] = true;
                    grew = true;
                }
            }
            if !grew {
                break;
            }
        }
    }

    /// G* = G1 + B G1 + B² G1 + …
    fn solve(&mut self) {
        self.eliminate();
        self.shift.copy_from_slice(&self.first);
        self.term.copy_from_slice(&self.first);
        for _ in 0..TERMS_MAX {
            let mut largest = 0.0_f64;
            for (row, next) in self.after.chunks_exact(self.states).zip(&mut self.next) {
                *next = row.iter().zip(&self.term).map(|(chance, term)| chance * term).sum();
                largest = largest.max(next.abs());
            }
            std::mem::swap(&mut self.term, &mut self.next);
            for (shift, term) in self.shift.iter_mut().zip(&self.term) {
                *shift += term;
            }
            if largest < TERM_MIN {
                break;
            }
        }
    }

    /// Solves (I - Q) x = T and (I - Q) x = R K in place. I - Q is a diagonally dominant M-matrix: its pivots are
    /// positive without exchanging rows.
    fn eliminate(&mut self) {
        let states = self.states;
        for pivot in 0..states {
            let inverse = 1.0 / self.stay[pivot * states + pivot];
            for row in pivot + 1..states {
                let factor = self.stay[row * states + pivot] * inverse;
                if factor == 0.0 {
                    continue;
                }
                for column in pivot + 1..states {
                    self.stay[row * states + column] -= factor * self.stay[pivot * states + column];
                }
                for column in 0..states {
                    self.after[row * states + column] -= factor * self.after[pivot * states + column];
                }
                self.first[row] -= factor * self.first[pivot];
            }
        }
        for row in (0..states).rev() {
            for below in row + 1..states {
                let factor = self.stay[row * states + below];
                if factor == 0.0 {
                    continue;
                }
                for column in 0..states {
                    self.after[row * states + column] -= factor * self.after[below * states + column];
                }
                self.first[row] -= factor * self.first[below];
            }
            let inverse = 1.0 / self.stay[row * states + row];
            for column in 0..states {
                self.after[row * states + column] *= inverse;
            }
            self.first[row] *= inverse;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHAPE: MicroShape = MicroShape { buckets: 4, spreads: 2 };

    /// quant.md 2.4, the toy of three imbalance states.
    #[test]
    fn stoikov_microprice_toy_oracle() {
        let mut fit = MicroFit::new(3);
        fit.fit_rows(
            &[0.5, 0.2, 0.0, 0.2, 0.4, 0.2, 0.0, 0.2, 0.5],
            &[0.25, 0.05, 0.1, 0.1, 0.05, 0.25],
            &[-1.0, 1.0],
            &[0.18, 0.07, 0.05, 0.07, 0.06, 0.07, 0.05, 0.07, 0.18],
        );
        let close = |ours: &[f64], want: &[f64], within: f64| {
            assert!(ours.iter().zip(want).all(|(ours, want)| (ours - want).abs() < within), "{ours:?}");
        };
        close(fit.first_move(), &[-0.4, 0.0, 0.4], 1e-12);
        close(&fit.after_move()[..6], &[0.507_273, 0.245_455, 0.247_273, 0.368_182, 0.263_636, 0.368_182], 5e-7);
        close(fit.shift(), &[-0.4 / 0.74, 0.0, 0.4 / 0.74], 4e-9);
    }

    /// Gauss-Jordan with row exchanges on plain vectors, and the series by its definition.
    fn naive_shift(counts: &MicroCounts) -> Vec<f64> {
        let states = counts.shape.states();
        let row_sum = |x: usize| -> f64 {
            (0..states).map(|y| f64::from(counts.stayed[x * states + y] + counts.moved[x * states + y])).sum()
        };
        let mut rows: Vec<Vec<f64>> = (0..states)
            .map(|x| {
                let identity = |y: usize| f64::from(u8::from(x == y));
                let mut row: Vec<f64> =
                    (0..states).map(|y| identity(y) - f64::from(counts.stayed[x * states + y]) / row_sum(x)).collect();
                row.extend((0..states).map(|y| f64::from(counts.moved[x * states + y]) / row_sum(x)));
                row.push(counts.move_sum[x] as f64 / row_sum(x));
                row
            })
            .collect();
        for column in 0..states {
            let best =
                (column..states).max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs())).unwrap();
            rows.swap(column, best);
            let pivot = rows[column][column];
            rows[column].iter_mut().for_each(|value| *value /= pivot);
            let pivot_row = rows[column].clone();
            for (at, row) in rows.iter_mut().enumerate() {
                if at != column {
                    let factor = row[column];
                    row.iter_mut().zip(&pivot_row).for_each(|(value, pivot)| *value -= factor * pivot);
                }
            }
        }
        let first: Vec<f64> = rows.iter().map(|row| row[2 * states]).collect();
        let mut shift = first.clone();
        let mut term = first;
        for _ in 0..20_000 {
            term = rows.iter().map(|row| (0..states).map(|y| row[states + y] * term[y]).sum()).collect();
            shift.iter_mut().zip(&term).for_each(|(shift, term)| *shift += term);
        }
        shift
    }

    proptest! {
        #[test]
        fn the_fit_is_antisymmetric_and_equals_a_plain_elimination(
            seen in prop::collection::vec((0_usize..8, 0_usize..8, -3_i64..=3, 1_u32..50), 60..200),
        ) {
            let mut counts = MicroCounts::new(SHAPE);
            // Every state leads to a move and back, so that the plain elimination has no special cases either.
            for state in 0..8 {
                counts.add(state, (state + 1) % 8, 1, 3);
                counts.add(state, state, 0, 20);
            }
            for (from, to, half_ticks, times) in seen {
                counts.add(from, to, half_ticks, times);
            }
            let mut fit = MicroFit::new(8);
            prop_assert!(fit.fit(&counts, 1));
            let want = naive_shift(&counts);
            for (state, want) in want.iter().enumerate() {
                let (shift, mirrored) = (fit.shift()[state], fit.shift()[SHAPE.mirror(state)]);
                prop_assert!((shift + mirrored).abs() < 1e-8, "{shift} {mirrored}");
                // The series is cut at 1e-9 of a tick; what is cut off adds up to a little more.
                prop_assert!((shift - want).abs() < 1e-6, "{state}: {shift} {want}");
            }
        }

        #[test]
        fn swapping_the_sides_mirrors_the_state(
            bid in 1_i64..2000, ask in 1_i64..2000, spread in 1_i64..6, buckets in 2_usize..20, spreads in 1_usize..5,
        ) {
            let shape = MicroShape { buckets, spreads };
            let state = shape.state(bid, ask, spread);
            prop_assert!(state < shape.states());
            // An even book lies on the border between two middle buckets when their number is even.
            if bid != ask || buckets % 2 == 1 {
                prop_assert_eq!(shape.state(ask, bid, spread), shape.mirror(state));
            }
        }
    }

    #[test]
    fn a_state_with_too_few_visits_has_no_shift() {
        let mut counts = MicroCounts::new(MicroShape { buckets: 4, spreads: 1 });
        // A heavy bid (state 3) is followed by a move up; a light lean (state 2) too, but was seen only nineteen times.
        counts.add(3, 3, 2, 50);
        counts.add(2, 2, 2, 19);
        let mut fit = MicroFit::new(4);
        assert!(fit.fit(&counts, 20));
        assert_eq!((fit.shift()[1], fit.shift()[2]), (0.0, 0.0));
        assert!(fit.shift()[3] > 1.0 && fit.shift()[0] < -1.0, "{:?}", fit.shift());
        counts.add(2, 2, 2, 1);
        assert!(fit.fit(&counts, 20));
        assert!(fit.shift()[2] > 1.0, "twenty visits are enough");
    }

    #[test]
    fn states_that_never_lead_to_a_move_do_not_break_the_fit() {
        let mut counts = MicroCounts::new(MicroShape { buckets: 4, spreads: 1 });
        counts.add(2, 2, 0, 1000);
        let mut fit = MicroFit::new(4);
        assert!(!fit.fit(&counts, 20), "nothing has been learnt from a mid that never moved");
        counts.add(3, 1, 1, 100);
        assert!(fit.fit(&counts, 20));
        assert!(fit.shift().iter().all(|shift| shift.is_finite()));
        assert_eq!(fit.shift()[2], 0.0);
        assert!(fit.shift()[3] > 0.0);
    }

    #[test]
    fn a_state_that_is_its_own_mirror_counts_its_visits_once() {
        let mut counts = MicroCounts::new(MicroShape { buckets: 3, spreads: 1 });
        counts.add(1, 1, 0, 7);
        assert_eq!(counts.visits(1), 7);
        counts.add(0, 0, 1, 5);
        assert_eq!((counts.visits(0), counts.visits(2)), (5, 5));
    }
}
