//! The report's charts: self-contained, drawn by the browser from the page itself.
//!
//! Owns which series are drawn and how; the words and tables around them are in `html`. A chart has 2000 points a line at
//! most, so that a report of a day opens as fast as one of a minute.

use plotly::common::{DashType, ErrorData, ErrorType, Line, LineShape, Marker, MarkerSymbol, Mode};
use plotly::configuration::DisplayModeBar;
use plotly::layout::{Axis, AxisType, Layout, Legend, Margin, Shape, ShapeLine, ShapeType};
use plotly::{Configuration, Plot, Scatter};

use super::record::{ModelFigures, PnlRow, SessionRecord};
use crate::kpi::Decile;
use crate::kpi::markout::{MAIN_HORIZON, MARKOUT_HORIZONS, horizon_name};
use crate::types::{Money, Side, TimestampNs};

/// Points of a line.
const POINTS_MAX: usize = 2000;

/// A chart with its title; small ones stand two in a row.
pub struct Chart {
    /// Above it.
    pub title: &'static str,
    /// What the reader must know to read it, if anything.
    pub note: &'static str,
    /// Half the page wide.
    pub is_small: bool,
    /// The drawing.
    pub plot: Plot,
}

/// All charts of a session, in the order of the page. Empty when the book was never live.
pub fn charts(record: &SessionRecord) -> Vec<Chart> {
    let Some(first) = record.pnl.first() else { return Vec::new() };
    let view = View { record, start: first.ts, rows: thinned(&record.pnl) };
    let wide = |title, note, plot| Chart { title, note, is_small: false, plot };
    let small = |title, note, plot| Chart { title, note, is_small: true, plot };
    let mut drawn = vec![
        wide("Profit and loss", "", view.pnl()),
        wide("Mid, quotes and fills", "", view.prices()),
        small("Inventory", "", view.inventory()),
        small(
            "Markout curve",
            "Mean realised half-spread, weighted by quantity, with 95 % intervals of the block bootstrap.",
            view.markout_curve(),
        ),
        view.model("Volatility sigma", "ticks / \u{221a}s", &[("sigma", |model| model.sigma_ticks)]),
        view.model(
            "Toxicity tau",
            "tau",
            &[
                ("de-biased", |model| model.tau),
                ("as measured", |model| model.tau_raw),
                ("signed", |model| model.tau_signed),
            ],
        ),
        view.model("Toxicity coefficient k", "ticks", &[("k", |model| model.k_ticks)]),
        view.model("Half-spread of the model", "ticks", &[("half-spread", |model| model.half_spread_ticks)]),
        view.model("Risk aversion gamma", "1 / quote", &[("gamma", |model| model.gamma)]),
        view.model("Inventory skew kappa", "ticks / base", &[("kappa", |model| model.kappa_ticks)]),
        wide("Markouts of the fills after 5 s", "", view.markouts()),
    ];
    if !record.kpis.inventory_risk.deciles.is_empty() {
        let note = "Steps of ten seconds in tenths by the size of the position at their start: 5th percentile, median, 95th \
                    percentile of the change; the dashed line is what the risk budget allows the 5th.";
        drawn.push(wide("Change of equity by position", note, view.inventory_risk()));
    }
    drawn
}

fn thinned(rows: &[PnlRow]) -> Vec<&PnlRow> {
    let step = rows.len().div_ceil(POINTS_MAX).max(1);
    let mut kept: Vec<&PnlRow> = rows.iter().step_by(step).collect();
    // The last figures are those of the tables.
    if step > 1 && rows.len() % step != 1 {
        kept.extend(rows.last());
    }
    kept
}

