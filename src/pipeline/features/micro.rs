//! Stoikov's microprice in the stream of books.
//!
//! Owns [`MicroPrice`]: it samples the state of the best prices on a fixed grid of time, counts transitions, and lays
//! the last fit's shift on the mid of each book. Counting and looking up are O(1) an event; the fit runs on a timer.
//! Only what had been sampled before a fit is in it. Formulas: quant.md 2.4.

use serde::{Deserialize, Serialize};

use super::micro_fit::{MicroCounts, MicroFit, MicroShape};
use crate::pipeline::config::FeaturesConfig;
use crate::pipeline::digest::Digester;
use crate::types::{DurationNs, HalfTicks, Level, TimestampNs};

/// A sample of the grid.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    /// Index of the grid point.
    point: u64,
    state: usize,
    mid: HalfTicks,
}

/// The book that stands since `ts`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Standing {
    ts: u64,
    state: usize,
    mid: HalfTicks,
}

/// The expected mid after its next moves.
pub struct MicroPrice {
    grid_ns: u64,
    gap_ns: u64,
    refit: DurationNs,
    visits_min: u64,
    counts: MicroCounts,
    fit: MicroFit,
    /// The last fit, in half ticks for each state.
    shift: Vec<f64>,
    is_fitted: bool,
    /// Something was counted since the last fit.
    has_news: bool,
    last: Option<Sample>,
    standing: Option<Standing>,
    refit_at: Option<TimestampNs>,
}

/// What survives a restart: counts are of past data, whatever their age.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MicroState {
    /// Grid step that the transitions were counted with, in milliseconds.
    pub grid_ms: u64,
    /// Transitions seen.
    pub counts: MicroCounts,
    /// The last fit, in half ticks for each state; `None` before the first.
    pub shift_half_ticks: Option<Vec<f64>>,
}

impl MicroPrice {
    /// Before the first book.
    pub fn new(config: &FeaturesConfig) -> MicroPrice {
        let shape = MicroShape { buckets: config.micro_buckets as usize, spreads: config.micro_spreads as usize };
        MicroPrice {
            grid_ns: config.micro_grid_ms.max(1).saturating_mul(1_000_000),
            gap_ns: config.gap_ms.saturating_mul(1_000_000),
            refit: DurationNs::from_millis(config.micro_refit_s.max(1).saturating_mul(1000)),
            visits_min: config.micro_visits_min.into(),
            counts: MicroCounts::new(shape),
            fit: MicroFit::new(shape.states()),
            shift: vec![0.0; shape.states()],
            is_fitted: false,
            has_news: false,
            last: None,
            standing: None,
            refit_at: None,
        }
    }

    /// Takes the best levels of a valid book. Time that goes back counts as standing still.
    pub fn on_best(&mut self, ts: TimestampNs, bid: Level, ask: Level) {
        let mut now = ts.nanos();
        if let Some(standing) = self.standing {
            now = now.max(standing.ts);
            if now - standing.ts > self.gap_ns {
                self.on_gap();
            } else {
                self.sample_until(now, standing);
            }
        }
        let mid = HalfTicks::mid(bid.price, ask.price);
        let state = self.counts.shape.state(bid.qty.lots(), ask.qty.lots(), ask.price.ticks_above(bid.price));
        self.standing = Some(Standing { ts: now, state, mid });
        if self.last.is_none() {
            self.last = Some(Sample { point: now / self.grid_ns, state, mid });
        }
        if self.refit_at.is_none() {
            self.refit_at = Some(ts.plus(self.refit));
        }
    }

    /// The book was lost: no transition may reach across.
    pub fn on_gap(&mut self) {
        self.last = None;
        self.standing = None;
    }

    /// When the next fit is due; `None` before the first book.
    pub fn due_at(&self) -> Option<TimestampNs> {
        self.refit_at
    }

    /// Fits anew if that is due. Returns whether the shift may have changed.
    pub fn on_timer(&mut self, now: TimestampNs) -> bool {
        if self.refit_at.is_none_or(|due| now < due) {
            return false;
        }
        self.refit_at = Some(now.plus(self.refit));
        if !std::mem::take(&mut self.has_news) {
            return false;
        }
        let is_fitted = self.fit.fit(&self.counts, self.visits_min);
        if is_fitted {
            self.shift.copy_from_slice(self.fit.shift());
            self.is_fitted = true;
        }
        is_fitted
    }

