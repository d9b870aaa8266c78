//! What happens to the next message: one decision object, seeded, without a clock.

use super::kind::{Domain, FaultKind};
use super::spec::{FaultPlan, FaultSpec, Trigger};
use crate::types::{DurationNs, Instrument, InstrumentId, TimestampNs};

/// How sockets end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// With a FIN and no closing frame.
    Close,
    /// With a RST.
    Reset,
    /// Not at all: they stay open and nothing passes any more.
    HalfOpen,
    /// With the news that the venue shuts down, and a closing frame some time later.
    Shutdown,
    /// With a closing frame, as after 24 hours.
    DayOver,
    /// With a closing frame, because a ping seems to have no answer for some time.
    PongsLost,
}

/// Sockets end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// How.
    pub cut: Cut,
    /// Bytes that still pass, so that a message may break off anywhere.
    pub bytes: u64,
    /// How long it takes, where it takes time.
    pub span: DurationNs,
}

/// Which sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Road {
    /// Those of public streams.
    Market,
    /// Those of user data.
    User,
}

/// What becomes of a message of a public stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketFate {
    /// It is told.
    Told,
    /// It is not told.
    Skipped,
    /// It is told twice.
    Twice,
    /// Its first half is told.
    Broken,
    /// It is told with more behind it than any client takes.
    Oversized,
    /// It is told so much later.
    Late(DurationNs),
}

/// What becomes of a user-data message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventFate {
    /// It is told.
    Told,
    /// It is not told.
    Lost,
    /// It is told twice.
    Twice,
    /// It is told so much later.
    Late(DurationNs),
}

/// A request about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Place an order.
    Place,
    /// Cancel an order.
    Cancel,
    /// Reduce an order in its place.
    Amend,
    /// Ask where an order stands, or for its trades.
    Query,
}

impl Request {
    /// All of them.
    pub const ALL: [Request; 4] = [Request::Place, Request::Cancel, Request::Amend, Request::Query];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Request::Place => "place",
            Request::Cancel => "cancel",
            Request::Amend => "amend",
            Request::Query => "query",
        }
    }

    /// The request of that name.
    pub fn parse(name: &str) -> Option<Request> {
        Request::ALL.into_iter().find(|request| request.name() == name)
    }
}

/// How often a request is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// Never.
    Never,
    /// Once, as it should.
    Once,
    /// Twice; the second answer counts.
    Twice,
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The venue's own answer.
    Own,
    /// The venue's own answer, so much later.
    Late(DurationNs),
    /// Nothing: the connection ends.
    Nothing,
    /// -1007.
    Timeout,
    /// 500 with -1000.
    ServerError,
    /// 429 and how long to wait.
    RateLimit(DurationNs),
}

/// What becomes of a request and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerFate {
    /// How often it is carried out.
    pub runs: Runs,
    /// What is answered.
    pub reply: Reply,
}

impl AnswerFate {
    /// As it should be.
    pub const USUAL: AnswerFate = AnswerFate { runs: Runs::Once, reply: Reply::Own };
}

/// How often a fault had the chance to happen and how often it did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultCount {
    /// The fault.
    pub spec: FaultSpec,
    /// Messages that it could have happened to; for sockets, the times at which it was due.
    pub chances: u64,
    /// Times that it happened.
    pub happened: u64,
}

#[derive(Clone, Debug)]
struct Rule {
    count: FaultCount,
    /// Only to this symbol. A symbol that the venue does not have never comes.
    symbol: Option<InstrumentId>,
    has_symbol: bool,
    /// Messages seen, by symbol: the fates of one symbol's messages do not depend on another's.
    seen: Vec<u64>,
    /// When it is due, for faults by time.
    due: Option<TimestampNs>,
    salt: u64,
}

/// Decides about each message. The same calls with the same times give the same answers.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    seed: u64,
    rules: Vec<Rule>,
}

