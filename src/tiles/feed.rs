//! The feed tile: sockets in, records out.
//!
//! Owns the market-data connections, the user-data connection, the decoder and the feed stream of the journal. Each frame
//! is decoded once into a record, journaled and sent to the book as the same units. It never waits for the book: what
//! does not fit is flagged in the journal, counted, and told as an overrun before the next record.

use std::sync::Arc;
use std::time::Duration;

use quanta::Clock;
use rtrb::{Consumer, Producer};
use tracing::{info, warn};

use super::Tile;
use super::counter::look;
use super::fate::{Fate, Fault};
use super::near::noted;
pub use super::told::Carried;
use super::told::Told;
use super::user_feed::{UserFeed, UserState};
use crate::feed::{Event, Loss, Payload, Relay, RelayEvent};
use crate::journal::JournalWriter;
use crate::metrics::{Board, Count, Gauge};
use crate::topology::{link, tile};
use crate::types::{DesyncReason, Instrument, InstrumentId, TimestampNs};
use crate::venue::binance::decode::{DecodeError, Decoded, Decoder};
use crate::venue::binance::sbe::{SbeDecoder, SbeEvent};
use crate::wire::record::Kind;
use crate::wire::{DepthBuf, FeedEvent, FeedNotice, Flags, RecordBuf, Stream, UnitReceiver, UnitSender, stamp};

/// Units of a depth message of some forty levels.
const UNITS_NEAR: usize = 12;
/// Levels that a depth message has room for without growing.
const LEVELS: usize = 5000;

/// Where records go: journal first, then the book.
pub struct RecordOutlet {
    journal: JournalWriter,
    book: UnitSender,
    /// A second reader, for `record --print`.
    tap: Option<UnitSender>,
    /// The simulated exchange of paper mode: it sees what the book sees.
    paper: Option<UnitSender>,
    buf: RecordBuf,
    board: Arc<Board>,
    fate: Arc<Fate>,
    link: usize,
    /// Instruments whose book has missed a record and does not know it yet.
    overrun: Vec<bool>,
    any_overrun: bool,
    down: bool,
}

impl RecordOutlet {
    /// An outlet for a session's instruments.
    pub fn new(
        journal: JournalWriter,
        book: UnitSender,
        tap: Option<UnitSender>,
        paper: Option<UnitSender>,
        instruments: usize,
        board: Arc<Board>,
        fate: Arc<Fate>,
    ) -> RecordOutlet {
        let link = board.link_index(link::FEED_BOOK);
        // A header and two sides of levels of 16 bytes.
        let buf = RecordBuf::with_capacity(256 + 2 * LEVELS * 16);
        RecordOutlet {
            journal,
            book,
            tap,
            paper,
            buf,
            board,
            fate,
            link,
            overrun: vec![false; instruments],
            any_overrun: false,
            down: false,
        }
    }

    /// Journals an event and sends it on with the stamp of its frame, zero for none.
    pub fn emit(&mut self, event: &FeedEvent<'_>, instrument: Option<InstrumentId>, recv_ts: TimestampNs, stamp: u64) {
        if self.any_overrun {
            self.tell_overruns(recv_ts);
        }
        let sent = self.put(event, recv_ts, stamp);
        if !sent && !self.down {
            match instrument {
                Some(instrument) => self.overrun[instrument.index()] = true,
                None => self.overrun.fill(true),
            }
            self.any_overrun = true;
        }
    }

    fn tell_overruns(&mut self, now: TimestampNs) {
        for index in 0..self.overrun.len() {
            // A notice has one unit. Without room it stays due, and is not journaled in vain.
            let has_room = self.book.has_room(1)
                && self.paper.as_ref().is_none_or(|paper| paper.has_room(1) || paper.is_abandoned());
            if !self.overrun[index] || !has_room {
                continue;
            }
            let instrument = Some(InstrumentId(index as u16));
            let notice = FeedEvent::Notice(FeedNotice { instrument, reason: DesyncReason::Overrun, recv_ts: now });
            self.overrun[index] = !self.put(&notice, now, 0);
        }
        self.any_overrun = self.overrun.contains(&true);
    }

