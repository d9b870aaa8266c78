//! Floor 4: the wiring, as data. Reading this file top to bottom is reading the engine's shape.
//!
//! Owns the list of tiles, the list of links with their depth, what happens when each is full and why, and the plans
//! that seat tiles on cores. `run::engine` builds what stands here and nothing else; tests compare it with
//! `/proc/self/task`. It must hold no logic of any tile.

/// Names of tiles, which are also the names of their threads when a thread steps one tile only.
pub mod tile {
    /// Market-data and user-data sockets, decoding, the feed stream of the journal.
    pub const FEED: &str = "feed";
    /// Books and their sync.
    pub const BOOK: &str = "book";
    /// The sequencer: decisions, the quote stream of the journal.
    pub const QUOTE: &str = "quote";
    /// Placements and amends.
    pub const PLACE: &str = "gateway_place";
    /// Cancels and queries: a lane of its own, so that neither waits behind a placement; fused, those that would wait.
    pub const CANCEL: &str = "gateway_cancel";
    /// Placements that the fused runner handed over because round trips are slow.
    pub const OVERFLOW: &str = "gateway_over";
    /// The simulated exchange in the place of the venue's order entry: paper mode.
    pub const PAPER: &str = "gateway_paper";
    /// REST depth snapshots.
    pub const SNAPSHOT: &str = "snapshot";
    /// Reconciliation with the account: missed fills, orders left over, the venue's clock.
    pub const ACCOUNT: &str = "account";
    /// Pre-touches, writes out, syncs, rolls and seals the journal.
    pub const KEEPER: &str = "keeper";
    /// Publishes the session's journal on a Redis server; only when one is configured.
    pub const REDIS_SINK: &str = "redis_sink";
    /// Reads market data from a Redis server, in place of the market-data socket and the snapshot worker.
    pub const REDIS_SOURCE: &str = "redis_source";
    /// Plays the way of an order through on an understudy, so that its code stays in the caches: a fused spinner only.
    pub const REHEARSAL: &str = "rehearsal";
    /// Stop protocol, failures, telemetry: histograms, live view, dry-run lines.
    pub const CONTROL: &str = "control";
    /// All tiles.
    pub const ALL: [&str; 14] = [
        FEED,
        BOOK,
        QUOTE,
        PLACE,
        CANCEL,
        OVERFLOW,
        PAPER,
        SNAPSHOT,
        ACCOUNT,
        KEEPER,
        REDIS_SINK,
        REDIS_SOURCE,
        REHEARSAL,
        CONTROL,
    ];
}

/// What a sender does when its link is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FullPolicy {
    /// The record is flagged in the journal, counted, and a notice makes the books resync: never silently lost.
    Resync,
    /// The sender keeps the item and takes no new input until it fits: nothing on this link may be lost.
    Wait,
    /// The command is refused and the decision told so (`NotSent`): better no order than a late one.
    Refuse,
    /// Dropped and counted: it only informs people.
    Drop,
}

/// A link between two tiles: one sender, one receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// `source_target`.
    pub name: &'static str,
    /// The sending tile.
    pub from: &'static str,
    /// The receiving tile.
    pub to: &'static str,
    /// Items it holds; units of 64 bytes for `feed_book`.
    pub depth: usize,
    /// What happens when it is full.
    pub full: FullPolicy,
    /// Why that depth and that policy.
    pub why: &'static str,
}

