//! The engine's own small web server: the dashboard page, its state as JSON, and `/metrics`.
//!
//! Owns one cold thread with a single-threaded runtime, on 127.0.0.1 only. Started and stopped by `run`. It answers
//! reads and offers nothing that changes the session.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::alerts::ALERTS;
use super::metrics::{exposition, registry, state_name};
use super::view::SessionView;
use crate::metrics::{Count, Gauge, Hop};
use crate::types::{BookState, ExecKind, ExecReport, HalfTicks, Instrument, Side, format_e8};

/// The page, whole: it needs nothing from anywhere.
const PAGE: &str = include_str!("assets/dashboard.html");

/// Why the dashboard cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum DashboardError {
    /// The port cannot be had.
    #[error("cannot listen on {address}: {cause}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// The system's word.
        cause: std::io::Error,
    },
    /// The thread or its runtime cannot be made.
    #[error("cannot start the dashboard's thread: {0}")]
    Thread(std::io::Error),
}

/// A dashboard being served; ends when dropped.
#[derive(Debug)]
pub struct Dashboard {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Dashboard {
    /// Serves a session on 127.0.0.1. Port 0 takes any free one.
    ///
    /// # Errors
    /// When the port is taken or the thread cannot be made.
    pub fn serve(port: u16, view: Arc<dyn SessionView>) -> Result<Dashboard, DashboardError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let bind = |cause| DashboardError::Bind { address, cause };
        let listener = TcpListener::bind(address).map_err(bind)?;
        listener.set_nonblocking(true).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DashboardError::Thread)?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("dashboard".to_owned())
            .spawn(move || runtime.block_on(run(listener, view, stopped)))
            .map_err(DashboardError::Thread)?;
        Ok(Dashboard { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where the page is.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // A server that has ended by itself no longer listens, which is what is wanted.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed; it must not hide the session's own end.
            let _ = thread.join();
        }
    }
}

struct Served {
    view: Arc<dyn SessionView>,
    registry: Registry,
}

async fn run(listener: TcpListener, view: Arc<dyn SessionView>, stopped: oneshot::Receiver<()>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!("the dashboard cannot be served: {error}");
            return;
        }
    };
    let served = Arc::new(Served { registry: registry(Arc::clone(&view)), view });
    let app = Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/api/state", get(state))
        .route("/metrics", get(metrics))
        .with_state(served);
    // Without waiting for open connections: a browser keeps its own open for minutes.
    tokio::select! {
        ended = async { axum::serve(listener, app).await } => {
            if let Err(error) = ended {
                tracing::error!("the dashboard has ended: {error}");
            }
        }
        _ = stopped => {}
    }
}

