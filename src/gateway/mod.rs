//! Floor 3: requests to the venue, over blocking HTTP or the WebSocket API.
//!
//! Owns HTTP clients, the roads of orders, the request limits and the venue's clock offset. Called by gateway tiles, one request at a time.
//! It never repeats a request on its own: an order whose answer is lost is in doubt, and only a query may settle it.

mod account;
mod addresses;
mod ahead;
mod clock;
mod entry;
mod http;
mod limiter;
mod rehearsal;
mod transport;
mod worker;

pub use account::{AccountClient, AccountError, missed_reports, plain_get};
pub use clock::{VenueClock, wall_now};
pub use entry::{ApiEntry, ApiParts, OrderEntry, RestEntry};
pub use http::{Http, HttpError};
pub use limiter::{Limiter, Refusal};
pub use worker::{Gateway, GatewayConfig, Served};
