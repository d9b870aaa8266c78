//! `touchline bench`: latencies of this build on this machine, beside baselines measured in the same minutes.
//!
//! The baselines are [`echo`], the floor, [`thin`], the least that a maker must do, [`ping_pong`] between two cores and
//! the [`hiccup`] meter. They are frozen: a figure of another day is compared by its ratio to them. The [`probe`] is the
//! outside clock.

mod bot;
mod echo;
mod figures;
mod hiccup;
mod inbox;
mod market;
mod ping_pong;
mod probe;
mod replies;
mod thin;

use super::{Failure, exit};

/// Flags of `bench`.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    verb: BenchVerb,
}

#[derive(Debug, clap::Subcommand)]
enum BenchVerb {
    /// Run a baseline against a probe: `bench latency` starts it as a process of its own.
    #[command(hide = true)]
    Bot(bot::BotArgs),
}

/// Runs the verb.
///
/// # Errors
/// What the verb says.
pub fn run(args: BenchArgs) -> Result<(), Failure> {
    match args.verb {
        BenchVerb::Bot(args) => bot::run(&args).map_err(|error| {
            Failure::new(
                "E_BENCH_001",
                exit::VENUE,
                "a baseline lost its probe",
                error.to_string(),
                "run `touchline bench latency`, which starts both",
            )
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ring::hmac;

    use super::bot::{BotArgs, Kind, Wait};
    use super::inbox::{find, value_after};
    use super::probe::{Answers, Probe};

    fn against_a_probe(kind: Kind, wait: Wait, answers: Answers) -> Vec<Vec<u8>> {
        let mut probe = Probe::new(11, answers).unwrap();
        let args = BotArgs { kind, wait, port: probe.port(), core: None };
        let bot = std::thread::spawn(move || super::bot::run(&args));
        assert!(probe.warm_up(5, Duration::from_secs(30)).unwrap(), "the {kind:?} never answers");
        let run = probe.run(200, 50).unwrap();
        assert_eq!((run.unanswered(), run.ticks.len()), (0, 50), "{kind:?} {wait:?}");
        assert!(run.ticks.iter().all(|(intended, answered)| answered > intended));
        // Its other three requests of the last tick.
        let mut left = 20;
        probe
            .serve(|| {
                left -= 1;
                left == 0
            })
            .unwrap();
        let seen = probe.seen().map(<[u8]>::to_vec).collect();
        probe.hang_up();
        let mut left = 200;
        probe
            .serve(|| {
                left -= 1;
                left == 0 || bot.is_finished()
            })
            .unwrap();
        bot.join().unwrap().unwrap();
        seen
    }

    #[test]
    fn the_echo_answers_every_frame_with_the_same_request() {
        for wait in [Wait::Spin, Wait::Block] {
            let seen = against_a_probe(Kind::Echo, wait, Answers::InTurn);
            assert!(seen.iter().all(|request| *request == seen[0]));
        }
    }

    #[test]
    fn the_thin_maker_prices_off_each_mid_and_signs() {
        for wait in [Wait::Spin, Wait::Block] {
            // Only an order at the tick's own price answers it.
            let seen = against_a_probe(Kind::Thin, wait, Answers::ByPrice);
            let key = hmac::Key::new(hmac::HMAC_SHA256, super::thin::SECRET.as_bytes());
            for request in &seen {
                let signed = find(request, b"&signature=").unwrap();
                let tag = data_encoding::HEXLOWER.decode(&request[signed + 11..]).unwrap();
                hmac::verify(&key, &request[..signed], &tag).unwrap();
            }
            let sides: Vec<_> = seen.iter().map(|request| value_after(request, b"side=").unwrap()).collect();
            assert_eq!(sides.iter().filter(|side| **side == b"BUY").count(), sides.len() / 2, "both sides, in turn");
        }
    }
}
