//! What the venue says about our account at the end.

use crate::sim::{AccountId, TradeRow, TradesQuery, Venue};
use crate::types::{Instrument, TradeId};

/// Every execution of an account, oldest first, page by page as over REST.
pub fn all_trades(venue: &Venue, account: AccountId, instruments: &[Instrument]) -> Vec<TradeRow> {
    const PAGE: usize = 1000;
    let mut rows = Vec::new();
    for instrument in instruments {
        let mut from_id = TradeId(0);
        loop {
            let query = TradesQuery { from_id: Some(from_id), limit: PAGE, ..TradesQuery::default() };
            let page = venue.my_trades(account, instrument.id, query);
            let full = page.len() == PAGE;
            if let Some(last) = page.last() {
                from_id = TradeId(last.trade_id.0 + 1);
            }
            rows.extend(page);
            if !full {
                break;
            }
        }
    }
    rows
}