    /// Writes one record; returns whether the book will see it.
    fn put(&mut self, event: &FeedEvent<'_>, recv_ts: TimestampNs, stamp: u64) -> bool {
        if self.down {
            return false;
        }
        let (kind, _) = event.encode(&mut self.buf);
        let count = self.buf.units_len();
        let fits = self.book.has_room(count)
            && self.paper.as_ref().is_none_or(|paper| paper.has_room(count) || paper.is_abandoned());
        // While an overrun is not told, nothing else may reach the book; a replay skips what the book never saw.
        let flags = if fits && (!self.any_overrun || matches!(event, FeedEvent::Notice(_))) {
            Flags::NONE
        } else {
            Flags::DROPPED
        };
        let units = self.buf.finish(Stream::Feed, kind, flags, self.journal.next_seq(), recv_ts);
        if let Err(down) = self.journal.append(units) {
            self.down = true;
            self.fate.fail(Fault { tile: tile::FEED, what: down.to_string(), is_panic: false });
            return false;
        }
        self.board.bump(Count::FeedRecords, 1);
        if let Some(tap) = &mut self.tap {
            // People read it; what does not fit is not shown.
            let _ = tap.send(units);
        }
        if flags == Flags::DROPPED {
            self.board.bump(Count::FeedDropped, 1);
            self.board.links()[self.link].note_refused();
            return false;
        }
        if let Some(paper) = &mut self.paper {
            let _ = paper.send(units);
        }
        // Room was there, and only the receiver changes it, to the better.
        self.book.send_stamped(units, stamp).is_ok()
    }

    /// Ends the stream on purpose.
    pub fn end(&mut self, now: TimestampNs) {
        if !self.down {
            self.buf.begin();
            let units = self.buf.finish(Stream::Feed, Kind::End, Flags::NONE, self.journal.next_seq(), now);
            let _ = self.journal.append(units);
        }
    }

    fn note_depth(&self) {
        self.board.links()[self.link].note(self.book.used());
    }
}

/// One of the venue's market-data connections.
pub struct MarketLine {
    relay: Relay,
    /// The instruments that it tells of.
    instruments: Vec<InstrumentId>,
    /// What it tells of them, and no other line.
    carried: Carried,
    is_up: bool,
}

impl MarketLine {
    /// A line that opens with its first poll.
    pub fn new(relay: Relay, instruments: Vec<InstrumentId>, carried: Carried) -> MarketLine {
        MarketLine { relay, instruments, carried, is_up: false }
    }

    /// The instruments whose books it feeds.
    fn books(&self) -> &[InstrumentId] {
        if self.carried == Carried::Aggregates { &[] } else { &self.instruments }
    }
}

/// Where market data comes from.
pub enum Market {
    /// The venue's streams, each on one line.
    Venue(Vec<MarketLine>),
    /// `redis_feed`: events that another process has decoded.
    Redis(UnitReceiver),
}

/// Where the time of receipt comes from: the wall clock, except in rehearsals.
pub type ReceiptClock = Box<dyn FnMut() -> TimestampNs + Send>;

/// Everything the tile is made of.
pub struct FeedParts {
    /// Where market data comes from.
    pub market: Market,
    /// The decoder of the venue's frames.
    pub decoder: Decoder,
    /// Where records go.
    pub outlet: RecordOutlet,
    /// The session's instruments.
    pub instruments: Vec<Instrument>,
    /// `snapshot_feed`.
    pub snapshots: Consumer<Box<DepthBuf>>,
    /// `feed_snapshot`: buffers on their way back.
    pub returns: Producer<Box<DepthBuf>>,
    /// The user-data side; absent when nothing is sent.
    pub user: Option<UserFeed>,
    /// The clock of what is received.
    pub now: ReceiptClock,
    /// The engine's life.
    pub fate: Arc<Fate>,
    /// The board.
    pub board: Arc<Board>,
}

/// See the module.
pub struct FeedTile {
    market: Market,
    decoder: Decoder,
    /// The decoder of binary frames, which only SBE streams send.
    sbe: SbeDecoder,
    depth: DepthBuf,
    outlet: RecordOutlet,
    instruments: Vec<Instrument>,
    snapshots: Consumer<Box<DepthBuf>>,
    returns: Producer<Box<DepthBuf>>,
    user: Option<UserState>,
    now: ReceiptClock,
    fate: Arc<Fate>,
    board: Arc<Board>,
    clock: Clock,
    /// The line that is polled next.
    turn: usize,
    told: Told,
    /// The last step took market data and looked at nothing else.
    others_are_due: bool,
}

impl FeedTile {
    /// A tile whose connections open with its first steps.
    pub fn new(parts: FeedParts) -> FeedTile {
        FeedTile {
            market: parts.market,
            decoder: parts.decoder,
            sbe: SbeDecoder::new(&parts.instruments),
            depth: DepthBuf::with_capacity(LEVELS),
            told: Told::new(parts.instruments.len()),
            outlet: parts.outlet,
            instruments: parts.instruments,
            snapshots: parts.snapshots,
            returns: parts.returns,
            user: parts.user.map(UserState::new),
            now: parts.now,
            fate: parts.fate,
            board: parts.board,
            clock: Clock::new(),
            turn: 0,
            others_are_due: false,
        }
    }

