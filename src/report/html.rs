//! The report for people: one HTML file that needs nothing from anywhere.
//!
//! Owns the words and tables; the drawings are in `charts`. Everything that it says comes from the [`Kpis`] of the
//! record, so that it cannot say another figure than `summary.json`.

use std::fmt::Write;
use std::path::Path;

use plotly::Plot;

use super::charts::{Chart, charts};
use super::record::SessionRecord;
use super::summary::{ExchangeText, Latency, Summary};
use super::{ReportError, write_whole};
use crate::kpi::markout::{MARKOUT_HORIZONS, horizon_name};
use crate::kpi::{Kpis, Verdict};
use crate::metrics::Hop;
use crate::stats::bootstrap::Estimate;
use crate::stats::sharpe::SharpeWord;

/// What a page says besides its record: it differs by the verb that made the session.
#[derive(Clone, Debug, Default)]
pub struct PageHead {
    /// The heading.
    pub title: String,
    /// One sentence on where the figures come from.
    pub facts: String,
    /// Counts of what happened, by name.
    pub activity: Vec<(String, String)>,
    /// Heading of the latencies.
    pub latency_caption: String,
    /// Latencies, where there are any.
    pub latency: Option<Latency>,
    /// Its hops by name, in the order of a tick's way.
    pub hops: Vec<(&'static str, Latency)>,
    /// From the program's start to its first quote, in milliseconds.
    pub first_quote_ms: Option<f64>,
}

impl From<&Summary> for PageHead {
    fn from(summary: &Summary) -> PageHead {
        let mut activity: Vec<(String, String)> = [
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
            activity.push((format!("fills by {cause}"), count.to_string()));
        }
        if let Some(exchange) = &summary.exchange {
            let ExchangeText { fill, latency, config_digest, events } = exchange;
            activity.push(("events of the tape".into(), events.to_string()));
            activity.push(("fill model".into(), fill.clone()));
            activity.push(("latencies".into(), latency.clone()));
            activity.push(("configuration".into(), config_digest.clone()));
        }
        activity.push(("own orders open at the end".into(), summary.open_orders_at_exit.to_string()));
        activity.push(("books that lost sync".into(), summary.book_desyncs.to_string()));
        let caption = if summary.clock == "virtual" {
            "Tick to order, \u{b5}s (virtual time: decisions take none)"
        } else {
            "Tick to order, \u{b5}s"
        };
        PageHead {
            title: format!("{} on {}", summary.symbol, summary.source),
            facts: format!(
                "Session {}, {:.1} s on the {} clock, seed {}. Maker commission assumed: {} bp of the notional. The net \
                 profit agrees with the venue's balances.",
                summary.session, summary.seconds, summary.clock, summary.seed, summary.fee_bps
            ),
            activity,
            latency_caption: caption.to_owned(),
            latency: Some(summary.tick_to_order_ns),
            hops: Hop::ALL.iter().filter_map(|hop| Some((hop.name(), *summary.hops_ns.get(hop.name())?))).collect(),
            first_quote_ms: summary.first_quote_ms,
        }
    }
}

/// Writes the report.
///
/// # Errors
/// When the folder or the disk refuses.
pub fn write_page(path: &Path, head: &PageHead, record: &SessionRecord) -> Result<(), ReportError> {
    write_whole(path, page(head, record).as_bytes())
}

/// The report as text. The same head and rows give the same bytes.
pub fn page(head: &PageHead, record: &SessionRecord) -> String {
    let kpis = &record.kpis;
    let mut body = format!("<h1>Touchline: {}</h1>\n<p>{}</p>\n", escape(&head.title), escape(&head.facts));
    if let Some(sentence) = inert_sentence(kpis) {
        let _ = writeln!(body, "<p class=\"warn\">{}</p>", escape(&sentence));
    }
    body.push_str("<div class=\"tables\">\n");
    body.push_str(&money_table(record));
    body.push_str(&significance_table(kpis));
    body.push_str(&quoting_table(kpis));
    body.push_str(&inventory_table(record));
    body.push_str(&table("Activity", &head.activity));
    body.push_str(&latency_table(head));
    body.push_str(&hop_table(&head.hops));
    body.push_str("</div>\n");
    body.push_str(&acceptance_table(kpis));
    body.push_str(&markout_table(kpis));
    let drawn = charts(record);
    if drawn.is_empty() {
        body.push_str("<p>The book was never live, so there is nothing to draw.</p>\n");
    }
    body.push_str("<div class=\"charts\">\n");
    for chart in &drawn {
        body.push_str(&figure(chart));
    }
    body.push_str("</div>\n");
    let sources = Plot::offline_js_sources();
    // The crate appends a formula renderer of 2 MB that nothing here uses.
    let script = sources.split_inclusive("</script>").next().unwrap_or_default();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<title>Touchline report</title>\n<style>{STYLE}\
         </style>\n{script}\n</head><body>\n{body}</body></html>\n"
    )
}

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:1160px;margin:2em auto;padding:0 1em;color:#1b1f24}\
    table{border-collapse:collapse}.tables{display:flex;flex-wrap:wrap;align-items:flex-start;gap:1em 2.5em;margin:1em 0}.charts{display:flex;flex-wrap:wrap}\
    caption{text-align:left;font-weight:600;padding-bottom:.3em;white-space:nowrap}\
    td,th{padding:.15em .9em .15em 0;border-bottom:1px solid #d8dee4;text-align:left}\
    td+td,th+th{text-align:right;font-variant-numeric:tabular-nums}\
    .warn{border-left:4px solid #cf222e;background:#ffebe9;padding:.6em 1em}\
    figure{margin:1.2em 0 0;width:100%}figure.small{width:50%}\
    figcaption{font-weight:600;font-size:1.1em}figcaption small{display:block;font-weight:400;color:#57606a}\
    .plot{height:360px}.small .plot{height:290px}@media(max-width:800px){figure.small{width:100%}}";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn figure(chart: &Chart) -> String {
    let id: String = chart.title.chars().filter(char::is_ascii_alphanumeric).collect();
    let note = if chart.note.is_empty() { String::new() } else { format!("<small>{}</small>", escape(chart.note)) };
    let class = if chart.is_small { " class=\"small\"" } else { "" };
    format!(
        "<figure{class}><figcaption>{}{note}</figcaption><div class=\"plot\">{}</div></figure>\n",
        escape(chart.title),
        chart.plot.to_inline_html(Some(id.as_str()))
    )
}

/// Says that the quotes are the floor's and not the model's, when they are.
fn inert_sentence(kpis: &Kpis) -> Option<String> {
    kpis.is_inert().then(|| {
        format!(
            "The model is inert: the floor of the half-spread decided {} of its quotes. Volatility and toxicity changed \
             nothing in them; lower the floor or raise the model's coefficients before judging the model by this session.",
            percent(kpis.floor_bound_ratio)
        )
    })
}

const UNKNOWN: &str = "n/a";

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or(UNKNOWN.to_owned(), |value| format!("{value:.digits$}"))
}

fn percent(value: Option<f64>) -> String {
    value.map_or(UNKNOWN.to_owned(), |value| format!("{:.2} %", value * 100.0))
}

/// An estimate with its interval and what it proves.
fn interval(estimate: Option<Estimate>, scale: f64, digits: usize) -> String {
    let Some(Estimate { low, high, .. }) = estimate else { return "n/a (insufficient)".to_owned() };
    let word = if low > 0.0 || high < 0.0 { "" } else { ", not significant" };
    format!("[{:.digits$}, {:.digits$}]{word}", low * scale, high * scale)
}

fn table(caption: &str, rows: &[(String, String)]) -> String {
    let mut out = format!("<table><caption>{}</caption>\n", escape(caption));
    for (name, value) in rows {
        // Writing to a String cannot fail, so the results are dropped here and below.
        let _ = writeln!(out, "<tr><td>{}</td><td>{}</td></tr>", escape(name), escape(value));
    }
    out.push_str("</table>\n");
    out
}

fn pairs<const N: usize>(rows: [(&str, String); N]) -> Vec<(String, String)> {
    rows.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

fn money_table(record: &SessionRecord) -> String {
    let pnl = &record.kpis.pnl;
    let rows = pairs([
        ("spread captured", pnl.spread.to_string()),
        ("inventory", pnl.inventory.to_string()),
        ("gross", pnl.gross.to_string()),
        ("commissions", pnl.fees.to_string()),
        ("net", pnl.total.to_string()),
        ("realised, at average cost", pnl.realised.to_string()),
        ("unrealised", pnl.unrealised.to_string()),
        ("net if liquidated now", pnl.liquidated.map_or(UNKNOWN.to_owned(), |money| money.to_string())),
        ("turnover", record.kpis.turnover.to_string()),
        ("cost of toxicity (5 s)", record.kpis.toxicity_cost.to_string()),
    ]);
    table(&format!("Profit and loss, {}", record.instrument.spec.quote.as_str()), &rows)
}

fn significance_table(kpis: &Kpis) -> String {
    let sharpe = &kpis.sharpe;
    let (annual_error, psr) = match sharpe.word {
        SharpeWord::Known(known) => (Some(known.annual_error), known.psr),
        SharpeWord::Insufficient | SharpeWord::Flat => (sharpe.annual_error, None),
    };
    let rows = pairs([
        ("Sharpe ratio, a year", sharpe.text()),
        ("its standard error after this sample", number(annual_error, 1)),
        ("chance that it is above 0 (PSR)", psr.map_or("n/a (insufficient)".to_owned(), |psr| format!("{psr:.4}"))),
        ("sample: one-minute changes", sharpe.count.to_string()),
        ("days", format!("{:.4}", sharpe.days)),
        ("net a minute", number(kpis.pnl_per_minute.map(|estimate| estimate.value), 6)),
        ("its 95 % interval", interval(kpis.pnl_per_minute, 1.0, 6)),
        ("deepest drawdown", kpis.drawdown.deepest.to_string()),
        ("longest drawdown, s", format!("{:.1}", kpis.drawdown.longest_s)),
        ("CVaR 95 % of losses a minute", number(kpis.loss_cvar95, 6)),
    ]);
    table("Is it skill?", &rows)
}

fn quoting_table(kpis: &Kpis) -> String {
    let captured = &kpis.spread_captured;
    let band = format!("a quote within {} bp of the mid", kpis.uptime_band_bps);
    let mut rows = pairs([
        ("spread captured a fill, ticks", number(captured.mean_ticks, 3)),
        ("in bp", number(captured.mean_bps, 4)),
        ("per spread of the market", number(captured.quoted_ratio, 3)),
        ("fills without a market spread", captured.without_touch.to_string()),
        ("orders filled per order accepted", percent(kpis.fill_ratio)),
        ("quantity filled per quantity placed", percent(kpis.fill_ratio_qty)),
        ("messages per fill", kpis.order_to_trade.map_or("endless".to_owned(), |ratio| format!("{ratio:.2}"))),
        ("messages", kpis.order_messages.to_string()),
        (band.as_str(), percent(kpis.quote_uptime)),
        ("both sides quoted", percent(kpis.two_sided)),
        ("quotes held up by the floor", percent(kpis.floor_bound_ratio)),
        ("sides moved by the post-only clamp", percent(kpis.clamp_ratio)),
        ("orders refused as crossing", percent(kpis.post_only_reject_ratio)),
        ("warm-up, s", number(kpis.warmup_s, 3)),
    ]);
    for capture in &kpis.realised_capture {
        rows.push((format!("realised per half market spread, {} s", capture.horizon_s), percent(capture.ratio)));
        rows.push(("its 95 % interval".to_owned(), interval(capture.interval, 100.0, 1)));
    }
    table("Quoting", &rows)
}

fn inventory_table(record: &SessionRecord) -> String {
    let kpis = &record.kpis;
    let risk = &kpis.inventory_risk;
    let worst = risk.deciles.last().map(|decile| decile.p5);
    let mut position_text = String::new();
    crate::types::format_e8(record.position.get(), &mut position_text);
    let rows = pairs([
        ("position at the end", format!("{position_text} {}", record.instrument.spec.base.as_str())),
        ("CVaR 95 % of its value", number(kpis.inventory_cvar95, 2)),
        ("time below the limit", percent(kpis.time_below_limit)),
        ("time above half of it", percent(kpis.time_above_half)),
        ("time above nine tenths of it", percent(kpis.time_above_nine_tenths)),
        ("5th percentile of changes at the largest tenth", number(worst, 4)),
        ("what the risk budget allows", number(risk.allowed_p5, 4)),
    ]);
    table("Inventory", &rows)
}

fn acceptance_table(kpis: &Kpis) -> String {
    let mut out = String::from(
        "<table><caption>Bounds of the requirements, and whether this session decides them</caption>\n<tr><th></th>\
         <th>wanted</th><th>figure</th><th>95 % interval</th><th></th></tr>\n",
    );
    for criterion in &kpis.seed_acceptance {
        let interval = match criterion.low.zip(criterion.high) {
            Some((low, high)) => format!("[{low:.4}, {high:.4}]"),
            None => criterion.error.map_or(UNKNOWN.to_owned(), |error| format!("standard error {error:.1}")),
        };
        let verdict = match criterion.verdict {
            Verdict::Met => "met",
            Verdict::Missed => "missed",
            Verdict::Undecided => "undecided",
        };
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{interval}</td><td>{verdict}</td></tr>",
            criterion.name.replace('_', " "),
            escape(criterion.wanted),
            number(criterion.value, 4),
        );
    }
    out.push_str("</table>\n");
    out
}

fn latency_table(head: &PageHead) -> String {
    let Some(latency) = head.latency else { return String::new() };
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
    if let Some(ms) = head.first_quote_ms {
        rows.push(("start to first quote, ms".into(), format!("{ms:.0}")));
    }
    table(&head.latency_caption, &rows)
}

fn hop_table(hops: &[(&'static str, Latency)]) -> String {
    if hops.is_empty() {
        return String::new();
    }
    let us = |ns: u64| format!("{:.1}", ns as f64 / 1e3);
    let row = |(name, hop): &(&'static str, Latency)| {
        let figures = format!("{} / {} / {}", us(hop.p50), us(hop.p99), us(hop.p999));
        (name.replace('_', " "), figures)
    };
    table("Hops, \u{b5}s: p50 / p99 / p99.9", &hops.iter().map(row).collect::<Vec<_>>())
}

fn markout_table(kpis: &Kpis) -> String {
    let mut out = String::from(
        "<table><caption>Markouts, ticks: where the mid went after our fills (half-spreads, weighted by quantity; block \
         bootstrap)</caption>\n<tr><th>after</th><th>fills</th><th>realised</th><th>95 % interval</th><th>impact</th>\
         <th></th></tr>\n",
    );
    for (point, horizon) in kpis.markouts.iter().zip(MARKOUT_HORIZONS) {
        let interval = match point.mean_ticks.zip(point.error_ticks) {
            Some((_, error)) => format!("\u{b1} {:.3}", 1.96 * error),
            None => "n/a (insufficient)".to_owned(),
        };
        let word = if point.significant == Some(false) { "not significant" } else { "" };
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{interval}</td><td>{}</td><td>{word}</td></tr>",
            horizon_name(horizon),
            point.fills,
            number(point.mean_ticks, 3),
            number(point.impact_ticks, 3),
        );
    }
    out.push_str("</table>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kpi::{KpiAccumulator, KpiRules, OrderCounts};
    use crate::types::{Filters, Instrument, InstrumentId, InstrumentSpec, Symbol, TimestampNs};

    fn record(counts: OrderCounts) -> SessionRecord {
        let spec = InstrumentSpec {
            symbol: Symbol::new("BTCUSDT").unwrap(),
            base: Symbol::new("BTC").unwrap(),
            quote: Symbol::new("USDT").unwrap(),
            tick_e8: 1_000_000,
            lot_e8: 1_000,
            filters: Filters::default(),
        };
        let instrument = Instrument::new(InstrumentId(0), spec);
        let mut kpis = KpiAccumulator::new(instrument, KpiRules::default(), TimestampNs::ZERO);
        let kpis = kpis.finish(TimestampNs::from_millis(1000), counts, None);
        SessionRecord {
            instrument,
            fills: Vec::new(),
            fills_by_cause: Default::default(),
            position: Default::default(),
            pnl: Vec::new(),
            last_mid: None,
            kpis,
        }
    }

    #[test]
    fn a_session_without_anything_says_so_and_invents_nothing() {
        let text =
            page(&PageHead { title: "a <b>".to_owned(), ..PageHead::default() }, &record(OrderCounts::default()));
        for part in ["a &lt;b&gt;", "n/a (insufficient)", "endless", "never live"] {
            assert!(text.contains(part), "{part}");
        }
        // The drawing library's own text knows both words.
        let (_, text) = text.rsplit_once("</head><body>").unwrap();
        assert!(!text.contains("inert"));
        assert!(!text.contains("NaN"));
    }

    #[test]
    fn a_floor_that_decides_nearly_all_quotes_is_told() {
        let told = |floor_bound| {
            let counts = OrderCounts { modelled: 100, floor_bound, ..OrderCounts::default() };
            page(&PageHead::default(), &record(counts)).contains("The model is inert")
        };
        assert!(told(91) && !told(90));
    }
}
