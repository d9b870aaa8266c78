//! `touchline bench latency`: from a tick's frame to the first order priced off it, on this machine, today.
//!
//! Each round lets every maker trade with a probe of its own, one maker at a time, each a process of its own on a core
//! of its own, so that whatever the machine does meets all of them alike; the probe spins on another core. Before and
//! after, the hiccup meter watches both cores and two threads play ping-pong between them. See docs/LATENCY.md.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;
use serde_json::{Value, json};

use super::figures::{Table, median};
use super::hiccup::{self, Hiccups};
use super::inside::{self, Inside};
use super::market::{HALF_SPREAD_E8, SYMBOL};
use super::ping_pong::{self, PingPong};
use super::probe::{Answers, Probe, Run};
use super::ring_hops;
use super::watcher::Watcher;
use super::{compare, pace, plot};
use crate::run::output::write_failure;
use crate::run::{Failure, exit};

/// The machine is left alone for so long before each maker: what the one before it gave back - files, memory - keeps the
/// system busy for a while after its end, which is nobody else's doing.
const SETTLE: Duration = Duration::from_secs(4);
/// The end of that time, in which the core of the next maker is watched.
const PACED: Duration = Duration::from_millis(250);
/// And then what a link costs on it.
const HOPPED: Duration = Duration::from_millis(60);

/// Flags of `bench latency`.
#[derive(Clone, Debug, clap::Args)]
pub struct LatencyArgs {
    /// Ticks a second; each rate is a run of its own.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 100, 1000])]
    rates: Vec<u32>,
    /// Rounds; figures are medians over them.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Ticks of a run; by default eight seconds of them, 80 at least and 1500 at most.
    #[arg(long)]
    ticks: Option<usize>,
    /// Who makes the market.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Maker::Echo, Maker::Thin, Maker::Rest, Maker::WsApi])]
    makers: Vec<Maker>,
    /// The engine's quoter.
    #[arg(long, default_value = "hybrid")]
    quoter: String,
    /// Print one JSON object on stdout.
    #[arg(long)]
    json: bool,
    /// Folder for latency.json, latency.hlog and latency.html.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// An earlier latency.json to compare with, by ratios to its echo.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Another setting of the engine, as `--set` of `touchline run`.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Who answers the ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum Maker {
    /// The spinning echo: the floor.
    Echo,
    /// The echo that sleeps in its read.
    EchoBlock,
    /// The thin maker, spinning.
    Thin,
    /// The thin maker that sleeps in its read.
    ThinBlock,
    /// The engine, fused, orders over REST.
    Rest,
    /// The engine, fused, orders over the WebSocket API.
    WsApi,
    /// The engine, fused, orders over REST, its metrics scraped and its dashboard open.
    RestWatched,
    /// The engine, fused, orders over the WebSocket API, likewise.
    WsApiWatched,
    /// The engine, a thread a tile, orders over REST.
    RestSplit,
    /// The engine, a thread a tile, orders over the WebSocket API.
    WsApiSplit,
}

impl Maker {
    const fn name(self) -> &'static str {
        match self {
            Maker::Echo => "echo",
            Maker::EchoBlock => "echo_block",
            Maker::Thin => "thin",
            Maker::ThinBlock => "thin_block",
            Maker::Rest => "rest",
            Maker::WsApi => "ws_api",
            Maker::RestWatched => "rest_watched",
            Maker::WsApiWatched => "ws_api_watched",
            Maker::RestSplit => "rest_split",
            Maker::WsApiSplit => "ws_api_split",
        }
    }

    /// The words of `bench bot`, for baselines.
    const fn bot(self) -> Option<[&'static str; 2]> {
        match self {
            Maker::Echo => Some(["echo", "spin"]),
            Maker::EchoBlock => Some(["echo", "block"]),
            Maker::Thin => Some(["thin", "spin"]),
            Maker::ThinBlock => Some(["thin", "block"]),
            Maker::Rest | Maker::WsApi | Maker::RestWatched | Maker::WsApiWatched => None,
            Maker::RestSplit | Maker::WsApiSplit => None,
        }
    }

    /// The engine's plan and transport.
    const fn engine(self) -> (&'static str, &'static str) {
        match self {
            Maker::RestSplit => ("split", "rest"),
            Maker::WsApiSplit => ("split", "ws_api"),
            Maker::WsApi | Maker::WsApiWatched => ("fused", "ws_api"),
            _ => ("fused", "rest"),
        }
    }

    /// Whether somebody looks at it meanwhile.
    const fn is_watched(self) -> bool {
        matches!(self, Maker::RestWatched | Maker::WsApiWatched)
    }
}

