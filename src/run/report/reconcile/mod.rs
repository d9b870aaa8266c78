//! `touchline report --reconcile`: a session beside its own orders on the simulated exchange, order by order.
//!
//! Owns the comparison. The very commands of the session are carried out again at their own times, against the market data
//! that it received: once as the session's latencies have it, once without any. What the two and the session filled says
//! how far the simulator may be trusted, and where the money of the difference lies. Main thread.

mod played;
mod told;
mod written;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use self::played::{Script, play};
use self::told::{Told, read};
use crate::config::Config;
use crate::kpi::exact;
use crate::run::backtest::source::Source;
use crate::run::{Failure, exchange, latency};
use crate::sim::latency::LatencyModel;
use crate::stats::sample::at_share;
use crate::types::{
    ClientOrderId, FeeAsset, Fill, HalfTicks, Instrument, InstrumentId, Money, NewOrder, Qty, TimestampNs,
};

pub(super) use self::written::write;

/// Fills of one run of the orders, by when they were known.
type Fills = Vec<(TimestampNs, InstrumentId, ClientOrderId, Fill)>;

/// Orders by whether they were filled, at least in part, in the session and in the simulator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Matrix {
    /// Filled in both.
    pub both: u64,
    /// In the session alone.
    pub session_only: u64,
    /// In the simulator alone.
    pub simulated_only: u64,
    /// In neither.
    pub neither: u64,
}

/// First fill in the simulator less that in the session, over orders filled in both, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FillTimeError {
    /// Orders.
    pub count: u64,
    /// 5th percentile.
    pub p5_ms: f64,
    /// Median.
    pub median_ms: f64,
    /// 95th percentile.
    pub p95_ms: f64,
    /// Mean of its size.
    pub mean_size_ms: f64,
}

/// Where the difference in profit lies; `gap = latency + queue + fees`, exactly. Every position is marked to the last mid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PnlGap {
    /// The session's, commissions paid.
    #[serde(serialize_with = "exact::money")]
    pub session: Money,
    /// The simulator's without latency, its commissions paid.
    #[serde(serialize_with = "exact::money")]
    pub simulated: Money,
    /// The first less the second.
    #[serde(serialize_with = "exact::money")]
    pub gap: Money,
    /// What the latencies changed in the simulator, before commissions.
    #[serde(serialize_with = "exact::money")]
    pub latency: Money,
    /// What is left before commissions: whom the queue filled, and when.
    #[serde(serialize_with = "exact::money")]
    pub queue: Money,
    /// The simulator's commissions less the session's.
    #[serde(serialize_with = "exact::money")]
    pub fees: Money,
}

/// One order in both.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderPair {
    /// As it was placed.
    pub order: NewOrder,
    /// When.
    pub placed: TimestampNs,
    /// Filled in the session, and when first.
    pub session: (Qty, Option<TimestampNs>),
    /// Filled in the simulator with the session's latencies, and when first.
    pub simulated: (Qty, Option<TimestampNs>),
}

/// One instrument's comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Reconciliation {
    /// Its symbol.
    pub symbol: String,
    /// The fill model.
    pub fill: String,
    /// The latency model.
    pub latency: String,
    /// Orders compared.
    pub orders: u64,
    /// Orders that the venue refused, which are not compared.
    pub refused: u64,
    /// Who was filled.
    pub matrix: Matrix,
    /// Share of orders that were filled in both or in neither; `None` without orders.
    pub agreement: Option<f64>,
    /// When; `None` without an order filled in both.
    pub fill_time: Option<FillTimeError>,
    /// Filled in the session, in lots.
    pub session_lots: i64,
    /// Filled in the simulator, in lots.
    pub simulated_lots: i64,
    /// Profit.
    pub pnl: PnlGap,
    /// Order by order.
    #[serde(skip)]
    pub pairs: Vec<OrderPair>,
}

/// Compares a session with its orders in the simulator; one comparison an instrument. `latency` is as for a backtest; by
/// default what the session's journal shows. `last_mid` marks positions.
///
/// # Errors
/// When journal or configuration cannot be used.
pub(super) fn reconcile(
    session_dir: &Path,
    config: &Config,
    latency: Option<&str>,
    last_mid: impl Fn(InstrumentId) -> Option<HalfTicks>,
) -> Result<Vec<Reconciliation>, Failure> {
    let measured = session_dir.display().to_string();
    let latencies = latency::read(latency.unwrap_or(&measured))?;
    let told = read(session_dir)?;
    let simulated = |latencies: &LatencyModel| -> Result<(Fills, Vec<Instrument>), Failure> {
        let source = Source::open(&[session_dir.to_owned()], &[])?;
        let venue = exchange::venue_of(config, &source.instruments, source.commissions(), source.start)?;
        let instruments = source.instruments.clone();
        let (events, meter) = source.play()?;
        let fills = play(&Script::of(&told.commands), venue, events, latencies)?;
        meter.finish();
        Ok((fills, instruments))
    };
    let (with_latency, instruments) = simulated(&latencies)?;
    let (without, _) = simulated(&LatencyModel::default())?;
    let fill = config.exchange.fill_model()?.name().to_owned();
    let compared = instruments.iter().map(|instrument| {
        // Without any mid there was no market to trade on, and no fill to mark.
        let mid = last_mid(instrument.id).unwrap_or(HalfTicks::new(0));
        let sides = Sides { told: &told, with_latency: &with_latency, without: &without, mid };
        sides.compare(instrument, &fill, &latencies.to_string())
    });
    Ok(compared.collect())
}

