//! What an order takes from its frame to its bytes when nothing else happens: the tiles themselves, played by the engine's
//! understudy over sockets that lead to itself, in a loop on one thread.
//!
//! With no pause between two ticks everything is in the nearest caches, and what is left are instructions; with pauses,
//! in which the thread only spins, the rest of the machine takes them away. The tail of `touchline bench latency` is
//! between the two. Times are of one machine and hour: to compare two builds, run them in turn.
//!
//! `cargo bench --bench way` prints a table, with `-- ws_api` or `-- rest` of that road alone; without `--bench`, as
//! `cargo test --benches` runs it, a few ticks of each road are played, and must lead to orders.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quanta::Clock;
use secrecy::SecretString;
use touchline::feed::client_config;
use touchline::gateway::{Gateway, GatewayConfig, Limiter, VenueClock};
use touchline::metrics::{Hop, Stamps};
use touchline::pipeline::PipelineConfig;
use touchline::tiles::understudy::Understudy;
use touchline::types::{Filters, Instrument, InstrumentId, InstrumentSpec, Money, Price, Qty, Symbol};
use touchline::venue::binance::decode::DecoderKind;
use touchline::venue::binance::rest::RateLimits;
use touchline::venue::binance::sign::{Signer, ed25519_pem};

/// Between two ticks, and how many ticks of that kind are played.
const PAUSES: [(Duration, usize); 5] = [
    (Duration::ZERO, 50_000),
    (Duration::from_micros(50), 20_000),
    (Duration::from_micros(200), 8_000),
    (Duration::from_millis(1), 2_000),
    (Duration::from_millis(10), 300),
];
/// The first ticks find no orders yet, and nothing has been asked for its size.
const WARM_UP: usize = 1_000;
/// The columns: the hops up to the bytes.
const HOPS: [(&str, Hop); 7] = [
    ("decoded", Hop::Decoded),
    ("booked", Hop::Booked),
    ("features", Hop::Featured),
    ("quoted", Hop::Quoted),
    ("checked", Hop::Checked),
    ("queued", Hop::Queued),
    ("ready", Hop::Ready),
];

fn instrument() -> Instrument {
    let [symbol, base, quote] = ["BTCUSDT", "BTC", "USDT"].map(|name| Symbol::new(name).expect("a short name"));
    let filters = Filters {
        qty_min: Qty::from_lots(1),
        qty_max: Qty::from_lots(900_000_000),
        notional_min: Money::from_e8(5 * 100_000_000),
        ..Filters::default()
    };
    Instrument::new(InstrumentId(0), InstrumentSpec { symbol, base, quote, tick_e8: 1_000_000, lot_e8: 1_000, filters })
}

/// An understudy over REST with an HMAC key, or over the WebSocket API with an Ed25519 key, which is logged on.
fn understudy(api_url: Option<&str>) -> Understudy {
    let signer = match api_url {
        None => Signer::hmac(&SecretString::from("a secret that is as long as the venue's own ones are: sixty-four")),
        Some(_) => Signer::ed25519_from_pem(&ed25519_pem(&[7; 32])),
    };
    let config = GatewayConfig {
        rest_url: "http://127.0.0.1:9".to_owned(),
        api_url: api_url.map(str::to_owned),
        ca_file: None,
        api_key: SecretString::from("a key"),
        signer: Arc::new(signer.expect("a key")),
        recv_window_ms: 5_000,
        instruments: vec![instrument()],
        clock: VenueClock::default(),
        limiter: Limiter::new(RateLimits::default()),
    };
    let gateway = Gateway::rehearsing(&config).expect("sockets");
    let (tls, decisions) = (client_config(None).expect("no file to read"), PipelineConfig::default());
    let mut understudy =
        Understudy::new(instrument(), DecoderKind::Scanner, &decisions, gateway, tls).expect("sockets and memory");
    understudy.begin(Price::from_ticks(6_000_000));
    understudy
}

/// The ways of so many ticks.
fn play(understudy: &mut Understudy, pause: Duration, ticks: usize) -> Vec<Stamps> {
    let mut ways = Vec::with_capacity(ticks);
    for _ in 0..ticks {
        let begun = Instant::now();
        while begun.elapsed() < pause {
            std::hint::spin_loop();
        }
        while !understudy.rehearse() {}
        ways.extend(understudy.take_way());
    }
    assert_eq!(understudy.failure(), None);
    // A busy system may bring a frame a scene late.
    assert!(ways.len() * 10 >= ticks * 9, "{} orders of {ticks} ticks", ways.len());
    ways
}

/// Microseconds at a share of a sorted list.
fn at(sorted: &[u64], share: f64) -> f64 {
    sorted[(sorted.len() as f64 * share) as usize] as f64 / 1e3
}

fn print(name: &str, pause: Duration, ways: &[Stamps], clock: &Clock) {
    let hops: Vec<_> = ways.iter().map(|way| way.hops(|from, to| clock.delta_as_nanos(from, to))).collect();
    let of = |wanted: Hop| {
        let ns = hops.iter().flatten().filter(|(hop, _)| *hop == wanted).map(|(_, ns)| *ns);
        let mut ns: Vec<u64> = ns.collect();
        ns.sort_unstable();
        ns
    };
    let whole = of(Hop::TickToOrder);
    print!("{name:6} {:>7.2} | ", pause.as_secs_f64() * 1e3);
    print!("{:6.2} {:6.2} {:6.2} |", at(&whole, 0.1), at(&whole, 0.5), at(&whole, 0.99));
    HOPS.iter().for_each(|(_, hop)| print!(" {:8.2}", at(&of(*hop), 0.5)));
    println!();
}

fn main() -> ExitCode {
    let measures = std::env::args().any(|argument| argument == "--bench");
    let road = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let clock = Clock::new();
    if measures {
        print!(
            "microseconds; a tenth, half and 99 % of all ticks are below; hops at half\nroad   pause ms |  p10    p50    p99   |"
        );
        HOPS.iter().for_each(|(name, _)| print!(" {name:>8}"));
        println!();
    }
    let mut roads = vec![("rest", None), ("ws_api", Some("ws://127.0.0.1:9"))];
    roads.retain(|(name, _)| road.as_deref().is_none_or(|road| road == *name));
    if roads.is_empty() {
        eprintln!("there are two roads, rest and ws_api: nothing is played");
    }
    for (name, api_url) in roads {
        let mut understudy = understudy(api_url);
        let warm = WARM_UP.min(if measures { usize::MAX } else { 20 });
        (0..warm).for_each(|_| while !understudy.rehearse() {});
        for (pause, ticks) in PAUSES {
            let ways = play(&mut understudy, pause, if measures { ticks } else { 20 });
            if measures {
                print(name, pause, &ways, &clock);
            }
        }
    }
    ExitCode::SUCCESS
}
