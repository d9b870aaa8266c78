//! Floor 3: the embedded venue's HTTP and WebSocket front, /metrics and the dashboard.

pub mod venue;
