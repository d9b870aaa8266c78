//! Floor 2: the simulated exchange: one matching core, accounts, order flow. Pure: the clock is handed in.