    /// Takes one message, of one line. On a fused thread its consequences come before a look at what else there is, which
    /// is a system call or two even when there is nothing. Lines take turns, so that none waits for a busy one for long.
    fn poll_market(&mut self) -> usize {
        let lines = match &self.market {
            Market::Venue(lines) => lines.len(),
            Market::Redis(_) => return self.poll_redis(),
        };
        for _ in 0..lines {
            let at = self.turn;
            self.turn = if at + 1 < lines { at + 1 } else { 0 };
            if self.poll_line(at) > 0 {
                return 1;
            }
        }
        0
    }

    fn poll_redis(&mut self) -> usize {
        let Market::Redis(link) = &mut self.market else { return 0 };
        let Some((read_tsc, record)) = link.recv_stamped() else { return 0 };
        self.board.bump(Count::Frames, 1);
        // The source tile of the same build wrote it: that it cannot be read is a bug, and bugs stop the engine.
        let record = record.unwrap_or_else(|error| panic!("a record of redis_feed cannot be read: {error}"));
        match FeedEvent::decode(&record) {
            Ok(event) => {
                let stamp = stamp::pack(read_tsc, look(&self.clock));
                self.outlet.emit(&event, instrument_of(&event), record.header.ts, stamp);
            }
            Err(error) => panic!("a record of redis_feed cannot be read: {error}"),
        }
        self.outlet.note_depth();
        1
    }

    fn poll_line(&mut self, at: usize) -> usize {
        let Market::Venue(lines) = &mut self.market else { return 0 };
        let line = &mut lines[at];
        // What a connection allocates while it opens is kept near as long as it lives.
        let event = if line.is_up { line.relay.poll() } else { noted(|| line.relay.poll()) };
        match event {
            RelayEvent::Of(Event::Idle) => return 0,
            RelayEvent::Of(Event::Progress) => {}
            RelayEvent::Of(Event::Opened) => {
                line.is_up = true;
                self.told.forget(&line.instruments, line.carried);
                info!(line = at, symbols = line.instruments.len(), "market data connected");
                self.show_lines();
            }
            RelayEvent::Of(Event::Text { text, read_tsc }) => self.on_frame(at, &text, read_tsc),
            RelayEvent::Of(Event::Binary { frame, read_tsc }) => self.on_binary(at, &frame, read_tsc),
            RelayEvent::Of(Event::Lost(loss)) => self.on_line_lost(at, &loss),
            RelayEvent::Changed => {
                self.told.change(&line.instruments, line.carried);
                self.board.bump(Count::Renewals, 1);
                info!(line = at, "market data goes on over a new connection");
            }
            RelayEvent::Delayed(loss) => {
                self.note_refusal(&loss);
                warn!(line = at, %loss, "the next market-data connection cannot be opened; trying again");
            }
        }
        self.outlet.note_depth();
        1
    }

    fn show_lines(&self) {
        let Market::Venue(lines) = &self.market else { return };
        let up = lines.iter().filter(|line| line.is_up).count();
        self.board.set(Gauge::MarketLines, up as i64);
        self.board.set(Gauge::MarketUp, i64::from(up == lines.len()));
    }

    fn note_refusal(&self, loss: &Loss) {
        if let Loss::Refused { code, text } = loss {
            self.board.bump(Count::StreamsRefused, 1);
            warn!(
                "E_VENUE_005: the venue refuses the market streams. {text} (code {code}). Check `symbols` and venue.ws_url"
            );
        }
    }

    fn on_frame(&mut self, at: usize, payload: &Payload, read_tsc: u64) {
        let recv_ts = (self.now)();
        self.board.bump(Count::Frames, 1);
        let Market::Venue(lines) = &self.market else { return };
        let frame = lines[at].relay.bytes(payload);
        match self.decoder.decode(frame, recv_ts, &mut self.depth) {
            Ok(Decoded::ServerShutdown) => {
                // What is still said on the old connection is heard until the new one is open.
                if let Market::Venue(lines) = &mut self.market {
                    lines[at].relay.renew();
                }
            }
            Ok(Decoded::ControlError { code }) => warn!(code, "the venue refused a control message"),
            Ok(decoded) => {
                if let Some(event) = decoded.event(&self.depth)
                    && !self.told.is_repeated(&event)
                {
                    let instrument = instrument_of(&event);
                    self.outlet.emit(&event, instrument, recv_ts, stamp::pack(read_tsc, look(&self.clock)));
                }
            }
            Err(error) => {
                let frame = frame.to_vec();
                self.on_malformed(at, &frame, error, self.decoder.failed_instrument(), recv_ts);
            }
        }
    }