impl Faults {
    /// The faults of a plan for these instruments, counted from `start`.
    pub fn new(plan: &FaultPlan, instruments: &[Instrument], start: TimestampNs) -> Faults {
        let mut faults = Faults { seed: plan.seed, rules: Vec::with_capacity(plan.specs.len()) };
        for (index, spec) in plan.specs.iter().enumerate() {
            let named = |name: crate::types::Symbol| instruments.iter().find(|one| one.symbol() == name.as_str());
            // Two faults of one kind have fates of their own.
            let salt = mix((spec.kind as u64) << 32 | index as u64);
            let due = match spec.trigger {
                Trigger::Chance(_) => None,
                Trigger::At(after) => Some(start.plus(after)),
                Trigger::Every(every) => Some(start.plus(pause(plan.seed ^ salt, 0, every))),
            };
            faults.rules.push(Rule {
                count: FaultCount { spec: *spec, chances: 0, happened: 0 },
                symbol: spec.symbol.and_then(named).map(|one| one.id),
                has_symbol: spec.symbol.is_some(),
                seen: Vec::new(),
                due,
                salt,
            });
        }
        faults
    }

    /// Whether nothing can ever happen.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How often each fault has happened, in the order of the plan.
    pub fn counts(&self) -> impl Iterator<Item = FaultCount> {
        self.rules.iter().map(|rule| rule.count)
    }

    /// The fate of a message of a public stream. Only depth diffs can be skipped: a missing print leaves no trace.
    pub fn on_market(&mut self, now: TimestampNs, symbol: InstrumentId, is_depth: bool) -> MarketFate {
        let mut fate = MarketFate::Told;
        for rule in &mut self.rules {
            let kind = rule.count.spec.kind;
            let applies = kind.domain() == Domain::Market
                && (is_depth || kind != FaultKind::Gap)
                && (!rule.has_symbol || rule.symbol == Some(symbol));
            // The first fault that strikes is the one that happens, and yet each has had its chance.
            if applies && rule.strikes(self.seed, now, symbol.index()) && fate == MarketFate::Told {
                rule.count.happened += 1;
                fate = match kind {
                    FaultKind::Gap => MarketFate::Skipped,
                    FaultKind::DoubleMarket => MarketFate::Twice,
                    FaultKind::Oversized => MarketFate::Oversized,
                    FaultKind::DelayMarket => MarketFate::Late(rule.count.spec.span),
                    _ => MarketFate::Broken,
                };
            }
        }
        fate
    }

    /// The fate of a user-data message.
    pub fn on_event(&mut self, now: TimestampNs) -> EventFate {
        let mut fate = EventFate::Told;
        for rule in &mut self.rules {
            let spec = rule.count.spec;
            let applies = spec.kind.domain() == Domain::User;
            if applies && rule.strikes(self.seed, now, 0) && fate == EventFate::Told {
                rule.count.happened += 1;
                fate = match spec.kind {
                    FaultKind::LostEvent => EventFate::Lost,
                    FaultKind::DoubleEvent => EventFate::Twice,
                    _ => EventFate::Late(spec.span),
                };
            }
        }
        fate
    }

    /// The fate of a request about an order and of its answer.
    pub fn on_request(&mut self, now: TimestampNs, request: Request) -> AnswerFate {
        let mut fate = AnswerFate::USUAL;
        for rule in &mut self.rules {
            let spec = rule.count.spec;
            let applies = spec.kind.domain() == Domain::Answer && spec.on.is_none_or(|on| on == request);
            if applies && rule.strikes(self.seed, now, 0) && fate == AnswerFate::USUAL {
                rule.count.happened += 1;
                // Whether it is carried out has a draw of its own.
                let done = unit(self.seed ^ rule.salt ^ SHARE, rule.count.chances) < spec.share;
                let open = if done { Runs::Once } else { Runs::Never };
                let (runs, reply) = match spec.kind {
                    FaultKind::DelayAnswer => (Runs::Once, Reply::Late(spec.span)),
                    FaultKind::LostAnswer => (Runs::Once, Reply::Nothing),
                    FaultKind::LostRequest => (Runs::Never, Reply::Nothing),
                    FaultKind::DoubleAnswer => (Runs::Twice, Reply::Own),
                    FaultKind::Timeout => (open, Reply::Timeout),
                    FaultKind::ServerError => (open, Reply::ServerError),
                    _ => (Runs::Never, Reply::RateLimit(spec.span)),
                };
                fate = AnswerFate { runs, reply };
            }
        }
        fate
    }

