//! Which market the embedded venue plays: the flags that choose it and what they come to.
//!
//! Shared by `venue` and `demo`. Reads recordings, starts nothing. The venue's configuration that it makes is the same
//! for both verbs, so that what the demo shows is what the venue serves.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::inspect::recording_failure;
use super::{Failure, exit};
use crate::import::{Recording, RecordingReader};
use crate::server::venue::Pace;
use crate::sim::faults::{FaultPlan, FaultSpec};
use crate::sim::{
    AccountConfig, AccountId, FeeSchedule, MarketSource, RecordedEvent, RecordedMarket, SymbolConfig, SyntheticConfig,
    VenueConfig,
};
use crate::types::{
    Filters, Instrument, InstrumentId, InstrumentSpec, Money, Price, Qty, Symbol, TimestampNs, parse_e8,
};

/// The account that clients of the venue trade on.
pub const CLIENT: AccountId = AccountId(1);
/// What it starts with of each quote currency, in 1e-8: a million.
const QUOTE_START_E8: i64 = 1_000_000 * 100_000_000;
/// What it starts with of each base currency, in 1e-8: a hundred.
const BASE_START_E8: i64 = 100 * 100_000_000;
/// Endings of symbols by which a name is taken apart, the longer first.
const QUOTES: [&str; 10] = ["FDUSD", "USDT", "USDC", "TUSD", "BUSD", "BTC", "ETH", "BNB", "EUR", "TRY"];

/// How fast a recording is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// So many recorded seconds in one second.
    Times(u32),
    /// As fast as the slowest listener reads.
    Max,
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Speed, String> {
        if text == "max" {
            return Ok(Speed::Max);
        }
        match text.strip_suffix('x').unwrap_or(text).parse::<u32>() {
            Ok(times) if times >= 1 => Ok(Speed::Times(times)),
            _ => Err("give a whole number from 1, or max".to_owned()),
        }
    }
}

/// A commission rate in units of 1e-8, read as basis points with up to four places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeRate(pub i64);

impl FromStr for FeeRate {
    type Err = String;

    fn from_str(text: &str) -> Result<FeeRate, String> {
        let e8 = parse_e8(text.as_bytes()).map_err(|error| error.to_string())?;
        // A basis point is 1e-4; a rate beyond 10 % is a slip of the pen.
        if e8 % 10_000 != 0 || e8.abs() > 1_000 * 100_000_000 {
            return Err("give basis points between -1000 and 1000 with at most four places".to_owned());
        }
        Ok(FeeRate(e8 / 10_000))
    }
}

/// The flags that choose a market.
#[derive(Clone, Debug, Args)]
pub struct FlowArgs {
    /// Seed of the synthetic market.
    #[arg(long, value_name = "SEED", default_value_t = 1, conflicts_with = "replay")]
    pub synthetic: u64,
    /// Replay recordings that continue each other instead of a synthetic market.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub replay: Vec<PathBuf>,
    /// Recorded seconds in one second: a whole number, or max for as fast as clients read.
    #[arg(long, value_name = "N|max", default_value = "1")]
    pub speed: Speed,
    /// Symbols to trade: names for the synthetic market, a choice among those of a recording.
    #[arg(long = "symbol", value_name = "SYMBOL", value_delimiter = ',')]
    pub symbols: Vec<String>,
    /// Share of the synthetic market's takers that know something, 0 to 1.
    #[arg(long, value_name = "X", default_value_t = SyntheticConfig::default().informed_share)]
    pub informed_share: f64,
    /// Commission of orders that rested, in basis points; negative is a rebate.
    #[arg(long, value_name = "BPS", default_value = "10", allow_negative_numbers = true)]
    pub maker_fee_bps: FeeRate,
    /// Commission of orders that took, in basis points.
    #[arg(long, value_name = "BPS", default_value = "10", allow_negative_numbers = true)]
    pub taker_fee_bps: FeeRate,
    /// What goes wrong.
    #[command(flatten)]
    pub faults: FaultArgs,
}

/// The flags that make the venue do things wrong.
#[derive(Clone, Debug, Default, Args)]
pub struct FaultArgs {
    /// A fault of the venue, such as gap:p=0.01, disconnect:every=5s or lost-answer:p=0.02; docs/VENUE.md lists them.
    #[arg(long = "fault", value_name = "SPEC", num_args = 1..)]
    pub faults: Vec<FaultSpec>,
    /// Seed of the faults; the synthetic market's when left away.
    #[arg(long, value_name = "SEED")]
    pub fault_seed: Option<u64>,
}

impl FaultArgs {
    fn plan(&self, market_seed: u64) -> FaultPlan {
        FaultPlan { specs: self.faults.clone(), seed: self.fault_seed.unwrap_or(market_seed) }
    }
}

