//! The board: every counter and gauge of one engine, each on its own cache line.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::utils::CachePadded;

macro_rules! cells {
    ($(#[$outer:meta])* $name:ident { $($(#[doc = $help:literal])+ $variant:ident = $metric:literal,)* }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum $name { $($(#[doc = $help])+ $variant,)* }

        impl $name {
            /// All of them, in the order of the exposition.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The metric's name without the program's prefix.
            pub const fn metric(self) -> &'static str {
                match self { $($name::$variant => $metric,)* }
            }

            /// What it counts, for people.
            pub const fn help(self) -> &'static str {
                match self { $($name::$variant => concat!($($help,)+),)* }
            }
        }
    };
}

cells! {
    /// Things that only ever grow. Each is written by the one tile its comment names, gateways excepted.
    Count {
        /// Feed: frames read from the market-data socket.
        Frames = "feed_frames",
        /// Feed: records journaled and offered to the book.
        FeedRecords = "feed_records",
        /// Feed: frames that could not be decoded.
        Malformed = "feed_malformed",
        /// Feed: records that the full book link refused.
        FeedDropped = "feed_dropped",
        /// Feed: connections lost, market data and user data together.
        Disconnects = "feed_disconnects",
        /// Feed: market-data connections replaced by another one before they ended.
        Renewals = "feed_renewals",
        /// Feed: subscriptions to market streams that the venue refused.
        StreamsRefused = "feed_streams_refused",
        /// Feed: events of the user-data stream.
        UserEvents = "feed_user_events",
        /// Book: updates handed to the decision.
        BookUpdates = "book_updates",
        /// Book: times a book fell out of sync.
        Desyncs = "book_desyncs",
        /// Book: snapshots asked for.
        SnapshotsWanted = "book_snapshots_wanted",
        /// Snapshot: depth answers that took longer than 300 ms.
        SnapshotsLate = "book_snapshots_late",
        /// Quote: market updates decided on.
        Ticks = "ticks",
        /// Quote: inputs of any kind decided on.
        Inputs = "inputs",
        /// Quote: changes of the quote targets.
        Quotes = "quotes",
        /// Quote: orders handed to a gateway.
        OrdersSent = "orders_sent",
        /// Quote: cancels handed to a gateway.
        CancelsSent = "cancels_sent",
        /// Quote: amends handed to a gateway.
        AmendsSent = "amends_sent",
        /// Quote: queries handed to a gateway.
        QueriesSent = "queries_sent",
        /// Quote: orders that were refused, by the venue or here.
        OrdersRejected = "orders_rejected",
        /// Quote: post-only orders that would have crossed, a part of the refused.
        WouldCross = "orders_would_cross",
        /// Quote: orders that the venue accepted, told by the answer or the user-data stream, whichever came first.
        OrdersAccepted = "orders_accepted",
        /// Quote: executions reported, each trade once.
        Fills = "fills",
        /// Quote: placements whose outcome was in doubt.
        PlaceUnknown = "orders_unknown",
        /// Quote: commands that a full gateway link refused.
        CommandsRefused = "commands_refused",
        /// Gateways: requests handed to the HTTP client.
        Requests = "gateway_requests",
        /// Gateways: requests refused here by the rate limiter.
        Limited = "gateway_limited",
        /// Gateways: requests done inline by the fused runner.
        Inline = "gateway_inline",
        /// Gateways: requests handed over to the overflow worker.
        Overflow = "gateway_overflow",
        /// Rehearsal: requests of the understudy, which reach nobody. None for long: its decisions do not quote, and orders
        /// go unrehearsed.
        Rehearsed = "rehearsed_requests",
        /// Redis sink: entries published.
        RedisEntries = "redis_entries",
        /// Redis sink: records dropped because the server was away or too slow.
        RedisDropped = "redis_dropped",
        /// Redis sink: times that the server was lost or could not be reached.
        RedisOutages = "redis_outages",
        /// All tiles: telemetry dropped because its link was full.
        TelemetryDropped = "telemetry_dropped",
    }
}