    fn on_binary(&mut self, at: usize, payload: &Payload, read_tsc: u64) {
        let recv_ts = (self.now)();
        self.board.bump(Count::Frames, 1);
        let Market::Venue(lines) = &self.market else { return };
        let frame = lines[at].relay.bytes(payload);
        let FeedTile { sbe, depth, outlet, told, clock, .. } = self;
        let mut emit = |event: &FeedEvent<'_>| {
            if !told.is_repeated(event) {
                outlet.emit(event, instrument_of(event), recv_ts, stamp::pack(read_tsc, look(clock)));
            }
        };
        match sbe.decode(frame, recv_ts, depth) {
            Ok(SbeEvent::Depth) => emit(&FeedEvent::Depth(depth.as_ref())),
            Ok(SbeEvent::Touch(touch)) => emit(&FeedEvent::Touch(touch)),
            Ok(SbeEvent::Trades(trades)) => trades.iter().for_each(|&trade| emit(&FeedEvent::Trade(trade))),
            Ok(SbeEvent::Partial | SbeEvent::Ignored) => {}
            Err(error) => {
                let frame = frame.to_vec();
                self.on_malformed(at, &frame, error, self.sbe.failed_instrument(), recv_ts);
            }
        }
    }

    fn on_malformed(
        &mut self,
        at: usize,
        frame: &[u8],
        error: DecodeError,
        failed: Option<InstrumentId>,
        recv_ts: TimestampNs,
    ) {
        self.board.bump(Count::Malformed, 1);
        warn!(%error, "a frame could not be decoded");
        self.outlet.emit(&FeedEvent::Raw(frame), failed, recv_ts, 0);
        match failed {
            Some(instrument) => self.notice(instrument, DesyncReason::Malformed, recv_ts),
            None => self.notice_line(at, DesyncReason::Malformed, recv_ts),
        }
    }

    fn on_line_lost(&mut self, at: usize, loss: &Loss) {
        self.note_refusal(loss);
        let Market::Venue(lines) = &mut self.market else { return };
        if std::mem::take(&mut lines[at].is_up) {
            self.show_lines();
            self.board.bump(Count::Disconnects, 1);
            warn!(line = at, %loss, "market data lost");
            let now = (self.now)();
            self.notice_line(at, DesyncReason::Disconnected, now);
        } else {
            warn!(line = at, %loss, "market data cannot be reached; trying again");
        }
    }

    /// Tells each book of a line on its own: one record gives rise to one update at most.
    fn notice_line(&mut self, at: usize, reason: DesyncReason, recv_ts: TimestampNs) {
        for index in 0.. {
            let Market::Venue(lines) = &self.market else { return };
            let Some(&instrument) = lines[at].books().get(index) else { return };
            self.notice(instrument, reason, recv_ts);
        }
    }

    fn notice(&mut self, instrument: InstrumentId, reason: DesyncReason, recv_ts: TimestampNs) {
        let notice = FeedNotice { instrument: Some(instrument), reason, recv_ts };
        self.outlet.emit(&FeedEvent::Notice(notice), Some(instrument), recv_ts, 0);
    }

    fn take_snapshots(&mut self) -> usize {
        let mut work = 0;
        while let Ok(snapshot) = self.snapshots.pop() {
            let head = snapshot.head;
            self.outlet.emit(&FeedEvent::Depth(snapshot.as_ref().as_ref()), Some(head.instrument), head.recv_ts, 0);
            // A full return link frees the buffer here, which costs a moment and nothing else.
            let _ = self.returns.push(snapshot);
            work += 1;
        }
        work
    }
}

fn instrument_of(event: &FeedEvent<'_>) -> Option<InstrumentId> {
    match event {
        FeedEvent::Depth(depth) => Some(depth.head.instrument),
        FeedEvent::Trade(trade) | FeedEvent::AggTrade(trade) => Some(trade.instrument),
        FeedEvent::Touch(touch) => Some(touch.instrument),
        FeedEvent::Notice(notice) => notice.instrument,
        FeedEvent::Raw(_) => None,
    }
}

