//! Floor 3: orders over REST.
