//! How fast the embedded venue answers for a deep book that is traded on.

mod venue_client;

use std::time::{Duration, Instant};

use touchline::server::venue::{VenueHandle, wall_now};
use touchline::sim::{VenueOrder, VenueOrderKind};
use touchline::types::{InstrumentId, Side};
use venue_client::{Client, OTHER, deep_venue, synthetic};

/// Levels of a side, as many as a client can ask for.
const LEVELS: i64 = 5_000;
/// The bound of the requirements on the 99th percentile.
const P99: Duration = Duration::from_millis(300);

/// Rests an order on every tick for fifty units of quote currency on both sides, away from the market.
fn fill_up(venue: &VenueHandle) {
    let touch = venue.with_venue(|venue| venue.book_ticker(InstrumentId(0)));
    let instrument = venue.with_venue(|venue| venue.config().symbols[0].instrument);
    venue.with_venue(|venue| {
        for (side, best, away) in [(Side::Bid, touch.bid, -1), (Side::Ask, touch.ask, 1)] {
            let best = instrument.price_e8(best.unwrap().price);
            for level in 1..=LEVELS {
                let price = best + away * (500 + level) * instrument.spec.tick_e8;
                let order = VenueOrder::limit(InstrumentId(0), side, VenueOrderKind::LimitMaker, price, 100_000, None);
                venue.place(wall_now(), OTHER, &order).unwrap();
            }
        }
    });
}

#[test]
fn a_book_of_five_thousand_levels_is_answered_within_300_ms_at_the_99th_percentile() {
    let mut took = [Vec::new(), Vec::new()];
    // A minute allows a weight of 6000, and 5000 levels cost 250: one venue after the other is asked.
    for _ in 0..4 {
        let venue = deep_venue(synthetic(), 2 * LEVELS as u32 + 10);
        fill_up(&venue);
        let client = Client::new(&venue, 0);
        for (times, limit, count) in [(0, 1_000, 50), (1, 5_000, 13)] {
            for _ in 0..count {
                let began = Instant::now();
                let answer = client.public("/api/v3/depth", &format!("symbol=BTCUSDT&limit={limit}"));
                took[times].push(began.elapsed());
                assert_eq!(answer.status, 200, "{:?}", answer.body);
                for side in ["bids", "asks"] {
                    assert_eq!(answer.body[side].as_array().unwrap().len(), limit, "{side}");
                }
            }
        }
    }
    for (limit, mut took) in [1_000, 5_000].into_iter().zip(took) {
        took.sort_unstable();
        let at = |share: f64| took[((took.len() as f64 * share).ceil() as usize).max(1) - 1];
        println!(
            "{limit} levels, {} requests: p50 {:?}, p99 {:?}, longest {:?}",
            took.len(),
            at(0.5),
            at(0.99),
            at(1.0)
        );
        assert!(at(0.99) < P99, "{took:?}");
    }
}
