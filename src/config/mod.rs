//! Floor 5: configuration.
//!
//! Owns the order in which settings are laid over each other (embedded default, file, environment, `--set`), the
//! check that every key is known, and the credentials. Called by the verbs of `run` at their start, on the main
//! thread. Answers with a [`Failure`](crate::run::Failure) that names the key and where it came from. It never reads
//! a secret from a config file and never changes the environment.

mod keys;
mod layers;
mod origin;
mod sections;

pub use keys::ApiKeys;
pub use layers::{ConfigArgs, DEFAULT_YAML};
pub use origin::Origin;
pub use sections::{
    Config, Endpoints, ExchangeConfig, Idle, JournalConfig, LiveConfig, LockMemory, LogConfig, MetricsConfig, PlanKind,
    Profile, RedisConfig, RedisRole, SecretUrl, StreamForm, TopologyConfig, Transport, VenueConfig,
};
