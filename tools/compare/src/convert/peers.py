"""One peer, one measurement: python peers.py TOOL FOLDER_OF_ROWS OUT. Prints one JSON object."""

import json
import os
import pathlib
import resource
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

tool, source, out = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
GROUP = 131072
LOTS = {"BTCUSDT": 1_000, "ETHUSDT": 10_000, "SOLUSDT": 100_000}
TICK = 1_000_000
ROW = np.dtype(
    [("ts", "<i8"), ("event_ts", "<i8"), ("last_id", "<u8"), ("price", "<i8"), ("qty", "<i8"),
     ("seq", "<u4"), ("span", "<u2"), ("is_ask", "u1"), ("pad", "u1")]
)
assert ROW.itemsize == 48
pa.set_cpu_count(1)
pa.set_io_thread_count(1)
TIME = pa.timestamp("ns", tz="UTC")
DECIMAL = pa.decimal64(18, 8)
SESSION = "tl7"


def constant(word, rows):
    return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array([word]))


def decimal(values):
    return pa.Array.from_buffers(DECIMAL, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def table(symbol, rows):
    """The columns of `orderbook` from plain rows; numpy does the work, Arrow takes its buffers."""
    count = len(rows)
    price, qty = np.ascontiguousarray(rows["price"]), np.ascontiguousarray(rows["qty"])
    no = pa.array(np.zeros(count, bool))
    side = pa.DictionaryArray.from_arrays(rows["is_ask"].astype(np.int32), pa.array(["bid", "ask"]))
    columns = {
        "ts": pa.array(np.ascontiguousarray(rows["ts"])).view(TIME),
        "event_ts": pa.array(np.ascontiguousarray(rows["event_ts"])).view(TIME),
        "seq": pa.array(rows["seq"].astype(np.uint64)),
        "first_update_id": pa.array(rows["last_id"] - rows["span"]),
        "last_update_id": pa.array(np.ascontiguousarray(rows["last_id"])),
        "prev_update_id": pa.nulls(count, pa.uint64()),
        "is_snapshot": no,
        "is_dropped": no,
        "notice": pa.nulls(count, pa.dictionary(pa.int32(), pa.string())),
        "side": side,
        "price_ticks": pa.array(price),
        "qty_lots": pa.array(qty),
        "price": decimal(price * TICK),
        "qty": decimal(qty * LOTS[symbol]),
        "symbol": constant(symbol, count),
        "session": constant(SESSION, count),
    }
    return pa.table(columns)


WORDS = ["notice", "side", "symbol", "session"]
# As ours: decimals of prices are a dictionary, of their few different values.
DICTIONARY = [*WORDS, "price"]
DELTA = ["ts", "event_ts", "seq", "first_update_id", "last_update_id", "prev_update_id"]
PLANES = ["price_ticks", "qty_lots", "qty"]
ENCODINGS = {**{name: "DELTA_BINARY_PACKED" for name in DELTA}, **{name: "BYTE_STREAM_SPLIT" for name in PLANES}}


def write_arrow(data, path):
    pq.write_table(
        data, path, row_group_size=GROUP, compression="zstd", compression_level=1, use_dictionary=DICTIONARY,
        column_encoding=ENCODINGS, store_decimal_as_integer=True, store_schema=False,
        # Readers need as much of it as ours writes: least and greatest of a chunk, no index.
        write_page_index=False, data_page_size=1 << 20,
    )


def plain(path):
    return np.memmap(path, dtype=ROW, mode="r")


files = sorted(source.glob("*.bin"))
for file in files:
    file.read_bytes()  # warm
out.mkdir(parents=True, exist_ok=True)
rows = sum(file.stat().st_size // ROW.itemsize for file in files)
if tool == "pyarrow_memmap":
    start = time.process_time()
    for file in files:
        write_arrow(table(file.stem, plain(file)), out / f"{file.stem}.parquet")
    seconds = time.process_time() - start
else:
    tables = {file.stem: table(file.stem, plain(file)) for file in files}
    if tool == "pyarrow_memory":
        start = time.process_time()
        for symbol, data in tables.items():
            write_arrow(data, out / f"{symbol}.parquet")
        seconds = time.process_time() - start
    elif tool == "polars":
        import polars as pl

        def frame(data):
            # Decimals by their digits: polars makes 128-bit ones of them.
            wide = data.set_column(12, "price", data["price"].cast(pa.decimal128(18, 8)))
            wide = wide.set_column(13, "qty", data["qty"].cast(pa.decimal128(18, 8)))
            words = pl.from_arrow(wide)
            return words.with_columns(pl.col(WORDS).cast(pl.Categorical)).rechunk()

        frames = {symbol: frame(data) for symbol, data in tables.items()}
        del tables
        start = time.process_time()
        for symbol, data in frames.items():
            data.write_parquet(
                out / f"{symbol}.parquet", compression="zstd", compression_level=1, row_group_size=GROUP
            )
        seconds = time.process_time() - start
    elif tool == "duckdb":
        import duckdb

        base = duckdb.connect()
        base.execute("SET threads = 1")
        base.execute("SET preserve_insertion_order = true")
        names = {}
        for symbol, data in tables.items():
            wide = data.set_column(12, "price", data["price"].cast(pa.decimal128(18, 8)))
            wide = wide.set_column(13, "qty", data["qty"].cast(pa.decimal128(18, 8)))
            base.register("source", wide)
            base.execute(f"CREATE TABLE {symbol} AS SELECT * FROM source")
            base.unregister("source")
        del tables
        start = time.process_time()
        for file in files:
            base.execute(
                f"COPY {file.stem} TO '{out / (file.stem + '.parquet')}' "
                f"(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE {GROUP})"
            )
        seconds = time.process_time() - start
    else:
        sys.exit(f"no such tool: {tool}")
print(json.dumps({
    "rows": rows,
    "seconds": seconds,
    "bytes": sum(file.stat().st_size for file in out.glob("*.parquet")),
    "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
