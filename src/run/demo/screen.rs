//! What a person sees while the demo runs: a live view in a terminal, a line a second elsewhere.
//!
//! Owns the terminal while it is open and gives it back whatever happens. Main thread; it reads what the engine
//! publishes and never slows it.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Block, Cell, Row, Sparkline, Table};
use ratatui::{DefaultTerminal, Frame};

use crate::metrics::{Count, Hop};
use crate::pipeline::PipelineSnapshot;
use crate::run::engine::Live;
use crate::server::metrics::state_name;
use crate::types::{BookState, ExecKind, HalfTicks, Instrument, Side, format_e8};

/// How often the terminal is drawn.
const FRAME: Duration = Duration::from_millis(200);
/// How often a line is written where there is no terminal.
const LINE: Duration = Duration::from_secs(1);

/// The demo's face.
pub struct Screen {
    terminal: Option<DefaultTerminal>,
    quiet: bool,
    dashboard: Option<String>,
    length: Duration,
    last: Option<Instant>,
    mids: Vec<u64>,
    asked_to_end: bool,
}

impl Screen {
    /// Opens the view: in the terminal when stdout is one, as lines on stderr otherwise.
    pub fn open(json: bool, dashboard: Option<String>, length: Duration) -> Screen {
        let in_terminal = !json && std::io::stdout().is_terminal();
        let terminal = if in_terminal { ratatui::try_init().ok() } else { None };
        if terminal.is_none()
            && let Some(url) = &dashboard
        {
            eprintln!("dashboard and /metrics: {url}");
        }
        Screen { terminal, quiet: false, dashboard, length, last: None, mids: Vec::new(), asked_to_end: false }
    }

    /// Whether the person asked for the end on the keyboard. In the view Ctrl-C is a key, not a signal.
    pub fn asked_to_end(&mut self) -> bool {
        while self.terminal.is_some() && event::poll(Duration::ZERO).unwrap_or(false) {
            if let Ok(Event::Key(key)) = event::read() {
                let interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                self.asked_to_end |= interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc);
            }
        }
        self.asked_to_end
    }

    /// Shows where the session stands, when it is time to.
    pub fn show(&mut self, live: &Live, elapsed: Duration) {
        let pace = if self.terminal.is_some() { FRAME } else { LINE };
        if self.quiet || self.last.is_some_and(|last| last.elapsed() < pace) {
            return;
        }
        self.last = Some(Instant::now());
        let Some(instrument) = live.instruments().first().copied() else { return };
        let Some(snapshot) = live.snapshot(instrument.id) else { return };
        match &mut self.terminal {
            Some(terminal) => {
                if let Some(mid) = snapshot.mid {
                    self.mids.push(mid.get().unsigned_abs());
                }
                let view = View {
                    live,
                    instrument,
                    snapshot,
                    elapsed,
                    length: self.length,
                    mids: &self.mids,
                    url: &self.dashboard,
                };
                // A terminal that went away must not end the session.
                self.quiet = terminal.draw(|frame| view.draw(frame)).is_err();
            }
            None => eprintln!("{}", status_line(live, &instrument, &snapshot, elapsed)),
        }
    }

    /// Gives the terminal back.
    pub fn close(&mut self) {
        if self.terminal.take().is_some() {
            ratatui::restore();
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.close();
    }
}

fn mid_text(instrument: &Instrument, mid: Option<HalfTicks>) -> String {
    mid.map_or_else(
        || "–".to_owned(),
        |mid| instrument.value(mid, crate::types::BaseAtoms::new(100_000_000)).to_string(),
    )
}

fn book_text(snapshot: &PipelineSnapshot) -> String {
    match snapshot.book_state {
        BookState::Live if snapshot.stale => "stale".to_owned(),
        BookState::Live => "live".to_owned(),
        BookState::Syncing(reason) => format!("syncing ({reason:?})").to_lowercase(),
    }
}

fn position_text(snapshot: &PipelineSnapshot) -> String {
    let mut text = String::new();
    format_e8(snapshot.position_atoms.get(), &mut text);
    text
}

fn status_line(live: &Live, instrument: &Instrument, snapshot: &PipelineSnapshot, elapsed: Duration) -> String {
    let price = |price: Option<_>| price.map_or_else(|| "–".to_owned(), |price| instrument.price_text(price));
    format!(
        "{:5.1} s  {} book {}  mid {}  quotes {} / {}  position {}  fills {}  net {:.4} {}  tick to order p50 {:.1} us",
        elapsed.as_secs_f64(),
        instrument.symbol(),
        book_text(snapshot),
        mid_text(instrument, snapshot.mid),
        price(snapshot.own_bid),
        price(snapshot.own_ask),
        position_text(snapshot),
        snapshot.counters.fills,
        snapshot.pnl.total.to_f64(),
        instrument.spec.quote,
        live.latencies().summary(Hop::TickToOrder).p50 as f64 / 1e3,
    )
}

struct View<'a> {
    live: &'a Live,
    instrument: Instrument,
    snapshot: PipelineSnapshot,
    elapsed: Duration,
    length: Duration,
    mids: &'a [u64],
    url: &'a Option<String>,
}