cells! {
    /// Things that go up and down.
    Gauge {
        /// 1 while every market-data connection is open.
        MarketUp = "market_stream_up",
        /// Market-data connections that are open.
        MarketLines = "market_connections_open",
        /// Books that are not in sync with the venue.
        BooksDown = "books_down",
        /// 1 while the user-data stream is subscribed and reconciled.
        UserUp = "user_stream_up",
        /// 1 while the Redis sink is connected.
        RedisUp = "redis_up",
        /// Entries that wait for the Redis server.
        RedisWaiting = "redis_waiting",
        /// 1 while the session is asked to stop.
        Stopping = "stopping",
        /// 1 after a tile's panic or a failed journal.
        Failed = "failed",
        /// The venue's clock minus ours, in nanoseconds, as a signed number.
        VenueClockOffsetNs = "venue_clock_offset_ns",
        /// The venue's count of used request weight in its running minute.
        UsedWeight = "venue_used_weight",
        /// The last round trip for a book's snapshot, in nanoseconds.
        DepthRoundTripNs = "venue_depth_round_trip_ns",
        /// The 99th percentile of the last 100 round trips for a book's snapshot, in nanoseconds.
        DepthRoundTripP99Ns = "venue_depth_round_trip_p99_ns",
        /// The last inline round trip, in nanoseconds.
        InlineRoundTripNs = "gateway_inline_round_trip_ns",
        /// The last round trip of the overflow worker, in nanoseconds.
        OverflowRoundTripNs = "gateway_overflow_round_trip_ns",
    }
}

/// Cells of one tile, written by the thread that steps it.
#[derive(Debug)]
pub struct TileCells {
    /// The tile's name, from the topology.
    pub name: &'static str,
    steps: CachePadded<AtomicU64>,
    work: AtomicU64,
    step_ns_max: AtomicU64,
    step_ns_sum: AtomicU64,
}

impl TileCells {
    fn new(name: &'static str) -> TileCells {
        TileCells {
            name,
            steps: CachePadded::new(AtomicU64::new(0)),
            work: AtomicU64::new(0),
            step_ns_max: AtomicU64::new(0),
            step_ns_sum: AtomicU64::new(0),
        }
    }

    /// Adds what a runner has counted since it last published. One thread writes, so plain stores are enough.
    pub fn publish(&self, steps: u64, work: u64, busy_ns: u64, longest_ns: u64) {
        bump(&self.steps, steps);
        bump(&self.work, work);
        bump(&self.step_ns_sum, busy_ns);
        if longest_ns > self.step_ns_max.load(Ordering::Relaxed) {
            self.step_ns_max.store(longest_ns, Ordering::Relaxed);
        }
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// Items of work done.
    pub fn work(&self) -> u64 {
        self.work.load(Ordering::Relaxed)
    }

    /// Nanoseconds spent in steps that found work.
    pub fn busy_ns(&self) -> u64 {
        self.step_ns_sum.load(Ordering::Relaxed)
    }

    /// The longest step that found work, in nanoseconds.
    pub fn longest_step_ns(&self) -> u64 {
        self.step_ns_max.load(Ordering::Relaxed)
    }
}

/// Cells of one link, written by its sending end.
#[derive(Debug)]
pub struct LinkCells {
    /// The link's name, from the topology.
    pub name: &'static str,
    /// How many items it holds at most.
    pub depth: usize,
    used: CachePadded<AtomicU64>,
    high_water: AtomicU64,
    refused: AtomicU64,
}

impl LinkCells {
    /// Notes how many items are in flight.
    pub fn note(&self, used: usize) {
        let used = used as u64;
        self.used.store(used, Ordering::Relaxed);
        if used > self.high_water.load(Ordering::Relaxed) {
            self.high_water.store(used, Ordering::Relaxed);
        }
    }

    /// Notes an item that did not fit.
    pub fn note_refused(&self) {
        bump(&self.refused, 1);
    }

    /// Items in flight when the sender last looked.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The most that were ever in flight.
    pub fn high_water(&self) -> u64 {
        self.high_water.load(Ordering::Relaxed)
    }

