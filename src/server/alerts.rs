//! What somebody should look at now: conditions on the board that hold at this moment, each with a name.
//!
//! Told by /metrics as `touchline_alert{alert="…"}`, by the dashboard's state and on its page. They change nothing that is
//! decided: a book that does not live is not quoted from, whether anybody looks or not.

use crate::metrics::{Board, Gauge};

/// The venue's bound on the 99th percentile of its answers to `GET depth`, in nanoseconds.
pub const DEPTH_P99_MAX_NS: i64 = 300_000_000;

/// One condition.
#[derive(Clone, Copy, Debug)]
pub struct Alert {
    /// Its name, stable.
    pub name: &'static str,
    /// What it means, for people.
    pub text: &'static str,
    holds: fn(&Board) -> bool,
}

/// All of them.
pub const ALERTS: [Alert; 3] = [
    Alert {
        name: "market_down",
        text: "a market-data connection is not open",
        holds: |board| board.gauge(Gauge::MarketUp) != 1 && board.gauge(Gauge::Stopping) != 1,
    },
    Alert {
        name: "book_down",
        text: "a book is not in sync with the venue: its symbol is not quoted",
        // From the start on, as a book that never comes up must be told too; whoever is paged is paged after a while.
        holds: |board| board.gauge(Gauge::BooksDown) > 0 && board.gauge(Gauge::Stopping) != 1,
    },
    Alert {
        name: "depth_slow",
        text: "1 in 100 of the last snapshots took more than 300 ms: a book that is lost stays away for longer",
        holds: |board| board.gauge(Gauge::DepthRoundTripP99Ns) > DEPTH_P99_MAX_NS,
    },
];

impl Alert {
    /// Whether it holds now.
    pub fn holds(&self, board: &Board) -> bool {
        (self.holds)(board)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(board: &Board) -> Vec<&'static str> {
        ALERTS.iter().filter(|alert| alert.holds(board)).map(|alert| alert.name).collect()
    }

    #[test]
    fn alerts_come_and_go_with_their_conditions() {
        let board = Board::new(&[], &[]);
        assert_eq!(holding(&board), ["market_down"]);
        board.set(Gauge::MarketUp, 1);
        assert!(holding(&board).is_empty());
        board.set(Gauge::DepthRoundTripP99Ns, DEPTH_P99_MAX_NS);
        assert!(holding(&board).is_empty());
        board.set(Gauge::DepthRoundTripP99Ns, DEPTH_P99_MAX_NS + 1);
        assert_eq!(holding(&board), ["depth_slow"]);
        board.set(Gauge::DepthRoundTripP99Ns, 1);
        board.set(Gauge::BooksDown, 1);
        assert_eq!(holding(&board), ["book_down"], "one of several is enough");
        board.set(Gauge::MarketUp, 0);
        board.set(Gauge::Stopping, 1);
        assert!(holding(&board).is_empty(), "a session that ends closes its connections, and its books end with them");
    }

    #[test]
    fn the_rules_for_prometheus_name_every_alert() {
        let rules = include_str!("../../tools/prometheus/touchline.rules.yml");
        for alert in ALERTS {
            assert!(rules.contains(&format!("touchline_alert{{alert=\"{}\"}} == 1", alert.name)), "{}", alert.name);
        }
        assert_eq!(rules.matches("- alert:").count(), ALERTS.len());
    }
}