/// The makers whose links begin and end on one thread.
const FUSED: [Maker; 4] = [Maker::Rest, Maker::WsApi, Maker::RestWatched, Maker::WsApiWatched];
/// How long a maker may take to answer its first ticks, and to end.
const PATIENCE: Duration = Duration::from_secs(40);
/// Ticks in a row that a maker must answer before it is measured.
const WARM_TICKS: usize = 60;
/// How long the meters watch.
const WATCH: Duration = Duration::from_secs(1);
const TRIPS: u64 = 200_000;
/// Where an engine's stamps are, in its folder.
const STAMPS: &str = "stamps.csv";

/// What one core pair looked like at one time.
struct Machine {
    ping_pong: PingPong,
    hiccups: Vec<Hiccups>,
}

impl Machine {
    fn look(cores: [usize; 2]) -> Machine {
        Machine { hiccups: hiccup::measure_all(&cores, WATCH), ping_pong: ping_pong::measure(cores, TRIPS) }
    }

    fn disturbed(&self) -> Option<String> {
        self.hiccups.iter().find_map(Hiccups::disturbed)
    }

    fn json(&self) -> Value {
        json!({ "ping_pong": self.ping_pong, "cores": self.hiccups })
    }
}

/// Runs the verb.
///
/// # Errors
/// When there is one core only, a maker does not answer, or a file cannot be written.
pub fn run(args: &LatencyArgs) -> Result<(), Failure> {
    let cores = crate::topology::cores_at_hand(&[]);
    let (&[first, ..], &[_, .., last]) = (cores.as_slice(), cores.as_slice()) else {
        return Err(Failure::new(
            "E_BENCH_002",
            exit::CONFIG,
            "latencies cannot be measured on one core",
            "the probe and the maker both spin, and would only measure each other",
            "allow this process two cores (`taskset -c 0,1`)",
        ));
    };
    let cores = [first, last];
    let earlier = args.compare.as_deref().map(compare::load).transpose()?;
    let bar = indicatif::ProgressBar::new((args.rounds * args.makers.len()) as u64);
    let before = Machine::look(cores);
    let (mut table, mut inside) = (Table::default(), Inside::default());
    let (mut pace, mut ring_hops) = (pace::Meter::new(last), ring_hops::Meter::new(last));
    let mut told: Vec<(Maker, Value)> = Vec::new();
    for round in 0..args.rounds {
        // Who comes first changes with the rounds: nobody always follows the same neighbour.
        for turn in 0..args.makers.len() {
            let maker = args.makers[(turn + round) % args.makers.len()];
            std::thread::sleep(SETTLE - PACED - HOPPED);
            pace.watch(PACED);
            ring_hops.watch(HOPPED);
            let measured = measure(args, maker, round as u64, cores, &mut table, &mut inside)?;
            told.extend(measured.map(|summary| (maker, summary)));
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let after = Machine::look(cores);
    let (pace, ring_hops) = (pace.read(), ring_hops.read());
    let disturbed = [("before", &before), ("after", &after)]
        .into_iter()
        .find_map(|(when, machine)| Some(format!("{when} the runs, {}", machine.disturbed()?)))
        .or_else(|| Some(format!("between the runs, {}", pace.disturbed()?)));
    let mut report = table.json();
    report.insert("watched".to_owned(), Value::Object(table.watched()));
    let hops_ns = |maker: &str| {
        let is_fused = FUSED.iter().any(|fused| fused.name() == maker);
        ring_hops.filter(|_| is_fused).map(|hops| hops.sum.round() as u64)
    };
    report.insert("inside".to_owned(), inside.json(hops_ns));
    report.insert("ring_hops_ns".to_owned(), json!(ring_hops));
    report.insert("hops".to_owned(), hops(&told));
    report.insert("hiccups".to_owned(), json!({ "before": before.json(), "after": after.json() }));
    report.insert("ping_pong_ns".to_owned(), json!(before.ping_pong.p50_ns.min(after.ping_pong.p50_ns)));
    report.insert("pace".to_owned(), json!(pace));
    report.insert("disturbed".to_owned(), json!(disturbed));
    report.insert("command".to_owned(), json!(std::env::args().collect::<Vec<_>>().join(" ")));
    let report = Value::Object(report);
    if let Some(folder) = &args.out {
        write(folder, &report, &table)?;
    }
    if args.json {
        println!("{report:#}");
    } else {
        print!("{}{}", table.lines(), watched_lines(&report["watched"]));
        print!("{}{}", inside::lines(&report["inside"]), hop_lines(&report["hops"]));
        println!("ping-pong {} ns one way before, {} ns after", before.ping_pong.p50_ns, after.ping_pong.p50_ns);
        println!("the maker's core lost {:.1} % of its speed to whoever shares it", pace.lost * 1e2);
    }
    if let Some(earlier) = &earlier {
        eprint!("{}", compare::lines(earlier, &report));
    }
    if let Some(why) = disturbed {
        eprintln!("the machine is too disturbed for these figures to be judged: {why}");
    }
    Ok(())
}

fn ticks(args: &LatencyArgs, rate: u32) -> usize {
    args.ticks.unwrap_or((rate as usize * 8).clamp(80, 1500))
}

/// Lets one maker trade at every rate. Returns the engine's own summary.
fn measure(
    args: &LatencyArgs,
    maker: Maker,
    round: u64,
    cores: [usize; 2],
    table: &mut Table,
    inside: &mut Inside,
) -> Result<Option<Value>, Failure> {
    let answers = if matches!(maker, Maker::Echo | Maker::EchoBlock) { Answers::InTurn } else { Answers::ByPrice };
    let mut probe = Probe::new(round + 1, answers).map_err(bad_probe)?;
    let folder = tempdir()?;
    // A program inherits the cores of the thread that starts it: this thread keeps them all, and the probe has one of
    // its own.
    let metrics_port = if maker.is_watched() { Some(free_port().map_err(bad_probe)?) } else { None };
    let mut child = start(args, maker, [probe.port(), metrics_port.unwrap_or_default()], cores, &folder)?;
    let watcher = metrics_port.map(|port| Watcher::start(port, cores[0])).transpose().map_err(bad_probe)?;
    let mut runs = Vec::new();
    let said = std::thread::scope(|scope| {
        let probing = scope.spawn(|| {
            core_affinity::set_for_current(core_affinity::CoreId { id: cores[0] });
            trade(args, maker, &mut probe, &mut child, &mut runs)
        });
        probing.join().unwrap_or_else(|_| Err(Failure::bug("the probe panicked")))
    });
    let looks = watcher.map(Watcher::end);
    let Some(said) = said? else {
        let ended = child.try_wait().ok().flatten();
        let _ = child.kill();
        let _ = child.wait();
        let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        let _ = std::fs::remove_dir_all(&folder);
        let words = log.lines().last().unwrap_or("it said nothing").to_owned();
        return Err(match ended {
            Some(status) => Failure::new(
                "E_BENCH_005",
                exit::HALTED,
                format!("the maker `{}` ended before it was measured ({status})", maker.name()),
                words,
                "mend what it complains of; its settings are those of `--set`",
            ),
            None => Failure::new(
                "E_BENCH_003",
                exit::HALTED,
                format!("the maker `{}` did not answer its ticks", maker.name()),
                words,
                "run it again with RUST_LOG=info; on a machine with other work it may only be starved",
            ),
        });
    };
    for (rate, run) in &runs {
        let series = table.series.entry(*rate).or_default().entry(maker.name()).or_default();
        series.take(run, |from, to| probe.ns(from, to));
    }
    // Baselines have none; and whoever wants the stamps for himself (`--set metrics.stamps_file=…`) has them elsewhere.
    let stamps = inside::read(&folder.join(STAMPS));
    if !stamps.is_empty() {
        inside.take(maker.name(), &runs, &stamps, |from, to| probe.ns(from, to));
    }
    let _ = std::fs::remove_dir_all(&folder);
    if looks == Some(0) {
        return Err(Failure::bug("the engine's metrics were never answered, so nobody looked at it"));
    }
    Ok(serde_json::from_str(&said).ok())
}

/// A port of 127.0.0.1 that nobody has now.
fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn bad_probe(error: std::io::Error) -> Failure {
    Failure::bug(format!("the probe failed: {error}"))
}

/// The probe's side: what the maker has printed at its end, or `None` when it never answered, ended too early or never
/// ended.
fn trade(
    args: &LatencyArgs,
    maker: Maker,
    probe: &mut Probe,
    child: &mut Child,
    runs: &mut Vec<(u32, Run)>,
) -> Result<Option<String>, Failure> {
    if !probe.warm_up(WARM_TICKS, PATIENCE, || has_ended(child)).map_err(bad_probe)? {
        return Ok(None);
    }
    for &rate in &args.rates {
        let run = probe.run(rate, ticks(args, rate)).map_err(bad_probe)?;
        if has_ended(child) {
            return Ok(None);
        }
        runs.push((rate, run));
    }
    // The engine takes its orders back, the baselines end with their market data.
    if maker.bot().is_some() {
        probe.hang_up();
    } else {
        let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    }
    let end = Instant::now() + PATIENCE;
    let mut over = false;
    let look = || {
        over = has_ended(child);
        over || Instant::now() > end
    };
    probe.serve(look).map_err(bad_probe)?;
    if !over {
        return Ok(None);
    }
    let mut said = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        let _ = stdout.read_to_string(&mut said);
    }
    Ok(Some(said))
}

fn has_ended(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(Some(_)))
}

