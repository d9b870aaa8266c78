//! `/metrics`: everything that the tiles count, in Prometheus' text format, read at the moment of the scrape.
//!
//! Owns the names and help texts of the exposition. Called by the dashboard's server on its cold thread. It reads
//! counters that hot threads write and never writes one itself.

use std::fmt::Error;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::alerts::ALERTS;
use super::view::SessionView;
use crate::kpi::RunningPoint;
use crate::metrics::{Count, Gauge, Hop};
use crate::pipeline::{PipelineSnapshot, TradingState};
use crate::types::{BookState, Instrument, RejectReason};

/// What a scrape asks: it looks at the session each time.
#[derive(Debug)]
struct SessionCollector {
    view: Arc<dyn SessionView>,
}

/// A registry whose every scrape reads the session. All names begin with `touchline_`.
pub fn registry(view: Arc<dyn SessionView>) -> Registry {
    let mut registry = Registry::with_prefix("touchline");
    registry.register_collector(Box::new(SessionCollector { view }));
    registry
}

/// The exposition as text.
///
/// # Errors
/// When a value cannot be written, which a `String` never refuses.
pub fn exposition(registry: &Registry) -> Result<String, Error> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry)?;
    Ok(text)
}

/// Reasons by their place in the pipeline's counters.
pub const REJECT_NAMES: [(RejectReason, &str); crate::pipeline::REJECT_REASONS] = [
    (RejectReason::WouldCross, "would_cross"),
    (RejectReason::InsufficientBalance, "insufficient_balance"),
    (RejectReason::Filter, "filter"),
    (RejectReason::RateLimit, "rate_limit"),
    (RejectReason::DuplicateId, "duplicate_id"),
    (RejectReason::Clock, "clock"),
    (RejectReason::Auth, "auth"),
    (RejectReason::MarketClosed, "market_closed"),
    (RejectReason::UnknownOrder, "unknown_order"),
    (RejectReason::Other, "other"),
    (RejectReason::NotSent, "not_sent"),
];

/// A state as the gauges show it.
pub fn state_name(state: TradingState) -> &'static str {
    match state {
        TradingState::Active => "active",
        TradingState::Reducing => "reducing",
        TradingState::Halted => "halted",
        TradingState::Stopping => "stopping",
    }
}

impl Collector for SessionCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let board = self.view.board();
        for &count in Count::ALL {
            let mut metric = encoder.encode_descriptor(count.metric(), count.help(), None, MetricType::Counter)?;
            metric.encode_counter::<NoLabelSet, _, u64>(&board.count(count), None)?;
        }
        for &gauge in Gauge::ALL {
            let mut metric = encoder.encode_descriptor(gauge.metric(), gauge.help(), None, MetricType::Gauge)?;
            metric.encode_gauge(&board.gauge(gauge))?;
        }
        self.encode_alerts(&mut encoder)?;
        self.encode_tiles(&mut encoder)?;
        self.encode_links(&mut encoder)?;
        self.encode_latencies(&mut encoder)?;
        self.encode_instruments(&mut encoder)
    }
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

fn labelled(metric: &mut MetricEncoder<'_>, labels: &Labels<'_>, value: f64) -> Result<(), Error> {
    metric.encode_family(labels)?.encode_gauge(&value)
}

impl SessionCollector {
    fn encode_alerts(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut metric =
            encoder.encode_descriptor("alert", "1 while the named condition holds", None, MetricType::Gauge)?;
        for alert in ALERTS {
            labelled(&mut metric, &vec![("alert", alert.name)], f64::from(u8::from(alert.holds(self.view.board()))))?;
        }
        Ok(())
    }

