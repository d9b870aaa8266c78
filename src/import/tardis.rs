//! Tardis' CSV files: `quotes`, `trades` and `incremental_book_L2`, told apart by their first row.
//!
//! Times are microseconds since the epoch, `timestamp` the venue's and `local_timestamp` the recorder's. Rows of the
//! book that were received at the same moment are one message. The files have no update ids: messages are numbered
//! here, so a hole in the recording cannot be seen, only a crossed book.

use super::dialect::{Dialect, Event, Listing, Said, cells, level, whole};
use crate::types::{InstrumentId, Side, TimestampNs, Touch, Trade, TradeId};
use crate::wire::{DepthBuf, DepthKind};

const COMMON: [&str; 4] = ["exchange", "symbol", "timestamp", "local_timestamp"];
const QUOTES: [&str; 4] = ["ask_amount", "ask_price", "bid_price", "bid_amount"];
const TRADES: [&str; 4] = ["id", "side", "price", "amount"];
const BOOK: [&str; 4] = ["is_snapshot", "side", "price", "amount"];

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Best bids and asks.
    Quotes,
    /// Prints.
    Trades,
    /// The book.
    Book,
}

impl Kind {
    /// What a file with that first row holds; `None` when it is not one of these files.
    pub(super) fn of(header: &[u8]) -> Option<Kind> {
        let cells = cells(header);
        let (common, own) = cells.split_at_checked(COMMON.len())?;
        let is = |names: [&str; 4]| own.iter().zip(names).all(|(cell, name)| *cell == name.as_bytes());
        if own.len() != 4 || !common.iter().zip(COMMON).all(|(cell, name)| *cell == name.as_bytes()) {
            return None;
        }
        [(QUOTES, Kind::Quotes), (TRADES, Kind::Trades), (BOOK, Kind::Book)]
            .into_iter()
            .find_map(|(names, kind)| is(names).then_some(kind))
    }
}

/// Reads files of one kind.
pub(super) struct Rows {
    kind: Kind,
    /// The message whose rows are being gathered; its receive time is zero when there is none.
    message: DepthBuf,
    /// The number of each instrument's last message, and of the last quote.
    numbers: Vec<u64>,
}

impl Rows {
    pub(super) fn new(kind: Kind) -> Rows {
        Rows { kind, message: DepthBuf::with_capacity(1024), numbers: Vec::new() }
    }

    fn next_number(&mut self, id: InstrumentId) -> u64 {
        if self.numbers.len() <= id.index() {
            self.numbers.resize(id.index() + 1, 0);
        }
        self.numbers[id.index()] += 1;
        self.numbers[id.index()]
    }

    /// Hands out the message that was gathered.
    fn end_message(&mut self, said: &mut Said) {
        if self.message.head.recv_ts == TimestampNs::ZERO {
            return;
        }
        let number = self.next_number(self.message.head.instrument);
        self.message.head.first_id = number;
        self.message.head.last_id = number;
        said.recv_ts = self.message.head.recv_ts;
        std::mem::swap(&mut said.depth, &mut self.message);
        said.events.push_back(Event::Depth);
        self.message.clear();
        self.message.head.recv_ts = TimestampNs::ZERO;
    }

    fn book_row(&mut self, row: &Row<'_>, said: &mut Said) -> Result<(), String> {
        let kind = match row.own[0] {
            b"true" => DepthKind::Snapshot,
            b"false" => DepthKind::Diff,
            other => {
                return Err(format!("column `is_snapshot` \"{}\" is no truth value", String::from_utf8_lossy(other)));
            }
        };
        let levels = match row.own[1] {
            b"bid" => Side::Bid,
            b"ask" => Side::Ask,
            other => return Err(format!("column `side` \"{}\" is no side", String::from_utf8_lossy(other))),
        };
        let level = level(row.own[2], row.own[3], [BOOK[2], BOOK[3]])?;
        let head = self.message.head;
        if head.recv_ts != row.recv_ts || head.instrument != row.instrument || head.kind != kind {
            self.end_message(said);
            self.message.head.instrument = row.instrument;
            self.message.head.kind = kind;
            self.message.head.prev_id = None;
            self.message.head.event_ts = row.event_ts;
            self.message.head.recv_ts = row.recv_ts;
        }
        match levels {
            Side::Bid => self.message.bids.push(level),
            Side::Ask => self.message.asks.push(level),
        }
        Ok(())
    }
}

struct Row<'a> {
    instrument: InstrumentId,
    event_ts: TimestampNs,
    recv_ts: TimestampNs,
    own: &'a [&'a [u8]],
}