fn tempdir() -> Result<PathBuf, Failure> {
    let folder = std::env::temp_dir().join(format!("touchline-latency-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).map_err(|error| write_failure(&folder, &error))?;
    Ok(folder)
}

fn start(
    args: &LatencyArgs,
    maker: Maker,
    ports: [u16; 2],
    cores: [usize; 2],
    folder: &Path,
) -> Result<Child, Failure> {
    let program = std::env::current_exe().map_err(|error| Failure::bug(format!("no path to this program: {error}")))?;
    let mut command = Command::new(program);
    match maker.bot() {
        Some([kind, wait]) => {
            command.args(["bench", "bot", kind, "--wait", wait]);
            command.args(["--port", &ports[0].to_string(), "--core", &cores[1].to_string()]);
        }
        None => {
            command.args(["run", "--mode", "live", "--live", "--json"]);
            let settings = engine_settings(args, maker, ports, cores, folder);
            for setting in settings.iter().chain(&args.set) {
                command.args(["--set", setting]);
            }
            let secret = if maker.engine().1 == "ws_api" { ed25519_key()? } else { "probe".to_owned() };
            command.env("BINANCE_API_KEY", "probe").env("BINANCE_API_SECRET", secret).current_dir(folder);
        }
    }
    let log = File::create(folder.join("log")).map_err(|error| write_failure(folder, &error))?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    command.spawn().map_err(|error| Failure::bug(format!("this program cannot start itself: {error}")))
}

/// A new key that can log a connection on, as a PEM: it trades with the probe alone.
fn ed25519_key() -> Result<String, Failure> {
    let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
    let key = made.map_err(|_| Failure::bug("the system gives no random bytes for a key"))?;
    Ok(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64.encode(key.as_ref())))
}

/// The engine as a maker that lays its orders where the probe expects them, with nothing in its way: the limits of risk
/// are checked and never met, the journal is written.
fn engine_settings(
    args: &LatencyArgs,
    maker: Maker,
    [port, metrics_port]: [u16; 2],
    cores: [usize; 2],
    folder: &Path,
) -> Vec<String> {
    let (plan, transport) = maker.engine();
    let half_spread_ticks = HALF_SPREAD_E8 / 1_000_000;
    let text = |setting: &str| setting.to_owned();
    vec![
        format!("symbols=[{SYMBOL}]"),
        format!("venue.rest_url=http://127.0.0.1:{port}"),
        format!("venue.ws_url=ws://127.0.0.1:{port}"),
        format!("venue.ws_api_url=ws://127.0.0.1:{port}/ws-api/v3"),
        format!("venue.transport={transport}"),
        format!("topology.plan={plan}"),
        format!("topology.cores=[{},{}]", cores[0], cores[1]),
        format!("journal.dir={}", folder.join("runs").display()),
        format!("quoter.kind={}", args.quoter),
        format!("quoter.half_spread_ticks={half_spread_ticks}"),
        text("quoter.requote=always"),
        text("quoter.toxicity=off"),
        text("quoter.fee_floor=false"),
        text("warm.backfill=false"),
        text("risk.position_value_max=1000000"),
        text("risk.orders_per_1s=10000"),
        text("risk.orders_per_10s=10000"),
        text("risk.orders_per_1d=1000000000"),
        format!("metrics.enabled={}", maker.is_watched()),
        format!("metrics.port={metrics_port}"),
        format!("metrics.stamps_file={}", folder.join(STAMPS).display()),
        text("log.filter=warn"),
    ]
}

/// Medians over rounds of each hop, by maker, in nanoseconds.
fn hops(told: &[(Maker, Value)]) -> Value {
    let mut makers: Vec<Maker> = told.iter().map(|(maker, _)| *maker).collect();
    makers.sort_unstable();
    makers.dedup();
    let mut all = serde_json::Map::new();
    for maker in makers {
        let of: Vec<&Value> =
            told.iter().filter(|(other, _)| *other == maker).map(|(_, told)| &told["hops_ns"]).collect();
        let Some(Value::Object(first)) = of.first() else { continue };
        let row = |hop: &String| {
            let median_of = |name: &str| median(of.iter().filter_map(|hops| hops[hop][name].as_u64()));
            let names = ["p50", "p90", "p99", "p999", "max", "count"];
            let values = names.map(|name| (name.to_owned(), json!(median_of(name))));
            (hop.clone(), Value::Object(values.into_iter().collect()))
        };
        all.insert(maker.name().to_owned(), Value::Object(first.keys().map(row).collect()));
    }
    Value::Object(all)
}

fn watched_lines(watched: &Value) -> String {
    let mut text = String::new();
    for (rate, makers) in watched.as_object().into_iter().flatten() {
        for (maker, of) in makers.as_object().into_iter().flatten() {
            let figure = |name: &str| of[name].as_f64().unwrap_or_default();
            let (ratio, low, high) = (figure("ratio"), figure("low"), figure("high"));
            text.push_str(&format!(
                "{rate} ticks/s, {maker} looked at: p50 {ratio:.3} of what it is otherwise ({low:.3} to {high:.3})\n"
            ));
        }
    }
    text
}

fn hop_lines(hops: &Value) -> String {
    let mut text = String::new();
    for (maker, hops) in hops.as_object().into_iter().flatten() {
        text.push_str(&format!("\n{:<20} {:>10} {:>10} {:>10}   hops of {maker}, ns\n", "", "p50", "p99", "p99.9"));
        for (hop, figures) in hops.as_object().into_iter().flatten() {
            text.push_str(&format!(
                "{hop:<20} {:>10} {:>10} {:>10}\n",
                figures["p50"], figures["p99"], figures["p999"]
            ));
        }
    }
    text
}

fn write(folder: &Path, report: &Value, table: &Table) -> Result<(), Failure> {
    let failed = |error: std::io::Error| write_failure(folder, &error);
    std::fs::create_dir_all(folder).map_err(failed)?;
    std::fs::write(folder.join("latency.json"), format!("{report:#}\n")).map_err(failed)?;
    table.write_log(&mut File::create(folder.join("latency.hlog")).map_err(failed)?).map_err(failed)?;
    std::fs::write(folder.join("latency.html"), plot::page(table)).map_err(failed)
}