    /// Whether sockets end now. Asked as often as time is looked at.
    pub fn cut(&mut self, now: TimestampNs, road: Road) -> Option<Ending> {
        let domain = match road {
            Road::Market => Domain::MarketSocket,
            Road::User => Domain::UserSocket,
        };
        let mut ending = None;
        for rule in &mut self.rules {
            let spec = rule.count.spec;
            if spec.kind.domain() == domain && ending.is_none() && rule.is_due(self.seed, now) {
                rule.count.chances += 1;
                rule.count.happened += 1;
                let bytes = (spec.bytes as f64 * unit(self.seed ^ rule.salt ^ SHARE, rule.count.happened)) as u64;
                ending = spec.kind.cut().map(|cut| Ending { cut, bytes, span: spec.span });
            }
        }
        ending
    }

    /// When sockets end next, if nothing else does.
    pub fn next_cut_at(&self) -> Option<TimestampNs> {
        let sockets = self.rules.iter().filter(|rule| rule.count.spec.kind.cut().is_some());
        sockets.filter_map(|rule| rule.due).min()
    }
}

impl Rule {
    /// Whether the fault happens to this message, which is the next one of its symbol.
    fn strikes(&mut self, seed: u64, now: TimestampNs, symbol: usize) -> bool {
        self.count.chances += 1;
        match self.count.spec.trigger {
            Trigger::Chance(chance) => {
                if self.seen.len() <= symbol {
                    self.seen.resize(symbol + 1, 0);
                }
                self.seen[symbol] += 1;
                unit(seed ^ self.salt ^ mix(symbol as u64), self.seen[symbol]) < chance
            }
            Trigger::Every(_) | Trigger::At(_) => self.is_due(seed, now),
        }
    }

    fn is_due(&mut self, seed: u64, now: TimestampNs) -> bool {
        let Some(due) = self.due.filter(|due| now >= *due) else { return false };
        self.due = match self.count.spec.trigger {
            // From when it was due, so that the times do not depend on who was asked when; and never twice for one call.
            Trigger::Every(every) => Some(due.plus(pause(seed ^ self.salt, due.nanos(), every)).max(now)),
            _ => None,
        };
        true
    }
}

/// Sets the draw of what is carried out apart from the draw of what happens.
const SHARE: u64 = 0x5368_6172_6521_0001;

/// A pause from half to one and a half of `every`.
fn pause(seed: u64, n: u64, every: DurationNs) -> DurationNs {
    DurationNs::from_nanos((every.nanos() as f64 * (0.5 + unit(seed, n))) as u64)
}

/// The n-th number in [0, 1) of a seed.
fn unit(seed: u64, n: u64) -> f64 {
    (mix(seed.wrapping_add(mix(n))) >> 11) as f64 / (1_u64 << 53) as f64
}