impl View<'_> {
    fn draw(&self, frame: &mut Frame<'_>) {
        let [title, figures, chart, fills, foot] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(11),
            Constraint::Length(6),
            Constraint::Min(4),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        let [market, money, engine] = Layout::horizontal([Constraint::Ratio(1, 3); 3]).areas(figures);
        frame.render_widget(
            Line::from(format!(
                " touchline demo  {}  {:.0} of {:.0} s  {}",
                self.instrument.symbol(),
                self.elapsed.as_secs_f64(),
                self.length.as_secs_f64(),
                state_name(self.snapshot.state),
            ))
            .bold(),
            title,
        );
        frame.render_widget(pairs("Market", self.market()), market);
        frame.render_widget(pairs("Profit and loss", self.money()), money);
        frame.render_widget(pairs("Engine", self.engine()), engine);
        self.draw_mids(frame, chart);
        self.draw_fills(frame, fills);
        let url = self.url.as_deref().unwrap_or("not served");
        frame.render_widget(Line::from(format!(" q or Ctrl-C ends it in order   dashboard: {url}")).dim(), foot);
    }

    fn market(&self) -> Vec<(&'static str, String)> {
        let price = |price: Option<_>| price.map_or_else(|| "–".to_owned(), |price| self.instrument.price_text(price));
        let s = &self.snapshot;
        vec![
            ("book", book_text(s)),
            ("mid", mid_text(&self.instrument, s.mid)),
            ("best bid", price(s.best_bid)),
            ("best ask", price(s.best_ask)),
            ("our bid", price(s.own_bid)),
            ("our ask", price(s.own_ask)),
            ("sigma, ticks/√s", s.sigma_ticks.map_or_else(|| "warming".to_owned(), |sigma| format!("{sigma:.1}"))),
            ("toxicity", s.tau.map_or_else(|| "warming".to_owned(), |tau| format!("{tau:.3}"))),
        ]
    }

    fn money(&self) -> Vec<(&'static str, String)> {
        let pnl = self.snapshot.pnl;
        let amount = |money: crate::types::Money| format!("{:.4}", money.to_f64());
        vec![
            ("spread", amount(pnl.spread)),
            ("inventory", amount(pnl.inventory)),
            ("gross", amount(pnl.gross)),
            ("commissions", amount(pnl.fees)),
            ("net", amount(pnl.total)),
            ("position", position_text(&self.snapshot)),
            ("fills", self.snapshot.counters.fills.to_string()),
        ]
    }

    fn engine(&self) -> Vec<(&'static str, String)> {
        let board = self.live.board();
        let latency = self.live.latencies().summary(Hop::TickToOrder);
        let us = |ns: u64| format!("{:.1} us", ns as f64 / 1e3);
        vec![
            ("market updates", board.count(Count::Ticks).to_string()),
            ("orders sent", board.count(Count::OrdersSent).to_string()),
            ("refused", board.count(Count::OrdersRejected).to_string()),
            ("working", self.snapshot.working_orders.to_string()),
            ("tick to order p50", us(latency.p50)),
            ("p99", us(latency.p99)),
            ("max", us(latency.max)),
            ("gaps repaired", board.count(Count::Desyncs).to_string()),
        ]
    }

    fn draw_mids(&self, frame: &mut Frame<'_>, area: ratatui::layout::Rect) {
        let shown = &self.mids[self.mids.len().saturating_sub(usize::from(area.width))..];
        let least = shown.iter().min().copied().unwrap_or(0);
        let bars: Vec<u64> = shown.iter().map(|mid| mid - least + 1).collect();
        let chart = Sparkline::default().block(Block::bordered().title("Mid")).data(&bars).style(Color::Cyan);
        frame.render_widget(chart, area);
    }

    fn draw_fills(&self, frame: &mut Frame<'_>, area: ratatui::layout::Rect) {
        let fills = self.live.fills();
        let rows = fills.iter().rev().take(usize::from(area.height)).filter_map(|report| {
            let ExecKind::Fill(fill) = report.kind else { return None };
            let (side, color) = match fill.side {
                Side::Bid => ("bought", Color::Blue),
                Side::Ask => ("sold", Color::Yellow),
            };
            Some(
                Row::new([
                    side.to_owned(),
                    self.instrument.qty_text(fill.qty),
                    self.instrument.price_text(fill.price),
                    report.client_id.to_string(),
                ])
                .style(Style::new().fg(color)),
            )
        });
        let widths = [Constraint::Length(8), Constraint::Length(14), Constraint::Length(14), Constraint::Min(10)];
        frame.render_widget(Table::new(rows, widths).block(Block::bordered().title("Fills")), area);
    }
}

fn pairs(title: &'static str, rows: Vec<(&'static str, String)>) -> Table<'static> {
    let rows = rows.into_iter().map(|(name, value)| Row::new([Cell::from(name).dim(), Cell::from(value)]));
    Table::new(rows, [Constraint::Length(18), Constraint::Min(8)]).block(Block::bordered().title(title))
}
