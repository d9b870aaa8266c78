//! Floor 1: counters and histograms that hot threads write and cold threads read.