/// A line's name and the amount that it follows.
type MoneyLine = (&'static str, fn(&PnlRow) -> Money);
/// A line's name and the figure that it follows.
type ModelLine = (&'static str, fn(&ModelFigures) -> Option<f64>);
/// A line's name and the figure of a tenth that it follows.
type DecileLine = (&'static str, fn(&Decile) -> f64);

struct View<'a> {
    record: &'a SessionRecord,
    start: TimestampNs,
    rows: Vec<&'a PnlRow>,
}

fn layout(x_title: &str, y_title: &str) -> Layout {
    Layout::new()
        .x_axis(Axis::new().title(x_title).zero_line(false))
        .y_axis(Axis::new().title(y_title).auto_margin(true))
        .margin(Margin::new().top(10).bottom(45).left(70).right(15))
        .legend(
            Legend::new()
                .orientation(plotly::common::Orientation::Horizontal)
                .y(1.02)
                .y_anchor(plotly::common::Anchor::Bottom),
        )
        .auto_size(true)
}

fn plot(layout: Layout) -> Plot {
    let mut plot = Plot::new();
    plot.set_layout(layout);
    plot.set_configuration(Configuration::new().responsive(true).display_mode_bar(DisplayModeBar::False));
    plot
}

impl View<'_> {
    fn seconds(&self, ts: TimestampNs) -> f64 {
        ts.since(self.start).secs_f64()
    }

    fn times(&self) -> Vec<f64> {
        self.rows.iter().map(|row| self.seconds(row.ts)).collect()
    }

    fn pnl(&self) -> Plot {
        let mut plot = plot(layout("seconds", self.record.instrument.spec.quote.as_str()));
        let lines: [MoneyLine; 5] = [
            ("net", |row| row.total),
            ("gross", |row| row.spread + row.inventory),
            ("spread", |row| row.spread),
            ("inventory", |row| row.inventory),
            ("commissions", |row| -row.fees),
        ];
        for (name, pick) in lines {
            let y: Vec<f64> = self.rows.iter().map(|row| pick(row).to_f64()).collect();
            let width = if name == "net" { 3.0 } else { 1.5 };
            let line = Line::new().width(width);
            plot.add_trace(Scatter::new(self.times(), y).mode(Mode::Lines).line(line).name(name));
        }
        plot
    }

    fn prices(&self) -> Plot {
        let tick = self.record.instrument.tick_f64();
        let mut plot = plot(layout("seconds", "price"));
        let mids: Vec<f64> = self.rows.iter().map(|row| row.mid.ticks_f64() * tick).collect();
        let grey = Line::new().color("#57606a").width(1.5);
        plot.add_trace(Scatter::new(self.times(), mids).mode(Mode::Lines).line(grey).name("mid"));
        for (side, name, color) in [(Side::Bid, "our bid", "#1f6feb"), (Side::Ask, "our ask", "#d1730f")] {
            let price = |row: &&PnlRow| row.quotes[side.index()].map(|price| price.ticks() as f64 * tick);
            let quotes: Vec<Option<f64>> = self.rows.iter().map(price).collect();
            let line = Line::new().shape(LineShape::Hv).width(1.0).color(color);
            plot.add_trace(Scatter::new(self.times(), quotes).mode(Mode::Lines).line(line).name(name));
        }
        for (side, name, symbol, color) in [
            (Side::Bid, "bought", MarkerSymbol::TriangleUp, "#1f6feb"),
            (Side::Ask, "sold", MarkerSymbol::TriangleDown, "#d1730f"),
        ] {
            let fills = self.record.fills.iter().map(|fill| &fill.settled.sample).filter(|sample| sample.side == side);
            let (times, prices): (Vec<f64>, Vec<f64>) =
                fills.map(|sample| (self.seconds(sample.at), sample.price.ticks() as f64 * tick)).unzip();
            let marker = Marker::new().symbol(symbol).size(8).color(color);
            plot.add_trace(Scatter::new(times, prices).mode(Mode::Markers).marker(marker).name(name));
        }
        plot
    }

    fn inventory(&self) -> Plot {
        let mut plot = plot(layout("seconds", self.record.instrument.spec.base.as_str()).show_legend(false));
        let y: Vec<f64> = self.rows.iter().map(|row| row.position.get() as f64 / 1e8).collect();
        let line = Line::new().shape(LineShape::Hv).width(1.5);
        plot.add_trace(Scatter::new(self.times(), y).mode(Mode::Lines).line(line).name("position"));
        plot
    }

    /// Lines of the model; a chart without a single point says so.
    fn model(&self, title: &'static str, y_title: &str, lines: &[ModelLine]) -> Chart {
        let mut plot = plot(layout("seconds", y_title).show_legend(lines.len() > 1));
        let mut is_known = false;
        for (name, pick) in lines {
            let y: Vec<Option<f64>> = self.rows.iter().map(|row| pick(&row.model)).collect();
            is_known |= y.iter().any(Option::is_some);
            let line = Line::new().width(1.5);
            plot.add_trace(Scatter::new(self.times(), y).mode(Mode::Lines).line(line).name(*name));
        }
        let note =
            if is_known { "" } else { "Not known in this session: its window was never full, or it is not in use." };
        Chart { title, note, is_small: true, plot }
    }

    fn markout_curve(&self) -> Plot {
        let points = self.record.kpis.markouts.iter().zip(MARKOUT_HORIZONS);
        let known = points.filter_map(|(point, horizon)| {
            Some((horizon_name(horizon), point.mean_ticks?, 1.96 * point.error_ticks.unwrap_or(0.0)))
        });
        let (mut x, mut y, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for (name, mean, error) in known {
            x.push(name);
            y.push(mean);
            errors.push(error);
        }
        let axis = Axis::new().title("after the fill").type_(AxisType::Category);
        let nought = Shape::new()
            .shape_type(ShapeType::Line)
            .x_ref("paper")
            .x0(0)
            .x1(1)
            .y0(0)
            .y1(0)
            .line(ShapeLine::new().color("#8c959f").width(1.0));
        let mut plot = plot(layout("", "ticks").x_axis(axis).show_legend(false).shapes(vec![nought]));
        let bars = ErrorData::new(ErrorType::Data).array(errors);
        plot.add_trace(Scatter::new(x, y).mode(Mode::LinesMarkers).error_y(bars).name("markout"));
        plot
    }

    fn inventory_risk(&self) -> Plot {
        let risk = &self.record.kpis.inventory_risk;
        let x: Vec<f64> = risk.deciles.iter().map(|decile| decile.held * 100.0).collect();
        let mut plot =
            plot(layout("position at the start, % of its limit", self.record.instrument.spec.quote.as_str()));
        let lines: [DecileLine; 3] = [
            ("95th percentile", |decile| decile.p95),
            ("median", |decile| decile.median),
            ("5th percentile", |decile| decile.p5),
        ];
        for (name, pick) in lines {
            let y = risk.deciles.iter().map(pick).collect();
            plot.add_trace(Scatter::new(x.clone(), y).mode(Mode::LinesMarkers).name(name));
        }
        if let Some(allowed) = risk.allowed_p5 {
            let line = Line::new().dash(DashType::Dash).width(1.5).color("#8c959f");
            let y = vec![allowed; x.len()];
            plot.add_trace(Scatter::new(x, y).mode(Mode::Lines).line(line).name("risk budget"));
        }
        plot
    }

    fn markouts(&self) -> Plot {
        let mut plot = plot(layout("seconds", "ticks"));
        for (side, name, color) in [(Side::Bid, "bought", "#1f6feb"), (Side::Ask, "sold", "#d1730f")] {
            let fills = self.record.fills.iter().map(|fill| &fill.settled).filter(|fill| fill.sample.side == side);
            let (x, y): (Vec<f64>, Vec<f64>) = fills
                .filter_map(|fill| {
                    Some((self.seconds(fill.sample.at), fill.spread(MAIN_HORIZON)?.realised as f64 / 2.0))
                })
                .unzip();
            let marker = Marker::new().color(color);
            plot.add_trace(Scatter::new(x, y).mode(Mode::Markers).marker(marker).name(name));
        }
        plot
    }
}