    /// Items that did not fit.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// All cells of one engine; made before its threads start, shared by `Arc`.
#[derive(Debug)]
pub struct Board {
    counts: Vec<CachePadded<AtomicU64>>,
    gauges: Vec<CachePadded<AtomicU64>>,
    tiles: Vec<TileCells>,
    links: Vec<LinkCells>,
}

impl Board {
    /// A board for the named tiles and links (name, depth).
    pub fn new(tiles: &[&'static str], links: &[(&'static str, usize)]) -> Board {
        let zeroes = |n: usize| (0..n).map(|_| CachePadded::new(AtomicU64::new(0))).collect();
        Board {
            counts: zeroes(Count::ALL.len()),
            gauges: zeroes(Gauge::ALL.len()),
            tiles: tiles.iter().map(|name| TileCells::new(name)).collect(),
            links: links
                .iter()
                .map(|&(name, depth)| LinkCells {
                    name,
                    depth,
                    used: CachePadded::new(AtomicU64::new(0)),
                    high_water: AtomicU64::new(0),
                    refused: AtomicU64::new(0),
                })
                .collect(),
        }
    }

    /// Adds to a counter that one thread writes: a load and a store, no locked instruction.
    pub fn bump(&self, count: Count, n: u64) {
        bump(&self.counts[count as usize], n);
    }

    /// Sets a counter that one thread writes to what that thread has counted elsewhere.
    pub fn put(&self, count: Count, value: u64) {
        self.counts[count as usize].store(value, Ordering::Relaxed);
    }

    /// Adds to a counter that several threads write.
    pub fn add(&self, count: Count, n: u64) {
        self.counts[count as usize].fetch_add(n, Ordering::Relaxed);
    }

    /// A counter's value.
    pub fn count(&self, count: Count) -> u64 {
        self.counts[count as usize].load(Ordering::Relaxed)
    }

    /// Sets a gauge.
    pub fn set(&self, gauge: Gauge, value: i64) {
        self.gauges[gauge as usize].store(value as u64, Ordering::Relaxed);
    }

    /// A gauge's value.
    pub fn gauge(&self, gauge: Gauge) -> i64 {
        self.gauges[gauge as usize].load(Ordering::Relaxed) as i64
    }

    /// The cells of all tiles.
    pub fn tiles(&self) -> &[TileCells] {
        &self.tiles
    }

    /// The cells of all links.
    pub fn links(&self) -> &[LinkCells] {
        &self.links
    }

    /// Where a tile's cells are.
    ///
    /// # Panics
    /// When the board was made without that tile.
    pub fn tile_index(&self, name: &str) -> usize {
        self.tiles.iter().position(|tile| tile.name == name).unwrap_or_else(|| panic!("no tile named {name}"))
    }

    /// Where a link's cells are.
    ///
    /// # Panics
    /// When the board was made without that link.
    pub fn link_index(&self, name: &str) -> usize {
        self.links.iter().position(|link| link.name == name).unwrap_or_else(|| panic!("no link named {name}"))
    }
}

fn bump(cell: &AtomicU64, n: u64) {
    cell.store(cell.load(Ordering::Relaxed) + n, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_keep_what_was_put_in() {
        let board = Board::new(&["feed"], &[("feed_book", 8)]);
        board.bump(Count::Ticks, 2);
        board.add(Count::Ticks, 3);
        board.set(Gauge::VenueClockOffsetNs, -7);
        let link = &board.links()[board.link_index("feed_book")];
        link.note(5);
        link.note(2);
        let tile = &board.tiles()[board.tile_index("feed")];
        tile.publish(10, 4, 900, 300);
        tile.publish(1, 1, 100, 100);
        assert_eq!((board.count(Count::Ticks), board.gauge(Gauge::VenueClockOffsetNs)), (5, -7));
        assert_eq!((link.used(), link.high_water()), (2, 5));
        assert_eq!((tile.steps(), tile.work(), tile.busy_ns(), tile.longest_step_ns()), (11, 5, 1000, 300));
    }

    #[test]
    fn metric_names_are_unique() {
        let mut names: Vec<_> =
            Count::ALL.iter().map(|c| c.metric()).chain(Gauge::ALL.iter().map(|g| g.metric())).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
