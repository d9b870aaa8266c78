//! Keeps one instrument's book in step with the venue, by Binance's procedure.
//!
//! A book is *live* when a snapshot and every diff since have been applied without a hole. Until then diffs are kept
//! back, and a snapshot is joined with them as soon as one fits. A live book that misses an update is discarded at
//! once and starts over; it never gives up. Called by the market stage alone; reads no clock, asks for nothing itself.

use super::backlog::Backlog;
use crate::book::ArenaBook;
use crate::types::{BookState, DesyncReason, DurationNs, Price, Side, TimestampNs};
use crate::wire::{DepthKind, DepthRef};

/// How long bid may stand at or above ask before the book is given up: a crossed moment between two diffs is normal,
/// a lasting one means that an update was missed.
const CROSSED_MAX: DurationNs = DurationNs::from_millis(500);

/// Which of Binance's two rules joins diffs to a snapshot and to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncRule {
    /// Spot: the next diff's `U` is at most the last `u` plus one.
    Spot,
    /// USD-M futures: the next diff's `pu` is the last `u`.
    UsdM,
}

/// How a diff stands to a book or to the diff before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It says nothing new.
    Old,
    /// It is the next one.
    Next,
    /// Something between is missing.
    Gap,
}

impl SyncRule {
    /// The rule of a venue by the profile's name, as the configuration and session files have it; `None` for a venue that
    /// this build does not know.
    pub fn of_profile(name: &str) -> Option<SyncRule> {
        match name {
            "binance" | "binance-testnet" | "local" => Some(SyncRule::Spot),
            "binance-usdm" => Some(SyncRule::UsdM),
            _ => None,
        }
    }

    /// What a session file calls a venue of this rule.
    pub const fn profile(self) -> &'static str {
        match self {
            SyncRule::Spot => "binance",
            SyncRule::UsdM => "binance-usdm",
        }
    }

    /// How a diff stands to a book that holds everything up to `last_id`.
    pub(super) fn fit(self, last_id: u64, diff: &DepthRef<'_>) -> Fit {
        let head = &diff.head;
        match self {
            SyncRule::Spot if head.last_id <= last_id => Fit::Old,
            SyncRule::Spot if head.first_id > last_id.saturating_add(1) => Fit::Gap,
            SyncRule::Spot => Fit::Next,
            SyncRule::UsdM if head.prev_id == Some(last_id) => Fit::Next,
            SyncRule::UsdM if head.last_id <= last_id => Fit::Old,
            SyncRule::UsdM => Fit::Gap,
        }
    }

    /// How a diff stands to a snapshot that no diff has been joined to yet.
    fn fit_snapshot(self, snapshot_id: u64, diff: &DepthRef<'_>) -> Fit {
        let head = &diff.head;
        match self {
            SyncRule::Spot => self.fit(snapshot_id, diff),
            SyncRule::UsdM if head.last_id < snapshot_id => Fit::Old,
            SyncRule::UsdM if head.first_id > snapshot_id => Fit::Gap,
            SyncRule::UsdM => Fit::Next,
        }
    }
}

/// What a book has been through since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SyncCounters {
    /// Diffs applied to the book.
    pub diffs_applied: u64,
    /// Diffs that said nothing new and were dropped.
    pub diffs_old: u64,
    /// Holes found between two diffs.
    pub gaps: u64,
    /// Times that the live book became crossed or locked.
    pub crossings: u64,
    /// Snapshots that joined the stream.
    pub snapshots_joined: u64,
    /// Snapshots that were older than the diffs kept back, so that another one is needed.
    pub snapshots_too_old: u64,
    /// Snapshots that came while the book was live and were not needed.
    pub snapshots_unneeded: u64,
    /// Times that more diffs came than can be kept back while waiting.
    pub backlog_overflows: u64,
    /// First update id of the first diff applied.
    pub first_update_id: Option<u64>,
    /// Last update id of the last diff applied.
    pub last_update_id: Option<u64>,
}

