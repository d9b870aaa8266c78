//! Faults as text: `kind:key=value,key=value`.
//!
//! ```text
//! gap:p=0.01                      each depth diff with a chance of one in a hundred
//! gap:every=2s,symbol=ETHUSDT     of one symbol, about every two seconds
//! disconnect:at=3s                once, three seconds after the start
//! reset:every=2s,bytes=4096       within the next 4096 bytes that are sent
//! delay-answer:p=0.05,for=300ms,on=place
//! timeout:p=0.02,done=0.5         half of these requests are carried out
//! ```

use std::fmt;
use std::str::FromStr;

use super::kind::{Domain, FaultKind};
use super::plan::Request;
use crate::types::{DurationNs, Symbol};

/// How long a fault lasts when it is not told.
const USUAL_SPAN: DurationNs = DurationNs::from_millis(250);
/// Share of requests that are carried out when it is not told.
const USUAL_SHARE: f64 = 0.5;

/// When a fault happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trigger {
    /// To each message with this chance.
    Chance(f64),
    /// Again and again, this far apart on average: each pause is drawn from half to one and a half of it.
    Every(DurationNs),
    /// Once, so long after the start.
    At(DurationNs),
}

/// One fault: what happens, when, and to what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultSpec {
    /// What happens.
    pub kind: FaultKind,
    /// When.
    pub trigger: Trigger,
    /// How long it lasts, for the kinds that last.
    pub span: DurationNs,
    /// Share of requests that are carried out, for the kinds that leave it open.
    pub share: f64,
    /// A socket ends after a number of bytes drawn below this one; zero for at once.
    pub bytes: u64,
    /// Only to this symbol's messages.
    pub symbol: Option<Symbol>,
    /// Only to requests of this kind.
    pub on: Option<Request>,
}

impl FaultSpec {
    /// A fault of that kind with the usual values.
    pub const fn new(kind: FaultKind, trigger: Trigger) -> FaultSpec {
        FaultSpec { kind, trigger, span: USUAL_SPAN, share: USUAL_SHARE, bytes: 0, symbol: None, on: None }
    }

    /// The keys that the kind takes.
    fn keys(kind: FaultKind) -> Vec<&'static str> {
        let socket = matches!(kind.domain(), Domain::MarketSocket | Domain::UserSocket);
        let mut keys = vec!["every", "at"];
        if !socket {
            keys.push("p");
        }
        if kind.lasts() {
            keys.push("for");
        }
        if kind.has_share() {
            keys.push("done");
        }
        if kind.has_bytes() {
            keys.push("bytes");
        }
        match kind.domain() {
            Domain::Market => keys.push("symbol"),
            Domain::Answer => keys.push("on"),
            _ => {}
        }
        keys
    }
}

/// The faults of a session and the seed that decides when they happen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultPlan {
    /// The faults.
    pub specs: Vec<FaultSpec>,
    /// The seed.
    pub seed: u64,
}

impl FromStr for FaultSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<FaultSpec, String> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let kinds: Vec<&str> = FaultKind::ALL.iter().map(|kind| kind.name()).collect();
        let kind = FaultKind::parse(name)
            .ok_or_else(|| format!("there is no fault `{name}`; the nearest is `{}`", nearest(name, &kinds)))?;
        let keys = FaultSpec::keys(kind);
        let mut spec = FaultSpec::new(kind, Trigger::Chance(0.0));
        let mut trigger = None;
        for pair in rest.split(',').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(|| format!("`{pair}` is not of the form key=value"))?;
            if !keys.contains(&key) {
                return Err(format!("`{name}` takes no `{key}`; the nearest key is `{}`", nearest(key, &keys)));
            }
            let wrong = |what: &str| format!("{key}={value}: give {what}");
            match key {
                "p" => {
                    let chance = part(value).ok_or_else(|| wrong("a chance from 0 to 1"))?;
                    set(&mut trigger, Trigger::Chance(chance))?;
                }
                "every" => set(&mut trigger, Trigger::Every(span(value).ok_or_else(|| wrong(SPAN))?))?,
                "at" => set(&mut trigger, Trigger::At(span(value).ok_or_else(|| wrong(SPAN))?))?,
                "for" => spec.span = span(value).ok_or_else(|| wrong(SPAN))?,
                "done" => spec.share = part(value).ok_or_else(|| wrong("a share from 0 to 1"))?,
                "bytes" => {
                    let bytes = value.parse().ok().filter(|bytes| (1..=1 << 30).contains(bytes));
                    spec.bytes = bytes.ok_or_else(|| wrong("a number of bytes from 1 to 2^30"))?;
                }
                "symbol" => {
                    let symbol = Symbol::new(value).ok().filter(|_| !value.is_empty());
                    spec.symbol = Some(symbol.ok_or_else(|| wrong("a symbol such as BTCUSDT"))?);
                }
                _ => {
                    let names = Request::ALL.map(Request::name);
                    let unknown = || format!("on={value}: the nearest request is `{}`", nearest(value, &names));
                    spec.on = Some(Request::parse(value).ok_or_else(unknown)?);
                }
            }
        }
        let needed = if keys.contains(&"p") { "p=, every= or at=" } else { "every= or at=" };
        spec.trigger = trigger.ok_or_else(|| format!("`{name}` needs {needed}"))?;
        Ok(spec)
    }
}

