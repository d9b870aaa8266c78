//! `touchline bench`: latencies of this build on this machine, beside baselines measured in the same minutes.
//!
//! The baselines are [`echo`], the floor, [`thin`], the least that a maker must do, [`ping_pong`] between two cores and
//! the [`hiccup`] meter. They are frozen: a figure of another day is compared by its ratio to them. The [`probe`] is the
//! outside clock.

mod bot;
mod compare;
mod echo;
mod figures;
mod hiccup;
mod inbox;
mod inside;
mod latency;
mod market;
mod pace;
mod ping_pong;
mod plot;
mod probe;
mod replies;
mod ring_hops;
mod thin;
mod watcher;

use super::{Failure, exit};

/// Flags of `bench`.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    verb: BenchVerb,
}

#[derive(Debug, clap::Subcommand)]
enum BenchVerb {
    /// From a tick's frame to the first order priced off it, beside an echo and a thin maker.
    Latency(latency::LatencyArgs),
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
        BenchVerb::Latency(args) => latency::run(&args),
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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use ring::hmac;

    use super::bot::{BotArgs, Kind, Wait};
    use super::inbox::{find, value_after};
    use super::probe::{Answers, Probe};
    use crate::gateway::{Gateway, GatewayConfig, Limiter, VenueClock};
    use crate::types::{
        ClientOrderId, Command, ExecKind, Instrument, InstrumentId, NewOrder, OrderKind, Price, Qty, Side, VenueOrderId,
    };
    use crate::venue::binance::exchange_info::decode_exchange_info;
    use crate::venue::binance::rest::RateLimits;
    use crate::venue::binance::sign::Signer;

    fn against_a_probe(kind: Kind, wait: Wait, answers: Answers) -> Vec<Vec<u8>> {
        let mut probe = Probe::new(11, answers).unwrap();
        let args = BotArgs { kind, wait, port: probe.port(), core: None };
        let bot = std::thread::spawn(move || super::bot::run(&args));
        assert!(probe.warm_up(5, Duration::from_secs(30), || bot.is_finished()).unwrap(), "the {kind:?} never answers");
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

    /// A gateway trading with a probe over either road: what the probe saw of its first order, and its reports.
    fn through_a_gateway(over_the_socket: bool) -> (Vec<u8>, Vec<ExecKind>) {
        let mut probe = Probe::new(5, Answers::InTurn).unwrap();
        let (port, over) = (probe.port(), Arc::new(AtomicBool::new(false)));
        let trader = std::thread::spawn({
            let over = Arc::clone(&over);
            move || {
                let specs = decode_exchange_info(super::replies::exchange_info("BTCUSDT").as_bytes(), &["BTCUSDT"]);
                let config = GatewayConfig {
                    rest_url: format!("http://127.0.0.1:{port}"),
                    api_url: over_the_socket.then(|| format!("ws://127.0.0.1:{port}/ws-api/v3")),
                    ca_file: None,
                    api_key: "key".into(),
                    signer: Arc::new(Signer::hmac(&"secret".into()).unwrap()),
                    recv_window_ms: 5000,
                    instruments: vec![Instrument::new(InstrumentId(0), specs.unwrap()[0])],
                    clock: VenueClock::default(),
                    limiter: Limiter::new(RateLimits::default()),
                };
                let mut gateway = Gateway::new(&config, Duration::from_secs(20), Duration::from_millis(1)).unwrap();
                gateway.warm();
                let (instrument, client_id) = (InstrumentId(0), ClientOrderId::default());
                let (price, qty) = (Price::from_ticks(6_000_000), Qty::from_lots(1_000));
                let kind = OrderKind::PostOnly;
                let order = NewOrder { instrument, client_id, side: Side::Bid, price, qty, kind };
                let cancel = Command::Cancel { instrument, client_id, venue_id: Some(VenueOrderId(1)) };
                let kinds = [Command::Place(order), cancel].map(|command| {
                    let mut handed_over = 0;
                    let served = gateway.serve(&command, |_| handed_over += 1);
                    let [ready, written] = served.wire_times;
                    assert!(handed_over == 1 && ready > 0 && written >= ready, "{served:?}");
                    served.report.kind
                });
                over.store(true, Ordering::Release);
                kinds.to_vec()
            }
        });
        probe.serve(|| over.load(Ordering::Acquire) || trader.is_finished()).unwrap();
        let kinds = trader.join().unwrap();
        (probe.seen().next().unwrap().to_vec(), kinds)
    }

    #[test]
    fn orders_take_the_road_that_is_configured() {
        let wanted = [ExecKind::Accepted, ExecKind::Canceled { cum_qty: Qty::ZERO }];
        let (seen, kinds) = through_a_gateway(false);
        assert!(seen.starts_with(b"symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER"), "{}", String::from_utf8_lossy(&seen));
        assert_eq!(kinds, wanted);
        let (seen, kinds) = through_a_gateway(true);
        assert!(find(&seen, br#""method":"order.place","params":{"apiKey":"key""#).is_some(), "{seen:?}");
        assert_eq!(kinds, wanted);
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
            // Each side has a socket of its own, so on a machine that stalls they are not seen in turn.
            let buys = sides.iter().filter(|side| **side == b"BUY").count();
            assert!(buys.min(sides.len() - buys) * 3 > sides.len(), "{buys} of {} are bids", sides.len());
        }
    }
}
