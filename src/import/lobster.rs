//! LOBSTER's order-level messages: `time, type, order id, size, price, direction`, and the order book file beside them.
//!
//! Time is seconds after the exchange's midnight, price dollars times 10 000, direction 1 for a buy order and -1 for a
//! sell order; of an execution it is the resting order's. With the order book file, whose row n is the book after
//! message n, the depth messages are the differences of its rows: what leaves its visible levels is removed and what
//! enters them is told. Without it the levels are what the messages add up to, and levels from before the recording are
//! not known. Exchange time of day is kept as it is: the files tell no time zone.

use std::collections::BTreeMap;

use super::dialect::{Dialect, Event, Listing, Said, cells, whole};
use super::lines::Lines;
use crate::types::{DurationNs, Level, Price, Qty, Side, TimestampNs, Trade, TradeId};
use crate::wire::DepthKind;

/// A price in the files to a price in units of 1e-8, and a share.
const PRICE_E8: i64 = 10_000;
const SHARE_E8: i64 = 100_000_000;
/// The most shares whose units fit.
const SIZE_MAX: i64 = i64::MAX / SHARE_E8;
/// What stands in for a level that is not there.
const NO_PRICE: i64 = 9_999_999_999;

/// Whether a first row is one of messages.
pub(super) fn is_messages(first: &[u8]) -> bool {
    let cells = cells(first);
    let is_type = |cell: &[u8]| matches!(cell, b"1" | b"2" | b"3" | b"4" | b"5" | b"6" | b"7");
    cells.len() == 6
        && time_of_day(cells[0]).is_ok()
        && is_type(cells[1])
        && matches!(cells[5], b"1" | b"-1")
        && cells[2..5].iter().all(|cell| whole::<i64>(cell, "").is_ok())
}

/// Whether a first row is one of an order book file.
pub(super) fn is_book(first: &[u8]) -> bool {
    let cells = cells(first);
    cells.len().is_multiple_of(4) && cells.iter().all(|cell| whole::<i64>(cell, "").is_ok())
}

/// Reads messages, and the order book beside them where there is one.
pub(super) struct Messages {
    symbol: String,
    midnight: TimestampNs,
    book: Option<Lines>,
    /// Total size at each visible price, by side, in shares.
    levels: [BTreeMap<i64, i64>; 2],
    /// Depth messages made so far; it numbers them.
    depths: u64,
    trades: i64,
}

impl Messages {
    pub(super) fn new(symbol: String, midnight: TimestampNs, book: Option<Lines>) -> Messages {
        Messages { symbol, midnight, book, levels: Default::default(), depths: 0, trades: 0 }
    }

    /// The change of a level that a message makes, by the messages alone.
    fn change(&mut self, message: &Message, said: &mut Said) -> Result<(), String> {
        let by = match message.kind {
            1 => message.size,
            2..=4 => -message.size,
            _ => return Ok(()),
        };
        let levels = &mut self.levels[message.side.index()];
        // A size below zero is that of orders from before the recording: nothing is known there.
        let size = (levels.get(&message.price).copied().unwrap_or(0) + by).max(0);
        if size > SIZE_MAX {
            return Err(format!("{size} shares at one price are more than can be"));
        }
        if size == 0 {
            levels.remove(&message.price)
        } else {
            levels.insert(message.price, size)
        };
        said.depth.clear();
        push(said, message.side, message.price, size);
        Ok(())
    }

    /// The differences between the book's next row and what is known.
    fn next_row(&mut self, said: &mut Said) -> Result<(), String> {
        let Some(book) = &mut self.book else { return Ok(()) };
        if !book.advance().map_err(|error| error.to_string())? {
            return Err("the order book file has fewer rows than there are messages".to_owned());
        }
        let wrong = |why: String| book.error(why).to_string();
        let cells = cells(book.line());
        if !cells.len().is_multiple_of(4) {
            return Err(wrong(format!("{} columns, which is no multiple of four", cells.len())));
        }
        let mut now: [BTreeMap<i64, i64>; 2] = Default::default();
        for level in cells.chunks_exact(4) {
            for (side, at) in [(Side::Ask, 0), (Side::Bid, 2)] {
                let price: i64 = whole(level[at], "price").map_err(wrong)?;
                let size: i64 = whole(level[at + 1], "size").map_err(wrong)?;
                if price == -NO_PRICE {
                    continue;
                }
                if !(0..=SIZE_MAX).contains(&size) || !(0..=NO_PRICE).contains(&price) {
                    return Err(wrong("size or price is out of range".to_owned()));
                }
                if price != NO_PRICE && size > 0 {
                    now[side.index()].insert(price, size);
                }
            }
        }
        said.depth.clear();
        for side in Side::BOTH {
            let (before, after) = (&self.levels[side.index()], &now[side.index()]);
            for (&price, &size) in after.iter().filter(|(price, size)| before.get(price) != Some(size)) {
                push(said, side, price, size);
            }
            for &price in before.keys().filter(|price| !after.contains_key(price)) {
                push(said, side, price, 0);
            }
        }
        self.levels = now;
        Ok(())
    }
}