impl Default for FlowArgs {
    /// What no flag at all gives.
    fn default() -> FlowArgs {
        // Ten basis points, in units of 1e-8.
        let fee = FeeRate(100_000);
        FlowArgs {
            synthetic: 1,
            replay: Vec::new(),
            speed: Speed::Times(1),
            symbols: Vec::new(),
            informed_share: SyntheticConfig::default().informed_share,
            maker_fee_bps: fee,
            taker_fee_bps: fee,
            faults: FaultArgs::default(),
        }
    }
}

/// A market, ready to be served or stepped.
#[derive(Debug)]
pub struct FlowPlan {
    /// Symbols, accounts, fees.
    pub venue: VenueConfig,
    /// Flow of each symbol.
    pub sources: Vec<MarketSource>,
    /// How fast the venue's time passes.
    pub pace: Pace,
}

impl FlowArgs {
    /// The market that the flags describe, starting at `start` on the venue's clock.
    ///
    /// # Errors
    /// A recording that cannot be read, a symbol that it does not hold, a symbol whose name cannot be taken apart, or
    /// a share out of its range.
    pub fn plan(&self, start: TimestampNs) -> Result<FlowPlan, Failure> {
        let mut venue = VenueConfig::new(start);
        venue.fees = FeeSchedule { maker_e8: self.maker_fee_bps.0, taker_e8: self.taker_fee_bps.0, ..venue.fees };
        let (instruments, sources) = if self.replay.is_empty() { self.synthetic()? } else { self.recorded()? };
        venue.faults = self.faults.plan(self.synthetic);
        for symbol in venue.faults.specs.iter().filter_map(|spec| spec.symbol) {
            if !instruments.iter().any(|one| one.symbol() == symbol.as_str()) {
                return Err(flag_failure(
                    format!("--fault names {}, which is not traded here", symbol.as_str()),
                    "name a symbol of this market, or none for all",
                ));
            }
        }
        let mut balances = Vec::new();
        for instrument in &instruments {
            // The quote first: a currency that is one symbol's base and another's quote starts with the larger amount.
            for (asset, amount) in [(instrument.spec.quote, QUOTE_START_E8), (instrument.spec.base, BASE_START_E8)] {
                if !balances.iter().any(|(have, _)| *have == asset) {
                    balances.push((asset, amount));
                }
            }
        }
        venue.symbols = instruments.into_iter().map(SymbolConfig::new).collect();
        venue.accounts = vec![AccountConfig { id: CLIENT, balances }];
        let pace = if self.speed == Speed::Max && !self.replay.is_empty() { Pace::Max } else { Pace::Wall };
        Ok(FlowPlan { venue, sources, pace })
    }

    fn synthetic(&self) -> Result<(Vec<Instrument>, Vec<MarketSource>), Failure> {
        if !(0.0..=1.0).contains(&self.informed_share) {
            return Err(flag_failure(
                format!("--informed-share {} is out of its range", self.informed_share),
                "give a number from 0 to 1",
            ));
        }
        let usual = ["BTCUSDT".to_owned()];
        let names = if self.symbols.is_empty() { &usual[..] } else { &self.symbols[..] };
        let mut instruments: Vec<Instrument> = Vec::with_capacity(names.len());
        let mut sources = Vec::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            if instruments.iter().any(|have| have.symbol() == name) {
                return Err(flag_failure(format!("--symbol {name} is given twice"), "name each symbol once"));
            }
            instruments.push(Instrument::new(InstrumentId(index as u16), synthetic_spec(name)?));
            // Each symbol has a market of its own; the first has the seed as given.
            let seed = self.synthetic.wrapping_add(index as u64);
            sources.push(MarketSource::Synthetic(SyntheticConfig {
                seed,
                informed_share: self.informed_share,
                ..SyntheticConfig::default()
            }));
        }
        Ok((instruments, sources))
    }

    fn recorded(&self) -> Result<(Vec<Instrument>, Vec<MarketSource>), Failure> {
        let recording = Recording::open(&self.replay).map_err(|error| recording_failure(&error))?;
        let all = recording.instruments();
        for name in &self.symbols {
            if !all.iter().any(|have| have.symbol() == name) {
                let known: Vec<&str> = all.iter().map(Instrument::symbol).collect();
                return Err(flag_failure(
                    format!("--symbol {name} is not in the recording, which holds {}", known.join(", ")),
                    "name one that it holds, or leave --symbol away for all of them",
                ));
            }
        }
        let speed = match self.speed {
            Speed::Times(times) => times,
            Speed::Max => 1,
        };
        let chosen = all.iter().filter(|one| self.symbols.is_empty() || self.symbols.iter().any(|s| s == one.symbol()));
        let (mut instruments, mut sources) = (Vec::new(), Vec::new());
        for recorded in chosen {
            let instrument = Instrument::new(InstrumentId(instruments.len() as u16), recorded.spec);
            let events = RecordedEvents { reader: recording.reader(), wanted: recorded.id, becomes: instrument.id };
            sources.push(MarketSource::Recorded(RecordedMarket { events: Box::new(events), speed }));
            instruments.push(instrument);
        }
        Ok((instruments, sources))
    }
}

