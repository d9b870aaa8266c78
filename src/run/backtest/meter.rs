//! How far a backtest is: events counted and, when it takes long and somebody looks, a bar with their rate and the time
//! that is left.

use std::cell::{Cell, OnceCell};
use std::io::IsTerminal;
use std::rc::Rc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How long a run may take before it shows its progress.
const QUIET: Duration = Duration::from_secs(2);
/// Events between two looks at the clock.
const EVENTS_A_LOOK: u64 = 4096;

/// Counts events. Clones count together.
#[derive(Clone)]
pub struct Meter {
    shared: Rc<Shared>,
}

struct Shared {
    events: Cell<u64>,
    total: u64,
    unit: &'static str,
    began: Instant,
    bar: OnceCell<ProgressBar>,
}

impl Meter {
    /// A meter over data of so many units: lines of a recording, rows of an archive.
    pub(super) fn new(total: u64, unit: &'static str) -> Meter {
        let (events, bar) = (Cell::new(0), OnceCell::new());
        Meter { shared: Rc::new(Shared { events, total, unit, began: Instant::now(), bar }) }
    }

    /// One more event; with it so many units are done, or as many as events.
    pub(super) fn count(&self, done: Option<u64>) {
        let shared = &self.shared;
        let events = shared.events.get() + 1;
        shared.events.set(events);
        if !events.is_multiple_of(EVENTS_A_LOOK) {
            return;
        }
        let took = shared.began.elapsed();
        if shared.bar.get().is_none() && took >= QUIET && std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(Some(shared.total), ProgressDrawTarget::stderr());
            let shape = format!("{{bar:40}} {{human_pos}}/{{human_len}} {} {{msg}} {{eta}} left", shared.unit);
            if let Ok(style) = ProgressStyle::with_template(&shape) {
                bar.set_style(style);
            }
            let _ = shared.bar.set(bar);
        }
        if let Some(bar) = shared.bar.get() {
            bar.set_message(format!("{:.0} events/s", events as f64 / took.as_secs_f64()));
            bar.set_position(done.unwrap_or(events));
        }
    }

    /// Events so far.
    pub fn events(&self) -> u64 {
        self.shared.events.get()
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = self.shared.bar.get() {
            bar.finish_and_clear();
        }
    }
}