/// Links by name, so that code and table cannot drift apart.
pub mod link {
    #![allow(missing_docs, reason = "each constant is a row of LINKS, where its meaning stands")]
    pub const FEED_BOOK: &str = "feed_book";
    pub const BOOK_QUOTE: &str = "book_quote";
    pub const FEED_QUOTE: &str = "feed_quote";
    pub const QUOTE_PLACE: &str = "quote_place";
    pub const QUOTE_CANCEL: &str = "quote_cancel";
    pub const PLACE_OVERFLOW: &str = "place_overflow";
    pub const PLACE_CANCEL: &str = "place_cancel";
    pub const PLACE_QUOTE: &str = "place_quote";
    pub const CANCEL_QUOTE: &str = "cancel_quote";
    pub const OVERFLOW_QUOTE: &str = "overflow_quote";
    pub const FEED_PAPER: &str = "feed_paper";
    pub const QUOTE_PAPER: &str = "quote_paper";
    pub const QUOTE_PAPER_CANCEL: &str = "quote_paper_cancel";
    pub const PAPER_QUOTE: &str = "paper_quote";
    pub const BOOK_SNAPSHOT: &str = "book_snapshot";
    pub const SNAPSHOT_FEED: &str = "snapshot_feed";
    pub const FEED_SNAPSHOT: &str = "feed_snapshot";
    pub const REDIS_FEED: &str = "redis_feed";
    pub const FEED_ACCOUNT: &str = "feed_account";
    pub const ACCOUNT_QUOTE: &str = "account_quote";
    pub const CONTROL_QUOTE: &str = "control_quote";
    pub const QUOTE_CONTROL: &str = "quote_control";
    pub const PLACE_CONTROL: &str = "place_control";
    pub const CANCEL_CONTROL: &str = "cancel_control";
    pub const OVERFLOW_CONTROL: &str = "overflow_control";
    pub const PAPER_CONTROL: &str = "paper_control";
}

/// The links that carry every decision and those around them.
#[rustfmt::skip]
pub const LINKS: &[Link] = {
    use FullPolicy::{Drop, Refuse, Resync, Wait};
    use link::*;
    use tile::*;
    const fn row(name: &'static str, from: &'static str, to: &'static str, depth: usize, full: FullPolicy, why: &'static str) -> Link {
        Link { name, from, to, depth, full, why }
    }
    &[
        // name            from      to        depth   when full  why
        row(FEED_BOOK,       FEED,     BOOK,     65_536, Resync, "4 MiB: 26 whole snapshots, or 0.5 s of a burst of 10 levels a message at 40k/s; the reader must never wait"),
        row(BOOK_QUOTE,      BOOK,     QUOTE,     8_192, Wait,   "one item a feed record; a book that waits fills feed_book, whose policy then applies"),
        row(FEED_QUOTE,      FEED,     QUOTE,     4_096, Wait,   "user events: a fill may not be lost, so the reader stops reading that socket"),
        row(QUOTE_PLACE,     QUOTE,    PLACE,       256, Refuse, "more than the order rate of 10 s allows; a fuller link means a stuck venue"),
        row(QUOTE_CANCEL,    QUOTE,    CANCEL,      256, Refuse, "a cancel and a query for every order that can be alive, many times over; fused they take quote_place"),
        row(PLACE_OVERFLOW,  PLACE,    OVERFLOW,    256, Refuse, "as deep as the link it continues; fused only"),
        row(PLACE_CANCEL,    PLACE,    CANCEL,      256, Refuse, "likewise: what a fused place gateway does not serve itself"),
        row(PLACE_QUOTE,     PLACE,    QUOTE,     1_024, Wait,   "an answer may not be lost; the gateway waits, which stops new orders"),
        row(CANCEL_QUOTE,    CANCEL,   QUOTE,     1_024, Wait,   "as place_quote"),
        row(OVERFLOW_QUOTE,  OVERFLOW, QUOTE,     1_024, Wait,   "as place_quote"),
        row(FEED_PAPER,      FEED,     PAPER,    65_536, Resync, "as feed_book: what one of the two cannot take neither sees, and the resync serves both"),
        row(QUOTE_PAPER,     QUOTE,    PAPER,       256, Refuse, "as quote_place"),
        row(QUOTE_PAPER_CANCEL, QUOTE, PAPER,       256, Refuse, "as quote_cancel"),
        row(PAPER_QUOTE,     PAPER,    QUOTE,     4_096, Wait,   "answers and user events in one order: a fill may not be lost, and the simulated exchange can wait"),
        row(BOOK_SNAPSHOT,   BOOK,     SNAPSHOT,     64, Drop,   "a request that is dropped is made again by the book's own back-off"),
        row(SNAPSHOT_FEED,   SNAPSHOT, FEED,          8, Wait,   "the worker is cold and may wait for the reader"),
        row(FEED_SNAPSHOT,   FEED,     SNAPSHOT,      8, Drop,   "buffers on their way back for reuse; a lost one is made again"),
        row(REDIS_FEED,      REDIS_SOURCE, FEED, 16_384, Wait,   "units of 64 bytes, six whole snapshots; the source is cold and may wait, Redis keeps the rest"),
        row(FEED_ACCOUNT,    FEED,     ACCOUNT,      16, Wait,   "one request for each connection of the user-data stream"),
        row(ACCOUNT_QUOTE,   ACCOUNT,  QUOTE,     4_096, Wait,   "missed fills may not be lost; the worker is cold and may wait"),
        row(CONTROL_QUOTE,   CONTROL,  QUOTE,        64, Wait,   "commands of people and of the stop protocol"),
        row(QUOTE_CONTROL,   QUOTE,    CONTROL,  32_768, Drop,   "samples, fills and quotes for people; the journal has them all"),
        row(PLACE_CONTROL,   PLACE,    CONTROL,   8_192, Drop,   "latency samples"),
        row(CANCEL_CONTROL,  CANCEL,   CONTROL,   8_192, Drop,   "latency samples"),
        row(OVERFLOW_CONTROL,OVERFLOW, CONTROL,   8_192, Drop,   "latency samples"),
        row(PAPER_CONTROL,   PAPER,    CONTROL,   8_192, Drop,   "latency samples"),
    ]
};

