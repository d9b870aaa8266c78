//! A command as the faults of the simulated venue see it.

use super::Command;
use crate::sim::faults::Request;

/// What a command is for the venue's faults.
pub fn request_of(command: &Command) -> Request {
    match command {
        Command::Place(_) => Request::Place,
        Command::Cancel { .. } => Request::Cancel,
        Command::Amend { .. } => Request::Amend,
        Command::Query { .. } | Command::Fills { .. } => Request::Query,
    }
}