async fn metrics(State(served): State<Arc<Served>>) -> Response {
    match exposition(&served.registry) {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn state(State(served): State<Arc<Served>>) -> Response {
    let text = state_of(served.view.as_ref()).to_string();
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// The session as the page shows it. Prices and amounts are exact decimal text.
pub fn state_of(view: &dyn SessionView) -> Value {
    let board = view.board();
    let instruments: Vec<Value> =
        view.instruments().iter().map(|instrument| instrument_state(view, instrument)).collect();
    let latencies: serde_json::Map<String, Value> = Hop::ALL
        .iter()
        .map(|&hop| {
            let summary = view.latencies().summary(hop);
            let value = json!({
                "p50": summary.p50, "p99": summary.p99, "p999": summary.p999, "max": summary.max,
                "count": summary.count,
            });
            (hop.name().to_owned(), value)
        })
        .collect();
    json!({
        "session": view.session(),
        "plan": view.plan(),
        "health": {
            "market_up": board.gauge(Gauge::MarketUp) == 1,
            "user_up": board.gauge(Gauge::UserUp) == 1,
            "stopping": board.gauge(Gauge::Stopping) == 1,
            "failed": board.gauge(Gauge::Failed) == 1,
            "dropped": board.count(Count::FeedDropped),
            "desyncs": board.count(Count::Desyncs),
        },
        "alerts": ALERTS.iter().filter(|alert| alert.holds(board)).map(|alert| json!({
            "name": alert.name, "text": alert.text,
        })).collect::<Vec<_>>(),
        "ticks": board.count(Count::Ticks),
        "orders_sent": board.count(Count::OrdersSent),
        "orders_rejected": board.count(Count::OrdersRejected),
        "fills": board.count(Count::Fills),
        "latency_ns": latencies,
        "rings": board.links().iter().map(|link| json!({
            "name": link.name, "depth": link.depth, "used": link.used(), "high_water": link.high_water(),
        })).collect::<Vec<_>>(),
        "instruments": instruments,
    })
}

fn mid_text(instrument: &Instrument, mid: HalfTicks) -> String {
    instrument.value(mid, crate::types::BaseAtoms::new(100_000_000)).to_string()
}

fn instrument_state(view: &dyn SessionView, instrument: &Instrument) -> Value {
    let fills: Vec<Value> = view
        .fills()
        .iter()
        .rev()
        .filter(|report| report.instrument == instrument.id)
        .take(20)
        .filter_map(|report| fill_state(instrument, report))
        .collect();
    let Some(snapshot) = view.snapshot(instrument.id) else {
        return json!({"symbol": instrument.symbol(), "book": "starting", "fills": fills});
    };
    let price = |price: Option<_>| price.map(|price| instrument.price_text(price));
    let mut position = String::new();
    format_e8(snapshot.position_atoms.get(), &mut position);
    let quote = view.quote(instrument.id);
    json!({
        "symbol": instrument.symbol(),
        "quote_asset": instrument.spec.quote.as_str(),
        "now_ms": snapshot.now.millis(),
        "state": state_name(snapshot.state),
        "book": match snapshot.book_state {
            BookState::Live if snapshot.stale => "stale".to_owned(),
            BookState::Live => "live".to_owned(),
            BookState::Syncing(reason) => format!("syncing: {reason:?}").to_lowercase(),
        },
        "mid": snapshot.mid.map(|mid| mid_text(instrument, mid)),
        "best_bid": price(snapshot.best_bid),
        "best_ask": price(snapshot.best_ask),
        "own_bid": price(snapshot.own_bid),
        "own_ask": price(snapshot.own_ask),
        "target_bid": quote.and_then(|quote| price(quote.side(Side::Bid).price)),
        "target_ask": quote.and_then(|quote| price(quote.side(Side::Ask).price)),
        "position": position,
        "position_lots": snapshot.position.lots(),
        "should_hedge": snapshot.should_hedge,
        "halt": snapshot.halt.map(|reason| format!("{reason:?}").to_lowercase()),
        "position_max_lots": snapshot.position_max.lots(),
        "pnl": {
            "total": snapshot.pnl.total.to_string(),
            "gross": snapshot.pnl.gross.to_string(),
            "spread": snapshot.pnl.spread.to_string(),
            "inventory": snapshot.pnl.inventory.to_string(),
            "fees": snapshot.pnl.fees.to_string(),
        },
        "sigma_ticks": snapshot.sigma_ticks,
        "toxicity": snapshot.tau,
        "toxicity_raw": snapshot.tau_raw,
        "toxicity_signed": snapshot.tau_signed,
        "k_ticks": snapshot.k_ticks,
        "gamma": snapshot.gamma,
        "kappa_ticks": snapshot.kappa_ticks,
        "floor_bound_ratio": snapshot.counters.floor_bound_ratio(),
        "markouts": view.markouts(instrument.id).iter().map(|point| json!({
            "horizon": format!("{}s", point.horizon_s), "fills": point.fills,
            "mean_ticks": point.mean_ticks, "error_ticks": point.error_ticks,
        })).collect::<Vec<_>>(),
        "half_spread_ticks": snapshot.half_spread_ticks,
        "working_orders": snapshot.working_orders,
        "unknown_orders": snapshot.unknown_orders,
        "fills": fills,
    })
}

fn fill_state(instrument: &Instrument, report: &ExecReport) -> Option<Value> {
    let ExecKind::Fill(fill) = report.kind else { return None };
    Some(json!({
        "ms": report.recv_ts.millis(),
        "side": if fill.side == Side::Bid { "buy" } else { "sell" },
        "price": instrument.price_text(fill.price),
        "qty": instrument.qty_text(fill.qty),
    }))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;
    use crate::kpi::{RunningMarkouts, RunningPoint};
    use crate::metrics::{Board, LatencyTable};
    use crate::pipeline::PipelineSnapshot;
    use crate::types::{Filters, InstrumentId, InstrumentSpec, Price, Qty, QuoteDecision, Symbol, TimestampNs};

    #[derive(Debug)]
    struct OneSymbol {
        board: Board,
        latencies: LatencyTable,
        instruments: Vec<Instrument>,
    }

    impl SessionView for OneSymbol {
        fn session(&self) -> String {
            "tltest".to_owned()
        }
        fn plan(&self) -> String {
            "fused".to_owned()
        }
        fn board(&self) -> &Board {
            &self.board
        }
        fn latencies(&self) -> &LatencyTable {
            &self.latencies
        }
        fn instruments(&self) -> &[Instrument] {
            &self.instruments
        }
        fn snapshot(&self, instrument: InstrumentId) -> Option<PipelineSnapshot> {
            let pipeline = crate::pipeline::Pipeline::new(
                crate::types::SessionId(1),
                &self.instruments,
                &crate::pipeline::PipelineConfig::default(),
            );
            pipeline.ok().map(|pipeline| pipeline.snapshot(instrument))
        }
        fn quote(&self, _: InstrumentId) -> Option<QuoteDecision> {
            None
        }
        fn fills(&self) -> Vec<ExecReport> {
            Vec::new()
        }
        fn markouts(&self, _: InstrumentId) -> Vec<RunningPoint> {
            let mut markouts = RunningMarkouts::default();
            markouts.on_mid(TimestampNs::from_millis(1), HalfTicks::new(200));
            for price in [99, 98] {
                let (price, qty) = (Price::from_ticks(price), Qty::from_lots(1));
                markouts.on_fill(TimestampNs::from_millis(2), Side::Bid, price, qty);
            }
            markouts.points().to_vec()
        }
    }

    fn view() -> Arc<OneSymbol> {
        let spec = InstrumentSpec {
            symbol: Symbol::new("BTCUSDT").unwrap(),
            base: Symbol::new("BTC").unwrap(),
            quote: Symbol::new("USDT").unwrap(),
            tick_e8: 1_000_000,
            lot_e8: 1_000,
            filters: Filters::default(),
        };
        let board = Board::new(&["feed"], &[("feed_book", 8)]);
        board.bump(Count::Ticks, 7);
        board.set(Gauge::BooksDown, 1);
        board.links()[0].note(3);
        let latencies = LatencyTable::default();
        latencies.record(Hop::TickToOrder, 25_000);
        Arc::new(OneSymbol { board, latencies, instruments: vec![Instrument::new(InstrumentId(0), spec)] })
    }

    fn fetch(url: &str, path: &str) -> String {
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        let mut socket = TcpStream::connect(address).unwrap();
        write!(socket, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn page_state_and_metrics_are_served_on_loopback() {
        let dashboard = Dashboard::serve(0, view()).unwrap();
        let url = dashboard.url();
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
        assert!(fetch(&url, "/").contains("<title>Touchline"));
        let state = fetch(&url, "/api/state");
        let body = state.split_once("\r\n\r\n").unwrap().1;
        let state: Value = serde_json::from_str(body).unwrap();
        assert_eq!(state["ticks"], 7);
        assert_eq!(state["alerts"][0]["name"], "market_down");
        assert_eq!(state["instruments"][0]["symbol"], "BTCUSDT");
        assert_eq!(state["instruments"][0]["markouts"][0]["mean_ticks"], 1.5);
        assert_eq!(state["instruments"][0]["markouts"][5]["mean_ticks"], Value::Null);
        // Nothing was quoted: no share, rather than nought.
        assert_eq!(state["instruments"][0]["floor_bound_ratio"], Value::Null);
        let metrics = fetch(&url, "/metrics");
        for line in [
            "touchline_ticks_total 7",
            "touchline_alert{alert=\"market_down\"} 1",
            "touchline_alert{alert=\"book_down\"} 1",
            "touchline_alert{alert=\"depth_slow\"} 0",
            "touchline_books_down 1",
            "touchline_ring_used{ring=\"feed_book\"} 3",
            "touchline_pnl{symbol=\"BTCUSDT\",part=\"total\"} 0",
            "touchline_open_orders{symbol=\"BTCUSDT\"} 0",
            "touchline_orders_total{symbol=\"BTCUSDT\",outcome=\"would_cross\"} 0",
            "touchline_book_live{symbol=\"BTCUSDT\"} 0",
            "touchline_tile_longest_step_ns{tile=\"feed\"} 0",
            "touchline_markout_ticks{symbol=\"BTCUSDT\",horizon=\"0s\"} 1.5",
            "touchline_markout_error_ticks{symbol=\"BTCUSDT\",horizon=\"0s\"} 0.5",
            "touchline_markout_fills{symbol=\"BTCUSDT\",horizon=\"60s\"} 0",
            "touchline_k_ticks{symbol=\"BTCUSDT\"} ",
            "touchline_latency_samples_total{hop=\"tick_to_order\"} 1",
            "# EOF",
        ] {
            assert!(metrics.contains(line), "{line} is missing in:\n{metrics}");
        }
        drop(dashboard);
        assert!(TcpStream::connect(url.trim_start_matches("http://").trim_end_matches('/')).is_err());
    }

    #[test]
    fn reject_reasons_are_in_the_order_of_their_numbers() {
        for (index, (reason, _)) in super::super::metrics::REJECT_NAMES.iter().enumerate() {
            assert_eq!(*reason as usize, index);
        }
    }
}