/// A link's row.
///
/// # Panics
/// When no link has that name: names are constants of [`link`].
pub fn link_row(name: &str) -> &'static Link {
    LINKS.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("no link named {name}"))
}

/// What a thread does when none of its tiles found work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Asks again at once. One such thread a core at most: a second one costs milliseconds.
    Spin,
    /// Lets others run, then asks again.
    Yield,
    /// Sleeps until its socket or its doorbell wakes it, a millisecond at most.
    Park,
}

/// How tiles share threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanKind {
    /// By the cores at hand.
    Auto,
    /// One runner steps all hot tiles in turn.
    Fused,
    /// A thread for each hot tile.
    Split,
}

/// One thread: the tiles it steps in turn, where it runs and how it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The thread's name.
    pub thread: &'static str,
    /// The tiles, in stepping order.
    pub tiles: &'static [&'static str],
    /// The core it is pinned to; `None` leaves it to the system.
    pub core: Option<usize>,
    /// How it waits.
    pub idle: Idle,
}

/// A whole plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// `fused` or `split`, never `auto`.
    pub kind: PlanKind,
    /// All threads.
    pub seats: Vec<Seat>,
    /// What was given up for lack of cores, said to the user; `None` when nothing was.
    pub degraded: Option<String>,
}

impl Plan {
    /// The seat of a tile, if the plan has it.
    pub fn seat_of(&self, tile: &str) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.tiles.contains(&tile))
    }

    /// The same with seats for the tiles that a Redis server needs: cold threads of their own, because each blocks on the
    /// server. A source stands where the snapshot worker stands otherwise.
    #[must_use]
    pub fn with_redis(mut self, sink: bool, source: bool) -> Plan {
        let core = self.seat_of(tile::KEEPER).and_then(|seat| seat.core);
        if source {
            self.seats.retain(|seat| seat.thread != tile::SNAPSHOT);
            self.seats.push(cold(tile::REDIS_SOURCE, &[tile::REDIS_SOURCE], core));
        }
        if sink {
            self.seats.push(cold(tile::REDIS_SINK, &[tile::REDIS_SINK], core));
        }
        self
    }

    /// One line for people: `fused: feed book quote gateway_place on core 1 (spin); …`.
    pub fn describe(&self) -> String {
        let kind = match self.kind {
            PlanKind::Fused => "fused",
            PlanKind::Split => "split",
            PlanKind::Auto => "auto",
        };
        let seats: Vec<String> = self
            .seats
            .iter()
            .filter(|seat| seat.core.is_some())
            .map(|seat| {
                let core = seat.core.unwrap_or_default();
                format!("{} on core {core} ({})", seat.tiles.join("+"), format!("{:?}", seat.idle).to_lowercase())
            })
            .collect();
        format!("{kind}: {}", seats.join("; "))
    }
}

const HOT: &[&str] = &[tile::FEED, tile::BOOK, tile::QUOTE, tile::PLACE, tile::REHEARSAL];
const BOOK_AND_QUOTE: &[&str] = &[tile::BOOK, tile::QUOTE];