/// How far synchronisation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Diffs are kept back until a snapshot comes.
    Waiting,
    /// The book is a snapshot, but no diff has proved yet that the snapshot belongs to this stretch of the stream: it
    /// may be an old answer that was long under way.
    Unproven,
    /// The book follows.
    Live,
}

/// One instrument's book and its state.
#[derive(Debug)]
pub struct BookSync {
    rule: SyncRule,
    book: ArenaBook,
    phase: Phase,
    /// Why the book is not live; meaningless when it is.
    reason: DesyncReason,
    /// Everything up to this update id is in the book.
    update_id: u64,
    /// Venue time of the last message in the book.
    event_ts: TimestampNs,
    backlog: Backlog,
    crossed_since: Option<TimestampNs>,
    horizon: [Option<Price>; 2],
    counters: SyncCounters,
}

impl BookSync {
    /// A book that waits for its first snapshot.
    pub fn new(rule: SyncRule) -> BookSync {
        BookSync {
            rule,
            book: ArenaBook::new(),
            phase: Phase::Waiting,
            reason: DesyncReason::Starting,
            update_id: 0,
            event_ts: TimestampNs::ZERO,
            backlog: Backlog::new(),
            crossed_since: None,
            horizon: [None; 2],
            counters: SyncCounters::default(),
        }
    }

    /// Takes the next depth message and says whether the visible book or its state has changed.
    pub fn on_depth(&mut self, depth: &DepthRef<'_>) -> bool {
        match (depth.head.kind, self.phase) {
            (DepthKind::Snapshot, Phase::Live) => {
                self.counters.snapshots_unneeded += 1;
                false
            }
            (DepthKind::Snapshot, _) => self.on_snapshot(depth),
            (DepthKind::Diff, Phase::Waiting) => {
                self.keep_back(depth);
                false
            }
            (DepthKind::Diff, Phase::Unproven) => self.on_first_diff(depth),
            (DepthKind::Diff, Phase::Live) => self.on_next_diff(depth),
        }
    }

    /// The book may have missed something: it is discarded, and what was kept back with it.
    pub fn on_notice(&mut self, reason: DesyncReason) {
        self.backlog.clear();
        self.discard(reason);
    }

    /// Whether it may be quoted from.
    pub fn state(&self) -> BookState {
        match self.phase {
            Phase::Live => BookState::Live,
            Phase::Waiting | Phase::Unproven => BookState::Syncing(self.reason),
        }
    }

    /// Whether a snapshot is needed.
    pub fn needs_snapshot(&self) -> bool {
        self.phase == Phase::Waiting
    }

    /// Whether diffs are being kept back, so that a snapshot asked for now can be joined to them.
    pub fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// The book: empty, or a snapshot that is not proven yet, unless it is live.
    pub fn book(&self) -> &ArenaBook {
        &self.book
    }

    /// Everything up to this update id is in the book.
    pub fn update_id(&self) -> u64 {
        self.update_id
    }

    /// Venue time of the last message in the book; zero when it gave none.
    pub fn event_ts(&self) -> TimestampNs {
        self.event_ts
    }

    /// Worst price of the last snapshot's side. What rests beyond is unknown until it changes: no level there does not
    /// mean that nothing rests.
    pub fn horizon(&self, side: Side) -> Option<Price> {
        self.horizon[side.index()]
    }

    /// What it has been through.
    pub fn counters(&self) -> &SyncCounters {
        &self.counters
    }

    fn discard(&mut self, reason: DesyncReason) {
        self.book.clear();
        self.phase = Phase::Waiting;
        self.reason = reason;
        self.update_id = 0;
        self.event_ts = TimestampNs::ZERO;
        self.crossed_since = None;
        self.horizon = [None; 2];
    }

