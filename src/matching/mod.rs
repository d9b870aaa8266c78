//! Floor 1: the safe face of the C++ matching core.