/// Seats the tiles on `cores`, the cores that this process may use, lowest first.
///
/// The first core is left to cold threads, to the system and to a venue on the same machine; hot tiles take the others,
/// one spinner a core at most. `idle` overrides what hot threads do; spinning is never forced on a shared core.
pub fn plan(kind: PlanKind, cores: &[usize], idle: Option<Idle>) -> Plan {
    let cold_core = cores.first().copied();
    let hot: &[usize] = cores.get(1..).unwrap_or(&[]);
    let hot_idle = |own_core: bool| match (idle, own_core) {
        (Some(Idle::Spin) | None, true) => Idle::Spin,
        (Some(Idle::Spin) | None, false) => Idle::Park,
        (Some(other), _) => other,
    };
    let kind = match kind {
        // Four cores are the least on which a thread a stage does not share with a spinner.
        PlanKind::Auto if cores.len() >= 4 => PlanKind::Split,
        PlanKind::Auto => PlanKind::Fused,
        asked => asked,
    };
    let mut degraded = None;
    let mut seats = Vec::new();
    match kind {
        PlanKind::Fused | PlanKind::Auto => {
            let core = hot.last().copied().or(cold_core);
            if hot.is_empty() {
                degraded = Some(
                    "one core only: the engine, its cold work and any local venue share it, nothing spins, and \
                     latency figures are those of a shared core"
                        .to_owned(),
                );
            }
            seats.push(Seat { thread: "fused", tiles: HOT, core, idle: hot_idle(!hot.is_empty()) });
            seats.push(cold(tile::OVERFLOW, &[tile::OVERFLOW], cold_core));
        }
        PlanKind::Split => {
            // feed; book; quote; place and cancel gateways: five cores beside the cold one give each its own.
            let groups: &[(&'static str, &'static [&'static str])] = if hot.len() >= 4 {
                &[
                    (tile::FEED, &[tile::FEED]),
                    (tile::BOOK, &[tile::BOOK]),
                    (tile::QUOTE, &[tile::QUOTE]),
                    (tile::PLACE, &[tile::PLACE]),
                ]
            } else {
                &[(tile::FEED, &[tile::FEED]), (tile::QUOTE, BOOK_AND_QUOTE), (tile::PLACE, &[tile::PLACE])]
            };
            let enough = hot.len() >= groups.len();
            if !enough {
                degraded = Some(format!(
                    "split wants {} cores and has {}: hot threads share cores and park instead of spinning",
                    groups.len() + 1,
                    cores.len()
                ));
            }
            for (index, (thread, tiles)) in groups.iter().enumerate() {
                let core = if hot.is_empty() { cold_core } else { hot.get(index % hot.len()).copied() };
                seats.push(Seat { thread, tiles, core, idle: hot_idle(enough) });
            }
        }
    }
    let cancel_core = match kind {
        PlanKind::Split if hot.len() >= 5 => Some((hot[4], hot_idle(true))),
        _ => None,
    };
    seats.push(match cancel_core {
        Some((core, idle)) => Seat { thread: tile::CANCEL, tiles: &[tile::CANCEL], core: Some(core), idle },
        None => cold(tile::CANCEL, &[tile::CANCEL], cold_core),
    });
    seats.push(cold(tile::PAPER, &[tile::PAPER], cold_core));
    seats.push(cold(tile::SNAPSHOT, &[tile::SNAPSHOT], cold_core));
    seats.push(cold(tile::ACCOUNT, &[tile::ACCOUNT], cold_core));
    seats.push(cold(tile::KEEPER, &[tile::KEEPER], cold_core));
    seats.push(cold(tile::CONTROL, &[tile::CONTROL], cold_core));
    Plan { kind, seats, degraded }
}

fn cold(thread: &'static str, tiles: &'static [&'static str], core: Option<usize>) -> Seat {
    Seat { thread, tiles, core, idle: Idle::Park }
}

/// The cores that this process may use, lowest first, narrowed to `wanted` when that is not empty.
pub fn cores_at_hand(wanted: &[usize]) -> Vec<usize> {
    let mut cores: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect();
    cores.sort_unstable();
    if !wanted.is_empty() {
        cores.retain(|core| wanted.contains(core));
    }
    if cores.is_empty() {
        // A system that does not tell: one core is the least that can be true.
        cores.push(0);
    }
    cores
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(plan: &Plan, tile: &str) -> Seat {
        plan.seat_of(tile).unwrap_or_else(|| panic!("{tile} has no seat in {plan:?}")).clone()
    }

    #[test]
    fn links_join_known_tiles_and_are_named_once() {
        for (index, row) in LINKS.iter().enumerate() {
            assert!(tile::ALL.contains(&row.from) && tile::ALL.contains(&row.to), "{row:?}");
            assert!(row.depth >= 2 && !row.why.is_empty(), "{row:?}");
            assert!(LINKS[..index].iter().all(|other| other.name != row.name), "{row:?}");
        }
    }

    #[test]
    fn a_core_has_one_spinner_at_most() {
        for kind in [PlanKind::Auto, PlanKind::Fused, PlanKind::Split] {
            for cores in 1..=16 {
                let cores: Vec<usize> = (0..cores).collect();
                let plan = plan(kind, &cores, Some(Idle::Spin));
                let mut spinning: Vec<_> =
                    plan.seats.iter().filter(|seat| seat.idle == Idle::Spin).map(|seat| seat.core).collect();
                let all = spinning.len();
                spinning.sort_unstable();
                spinning.dedup();
                assert_eq!(spinning.len(), all, "{plan:?}");
                // The cold core is never spun on: the venue, the kernel and the cold tiles live there.
                assert!(!spinning.contains(&Some(0)), "{plan:?}");
            }
        }
    }

    #[test]
    fn every_tile_has_exactly_one_seat() {
        for kind in [PlanKind::Fused, PlanKind::Split] {
            for count in 1..=8 {
                for (sink, source) in [(false, false), (true, false), (true, true)] {
                    let plan = plan(kind, &(0..count).collect::<Vec<_>>(), None).with_redis(sink, source);
                    for name in tile::ALL {
                        let seats = plan.seats.iter().filter(|seat| seat.tiles.contains(&name)).count();
                        let want = match name {
                            // Only a fused place gateway has something to hand over, and only one thread has the whole way.
                            tile::OVERFLOW | tile::REHEARSAL => plan.kind == PlanKind::Fused,
                            tile::REDIS_SINK => sink,
                            tile::REDIS_SOURCE => source,
                            tile::SNAPSHOT => !source,
                            _ => true,
                        };
                        assert_eq!(seats, usize::from(want), "{name} in {plan:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn one_core_degrades_and_says_so() {
        let plan = plan(PlanKind::Auto, &[3], None);
        assert_eq!(plan.kind, PlanKind::Fused);
        assert!(plan.degraded.is_some());
        assert_eq!((seat(&plan, tile::FEED).core, seat(&plan, tile::FEED).idle), (Some(3), Idle::Park));
    }

    #[test]
    fn two_cores_fuse_the_hot_tiles_on_the_second() {
        let plan = plan(PlanKind::Auto, &[0, 1], None);
        assert_eq!((plan.kind, plan.degraded.is_none()), (PlanKind::Fused, true));
        assert_eq!(seat(&plan, tile::FEED), seat(&plan, tile::PLACE));
        assert_eq!((seat(&plan, tile::QUOTE).core, seat(&plan, tile::QUOTE).idle), (Some(1), Idle::Spin));
        assert_eq!((seat(&plan, tile::CANCEL).core, seat(&plan, tile::CANCEL).idle), (Some(0), Idle::Park));
    }

    #[test]
    fn four_cores_share_book_and_quote_and_six_split_all() {
        let four = plan(PlanKind::Auto, &[0, 1, 2, 3], None);
        assert_eq!(seat(&four, tile::BOOK), seat(&four, tile::QUOTE));
        assert_ne!(seat(&four, tile::FEED).core, seat(&four, tile::QUOTE).core);
        let six = plan(PlanKind::Auto, &[0, 1, 2, 3, 4, 5], None);
        assert_ne!(seat(&six, tile::BOOK).core, seat(&six, tile::QUOTE).core);
        assert_eq!((seat(&six, tile::CANCEL).core, seat(&six, tile::CANCEL).idle), (Some(5), Idle::Spin));
    }

    #[test]
    fn split_on_two_cores_never_spins_twice_on_one() {
        let plan = plan(PlanKind::Split, &[0, 1], None);
        assert!(plan.degraded.is_some());
        assert!(plan.seats.iter().all(|seat| seat.idle != Idle::Spin));
    }
}