impl Tile for FeedTile {
    fn name(&self) -> &'static str {
        tile::FEED
    }

    fn step(&mut self) -> usize {
        if self.is_done() {
            return 0;
        }
        let others_first = std::mem::take(&mut self.others_are_due);
        if !others_first && self.poll_market() > 0 {
            self.others_are_due = true;
            return 1;
        }
        let mut work = self.take_snapshots();
        if let Some(user) = &mut self.user {
            work += user.poll(&self.instruments, &self.board);
        }
        if others_first {
            work += self.poll_market();
        }
        work
    }

    fn is_done(&self) -> bool {
        self.fate.must_end() || self.outlet.down
    }

    fn wait(&mut self, limit: Duration) -> bool {
        // The user-data socket, the snapshots and other lines are looked at after a millisecond at the latest.
        match &mut self.market {
            Market::Venue(lines) => {
                let Some(line) = lines.get_mut(self.turn) else { return false };
                line.relay.park(limit.min(Duration::from_millis(1)));
                true
            }
            // The source rings.
            Market::Redis(_) => false,
        }
    }

    fn keep_near(&mut self) {
        self.outlet.journal.claim_next(UNITS_NEAR);
        self.outlet.book.claim_next(UNITS_NEAR);
    }

    fn close(&mut self) {
        let now = (self.now)();
        self.outlet.end(now);
        self.board.set(Gauge::MarketUp, 0);
        self.board.set(Gauge::MarketLines, 0);
        self.board.set(Gauge::UserUp, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Journal, JournalConfig, JournalReader, SessionInfo};
    use crate::types::{Level, Price, Qty, SessionId, Touch};
    use crate::wire::unit_link;

    fn touch(update_id: u64) -> FeedEvent<'static> {
        let level = |ticks| Level { price: Price::from_ticks(ticks), qty: Qty::from_lots(1) };
        FeedEvent::Touch(Touch {
            instrument: InstrumentId(0),
            recv_ts: TimestampNs::from_nanos(5),
            update_id,
            bid: level(10),
            ask: level(11),
        })
    }

    #[test]
    fn a_full_link_flags_counts_and_tells_the_overrun_before_the_next_record() {
        let folder = tempfile::tempdir().unwrap();
        let config = JournalConfig { segment_bytes: 1 << 20, ..JournalConfig::new(folder.path()) };
        let info = SessionInfo::new(SessionId(1), "test", "binance", TimestampNs::ZERO, &[Instrument::btcusdt()], None);
        let (dir, journal, keeper) = Journal::create_feed_only(&config, &info).unwrap();
        let board = Arc::new(Board::new(&[], &[(link::FEED_BOOK, 4)]));
        let (book, mut receiver) = unit_link(4);
        let fate = Arc::new(Fate::default());
        let mut outlet = RecordOutlet::new(journal, book, None, None, 1, Arc::clone(&board), fate);
        let now = TimestampNs::from_nanos(5);
        // Each touch has two units: two fit, the third and fourth do not.
        for id in 1..=4 {
            outlet.emit(&touch(id), Some(InstrumentId(0)), now, 100 + id);
        }
        assert_eq!(board.count(Count::FeedDropped), 2, "records 3 and 4");
        let mut seen = Vec::new();
        let mut drain = |receiver: &mut crate::wire::UnitReceiver| {
            while let Some((stamp, record)) = receiver.recv_stamped() {
                let record = record.unwrap();
                seen.push((record.header.seq, record.header.kind, stamp));
            }
        };
        drain(&mut receiver);
        outlet.emit(&touch(5), Some(InstrumentId(0)), now, 105);
        drain(&mut receiver);
        assert_eq!(
            seen,
            [(1, Kind::Touch, 101), (2, Kind::Touch, 102), (5, Kind::FeedNotice, 0), (6, Kind::Touch, 105)]
        );
        outlet.end(now);
        drop(outlet);
        keeper.close().unwrap();
        // The journal holds everything, and says which of it the book never saw.
        let mut stream = JournalReader::open(&dir).unwrap().stream(Stream::Feed).unwrap();
        let mut flags = Vec::new();
        while let Some(record) = stream.next().unwrap() {
            flags.push((record.header.kind, record.header.flags.has(Flags::DROPPED)));
        }
        assert_eq!(
            flags,
            [
                (Kind::Touch, false),
                (Kind::Touch, false),
                (Kind::Touch, true),
                (Kind::Touch, true),
                (Kind::FeedNotice, false),
                (Kind::Touch, false),
                (Kind::End, false)
            ]
        );
    }
}
