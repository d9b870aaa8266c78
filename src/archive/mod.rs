//! Floor 3: journals to Parquet.
