//! Small markets whose answers are known: the models' published tables and closed forms, as library code.
//!
//! Owns simulations and exact solutions that the specification's numbers are checked against. Called by
//! `touchline model check` and by tests, never by a session. Pure: a result is a function of the parameters and a seed.
//!
//! Random numbers: one ChaCha8 generator a purpose, see [`random`].

pub mod as2008;
pub mod control;
pub mod cst;
pub mod ekop;
pub mod glft2012;
pub mod glosten_milgrom;
pub mod hawkes;
pub mod races;
pub mod random;
pub mod sm1;
