//! Proof that signals know nothing of the future: made from the data up to their decision alone, they are the same.
//!
//! Whatever a signal is called and however it came about, one that looked ahead cannot be made again when what it looked
//! at is not there. So the data set is made anew from data that ends at a decision, for some decisions of the whole.

use std::collections::HashMap;

use super::shadow::Row;
use crate::pipeline::quoter::ev::NAMES;
use crate::types::{Side, TimestampNs};

/// A signal that came out differently without the future.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "signal `{signal}` of an order at offset {offset} is {with} with the data after its decision at {} ns and {without} \
     without it",
    at.nanos()
)]
pub struct Leak {
    /// Which signal.
    pub signal: &'static str,
    /// The decision.
    pub at: TimestampNs,
    /// The order's offset, in ticks.
    pub offset: i16,
    /// Its value in the whole data set.
    pub with: f64,
    /// Its value without what came after; NaN when the order was not there at all.
    pub without: f64,
}

/// Decisions at which the data is cut: spread over the whole.
pub fn cuts(rows: &[Row], count: usize) -> Vec<TimestampNs> {
    let mut cuts: Vec<TimestampNs> = (1..=count)
        .filter_map(|step| rows.get((rows.len() * step / (count + 1)).min(rows.len().saturating_sub(1))))
        .map(|row| row.decided_at)
        .collect();
    cuts.dedup();
    cuts
}

/// Compares the rows decided by `cut` with those that the data up to then gives.
///
/// # Errors
/// The first signal that differs.
pub fn compare(whole: &[Row], until_cut: &[Row], cut: TimestampNs) -> Result<(), Leak> {
    let key = |row: &Row| (row.decided_at, row.side == Side::Bid, row.offset);
    let known: HashMap<_, _> = until_cut.iter().map(|row| (key(row), row)).collect();
    for row in whole.iter().filter(|row| row.decided_at <= cut) {
        let without = known.get(&key(row));
        for (index, signal) in NAMES.into_iter().enumerate() {
            let (with, without) = (row.signals[index], without.map_or(f64::NAN, |row| row.signals[index]));
            // To the bit: the same data gives the same number.
            if with.to_bits() != without.to_bits() {
                return Err(Leak { signal, at: row.decided_at, offset: row.offset, with, without });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::pipeline::PipelineConfig;
    use crate::pipeline::sync::SyncRule;
    use crate::run::flow::synthetic_spec;
    use crate::sim::queue::RiskAverse;
    use crate::sim::{SyntheticConfig, synthetic_tape};
    use crate::train::{ShadowConfig, ShadowMarket, ShadowSet};
    use crate::types::{DesyncReason, DurationNs, Instrument, InstrumentId};
    use crate::wire::{FeedEvent, FeedNotice, FeedOwned};

    const OFFSETS: [i16; 4] = [-5, 0, 5, 13];

    fn tape(seconds: u64) -> Vec<FeedOwned> {
        let (start, length) = (TimestampNs::from_millis(1_767_225_600_000), DurationNs::from_secs(seconds));
        synthetic_tape(SyntheticConfig::default(), instrument(), start, length).unwrap()
    }

    fn instrument() -> Instrument {
        Instrument::new(InstrumentId(0), synthetic_spec("BTCUSDT").unwrap())
    }

    fn shadows(tape: &[FeedOwned]) -> ShadowSet {
        let config = ShadowConfig {
            every: DurationNs::from_secs(5),
            horizon: DurationNs::from_secs(5),
            markout: DurationNs::from_secs(5),
            latency: DurationNs::from_millis(5),
            offsets: OFFSETS.to_vec(),
            queue: Arc::new(RiskAverse),
            seed: 1,
            pipeline: PipelineConfig::default(),
        };
        let mut market = ShadowMarket::new(&instrument(), SyncRule::Spot, config).unwrap();
        tape.iter().for_each(|event| market.on_feed(&event.as_event()));
        market.finish()
    }

    fn until(tape: &[FeedOwned], cut: TimestampNs) -> &[FeedOwned] {
        &tape[..tape.iter().position(|event| event.recv_ts() > cut).unwrap_or(tape.len())]
    }

    #[test]
    fn what_the_trainer_makes_knows_nothing_of_the_future() {
        let tape = tape(900);
        let whole = shadows(&tape);
        assert!(whole.rows.len() > 500, "{}", whole.rows.len());
        let cuts = cuts(&whole.rows, 3);
        assert_eq!(cuts.len(), 3);
        for cut in cuts {
            assert_eq!(compare(&whole.rows, &shadows(until(&tape, cut)).rows, cut), Ok(()));
        }
    }

    #[test]
    fn a_planted_leak_is_caught_and_named() {
        /// The next print within a second of the decision, mixed into one signal.
        fn leaky(tape: &[FeedOwned]) -> Vec<Row> {
            let mut rows = shadows(tape).rows;
            for row in &mut rows {
                let peeked = tape.iter().find_map(|event| match event.as_event() {
                    FeedEvent::Trade(trade)
                        if trade.recv_ts > row.decided_at
                            && trade.recv_ts.since(row.decided_at) < DurationNs::from_secs(1) =>
                    {
                        Some(trade.price.ticks() as f64)
                    }
                    _ => None,
                });
                row.signals[12] += 1e-6 * peeked.unwrap_or(0.0);
            }
            rows
        }
        let tape = tape(700);
        let whole = leaky(&tape);
        let caught = cuts(&whole, 4).into_iter().find_map(|cut| compare(&whole, &leaky(until(&tape, cut)), cut).err());
        let leak = caught.expect("a trade follows one of four decisions within a second");
        assert_eq!(leak.signal, "flow_1s");
        assert!(leak.to_string().contains("flow_1s"), "{leak}");
    }

    #[test]
    fn nearer_orders_fill_more_often_and_a_gap_censors_what_it_meets() {
        let tape = tape(1_500);
        let whole = shadows(&tape);
        let share = |offset: i16| {
            let seen: Vec<bool> = whole
                .rows
                .iter()
                .filter(|row| row.offset == offset)
                .filter_map(|row| row.outcome.map(|outcome| outcome.filled))
                .collect();
            assert!(seen.len() > 100, "offset {offset}: {}", seen.len());
            seen.iter().filter(|filled| **filled).count() as f64 / seen.len() as f64
        };
        let shares = OFFSETS.map(share);
        assert!(shares[0] > shares[1] && shares[1] > shares[2] && shares[2] > shares[3], "{shares:?}");
        assert_eq!(shadows(&tape).digest, whole.digest);
        // The book is lost in the middle and never comes back.
        let lost_at = TimestampNs::from_millis(1_767_225_600_000 + 1_000_000);
        let mut cut = until(&tape, lost_at).to_vec();
        let notice =
            FeedNotice { instrument: Some(InstrumentId(0)), reason: DesyncReason::Disconnected, recv_ts: lost_at };
        cut.extend(FeedOwned::of(&FeedEvent::Notice(notice)));
        let gapped = shadows(&cut);
        let reaches = |row: &&Row| row.decided_at.plus(DurationNs::from_millis(5_005)) > lost_at;
        assert!(gapped.rows.iter().filter(reaches).count() > 0);
        assert!(gapped.rows.iter().filter(reaches).all(|row| row.outcome.is_none()));
        assert!(gapped.rows.iter().any(|row| row.outcome.is_some()));
    }
}