/// splitmix64.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(seed: u64, specs: &[&str]) -> Faults {
        let specs = specs.iter().map(|text| text.parse().unwrap()).collect();
        Faults::new(&FaultPlan { specs, seed }, &[], TimestampNs::ZERO)
    }

    const NOW: TimestampNs = TimestampNs::from_millis(1);

    #[test]
    fn a_fate_depends_on_the_seed_and_the_number_of_the_message_alone() {
        let fates = |seed, specs: &[&str], other: bool| -> Vec<MarketFate> {
            let mut faults = faults(seed, specs);
            (0..500)
                .map(|_| {
                    if other {
                        faults.on_market(NOW, InstrumentId(1), true);
                        faults.on_event(NOW);
                    }
                    faults.on_market(NOW, InstrumentId(0), true)
                })
                .collect()
        };
        let alone = fates(3, &["gap:p=0.1"], false);
        let skipped = alone.iter().filter(|fate| **fate == MarketFate::Skipped).count();
        assert!((25..90).contains(&skipped), "{skipped} of 500 at one in ten");
        assert_eq!(alone, fates(3, &["gap:p=0.1", "lost-event:p=0.5"], true));
        assert_ne!(alone, fates(4, &["gap:p=0.1"], false));
    }

    #[test]
    fn chances_are_met_and_counted() {
        let mut faults = faults(9, &["timeout:p=0.2,done=0.25", "lost-answer:p=1,on=cancel"]);
        let (mut run, mut not_run) = (0, 0);
        for _ in 0..10_000 {
            match faults.on_request(NOW, Request::Place) {
                AnswerFate { runs: Runs::Once, reply: Reply::Timeout } => run += 1,
                AnswerFate { runs: Runs::Never, reply: Reply::Timeout } => not_run += 1,
                fate => assert_eq!(fate, AnswerFate::USUAL),
            }
        }
        assert!((1_800..2_200).contains(&(run + not_run)) && (400..600).contains(&run), "{run} and {not_run}");
        let cancel = faults.on_request(NOW, Request::Cancel);
        assert!(cancel.reply == Reply::Nothing || cancel.reply == Reply::Timeout);
        let counts: Vec<_> = faults.counts().map(|count| (count.chances, count.happened)).collect();
        assert_eq!(counts[0].0, 10_001);
        assert_eq!(counts[1].0, 1);
    }

    #[test]
    fn times_are_the_seeds_and_each_comes_once() {
        let mut faults = faults(1, &["disconnect:every=1s", "user-reset:at=2s"]);
        let mut cuts = Vec::new();
        for millis in 0..20_000 {
            let now = TimestampNs::from_millis(millis);
            if let Some(ending) = faults.cut(now, Road::Market) {
                assert_eq!((ending.cut, ending.bytes), (Cut::Close, 0));
                cuts.push(millis);
            }
            assert_eq!(faults.cut(now, Road::User).is_some(), millis == 2_000, "{millis}");
        }
        assert!((15..28).contains(&cuts.len()), "{cuts:?}");
        assert!(cuts.windows(2).all(|pair| (499..=1_501).contains(&(pair[1] - pair[0]))), "{cuts:?}");
        assert!(faults.next_cut_at().is_some());
    }

    #[test]
    fn the_byte_at_which_a_socket_ends_is_drawn_within_its_bound() {
        let mut faults = faults(1, &["reset:every=1s,bytes=1000"]);
        let cuts = (0..500_000).filter_map(|millis| faults.cut(TimestampNs::from_millis(millis), Road::Market));
        let bytes: Vec<u64> = cuts.map(|ending| ending.bytes).collect();
        let (least, most) = (bytes.iter().min().unwrap(), bytes.iter().max().unwrap());
        assert!(bytes.len() > 300 && *least < 50 && (950..1000).contains(most), "{bytes:?}");
    }

    #[test]
    fn a_symbols_fault_leaves_other_symbols_alone_and_prints_are_never_skipped() {
        let mut faults = faults(1, &["gap:p=1,symbol=NOSUCH"]);
        assert_eq!(faults.on_market(NOW, InstrumentId(0), true), MarketFate::Told);
        let mut faults = self::faults(1, &["gap:p=1"]);
        assert_eq!(faults.on_market(NOW, InstrumentId(0), false), MarketFate::Told);
        assert_eq!(faults.on_market(NOW, InstrumentId(0), true), MarketFate::Skipped);
    }
}