    fn encode_tiles(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        type Read = fn(&crate::metrics::TileCells) -> u64;
        let rows: [(&str, &str, Read); 3] = [
            ("tile_steps", "Steps that a tile has taken", crate::metrics::TileCells::steps),
            ("tile_work", "Items of work that a tile has done", crate::metrics::TileCells::work),
            (
                "tile_busy_ns",
                "Nanoseconds that a tile spent in steps with work, up to the last stamp of each",
                crate::metrics::TileCells::busy_ns,
            ),
        ];
        for (name, help, read) in rows {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for tile in self.view.board().tiles() {
                let labels: Labels<'_> = vec![("tile", tile.name)];
                metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&read(tile), None)?;
            }
        }
        let help =
            "Loop latency: the longest step with work that a tile ever took, up to its last stamp, in nanoseconds";
        let mut metric = encoder.encode_descriptor("tile_longest_step_ns", help, None, MetricType::Gauge)?;
        for tile in self.view.board().tiles() {
            labelled(&mut metric, &vec![("tile", tile.name)], tile.longest_step_ns() as f64)?;
        }
        Ok(())
    }

    fn encode_links(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        type Read = fn(&crate::metrics::LinkCells) -> u64;
        let rows: [(&str, &str, Read); 4] = [
            ("ring_used", "Items in flight in a ring when its sender last looked", crate::metrics::LinkCells::used),
            ("ring_high_water", "The most items that were ever in flight", crate::metrics::LinkCells::high_water),
            ("ring_refused", "Items that did not fit into a ring", crate::metrics::LinkCells::refused),
            ("ring_depth", "Items that a ring holds at most", |link| link.depth as u64),
        ];
        for (name, help, read) in rows {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for link in self.view.board().links() {
                labelled(&mut metric, &vec![("ring", link.name)], read(link) as f64)?;
            }
        }
        Ok(())
    }

    fn encode_latencies(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let help = "Percentiles of a hop's latency since the start, in nanoseconds";
        let mut metric = encoder.encode_descriptor("latency_ns", help, None, MetricType::Gauge)?;
        for hop in Hop::ALL {
            let summary = self.view.latencies().summary(hop);
            for (quantile, value) in [
                ("0.5", summary.p50),
                ("0.9", summary.p90),
                ("0.99", summary.p99),
                ("0.999", summary.p999),
                ("0.9999", summary.p9999),
                ("1", summary.max),
            ] {
                labelled(&mut metric, &vec![("hop", hop.name()), ("quantile", quantile)], value as f64)?;
            }
        }
        let mut metric =
            encoder.encode_descriptor("latency_samples", "Samples of a hop's latency", None, MetricType::Counter)?;
        for hop in Hop::ALL {
            let labels: Labels<'_> = vec![("hop", hop.name())];
            let count = self.view.latencies().summary(hop).count;
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }

    fn encode_instruments(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let snapshots: Vec<(&Instrument, PipelineSnapshot)> = self
            .view
            .instruments()
            .iter()
            .filter_map(|instrument| Some((instrument, self.view.snapshot(instrument.id)?)))
            .collect();
        for (name, help, read) in instrument_gauges() {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (instrument, snapshot) in &snapshots {
                if let Some(value) = read(instrument, snapshot) {
                    labelled(&mut metric, &vec![("symbol", instrument.symbol())], value)?;
                }
            }
        }
        let help = "Profit and loss in quote currency: total = spread + inventory - fees";
        let mut metric = encoder.encode_descriptor("pnl", help, None, MetricType::Gauge)?;
        for (instrument, snapshot) in &snapshots {
            let pnl = snapshot.pnl;
            for (part, value) in [
                ("total", pnl.total),
                ("gross", pnl.gross),
                ("spread", pnl.spread),
                ("inventory", pnl.inventory),
                ("fees", pnl.fees),
            ] {
                labelled(&mut metric, &vec![("symbol", instrument.symbol()), ("part", part)], value.to_f64())?;
            }
        }
        self.encode_markouts(encoder, &snapshots)?;
        let help = "Orders by outcome";
        let mut metric = encoder.encode_descriptor("orders", help, None, MetricType::Counter)?;
        for (instrument, snapshot) in &snapshots {
            let counters = snapshot.counters;
            let mut outcomes = vec![
                ("placed", counters.placed),
                ("accepted", counters.accepted),
                ("canceled", counters.canceled),
                ("amended", counters.amended),
                ("unknown", counters.unknowns),
            ];
            outcomes.extend(REJECT_NAMES.map(|(reason, name)| (name, counters.rejected[reason as usize])));
            for (outcome, value) in outcomes {
                let labels: Labels<'_> = vec![("symbol", instrument.symbol()), ("outcome", outcome)];
                metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
            }
        }
        Ok(())
    }
}

