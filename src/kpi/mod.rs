//! Floor 2: what a session earned and why.

pub mod markout;