    /// The microprice of these best levels, in ticks; `None` before the first fit.
    pub fn ticks(&self, bid: Level, ask: Level) -> Option<f64> {
        if !self.is_fitted {
            return None;
        }
        let mid = HalfTicks::mid(bid.price, ask.price).ticks_f64();
        // An even book lies on the axis of symmetry, where every antisymmetric function is zero.
        if bid.qty == ask.qty {
            return Some(mid);
        }
        let spread = ask.price.ticks_above(bid.price);
        Some(mid + 0.5 * self.shift[self.counts.shape.state(bid.qty.lots(), ask.qty.lots(), spread)])
    }

    /// What has been counted.
    pub fn counts(&self) -> &MicroCounts {
        &self.counts
    }

    /// What survives a restart.
    pub fn state(&self) -> MicroState {
        MicroState {
            grid_ms: self.grid_ns / 1_000_000,
            counts: self.counts.clone(),
            shift_half_ticks: self.is_fitted.then(|| self.shift.clone()),
        }
    }

    /// Takes what an earlier session has counted. Returns false, and changes nothing, when that was counted on
    /// another grid or with other states.
    pub fn restore(&mut self, state: &MicroState) -> bool {
        let fits = state.counts.is_whole()
            && state.counts.shape == self.counts.shape
            && state.grid_ms == self.grid_ns / 1_000_000
            && state
                .shift_half_ticks
                .as_ref()
                .is_none_or(|shift| shift.len() == self.shift.len() && shift.iter().all(|value| value.is_finite()));
        if !fits {
            return false;
        }
        self.counts.clone_from(&state.counts);
        self.is_fitted = state.shift_half_ticks.is_some();
        if let Some(shift) = &state.shift_half_ticks {
            self.shift.copy_from_slice(shift);
        }
        self.has_news = true;
        true
    }

    /// Adds its state to a digest.
    pub fn digest(&self, digester: &mut Digester) {
        for count in self.counts.stayed.iter().chain(&self.counts.moved) {
            digester.u64(u64::from(*count));
        }
        for sum in &self.counts.move_sum {
            digester.i64(*sum);
        }
        digester.flag(self.is_fitted);
        for shift in &self.shift {
            digester.f64(*shift);
        }
        digester.flag(self.has_news);
        if let Some(last) = self.last {
            digester.u64(last.point);
            digester.u64(last.state as u64);
            digester.i64(last.mid.get());
        }
        if let Some(standing) = self.standing {
            digester.u64(standing.ts);
            digester.u64(standing.state as u64);
            digester.i64(standing.mid.get());
        }
        digester.option_time(self.refit_at);
    }

