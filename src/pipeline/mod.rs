//! Floor 2: decisions. Events in, actions out, clock injected; no socket, file, thread or clock.