const SPAN: &str = "a time above zero such as 250ms, 5s or 2m";

fn set(trigger: &mut Option<Trigger>, to: Trigger) -> Result<(), String> {
    match trigger.replace(to) {
        None => Ok(()),
        Some(_) => Err("give one of p, every and at".to_owned()),
    }
}

fn part(text: &str) -> Option<f64> {
    text.parse().ok().filter(|part| (0.0..=1.0).contains(part))
}

/// Units of time, the longer names first.
const UNITS: [(&str, u64); 5] =
    [("ms", 1_000_000), ("us", 1_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000)];

fn span(text: &str) -> Option<DurationNs> {
    let (number, unit) = UNITS.iter().find_map(|(name, nanos)| Some((text.strip_suffix(name)?, nanos)))?;
    let nanos = number.parse::<u64>().ok()?.checked_mul(*unit)?;
    (nanos > 0).then(|| DurationNs::from_nanos(nanos))
}

fn span_text(span: DurationNs) -> String {
    let nanos = span.nanos();
    let whole = UNITS.iter().filter(|(_, unit)| nanos.is_multiple_of(*unit)).max_by_key(|(_, unit)| *unit);
    // Every span was read as a whole number of some unit, so the finest one always fits.
    whole.map_or_else(String::new, |(name, unit)| format!("{}{name}", nanos / unit))
}

fn nearest<'a>(name: &str, names: &[&'a str]) -> &'a str {
    let near = |other: &&&str| strsim::jaro_winkler(name, other);
    names.iter().max_by(|a, b| near(a).total_cmp(&near(b))).copied().unwrap_or("")
}

impl fmt::Display for FaultSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.kind.name())?;
        match self.trigger {
            Trigger::Chance(chance) => write!(f, "p={chance}")?,
            Trigger::Every(every) => write!(f, "every={}", span_text(every))?,
            Trigger::At(at) => write!(f, "at={}", span_text(at))?,
        }
        if self.kind.lasts() {
            write!(f, ",for={}", span_text(self.span))?;
        }
        if self.kind.has_share() {
            write!(f, ",done={}", self.share)?;
        }
        if self.bytes > 0 {
            write!(f, ",bytes={}", self.bytes)?;
        }
        if let Some(symbol) = self.symbol {
            write!(f, ",symbol={}", symbol.as_str())?;
        }
        if let Some(on) = self.on {
            write!(f, ",on={}", on.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_back_from_its_own_text() {
        for kind in FaultKind::ALL {
            let every = FaultSpec::new(*kind, Trigger::Every(DurationNs::from_millis(1500)));
            assert_eq!(every.to_string().parse(), Ok(every), "{every}");
            if FaultSpec::keys(*kind).contains(&"p") {
                let chance = FaultSpec::new(*kind, Trigger::Chance(0.25));
                assert_eq!(chance.to_string().parse(), Ok(chance), "{chance}");
            }
        }
        let text = "delay-answer:p=0.05,for=300ms,on=place";
        assert_eq!(text.parse::<FaultSpec>().unwrap().to_string(), text);
        let text = "reset:every=2s,bytes=4096";
        assert_eq!(text.parse::<FaultSpec>().unwrap().to_string(), text);
        let text = "gap:at=2m,symbol=ETHUSDT";
        assert_eq!(text.parse::<FaultSpec>().unwrap().to_string(), text);
    }

    #[test]
    fn mistakes_are_named_with_the_nearest_right_word() {
        for (text, told) in [
            ("gpa:p=0.1", "the nearest is `gap`"),
            ("lost-answr:p=0.1", "the nearest is `lost-answer`"),
            ("delay-event:p=0.1,four=2s", "the nearest key is `for`"),
            ("disconnect:p=0.1", "`disconnect` takes no `p`"),
            ("gap:on=place,p=1", "`gap` takes no `on`"),
            ("gap", "needs p=, every= or at="),
            ("reset:every=2s,bytes=0", "a number of bytes"),
            ("shutdown:every=2s,bytes=9", "`shutdown` takes no `bytes`"),
            ("disconnect", "needs every= or at="),
            ("gap:p=2", "a chance from 0 to 1"),
            ("gap:p", "not of the form key=value"),
            ("gap:every=0s", "a time above zero"),
            ("gap:every=5", "a time above zero"),
            ("gap:p=0.1,at=2s", "give one of p, every and at"),
            ("timeout:p=0.1,on=plce", "the nearest request is `place`"),
            ("gap:p=0.1,symbol=", "a symbol such as"),
        ] {
            let error = text.parse::<FaultSpec>().unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