    /// Keeps a diff for the snapshot to come. What is kept has no hole: after one, only the newer part can be joined.
    fn keep_back(&mut self, diff: &DepthRef<'_>) {
        if let Some(last_id) = self.backlog.last_id() {
            match self.rule.fit(last_id, diff) {
                Fit::Old => {
                    self.counters.diffs_old += 1;
                    return;
                }
                Fit::Next => {}
                Fit::Gap => {
                    self.counters.gaps += 1;
                    self.backlog.clear();
                }
            }
        }
        if !self.backlog.has_room(diff) {
            self.counters.backlog_overflows += 1;
            self.backlog.clear();
        }
        self.backlog.push(diff);
    }

    fn on_snapshot(&mut self, snapshot: &DepthRef<'_>) -> bool {
        let snapshot_id = snapshot.head.last_id;
        let mut old = 0;
        for diff in self.backlog.iter() {
            match self.rule.fit_snapshot(snapshot_id, &diff) {
                Fit::Old => old += 1,
                Fit::Next => break,
                Fit::Gap => {
                    self.counters.snapshots_too_old += 1;
                    return false;
                }
            }
        }
        self.book.clear();
        self.book.apply(snapshot.bids, snapshot.asks);
        for (side, levels) in [(Side::Bid, snapshot.bids), (Side::Ask, snapshot.asks)] {
            self.horizon[side.index()] = levels.last().map(|level| level.price);
        }
        self.update_id = snapshot_id;
        self.event_ts = snapshot.head.event_ts;
        self.counters.diffs_old += old as u64;
        let joins = self.backlog.len() > old;
        // A diff that the snapshot already holds proves on spot that the snapshot is of this stretch; USD-M demands a
        // first diff that spans the snapshot.
        let proven = joins || (self.rule == SyncRule::Spot && old > 0);
        if joins {
            let backlog = std::mem::take(&mut self.backlog);
            for diff in backlog.iter().skip(old) {
                self.apply(&diff);
            }
            self.backlog = backlog;
        }
        self.backlog.clear();
        if proven {
            self.go_live();
        } else {
            self.phase = Phase::Unproven;
        }
        proven
    }

    fn go_live(&mut self) {
        self.phase = Phase::Live;
        self.counters.snapshots_joined += 1;
    }

    fn on_first_diff(&mut self, diff: &DepthRef<'_>) -> bool {
        match self.rule.fit_snapshot(self.update_id, diff) {
            Fit::Old => {
                self.counters.diffs_old += 1;
                if self.rule == SyncRule::Spot {
                    self.go_live();
                    return true;
                }
                false
            }
            Fit::Next => {
                self.go_live();
                self.apply(diff);
                self.watch_crossing(diff.head.recv_ts);
                true
            }
            Fit::Gap => {
                self.counters.snapshots_too_old += 1;
                self.discard(self.reason);
                self.keep_back(diff);
                false
            }
        }
    }

    fn on_next_diff(&mut self, diff: &DepthRef<'_>) -> bool {
        match self.rule.fit(self.update_id, diff) {
            Fit::Old => {
                self.counters.diffs_old += 1;
                false
            }
            Fit::Next => {
                self.apply(diff);
                self.watch_crossing(diff.head.recv_ts);
                true
            }
            Fit::Gap => {
                self.counters.gaps += 1;
                self.discard(DesyncReason::Gap);
                // It is the first diff of the stretch that the next snapshot must join.
                self.keep_back(diff);
                true
            }
        }
    }

    fn apply(&mut self, diff: &DepthRef<'_>) {
        self.book.apply(diff.bids, diff.asks);
        self.update_id = diff.head.last_id;
        self.event_ts = diff.head.event_ts;
        self.counters.diffs_applied += 1;
        self.counters.first_update_id.get_or_insert(diff.head.first_id);
        self.counters.last_update_id = Some(diff.head.last_id);
    }

    fn watch_crossing(&mut self, now: TimestampNs) {
        if !self.book.is_crossed() {
            self.crossed_since = None;
            return;
        }
        match self.crossed_since {
            None => {
                self.counters.crossings += 1;
                self.crossed_since = Some(now);
            }
            Some(since) if now.since(since) > CROSSED_MAX => {
                self.backlog.clear();
                self.discard(DesyncReason::Crossed);
            }
            Some(_) => {}
        }
    }
}
