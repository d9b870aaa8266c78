//! Floor 4: the wiring table: which tiles run on which cores, and which links join them.