fn push(said: &mut Said, side: Side, price: i64, size: i64) {
    let level = Level { price: Price::from_ticks(price * PRICE_E8), qty: Qty::from_lots(size * SHARE_E8) };
    match side {
        Side::Bid => said.depth.bids.push(level),
        Side::Ask => said.depth.asks.push(level),
    }
}

struct Message {
    at: DurationNs,
    kind: u8,
    size: i64,
    price: i64,
    side: Side,
}

impl Message {
    fn read(line: &[u8]) -> Result<Message, String> {
        let cells = cells(line);
        if cells.len() != 6 {
            return Err(format!("{} columns where 6 are due", cells.len()));
        }
        let kind = whole(cells[1], "type")?;
        if !(1..=7).contains(&kind) {
            return Err(format!("column `type` {kind} is none of 1 to 7"));
        }
        let (size, price) = (whole::<i64>(cells[3], "size")?, whole::<i64>(cells[4], "price")?);
        // Far beyond any share; what is larger would not fit. Only an auction or a halt may have no price.
        let price_min = if kind > 5 { -1 } else { 0 };
        if !(0..=1_000_000_000).contains(&size) || !(price_min..=NO_PRICE).contains(&price) {
            return Err("size or price is out of range".to_owned());
        }
        let side = match cells[5] {
            b"1" => Side::Bid,
            b"-1" => Side::Ask,
            other => return Err(format!("column `direction` \"{}\" is no side", String::from_utf8_lossy(other))),
        };
        Ok(Message { at: time_of_day(cells[0])?, kind, size, price, side })
    }
}

