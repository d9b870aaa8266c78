//! The venue's cap on what one connection may send it: messages, pings and pongs alike.

use std::time::{Duration, Instant};

/// Messages that the venue takes in one second; with one more it closes the connection.
const MESSAGES: usize = 5;
/// The second is the venue's, at the other end of a network that may bunch what left apart.
const SPAN: Duration = Duration::from_millis(1_250);

/// When the last messages went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    sent: [Option<Instant>; MESSAGES],
    /// The oldest of them.
    oldest: usize,
}

impl Pace {
    /// Whether a message may go now; one that may counts as sent.
    pub fn take(&mut self, now: Instant) -> bool {
        let may = self.sent[self.oldest].is_none_or(|sent| now.saturating_duration_since(sent) >= SPAN);
        if may {
            self.note(now);
        }
        may
    }

    /// Counts a message that does not wait for leave: the answer to a ping, which the venue itself has asked for.
    pub fn note(&mut self, now: Instant) {
        self.sent[self.oldest] = Some(now);
        self.oldest = (self.oldest + 1) % MESSAGES;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_sees_more_than_five_whoever_asks_how_often() {
        for step_ms in [1, 7, 90, 199, 201, 249, 251, 400, 1_300] {
            let began = Instant::now();
            let mut pace = Pace::default();
            let mut sent = Vec::new();
            for step in 0..3_000 {
                let now = began + Duration::from_millis(step * step_ms);
                // The venue pings now and then, and is answered whatever else was sent.
                let pong = step > 0 && (step * step_ms) % 20_000 < step_ms;
                if pong {
                    pace.note(now);
                }
                if pong || pace.take(now) {
                    sent.push((now, pong));
                }
            }
            for (at, (first, _)) in sent.iter().enumerate() {
                let within = sent[at..].iter().take_while(|(now, _)| *now - *first < Duration::from_secs(1));
                let (all, pongs) = within.fold((0, 0), |(all, pongs), (_, pong)| (all + 1, pongs + usize::from(*pong)));
                assert!(all <= MESSAGES + pongs, "{all} in a second, {pongs} of them pongs, asked each {step_ms} ms");
            }
            let rate = sent.len() as f64 / (sent[sent.len() - 1].0 - began).as_secs_f64();
            let asked = 1e3 / step_ms as f64;
            assert!(rate >= 0.8 * asked.min(4.0), "{rate} a second: it holds back too much");
        }
    }

    #[test]
    fn a_sixth_message_goes_when_the_first_is_old_enough() {
        let began = Instant::now();
        let mut pace = Pace::default();
        let at = |ms| began + Duration::from_millis(ms);
        assert_eq!([0, 0, 1, 2, 3].map(|ms| pace.take(at(ms))), [true; 5]);
        assert_eq!(
            [4, 999, 1_249, 1_250, 1_250, 1_251].map(|ms| pace.take(at(ms))),
            [false, false, false, true, true, true]
        );
        pace.note(at(1_300));
        assert_eq!([2_400, 2_400].map(|ms| pace.take(at(ms))), [true, false], "the pong has taken the other place");
    }
}