impl SessionCollector {
    fn encode_markouts(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        snapshots: &[(&Instrument, PipelineSnapshot)],
    ) -> Result<(), Error> {
        type Read = fn(&RunningPoint) -> Option<f64>;
        let rows: [(&str, &str, Read); 3] = [
            ("markout_ticks", "Mean realised half-spread of the fills by horizon, in ticks", |point| point.mean_ticks),
            ("markout_error_ticks", "Its standard error as if fills were independent", |point| point.error_ticks),
            ("markout_fills", "Fills whose horizon has passed", |point| Some(point.fills as f64)),
        ];
        for (name, help, read) in rows {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (instrument, _) in snapshots {
                for point in self.view.markouts(instrument.id) {
                    let horizon = format!("{}s", point.horizon_s);
                    if let Some(value) = read(&point) {
                        labelled(&mut metric, &vec![("symbol", instrument.symbol()), ("horizon", &horizon)], value)?;
                    }
                }
            }
        }
        Ok(())
    }
}

type InstrumentGauge = fn(&Instrument, &PipelineSnapshot) -> Option<f64>;

/// One value an instrument; nothing is shown for what is not known.
fn instrument_gauges() -> [(&'static str, &'static str, InstrumentGauge); 19] {
    [
        ("open_orders", "Own orders alive or in doubt", |_, s| Some(f64::from(s.working_orders))),
        ("unknown_orders", "Own orders in doubt", |_, s| Some(f64::from(s.unknown_orders))),
        ("position", "Position in base currency", |_, s| Some(s.position_atoms.get() as f64 / 1e8)),
        ("mid", "Mid of the best prices of others", |i, s| Some(s.mid?.ticks_f64() * i.tick_f64())),
        ("own_bid", "Our working bid", |i, s| Some(s.own_bid?.ticks() as f64 * i.tick_f64())),
        ("own_ask", "Our working ask", |i, s| Some(s.own_ask?.ticks() as f64 * i.tick_f64())),
        ("book_live", "1 while the book is in sync with the venue", |_, s| {
            Some(f64::from(u8::from(s.book_state == BookState::Live)))
        }),
        ("book_stale", "1 while the book is too old to quote from", |_, s| Some(f64::from(u8::from(s.stale)))),
        (
            "should_hedge",
            "1 while the position is beyond its limit, or held while the market has not been seen for long",
            |_, s| Some(f64::from(u8::from(s.should_hedge))),
        ),
        ("trading_state", "0 active, 1 reducing, 2 halted, 3 stopping", |_, s| Some(f64::from(s.state as u8))),
        ("sigma_ticks", "Price volatility in ticks per square root of a second", |_, s| s.sigma_ticks),
        ("toxicity", "Toxicity of the flow, 0 to 1, de-biased", |_, s| s.tau),
        ("toxicity_raw", "Toxicity of the flow as measured, 0 to 1", |_, s| s.tau_raw),
        ("toxicity_signed", "Toxicity with its side, -1 (sellers) to 1 (buyers)", |_, s| s.tau_signed),
        ("k_ticks", "Toxicity coefficient in use, in ticks", |_, s| Some(s.k_ticks)),
        ("gamma", "Risk aversion in use, per quote unit", |_, s| s.gamma),
        ("kappa_ticks", "Inventory skew per unit of base, in ticks", |_, s| s.kappa_ticks),
        ("half_spread_ticks", "Half-spread of the model before rounding, in ticks", |_, s| s.half_spread_ticks),
        ("floor_bound_ratio", "Share of the model's quotes whose half-spread was held up by its floor", |_, s| {
            s.counters.floor_bound_ratio()
        }),
    ]
}