/// Seconds after midnight with up to nine places.
fn time_of_day(cell: &[u8]) -> Result<DurationNs, String> {
    let wrong = || format!("column `time` \"{}\" is not in seconds after midnight", String::from_utf8_lossy(cell));
    let text = std::str::from_utf8(cell).map_err(|_| wrong())?;
    let (secs, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if secs.is_empty() || secs.len() > 5 || fraction.len() > 12 || !digits(secs) || !digits(fraction) {
        return Err(wrong());
    }
    let secs: u64 = secs.parse().map_err(|_| wrong())?;
    let nanos = format!("{fraction:0<9}")[..9].parse::<u64>().map_err(|_| wrong())?;
    Ok(DurationNs::from_nanos(secs * 1_000_000_000 + nanos))
}

impl Dialect for Messages {
    fn take(&mut self, line: &[u8], _: bool, listing: &mut Listing, said: &mut Said) -> Result<(), String> {
        let message = Message::read(line)?;
        let (instrument, at) = (listing.id(&self.symbol)?, self.midnight.plus(message.at));
        said.recv_ts = at;
        // 4 takes a visible order, 5 a hidden one; 6 is an auction's and 7 a halt, neither of which is a print here.
        if matches!(message.kind, 4 | 5) {
            self.trades += 1;
            said.events.push_back(Event::Trade(Trade {
                instrument,
                event_ts: at,
                recv_ts: at,
                id: TradeId(self.trades),
                price: Price::from_ticks(message.price * PRICE_E8),
                qty: Qty::from_lots(message.size * SHARE_E8),
                aggressor: message.side.opposite(),
            }));
        }
        said.depth.clear();
        if self.book.is_some() {
            self.next_row(said)?;
        } else {
            self.change(&message, said)?;
        }
        let is_first = self.depths == 0;
        if is_first || !said.depth.bids.is_empty() || !said.depth.asks.is_empty() {
            self.depths += 1;
            let head = &mut said.depth.head;
            // The first message opens the book, with all that is known of it.
            head.kind = if is_first { DepthKind::Snapshot } else { DepthKind::Diff };
            (head.first_id, head.last_id, head.prev_id) = (self.depths, self.depths, None);
            (head.instrument, head.event_ts, head.recv_ts) = (instrument, at, at);
            said.events.push_back(Event::Depth);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &str = "34200.004241176,1,16113575,18,5853300,1\n\
                            34200.5,1,2,10,5853400,-1\n\
                            34201,4,16113575,8,5853300,1\n\
                            34202,3,16113575,10,5853300,1\n\
                            34203,5,0,7,5853350,-1\n";

    fn read(messages: &str, book: Option<Lines>) -> Result<Vec<String>, String> {
        let midnight = TimestampNs::from_millis(1_340_236_800_000);
        let mut dialect = Messages::new("AAPL".to_owned(), midnight, book);
        let (mut listing, mut said, mut all) = (Listing::default(), Said::new(), Vec::new());
        for line in messages.lines() {
            dialect.take(line.as_bytes(), false, &mut listing, &mut said)?;
            for event in said.events.drain(..) {
                let depth = said.depth.as_ref();
                let total =
                    |levels: &[Level]| levels.iter().map(|level| level.qty.lots() / SHARE_E8).collect::<Vec<_>>();
                all.push(match event {
                    Event::Trade(trade) => format!("{:?} {}", trade.aggressor, trade.qty.lots() / SHARE_E8),
                    _ => format!("{:?} {:?} {:?}", depth.head.kind, total(depth.bids), total(depth.asks)),
                });
            }
        }
        Ok(all)
    }

    #[test]
    fn messages_alone_add_up_to_levels() {
        let want = ["Snapshot [18] []", "Diff [] [10]", "Ask 8", "Diff [10] []", "Diff [0] []", "Bid 7"];
        assert_eq!(read(MESSAGES, None).unwrap(), want);
    }

    #[test]
    fn the_book_beside_them_says_what_is_visible() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("book.csv");
        let rows = "5853400,10,5853300,18\n5853400,10,5853300,18\n5853400,10,5853300,10\n\
                    5853400,10,5853200,4\n5853400,10,5853200,4\n";
        std::fs::write(&path, rows).unwrap();
        let lines = || Some(Lines::new(std::slice::from_ref(&path)));
        let want = ["Snapshot [18] [10]", "Ask 8", "Diff [10] []", "Diff [4, 0] []", "Bid 7"];
        assert_eq!(read(MESSAGES, lines()).unwrap(), want);
        let why = read(&format!("{MESSAGES}34204,7,0,0,-1,-1\n"), lines()).unwrap_err();
        assert!(why.contains("fewer rows"), "{why}");
        for row in ["5853400,92233720369,5853300,18", "5853400,-1,5853300,18", "5853400,1,-5853300,18"] {
            std::fs::write(&path, row).unwrap();
            let why = read("34200,1,2,10,5853400,-1", lines()).unwrap_err();
            assert!(why.contains("out of range"), "{row}: {why}");
        }
    }

    #[test]
    fn broken_rows_name_their_column() {
        for (row, named) in [
            ("34200.1,1,1,18,5853300", "5 columns"),
            ("1340236800000,1,1,18,5853300,1", "`time`"),
            ("34200.1,9,1,18,5853300,1", "`type`"),
            ("34200.1,1,1,18,5853300,0", "`direction`"),
            ("34200.1,1,1,1e9,5853300,1", "`size`"),
            ("34200.1,1,1,18,99999999999,1", "out of range"),
            ("34200.1,5,1,18,-1,1", "out of range"),
        ] {
            let why = read(row, None).unwrap_err();
            assert!(why.contains(named), "{why}");
            assert!(!is_messages(row.as_bytes()) || named == "out of range", "{row}");
        }
        let large = "34200.1,1,1,1000000000,5853300,1\n".repeat(93);
        let why = read(&large, None).unwrap_err();
        assert!(why.contains("93000000000 shares"), "{why}");
        assert!(is_messages(b"34200.004241176,1,16113575,18,5853300,1"));
        assert!(is_book(b"5859400,200,5853300,18") && !is_book(b"1.5,2,3,4"));
    }
}
