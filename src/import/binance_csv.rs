//! Binance's public CSV files of trades and aggregated trades, spot and USD-M, with or without a first row of names.
//!
//! The files name no symbol: it is the start of the file's name (`BTCUSDT-aggTrades-2024-01-01.csv`) or told by the
//! caller. They have one time, the venue's, in milliseconds or, for spot since 2025, microseconds; it stands for the
//! receive time too. The place of the first truth value tells the layouts apart.

use super::dialect::{Dialect, Event, Listing, Said, cells, level, whole};
use crate::types::{Side, TimestampNs, Trade, TradeId};

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `id, price, qty, quote quantity, time, is buyer maker[, is best match]`.
    Trades,
    /// `id, price, qty, first id, last id, time, is buyer maker[, is best match]`.
    AggTrades,
}

impl Kind {
    /// What a file with that first row holds; `None` when it is not one of these files.
    pub(super) fn of(first: &[u8]) -> Option<Kind> {
        let cells = cells(first);
        let maker = cells.iter().position(|cell| truth(cell).is_some() || *cell == b"is_buyer_maker")?;
        match (maker, cells.len()) {
            (5, 6 | 7) => Some(Kind::Trades),
            (6, 7 | 8) => Some(Kind::AggTrades),
            _ => None,
        }
    }
}

fn truth(cell: &[u8]) -> Option<bool> {
    if cell.eq_ignore_ascii_case(b"true") {
        return Some(true);
    }
    cell.eq_ignore_ascii_case(b"false").then_some(false)
}

/// Whether a row is one of column names.
fn is_header(cells: &[&[u8]]) -> bool {
    cells.first().is_some_and(|cell| cell.first().is_some_and(u8::is_ascii_alphabetic))
}

/// Reads files of one kind and one symbol.
pub(super) struct Rows {
    kind: Kind,
    symbol: String,
}

impl Rows {
    pub(super) fn new(kind: Kind, symbol: String) -> Rows {
        Rows { kind, symbol }
    }
}

impl Dialect for Rows {
    fn take(&mut self, line: &[u8], starts_file: bool, listing: &mut Listing, said: &mut Said) -> Result<(), String> {
        let cells = cells(line);
        if starts_file && is_header(&cells) {
            return Ok(());
        }
        let (time, maker) = match self.kind {
            Kind::Trades => (4, 5),
            Kind::AggTrades => (5, 6),
        };
        let Some(buyer_made) = cells.get(maker).and_then(|cell| truth(cell)) else {
            return Err(format!("column {} is no truth value (is buyer maker)", maker + 1));
        };
        let print = level(cells[1], cells[2], ["price", "qty"])?;
        let at = instant(cells[time])?;
        let trade = Trade {
            instrument: listing.id(&self.symbol)?,
            event_ts: at,
            recv_ts: at,
            id: TradeId(whole(cells[0], "id")?),
            price: print.price,
            qty: print.qty,
            aggressor: if buyer_made { Side::Ask } else { Side::Bid },
        };
        said.recv_ts = at;
        said.events.push_back(match self.kind {
            Kind::Trades => Event::Trade(trade),
            Kind::AggTrades => Event::AggTrade(trade),
        });
        Ok(())
    }
}

fn instant(cell: &[u8]) -> Result<TimestampNs, String> {
    let value: u64 = whole(cell, "time")?;
    match cell.len() {
        13 => Ok(TimestampNs::from_millis(value)),
        16 => Ok(TimestampNs::from_micros(value)),
        _ => Err("column `time` has neither 13 digits (milliseconds) nor 16 (microseconds)".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Event>, String> {
        let kind = Kind::of(text.lines().next().unwrap_or_default().as_bytes()).ok_or("no such file")?;
        let (mut rows, mut listing, mut said) =
            (Rows::new(kind, "BTCUSDT".to_owned()), Listing::default(), Said::new());
        for (at, line) in text.lines().enumerate() {
            rows.take(line.as_bytes(), at == 0, &mut listing, &mut said)?;
        }
        Ok(said.events.into())
    }

    #[test]
    fn all_four_layouts_are_read() {
        let trade = |event: &Event| match event {
            Event::Trade(trade) => (true, *trade),
            Event::AggTrade(trade) => (false, *trade),
            other => panic!("{other:?}"),
        };
        for (text, is_trade) in [
            ("7,42000.5,0.1,4200.05,1704067200001,True,True", true),
            ("id,price,qty,quote_qty,time,is_buyer_maker\n7,42000.5,0.1,4200.05,1704067200001,true", true),
            ("7,42000.5,0.1,3,4,1704067200001,True,True", false),
            (
                "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n\
                 7,42000.5,0.1,3,4,1704067200001000,true",
                false,
            ),
        ] {
            let events = read(text).unwrap();
            let (kind, trade) = trade(&events[0]);
            assert_eq!((events.len(), kind), (1, is_trade), "{text}");
            assert_eq!((trade.id, trade.aggressor), (TradeId(7), Side::Ask), "{text}");
            assert_eq!(trade.event_ts, TimestampNs::from_millis(1_704_067_200_001), "{text}");
            assert_eq!((trade.price.ticks(), trade.qty.lots()), (4_200_050_000_000, 10_000_000), "{text}");
        }
    }

    #[test]
    fn other_tables_and_broken_rows_are_refused() {
        assert!(read("1704067200000,1,2,3,4,5,1704067259999,6,7,8,9,0").is_err());
        let good = "7,42000.5,0.1,4200.05,1704067200001,True,True\n";
        for (row, named) in [
            ("8,42000.5,0.1,4200.05,1704067200,True,True", "`time`"),
            ("8,42000.5,0.1,4200.05,1704067200001", "column 6"),
            ("8,x,0.1,4200.05,1704067200001,True,True", "`price`"),
        ] {
            let why = read(&format!("{good}{row}")).unwrap_err();
            assert!(why.contains(named), "{why}");
        }
    }
}