    /// The sample of a grid point is the last book before it. Between two books only the first point can bring a
    /// change, so all the others are one addition.
    fn sample_until(&mut self, now: u64, standing: Standing) {
        let Some(last) = self.last else { return };
        let point = now / self.grid_ns;
        let passed = point.saturating_sub(last.point);
        if passed == 0 {
            return;
        }
        self.counts.add(last.state, standing.state, standing.mid.get() - last.mid.get(), 1);
        if passed > 1 {
            let repeats = u32::try_from(passed - 1).unwrap_or(u32::MAX);
            self.counts.add(standing.state, standing.state, 0, repeats);
        }
        self.has_news = true;
        self.last = Some(Sample { point, state: standing.state, mid: standing.mid });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::{Price, Qty};

    fn config() -> FeaturesConfig {
        FeaturesConfig { micro_refit_s: 10, micro_visits_min: 20, ..FeaturesConfig::default() }
    }

    fn level(price: i64, qty: i64) -> Level {
        Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) }
    }

    fn millis(ms: u64) -> TimestampNs {
        TimestampNs::from_millis(1_700_000_000_000 + ms)
    }

    /// A market whose mid follows the heavier side at every other step.
    fn leaning_market(micro: &mut MicroPrice, seconds: u64) {
        for second in 0..seconds {
            // Steps of four: heavy bid, up one tick, heavy ask, down one tick.
            let (price, bid, ask) = match second % 4 {
                0 => (100, 9, 1),
                1 => (101, 5, 6),
                2 => (101, 1, 9),
                _ => (100, 6, 5),
            };
            micro.on_best(millis(second * 1000 + 500), level(price, bid), level(price + 1, ask));
        }
    }

    #[test]
    fn the_microprice_leans_where_the_mid_will_go() {
        let mut micro = MicroPrice::new(&config());
        leaning_market(&mut micro, 200);
        assert_eq!(micro.ticks(level(100, 9), level(101, 1)), None, "nothing is known before the first fit");
        assert!(!micro.on_timer(millis(0)), "not due yet");
        assert!(micro.on_timer(millis(200_000)));
        let up = micro.ticks(level(100, 9), level(101, 1)).unwrap();
        let down = micro.ticks(level(100, 1), level(101, 9)).unwrap();
        assert!(up > 100.75, "{up}");
        assert!((up + down - 201.0).abs() < 1e-8, "{up} {down}");
        assert_eq!(micro.ticks(level(100, 4), level(101, 4)), Some(100.5), "an even book says nothing");
        assert_eq!(micro.ticks(level(100, 9), level(105, 1)), Some(102.5), "a state never seen has no shift");
    }

    #[test]
    fn nothing_is_counted_across_a_gap() {
        let mut micro = MicroPrice::new(&config());
        micro.on_best(millis(0), level(100, 9), level(101, 1));
        micro.on_gap();
        micro.on_best(millis(1500), level(200, 9), level(201, 1));
        micro.on_best(millis(1600 + config().gap_ms), level(300, 9), level(301, 1));
        assert!(micro.counts().move_sum.iter().all(|sum| *sum == 0));
        assert!(micro.counts().stayed.iter().all(|count| *count == 0));
    }

    #[test]
    fn a_restored_microprice_says_what_the_saved_one_said() {
        let mut micro = MicroPrice::new(&config());
        leaning_market(&mut micro, 100);
        micro.on_timer(millis(100_000));
        let json = serde_json::to_string(&micro.state()).unwrap();
        let mut other = MicroPrice::new(&config());
        assert!(other.restore(&serde_json::from_str(&json).unwrap()));
        let (bid, ask) = (level(100, 9), level(101, 1));
        assert!((other.ticks(bid, ask).unwrap() - micro.ticks(bid, ask).unwrap()).abs() < 1e-12);
        assert_eq!(other.counts(), micro.counts());
        let mut coarser = MicroPrice::new(&FeaturesConfig { micro_buckets: 4, ..config() });
        assert!(!coarser.restore(&micro.state()), "other states");
        let mut slower = MicroPrice::new(&FeaturesConfig { micro_grid_ms: 2000, ..config() });
        assert!(!slower.restore(&micro.state()), "another grid");
    }

    /// The definition, from the whole list at once: the last book before each grid point, point by point.
    fn naive_counts(shape: MicroShape, grid_ms: u64, books: &[(u64, i64, i64, i64, i64)]) -> MicroCounts {
        let mut counts = MicroCounts::new(shape);
        let sample = |book: &(u64, i64, i64, i64, i64)| (shape.state(book.3, book.4, book.2), 2 * book.1 + book.2);
        let first_point = (1_700_000_000_000 + books[0].0) / grid_ms;
        let last_point = (1_700_000_000_000 + books[books.len() - 1].0) / grid_ms;
        let mut before = sample(&books[0]);
        for point in first_point + 1..=last_point {
            // A book read at the very time of the point comes after it.
            let at = books.iter().rev().find(|book| 1_700_000_000_000 + book.0 < point * grid_ms).unwrap();
            let now = sample(at);
            counts.add(before.0, now.0, now.1 - before.1, 1);
            before = now;
        }
        counts
    }

    proptest! {
        #[test]
        fn streamed_counts_equal_those_of_the_whole_tape(
            steps in prop::collection::vec((1_u64..4000, 90_i64..110, 1_i64..5, 1_i64..50, 1_i64..50), 2..120),
        ) {
            let mut micro = MicroPrice::new(&config());
            let mut ms = 0;
            let mut books = Vec::new();
            for (wait, bid, spread, bid_qty, ask_qty) in steps {
                ms += wait;
                books.push((ms, bid, spread, bid_qty, ask_qty));
                micro.on_best(millis(ms), level(bid, bid_qty), level(bid + spread, ask_qty));
            }
            let want = naive_counts(micro.counts().shape, config().micro_grid_ms, &books);
            prop_assert_eq!(micro.counts(), &want);
        }
    }
}