/// The events of one symbol of a recording, read as they are needed.
struct RecordedEvents {
    reader: RecordingReader,
    wanted: InstrumentId,
    becomes: InstrumentId,
}

impl Iterator for RecordedEvents {
    type Item = RecordedEvent;

    fn next(&mut self) -> Option<RecordedEvent> {
        loop {
            let recorded = match self.reader.advance() {
                Ok(recorded) => recorded?,
                Err(error) => {
                    // Opening has checked every line, so the file has changed since; the market ends here.
                    tracing::error!("the recording ends early: {error}");
                    return None;
                }
            };
            match RecordedEvent::from_feed(&recorded.event) {
                Some(RecordedEvent::Depth(mut depth)) if depth.head.instrument == self.wanted => {
                    depth.head.instrument = self.becomes;
                    return Some(RecordedEvent::Depth(depth));
                }
                Some(RecordedEvent::Trade(mut trade)) if trade.instrument == self.wanted => {
                    trade.instrument = self.becomes;
                    return Some(RecordedEvent::Trade(trade));
                }
                _ => {}
            }
        }
    }
}

fn flag_failure(what: String, mend: &'static str) -> Failure {
    Failure::new("E_SERVE_002", exit::USAGE, what, "the venue cannot play such a market", mend)
}

/// A symbol of the synthetic market: Binance's rules for BTCUSDT under any name.
///
/// # Errors
/// A name that cannot be taken apart into what is traded and what it is priced in.
pub fn synthetic_spec(name: &str) -> Result<InstrumentSpec, Failure> {
    let parts = QUOTES.iter().find_map(|quote| name.strip_suffix(quote).map(|base| (base, *quote)));
    let legal =
        |base: &str| !base.is_empty() && base.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let names = parts
        .filter(|(base, _)| legal(base))
        .and_then(|(base, quote)| Some((Symbol::new(name).ok()?, Symbol::new(base).ok()?, Symbol::new(quote).ok()?)));
    let Some((symbol, base, quote)) = names else {
        return Err(flag_failure(
            format!("--symbol {name} cannot be taken apart into what is traded and what it is priced in"),
            "give an upper-case name that ends in a usual quote currency, such as BTCUSDT",
        ));
    };
    Ok(InstrumentSpec {
        symbol,
        base,
        quote,
        tick_e8: 1_000_000,
        lot_e8: 1_000,
        filters: Filters {
            price_min: Some(Price::from_ticks(1)),
            price_max: Some(Price::from_ticks(100_000_000)),
            qty_min: Qty::from_lots(1),
            qty_max: Qty::from_lots(900_000_000),
            notional_min: Money::from_e8(500_000_000),
        },
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        flow: FlowArgs,
    }

    fn plan(flags: &[&str]) -> Result<FlowPlan, Failure> {
        let line = Line::try_parse_from(std::iter::once(&"x").chain(flags)).unwrap();
        line.flow.plan(TimestampNs::from_millis(1_784_102_400_000))
    }

    #[test]
    fn flags_come_to_a_market() {
        let plan = plan(&["--synthetic", "7", "--symbol", "BTCUSDT,ETHBTC", "--maker-fee-bps", "-0.5"]).unwrap();
        assert_eq!(plan.venue.fees.maker_e8, -5_000);
        assert_eq!(plan.venue.fees.taker_e8, 100_000);
        let names: Vec<_> = plan.venue.symbols.iter().map(|one| one.instrument.symbol().to_owned()).collect();
        assert_eq!(names, ["BTCUSDT", "ETHBTC"]);
        let seeds: Vec<_> = plan
            .sources
            .iter()
            .map(|source| match source {
                MarketSource::Synthetic(config) => config.seed,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(seeds, [7, 8]);
        let assets: Vec<_> = plan.venue.accounts[0].balances.iter().map(|(asset, _)| asset.to_string()).collect();
        assert_eq!(assets, ["USDT", "BTC", "ETH"]);
    }

    #[test]
    fn flags_that_make_no_market_are_refused_by_name() {
        for (flags, named) in [
            (vec!["--symbol", "FOO"], "FOO"),
            (vec!["--symbol", "USDT"], "USDT"),
            (vec!["--symbol", "btcusdt"], "btcusdt"),
            (vec!["--symbol", "BTCUSDT,BTCUSDT"], "twice"),
            (vec!["--informed-share", "1.5"], "1.5"),
            (vec!["--replay", "/nonexistent/file.gz"], "/nonexistent/file.gz"),
        ] {
            let failure = plan(&flags).unwrap_err();
            assert!(failure.to_string().contains(named), "{failure}");
        }
    }

    #[test]
    fn speeds_and_rates_are_read_exactly() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("10x".parse(), Ok(Speed::Times(10)));
        assert!("0".parse::<Speed>().is_err() && "1.5".parse::<Speed>().is_err());
        assert_eq!("7.5".parse(), Ok(FeeRate(75_000)));
        assert!("0.00001".parse::<FeeRate>().is_err() && "2000".parse::<FeeRate>().is_err());
    }
}