impl Dialect for Rows {
    fn take(&mut self, line: &[u8], starts_file: bool, listing: &mut Listing, said: &mut Said) -> Result<(), String> {
        if starts_file {
            // The first row of a file was looked at when its kind was told.
            return Ok(());
        }
        let cells = cells(line);
        if cells.len() != COMMON.len() + 4 {
            return Err(format!("{} columns where 8 are due", cells.len()));
        }
        let micros = |at: usize| whole::<u64>(cells[at], COMMON[at]).map(TimestampNs::from_micros);
        let name = std::str::from_utf8(cells[1]).map_err(|_| "column `symbol` is not UTF-8")?;
        let row = Row {
            instrument: listing.id(name)?,
            event_ts: micros(2)?,
            recv_ts: micros(3)?,
            own: &cells[COMMON.len()..],
        };
        if row.recv_ts == TimestampNs::ZERO {
            return Err("column `local_timestamp` is zero".to_owned());
        }
        match self.kind {
            Kind::Book => self.book_row(&row, said),
            Kind::Quotes => {
                said.recv_ts = row.recv_ts;
                said.events.push_back(Event::Touch(Touch {
                    instrument: row.instrument,
                    recv_ts: row.recv_ts,
                    update_id: self.next_number(row.instrument),
                    bid: level(row.own[2], row.own[3], [QUOTES[2], QUOTES[3]])?,
                    ask: level(row.own[1], row.own[0], [QUOTES[1], QUOTES[0]])?,
                }));
                Ok(())
            }
            Kind::Trades => {
                said.recv_ts = row.recv_ts;
                let print = level(row.own[2], row.own[3], [TRADES[2], TRADES[3]])?;
                said.events.push_back(Event::Trade(Trade {
                    instrument: row.instrument,
                    event_ts: row.event_ts,
                    recv_ts: row.recv_ts,
                    id: TradeId(whole(row.own[0], TRADES[0])?),
                    price: print.price,
                    qty: print.qty,
                    aggressor: match row.own[1] {
                        b"buy" => Side::Bid,
                        b"sell" => Side::Ask,
                        other => {
                            return Err(format!(
                                "column `side` \"{}\" does not tell who took",
                                String::from_utf8_lossy(other)
                            ));
                        }
                    },
                }));
                Ok(())
            }
        }
    }

    fn finish(&mut self, said: &mut Said) {
        self.end_message(said);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, String> {
        let kind = Kind::of(text.lines().next().unwrap_or_default().as_bytes()).ok_or("no such file")?;
        let (mut rows, mut listing, mut said, mut all) = (Rows::new(kind), Listing::default(), Said::new(), Vec::new());
        for (at, line) in text.lines().enumerate() {
            rows.take(line.as_bytes(), at == 0, &mut listing, &mut said)?;
            all.extend(said.events.drain(..).map(|event| format!("{event:?} {:?}", said.depth.as_ref())));
        }
        rows.finish(&mut said);
        all.extend(said.events.drain(..).map(|event| format!("{event:?} {:?}", said.depth.as_ref())));
        Ok(all)
    }

    #[test]
    fn rows_of_one_moment_are_one_message() {
        let book = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n\
                    binance,BTCUSDT,1582329601096000,1582329603502092,true,ask,9682,0.84\n\
                    binance,BTCUSDT,1582329601096000,1582329603502092,true,bid,9681.92,0.67\n\
                    binance,BTCUSDT,1582329601097000,1582329603502093,false,bid,9681.92,0\n";
        let messages = read(book).unwrap();
        assert_eq!(messages.len(), 2, "{messages:?}");
        assert!(messages[0].contains("Snapshot") && messages[0].contains("968192000000"), "{}", messages[0]);
        assert!(messages[1].contains("Diff") && messages[1].contains("last_id: 2"), "{}", messages[1]);
    }

    #[test]
    fn broken_cells_name_their_column() {
        let trades = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n";
        for (row, named) in [
            ("binance,BTCUSDT,1,2,7,buy,1.5", "7 columns"),
            ("binance,BTCUSDT,1,2,x,buy,1.5,1", "`id`"),
            ("binance,BTCUSDT,1,2,7,unknown,1.5,1", "`side`"),
            ("binance,BTCUSDT,1,2.5,7,buy,1.5,1", "`local_timestamp`"),
            ("binance,BTCUSDT,1,2,7,buy,1.123456789,1", "`price`"),
            ("binance,BTCUSDT,1,2,7,buy,1,-1", "`amount`"),
        ] {
            let why = read(&format!("{trades}{row}")).unwrap_err();
            assert!(why.contains(named), "{why}");
        }
        assert!(Kind::of(b"exchange,symbol,timestamp,local_timestamp,id,side,price").is_none());
    }
}
