//! The orders of a session, carried out again on the simulated exchange.
//!
//! Nobody decides here: the commands are the session's, at the session's times, whatever comes of them. The exchange
//! hears of the market when the session did, as in paper mode.

use super::Fills;
use crate::run::Failure;
use crate::run::exchange::ACCOUNT;
use crate::run::virtual_session::tape::TapeEvents;
use crate::sim::latency::{LatencyModel, Way};
use crate::sim::{Exchange, InFlight, Venue};
use crate::types::{Command, ExecKind, Input, TimestampNs};

/// The seed of what is random about the latencies: the comparison is the same each time.
const SEED: u64 = 1;

/// Commands that change something, by the time of their decision.
pub struct Script<'a> {
    commands: Vec<&'a (TimestampNs, Command)>,
}

impl<'a> Script<'a> {
    /// Those of a session; questions change nothing and are left out.
    pub fn of(commands: &'a [(TimestampNs, Command)]) -> Script<'a> {
        let asks = |command: &Command| matches!(command, Command::Query { .. } | Command::Fills { .. });
        Script { commands: commands.iter().filter(|(_, command)| !asks(command)).collect() }
    }
}

/// Plays the tape and the script to their ends; answers the fills.
///
/// # Errors
/// What the tape fails with.
pub fn play(script: &Script<'_>, venue: Venue, events: TapeEvents, latencies: &LatencyModel) -> Result<Fills, Failure> {
    let mut exchange = Exchange::new(venue, ACCOUNT);
    let mut travel = latencies.travel(SEED);
    let (mut events, mut commands) = (events.peekable(), script.commands.iter().peekable());
    let mut requests: InFlight<&Command> = InFlight::default();
    let (mut fills, mut now) = (Fills::new(), TimestampNs::ZERO);
    loop {
        let event_at = match events.peek() {
            Some(Ok(event)) => Some(event.recv_ts()),
            Some(Err(_)) => Some(now),
            None => None,
        };
        let command_at = commands.peek().map(|(at, _)| *at);
        let Some(next) = [event_at, requests.next_at(), command_at].into_iter().flatten().min() else { break };
        now = now.max(next);
        exchange.venue_mut().advance(now);
        // The market first, then what arrives, then what is decided: a decision knows the market of its own time.
        if event_at.is_some_and(|at| at <= now) {
            if let Some(event) = events.next().transpose()? {
                exchange.feed(now, &event.as_event());
            }
        } else if let Some((at, command)) = requests.arrived(now) {
            // A refusal is an outcome: the order has no fills.
            let _ = exchange.carry_out(at, command);
        } else if let Some((_, command)) = commands.next() {
            let way = if matches!(command, Command::Cancel { .. }) { Way::Cancel } else { Way::Order };
            requests.send(travel.arrival(way, now), command);
        }
        // Nobody reads what the venue publishes.
        exchange.venue_mut().market_events().for_each(drop);
        exchange.take_told(
            || travel.arrival(Way::Fill, now),
            |at, input| {
                if let Input::Exec(report) = input
                    && let ExecKind::Fill(fill) = report.kind
                {
                    fills.push((at, report.instrument, report.client_id, fill));
                }
            },
        );
    }
    Ok(fills)
}
