//! The report for people: one HTML file that needs nothing from anywhere.

use std::fmt::Write;
use std::path::Path;

use plotly::common::{Line, LineShape, Marker, MarkerSymbol, Mode};
use plotly::layout::{Axis, Layout, Margin};
use plotly::{Plot, Scatter};

use super::record::{MARKOUT_HORIZONS, SessionRecord};
use super::summary::Summary;
use super::{ReportError, write_whole};
use crate::types::{Money, Side, TimestampNs};

/// Writes the report.
///
/// # Errors
/// When the folder or the disk refuses.
pub fn write_page(path: &Path, summary: &Summary, record: &SessionRecord) -> Result<(), ReportError> {
    write_whole(path, page(summary, record).as_bytes())
}

/// The report as text. The same summary and rows give the same bytes.
pub fn page(summary: &Summary, record: &SessionRecord) -> String {
    let mut body = String::new();
    // Writing to a String cannot fail, so the results are dropped here and below.
    let _ = write!(
        body,
        "<h1>Touchline: {} on {}</h1>\n<p>{}</p>\n",
        escape(&summary.symbol),
        escape(&summary.source),
        escape(&format!(
            "Session {}, {:.1} s on the {} clock, seed {}. Maker commission assumed: {} bp of the notional.",
            summary.session, summary.seconds, summary.clock, summary.seed, summary.fee_bps
        ))
    );
    body.push_str(&money_table(summary));
    body.push_str(&activity_table(summary));
    body.push_str(&latency_table(summary));
    body.push_str(&markout_table(summary));
    if record.pnl.is_empty() {
        body.push_str("<p>The book was never live, so there is nothing to draw.</p>\n");
    } else {
        let start = record.pnl[0].ts;
        for (title, plot) in [
            ("Profit and loss", pnl_plot(record, start)),
            ("Mid, quotes and fills", price_plot(record, start)),
            ("Inventory", inventory_plot(record, start)),
            ("Markouts of the fills after 5 s", markout_plot(record, start)),
        ] {
            let id: String = title.chars().filter(char::is_ascii_alphanumeric).collect();
            let _ = write!(
                body,
                "<h2>{title}</h2>\n<div class=\"plot\">{}</div>\n",
                plot.to_inline_html(Some(id.as_str()))
            );
        }
    }
    let sources = Plot::offline_js_sources();
    // The crate appends a formula renderer of 2 MB that nothing here uses.
    let script = sources.split_inclusive("</script>").next().unwrap_or_default();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<title>Touchline report</title>\n<style>{STYLE}\
         </style>\n{script}\n</head><body>\n{body}</body></html>\n"
    )
}

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#1b1f24}\
    table{border-collapse:collapse;margin:1em 2em 1em 0;display:inline-table;vertical-align:top}\
    caption{text-align:left;font-weight:600;padding-bottom:.3em}\
    td,th{padding:.15em .9em .15em 0;border-bottom:1px solid #d8dee4;text-align:left}\
    td+td{text-align:right;font-variant-numeric:tabular-nums}.plot{height:380px}";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn table(caption: &str, rows: &[(String, String)]) -> String {
    let mut out = format!("<table><caption>{}</caption>\n", escape(caption));
    for (name, value) in rows {
        let _ = writeln!(out, "<tr><td>{}</td><td>{}</td></tr>", escape(name), escape(value));
    }
    out.push_str("</table>\n");
    out
}

fn money_table(summary: &Summary) -> String {
    let pnl = &summary.pnl;
    let row = |name: &str, value: &super::Decimal| (name.to_owned(), value.as_str().to_owned());
    table(
        &format!("Profit and loss, {}", summary.quote_asset),
        &[
            row("spread captured", &pnl.spread),
            row("inventory", &pnl.inventory),
            row("gross", &pnl.gross),
            row("commissions", &pnl.fees),
            row("net (from the venue's balances)", &pnl.total),
            ("position at the end".into(), summary.position.as_str().to_owned()),
        ],
    )
}

fn activity_table(summary: &Summary) -> String {
    let mut rows: Vec<(String, String)> = [
        ("market updates", summary.ticks),
        ("quote changes", summary.quotes),
        ("orders sent", summary.orders_sent),
        ("orders accepted", summary.orders_accepted),
        ("orders refused", summary.orders_rejected),
        ("cancels sent", summary.cancels_sent),
        ("orders in doubt for a while", summary.orders_unknown),
        ("fills", summary.fills),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_string()))
    .to_vec();
    for (cause, count) in &summary.fills_by_cause {
        rows.push((format!("fills by {cause}"), count.to_string()));
    }
    if let Some(ratio) = summary.fill_ratio {
        rows.push(("fills per accepted order".into(), format!("{ratio:.4}")));
    }
    rows.push(("own orders open at the end".into(), summary.open_orders_at_exit.to_string()));
    rows.push(("books that lost sync".into(), summary.book_desyncs.to_string()));
    table("Activity", &rows)
}

fn latency_table(summary: &Summary) -> String {
    let latency = summary.tick_to_order_ns;
    let us = |ns: u64| format!("{:.1}", ns as f64 / 1e3);
    let mut rows: Vec<(String, String)> = [
        ("p50", latency.p50),
        ("p90", latency.p90),
        ("p99", latency.p99),
        ("p99.9", latency.p999),
        ("p99.99", latency.p9999),
        ("max", latency.max),
    ]
    .map(|(name, ns)| (name.to_owned(), us(ns)))
    .to_vec();
    rows.push(("samples".into(), latency.count.to_string()));
    if let Some(ms) = summary.first_quote_ms {
        rows.push(("start to first quote, ms".into(), format!("{ms:.0}")));
    }
    let caption = if summary.clock == "virtual" {
        "Tick to order, \u{b5}s (virtual time: decisions take none)"
    } else {
        "Tick to order, \u{b5}s"
    };
    table(caption, &rows)
}

