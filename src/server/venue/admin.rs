//! What the venue tells its operator, under `/admin`, which Binance does not have: fills with their causes, the
//! venue's own state, and what goes wrong with its messages. Without a key: the port is open to this machine alone.

use super::clock::{Pace, wall_now};
use super::faulty::read_plan;
use super::front::Front;
use super::json::{Object, push_list};
use super::refusal::Refusal;
use crate::sim::{AccountId, AssetBalance, TradesQuery};
use crate::types::Side;

/// Answers an operator's request; `None` for every other path.
pub fn answer(front: &mut Front, method: &str, path: &str, body: &str) -> Option<Result<String, Refusal>> {
    match (method, path) {
        ("GET", "/admin/fills") => Some(Ok(fills(front))),
        ("GET", "/admin/state") => Some(Ok(state(front))),
        ("GET", "/admin/faults") => Some(Ok(front.misfortune.report())),
        ("PUT", "/admin/faults") => Some(set_faults(front, body)),
        ("DELETE", "/admin/faults") => Some(set_faults(front, r#"{"faults":[]}"#)),
        _ => None,
    }
}

/// Replaces the faults; their counts begin anew.
fn set_faults(front: &mut Front, body: &str) -> Result<String, Refusal> {
    let plan = read_plan(body, front.misfortune.faults.seed())?;
    front.set_faults(&plan);
    Ok(front.misfortune.report())
}

fn fills(front: &Front) -> String {
    let venue = &front.venue;
    let every = TradesQuery { limit: usize::MAX, ..TradesQuery::default() };
    let mut rows = Vec::new();
    for account in &venue.config().accounts {
        for instrument in front.instruments() {
            rows.extend(venue.my_trades(account.id, instrument.id, every));
        }
    }
    rows.sort_by_key(|row| (row.time, row.trade_id));
    let mut out = String::with_capacity(256 * rows.len() + 2);
    push_list(&mut out, &rows, |out, row| {
        Object::open(out)
            .plain("account", row.account.0)
            .text("symbol", front.instrument(row.symbol).symbol())
            .plain("tradeId", row.trade_id.0)
            .plain("orderId", row.order_id)
            .plain("timeNs", row.time.nanos())
            .text("side", if row.side == Side::Bid { "BUY" } else { "SELL" })
            .amount("price", row.price_e8)
            .amount("qty", row.qty_e8)
            .amount("quoteQty", row.quote_e8)
            .amount("commission", row.commission_e8)
            .text("commissionAsset", row.commission_asset.as_str())
            .plain("isMaker", row.is_maker)
            .text("cause", row.cause.name())
            .end();
    });
    out
}

fn state(front: &mut Front) -> String {
    let used_weight = front.used_weight();
    let venue = &front.venue;
    let accounts: Vec<AccountId> =
        venue.config().accounts.iter().map(|account| account.id).chain([AccountId::FEES, AccountId::MARKET]).collect();
    let mut out = String::with_capacity(2_048);
    Object::open(&mut out)
        .plain("wallNs", wall_now().nanos())
        .plain("venueNs", venue.now().nanos())
        .text("pace", if front.pace() == Pace::Max { "max" } else { "wall" })
        .plain("isExhausted", venue.is_exhausted())
        .plain("usedWeight", used_weight)
        .plain("connections", front.hub.len())
        .plain("slowConnectionsCut", front.hub.cuts())
        .with("symbols", |out| {
            push_list(out, front.instruments(), |out, instrument| {
                Object::open(out)
                    .text("symbol", instrument.symbol())
                    .plain("clientOrders", venue.resting(instrument.id).len())
                    .text("flowDigest", &format!("{:016x}", venue.flow_digest(instrument.id)))
                    .end();
            });
        })
        .with("accounts", |out| {
            push_list(out, accounts, |out, account| {
                let balances = venue.account(account).unwrap_or_default();
                let role = match account {
                    AccountId::FEES => "fees",
                    AccountId::MARKET => "market",
                    _ => "client",
                };
                Object::open(out)
                    .plain("account", account.0)
                    .text("role", role)
                    .plain("openOrders", venue.open_orders(account, None).len())
                    .with("balances", |out| push_list(out, &balances.assets, push_balance))
                    .end();
            });
        })
        .end();
    out
}

fn push_balance(out: &mut String, balance: &AssetBalance) {
    Object::open(out)
        .text("asset", balance.asset.as_str())
        .amount("free", balance.free_e8)
        .amount("locked", balance.locked_e8)
        .end();
}