/// The three runs of the same orders.
struct Sides<'a> {
    told: &'a Told,
    with_latency: &'a Fills,
    without: &'a Fills,
    mid: HalfTicks,
}

impl Sides<'_> {
    fn compare(&self, instrument: &Instrument, fill: &str, latency: &str) -> Reconciliation {
        let session = by_order(&self.told.fills, instrument.id);
        let simulated = by_order(self.with_latency, instrument.id);
        let of = |side: &BTreeMap<ClientOrderId, (Qty, TimestampNs)>, id: ClientOrderId| {
            side.get(&id).map_or((Qty::ZERO, None), |(qty, first)| (*qty, Some(*first)))
        };
        let mut refused = 0;
        let mut pairs = Vec::new();
        for (placed, order) in self.told.orders.iter().filter(|(_, order)| order.instrument == instrument.id) {
            if self.told.refused.contains(&order.client_id) {
                refused += 1;
                continue;
            }
            let (session, simulated) = (of(&session, order.client_id), of(&simulated, order.client_id));
            pairs.push(OrderPair { order: *order, placed: *placed, session, simulated });
        }
        let mut matrix = Matrix::default();
        for pair in &pairs {
            match (pair.session.1.is_some(), pair.simulated.1.is_some()) {
                (true, true) => matrix.both += 1,
                (true, false) => matrix.session_only += 1,
                (false, true) => matrix.simulated_only += 1,
                (false, false) => matrix.neither += 1,
            }
        }
        let orders = pairs.len() as u64;
        let lots = |side: &BTreeMap<ClientOrderId, (Qty, TimestampNs)>| side.values().map(|(qty, _)| qty.lots()).sum();
        Reconciliation {
            symbol: instrument.symbol().to_owned(),
            fill: fill.to_owned(),
            latency: latency.to_owned(),
            orders,
            refused,
            matrix,
            agreement: (orders > 0).then(|| (matrix.both + matrix.neither) as f64 / orders as f64),
            fill_time: fill_time(&pairs),
            session_lots: lots(&session),
            simulated_lots: lots(&simulated),
            pnl: self.gap(instrument),
            pairs,
        }
    }

    fn gap(&self, instrument: &Instrument) -> PnlGap {
        let profit = |fills: &Fills| profit(instrument, fills, self.mid);
        let (session, fees_session) = profit(&self.told.fills);
        let (delayed, _) = profit(self.with_latency);
        let (ideal, fees_ideal) = profit(self.without);
        let (net, simulated) = (session - fees_session, ideal - fees_ideal);
        PnlGap {
            session: net,
            simulated,
            gap: net - simulated,
            latency: delayed - ideal,
            queue: session - delayed,
            fees: fees_ideal - fees_session,
        }
    }
}

/// Quantity and time of the first fill of each order of an instrument.
fn by_order(fills: &Fills, instrument: InstrumentId) -> BTreeMap<ClientOrderId, (Qty, TimestampNs)> {
    let mut orders = BTreeMap::new();
    for (at, _, order, fill) in fills.iter().filter(|(_, of, ..)| *of == instrument) {
        let (qty, _) = orders.entry(*order).or_insert((Qty::ZERO, *at));
        *qty = Qty::from_lots(qty.lots() + fill.qty.lots());
    }
    orders
}

/// Profit before commissions at a last mid, and the commissions, those in base valued at that mid.
fn profit(instrument: &Instrument, fills: &Fills, mid: HalfTicks) -> (Money, Money) {
    let (mut gross, mut fees) = (Money::ZERO, Money::ZERO);
    for (.., fill) in fills.iter().filter(|(_, of, ..)| *of == instrument.id) {
        let moved = instrument.atoms(fill.qty.signed(fill.side));
        gross += instrument.value(mid, moved) - instrument.value(HalfTicks::from(fill.price), moved);
        fees += match fill.fee_asset {
            FeeAsset::Quote => Money::from_e8(fill.fee_e8),
            FeeAsset::Base => instrument.value(mid, crate::types::BaseAtoms::new(fill.fee_e8)),
            // A third asset has no price here.
            FeeAsset::None | FeeAsset::Other => Money::ZERO,
        };
    }
    (gross, fees)
}

fn fill_time(pairs: &[OrderPair]) -> Option<FillTimeError> {
    let both = pairs.iter().filter_map(|pair| pair.session.1.zip(pair.simulated.1));
    let mut errors: Vec<f64> =
        both.map(|(session, simulated)| (simulated.nanos() as i64 - session.nanos() as i64) as f64 / 1e6).collect();
    if errors.is_empty() {
        return None;
    }
    errors.sort_by(f64::total_cmp);
    Some(FillTimeError {
        count: errors.len() as u64,
        p5_ms: at_share(&errors, 0.05),
        median_ms: at_share(&errors, 0.5),
        p95_ms: at_share(&errors, 0.95),
        mean_size_ms: errors.iter().map(|error| error.abs()).sum::<f64>() / errors.len() as f64,
    })
}
