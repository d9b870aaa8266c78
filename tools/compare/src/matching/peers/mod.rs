//! Open peers from crates.io, as published, each behind the smallest adapter that lets it take the messages.

use super::engine::Engine;

/// All of them, best known first.
pub fn all() -> Vec<Engine> {
    Vec::new()
}