fn markout_table(summary: &Summary) -> String {
    let text = |value: Option<super::MarkoutText>| {
        value.map_or("not enough fills".to_owned(), |m| {
            format!("{:+.3} \u{b1} {:.3} ({} fills)", m.mean_ticks, 1.96 * m.error_ticks, m.fills)
        })
    };
    let mut rows = vec![("against the mid at the fill".to_owned(), text(summary.effective_half_spread))];
    for horizon in MARKOUT_HORIZONS {
        let name = format!("{}s", horizon.nanos() / 1_000_000_000);
        rows.push((format!("after {name}"), text(summary.markouts.get(&name).copied().flatten())));
    }
    table("Mean half-spread realised, ticks (95 %, fills taken as independent)", &rows)
}

fn seconds(ts: TimestampNs, start: TimestampNs) -> f64 {
    ts.since(start).secs_f64()
}

fn layout(y_title: &str) -> Layout {
    Layout::new()
        .x_axis(Axis::new().title("seconds"))
        .y_axis(Axis::new().title(y_title))
        .margin(Margin::new().top(20).bottom(45).left(75).right(20))
        .height(380)
}

fn pnl_plot(record: &SessionRecord, start: TimestampNs) -> Plot {
    let x: Vec<f64> = record.pnl.iter().map(|row| seconds(row.ts, start)).collect();
    let line = |name: &str, pick: &dyn Fn(usize) -> Money| {
        let y: Vec<f64> = (0..record.pnl.len()).map(|index| pick(index).to_f64()).collect();
        Scatter::new(x.clone(), y).mode(Mode::Lines).name(name)
    };
    let mut plot = Plot::new();
    plot.add_trace(line("net", &|at| record.pnl[at].total));
    plot.add_trace(line("gross", &|at| record.pnl[at].spread + record.pnl[at].inventory));
    plot.add_trace(line("spread", &|at| record.pnl[at].spread));
    plot.add_trace(line("inventory", &|at| record.pnl[at].inventory));
    plot.add_trace(line("commissions", &|at| -record.pnl[at].fees));
    plot.set_layout(layout(record.instrument.spec.quote.as_str()));
    plot
}

fn price_plot(record: &SessionRecord, start: TimestampNs) -> Plot {
    let tick = record.instrument.tick_f64();
    let x: Vec<f64> = record.pnl.iter().map(|row| seconds(row.ts, start)).collect();
    let mut plot = Plot::new();
    let mids: Vec<f64> = record.pnl.iter().map(|row| row.mid.ticks_f64() * tick).collect();
    plot.add_trace(Scatter::new(x.clone(), mids).mode(Mode::Lines).name("mid"));
    for (side, name) in [(Side::Bid, "our bid"), (Side::Ask, "our ask")] {
        let quotes: Vec<Option<f64>> =
            record.pnl.iter().map(|row| row.quotes[side.index()].map(|price| price.ticks() as f64 * tick)).collect();
        let line = Line::new().shape(LineShape::Hv).width(1.0);
        plot.add_trace(Scatter::new(x.clone(), quotes).mode(Mode::Lines).line(line).name(name));
    }
    for (side, name, symbol) in
        [(Side::Bid, "bought", MarkerSymbol::TriangleUp), (Side::Ask, "sold", MarkerSymbol::TriangleDown)]
    {
        let fills = record.fills.iter().filter(|fill| fill.side == side);
        let (times, prices): (Vec<f64>, Vec<f64>) =
            fills.map(|fill| (seconds(fill.recv_ts, start), fill.price.ticks() as f64 * tick)).unzip();
        let marker = Marker::new().symbol(symbol).size(8);
        plot.add_trace(Scatter::new(times, prices).mode(Mode::Markers).marker(marker).name(name));
    }
    plot.set_layout(layout("price"));
    plot
}

fn inventory_plot(record: &SessionRecord, start: TimestampNs) -> Plot {
    let x: Vec<f64> = record.pnl.iter().map(|row| seconds(row.ts, start)).collect();
    let y: Vec<f64> = record.pnl.iter().map(|row| row.position.get() as f64 / 1e8).collect();
    let mut plot = Plot::new();
    let line = Line::new().shape(LineShape::Hv);
    plot.add_trace(Scatter::new(x, y).mode(Mode::Lines).line(line).name("position"));
    plot.set_layout(layout(record.instrument.spec.base.as_str()));
    plot
}

fn markout_plot(record: &SessionRecord, start: TimestampNs) -> Plot {
    let mut plot = Plot::new();
    for (side, name) in [(Side::Bid, "bought"), (Side::Ask, "sold")] {
        let (x, y): (Vec<f64>, Vec<f64>) = record
            .fills
            .iter()
            .filter(|fill| fill.side == side)
            .filter_map(|fill| Some((seconds(fill.recv_ts, start), fill.markouts[1]? as f64 / 2.0)))
            .unzip();
        plot.add_trace(Scatter::new(x, y).mode(Mode::Markers).name(name));
    }
    plot.set_layout(layout("ticks"));
    plot
}
