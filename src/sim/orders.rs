//! Every order that clients have sent: open ones by name, done ones until they are forgotten. Owns the records; the
//! desk changes them. Never touches balances or the matching core.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::config::AccountId;
use super::events::{OrderView, VenueOrderStatus};
use super::reject::VenueReject;
use super::requests::OrderRef;
use crate::types::{InstrumentId, Price, Qty};

/// An order and what only the venue knows about it.
#[derive(Clone, Debug)]
pub(super) struct OrderRecord {
    /// What a query shows.
    pub view: OrderView,
    /// Limit price; zero for a market order.
    pub price: Price,
    /// What has neither traded nor been taken off.
    pub remaining: Qty,
    /// What it holds locked in 1e-8 of the asset that it pays with.
    pub locked_e8: i64,
    /// How often it was amended.
    pub amends: u32,
}

/// A client's name for an order; unique among the open orders of an account on a symbol.
type ClientKey = (AccountId, InstrumentId, String);

/// All orders of all clients.
#[derive(Debug)]
pub(super) struct Orders {
    next_id: u64,
    by_id: BTreeMap<u64, OrderRecord>,
    latest_by_client: BTreeMap<ClientKey, u64>,
    open: BTreeSet<(AccountId, InstrumentId, u64)>,
    /// Orders that ended without a fill, oldest end first.
    unfilled: VecDeque<u64>,
    /// Those that ended with one, oldest end first.
    filled: VecDeque<u64>,
    kept: [usize; 2],
}

impl Orders {
    /// Remembers so many ended orders without and with a fill.
    pub(super) fn new(unfilled: usize, filled: usize) -> Orders {
        Orders {
            next_id: 1,
            by_id: BTreeMap::new(),
            latest_by_client: BTreeMap::new(),
            open: BTreeSet::new(),
            unfilled: VecDeque::new(),
            filled: VecDeque::new(),
            kept: [unfilled, filled],
        }
    }

    /// A number for a new order.
    pub(super) fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    pub(super) fn get(&self, id: u64) -> Option<&OrderRecord> {
        self.by_id.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut OrderRecord> {
        self.by_id.get_mut(&id)
    }

    /// Takes in an open order.
    pub(super) fn insert(&mut self, record: OrderRecord) {
        let view = &record.view;
        self.open.insert((view.account, view.symbol, view.order_id));
        self.latest_by_client.insert((view.account, view.symbol, view.client_id.clone()), view.order_id);
        self.by_id.insert(view.order_id, record);
    }

    /// Takes out an order that the matching core refused: it never existed.
    pub(super) fn remove(&mut self, id: u64) {
        if let Some(record) = self.by_id.remove(&id) {
            self.open.remove(&(record.view.account, record.view.symbol, id));
            self.latest_by_client.remove(&client_key(&record.view));
        }
    }

    /// Gives an open order another client id.
    pub(super) fn rename(&mut self, id: u64, client_id: &str) {
        if let Some(record) = self.by_id.get_mut(&id) {
            self.latest_by_client.remove(&client_key(&record.view));
            record.view.client_id = client_id.to_owned();
            self.latest_by_client.insert(client_key(&record.view), id);
        }
    }

    /// Files an order that has just ended, and forgets the oldest one of its kind when too many are kept.
    pub(super) fn close(&mut self, id: u64) {
        let Some(record) = self.by_id.get(&id) else { return };
        self.open.remove(&(record.view.account, record.view.symbol, id));
        let [kept_unfilled, kept_filled] = self.kept;
        let (ended, kept) = match record.view.executed_qty_e8 {
            0 => (&mut self.unfilled, kept_unfilled),
            _ => (&mut self.filled, kept_filled),
        };
        ended.push_back(id);
        if ended.len() > kept
            && let Some(oldest) = ended.pop_front()
            && let Some(forgotten) = self.by_id.remove(&oldest)
        {
            let key = client_key(&forgotten.view);
            if self.latest_by_client.get(&key) == Some(&oldest) {
                self.latest_by_client.remove(&key);
            }
        }
    }

    /// Whether an open order of that account and symbol bears this name.
    pub(super) fn is_name_open(&self, account: AccountId, symbol: InstrumentId, client_id: &str) -> bool {
        self.by_client(account, symbol, client_id).is_some_and(|record| record.view.status.is_open())
    }

    fn by_client(&self, account: AccountId, symbol: InstrumentId, client_id: &str) -> Option<&OrderRecord> {
        let id = self.latest_by_client.get(&(account, symbol, client_id.to_owned()))?;
        self.by_id.get(id)
    }

    /// Finds an order by what a request says of it. By number first, then cross-checked, as Binance does.
    ///
    /// # Errors
    /// `missing` when there is no such order of that account; others when the request contradicts itself.
    pub(super) fn find(
        &self,
        account: AccountId,
        symbol: InstrumentId,
        wanted: OrderRef<'_>,
        missing: VenueReject,
    ) -> Result<&OrderRecord, VenueReject> {
        let record = match (wanted.order_id, wanted.client_id) {
            (None, None) => return Err(VenueReject::ORDER_REFERENCE_MISSING),
            (Some(id), _) => self.by_id.get(&id),
            (None, Some(name)) => self.by_client(account, symbol, name),
        };
        let record =
            record.filter(|record| record.view.account == account && record.view.symbol == symbol).ok_or(missing)?;
        match (wanted.order_id, wanted.client_id) {
            (Some(_), Some(name)) if record.view.client_id != name => Err(VenueReject::ID_MISMATCH),
            _ => Ok(record),
        }
    }

    /// Open orders of an account, of one symbol or of all, oldest first.
    pub(super) fn open_of(
        &self,
        account: AccountId,
        symbol: Option<InstrumentId>,
    ) -> impl Iterator<Item = &OrderRecord> {
        let (low, high) = match symbol {
            Some(symbol) => (symbol, symbol),
            None => (InstrumentId(0), InstrumentId(u16::MAX)),
        };
        self.open.range((account, low, 0)..=(account, high, u64::MAX)).filter_map(|(_, _, id)| self.by_id.get(id))
    }

    /// Open orders of all accounts on a symbol, oldest first.
    pub(super) fn open_on(&self, symbol: InstrumentId) -> Vec<&OrderRecord> {
        let mut ids: Vec<u64> = self.open.iter().filter(|(_, at, _)| *at == symbol).map(|(_, _, id)| *id).collect();
        ids.sort_unstable();
        ids.iter().filter_map(|id| self.by_id.get(id)).collect()
    }

    /// Orders of an account on a symbol from a number on, oldest first.
    pub(super) fn all_of(
        &self,
        account: AccountId,
        symbol: InstrumentId,
        from_id: u64,
    ) -> impl DoubleEndedIterator<Item = &OrderRecord> {
        self.by_id
            .range(from_id..)
            .map(|(_, record)| record)
            .filter(move |record| record.view.account == account && record.view.symbol == symbol)
    }
}

fn client_key(view: &OrderView) -> ClientKey {
    (view.account, view.symbol, view.client_id.clone())
}

/// The status of an open order that has executed this much.
pub(super) fn open_status(executed_qty_e8: i64) -> VenueOrderStatus {
    if executed_qty_e8 == 0 { VenueOrderStatus::New } else { VenueOrderStatus::PartiallyFilled }
}
