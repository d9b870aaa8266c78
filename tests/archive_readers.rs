//! Everybody's tools open every table in one line, with the right types and units.

mod common;

use std::process::Command;

/// Opens each table with each tool in one line, and compares what they see with each other.
const READERS: &str = r#"
import pathlib, sys, json
from decimal import Decimal
import duckdb, pandas, polars
out, seen = sys.argv[1], {}
for table in sorted(p.name for p in pathlib.Path(out).iterdir() if p.is_dir()):
    one = pandas.read_parquet(f"{out}/{table}")
    two = polars.read_parquet(f"{out}/{table}/**/*.parquet")
    three = duckdb.sql(f"select * from '{out}/{table}/**/*.parquet'")
    kinds = {name: str(kind) for name, kind in zip(three.columns, three.types)}
    assert list(one.columns) == list(two.columns) == list(three.columns), table
    rows = len(one)
    assert rows == two.height == three.count("*").fetchall()[0][0] and rows > 0, table
    assert str(one["ts"].dtype) == "datetime64[ns, UTC]", one["ts"].dtype
    assert two.schema["ts"] == polars.Datetime("ns", "UTC"), two.schema["ts"]
    assert kinds["ts"].startswith("TIMESTAMP"), kinds["ts"]
    # The unit is right: the first row is of this century, and the same moment for all.
    first = min(one["ts"])
    assert 2020 < first.year < 2100
    nanos = int(first.value)
    assert nanos == two["ts"].dt.epoch("ns").min()
    micros = three.aggregate("epoch_us(min(ts)::timestamptz)").fetchall()[0][0]
    assert abs(nanos // 1000 - micros) <= 1, (nanos, micros)
    assert set(one["symbol"]) == set(two["symbol"].to_list()), table
    for name, kind in two.schema.items():
        if isinstance(kind, polars.Decimal):
            assert kinds[name] == f"DECIMAL(18,{kind.scale})", (table, name, kinds[name])
            total = two[name].sum() or Decimal(0)
            told = three.aggregate(f'sum("{name}")').fetchall()[0][0] or Decimal(0)
            mine = sum((value for value in one[name] if value is not None), Decimal(0))
            assert total == told == mine, (table, name, total, told, mine)
        if kind in (polars.Int64, polars.UInt64):
            total = int(two[name].cast(polars.Int128).sum() or 0)
            assert total == int(three.aggregate(f'sum("{name}"::hugeint)').fetchall()[0][0] or 0), (table, name)
    seen[table] = rows
# The account's position, told once a second, is what the fills before that second add up to.
kpi, fills = pandas.read_parquet(f"{out}/kpi"), pandas.read_parquet(f"{out}/fills")
signed = [(ts, qty if side == "bid" else -qty) for ts, side, qty in zip(fills["ts"], fills["side"], fills["qty"])]
for ts, position in zip(kpi["ts"], kpi["position"]):
    assert position == sum((qty for at, qty in signed if at < ts), Decimal(0)), (ts, position)
assert len(set(kpi["position"])) > 1 and kpi["kappa_ticks"].notna().any()
print(json.dumps(seen))
"#;

#[test]
fn pandas_polars_and_duckdb_open_every_table_in_one_line() {
    let Some(python) = common::python_with(&["pyarrow", "pandas", "polars", "duckdb"]) else { return };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("demo");
    let touchline = env!("CARGO_BIN_EXE_touchline");
    let demo = ["demo", "--virtual", "--json", "--seconds", "30", "--seed", "7", "--out"];
    let done = Command::new(touchline).args(demo).arg(&out).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    // `raw` is made on request alone.
    let parquet = out.join("parquet");
    assert!(!parquet.join("raw").exists());
    let journal = out.join("journal");
    let converted = Command::new(touchline)
        .args(["convert", "--tables", "raw", "--json", "--out"])
        .arg(&parquet)
        .arg(&journal)
        .output()
        .unwrap();
    assert!(converted.status.success(), "{}", String::from_utf8_lossy(&converted.stderr));
    let done = Command::new(python).args(["-c", READERS]).arg(&parquet).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let seen: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    for table in ["orderbook", "trades", "orders", "fills", "quotes", "kpi", "raw"] {
        assert!(seen[table].as_u64().unwrap_or(0) > 0, "{table}: {seen}");
    }
    // Once a second: thirty seconds give thirty rows, save the one in which the session begins.
    let rows = seen["kpi"].as_u64().unwrap();
    assert!((28..=31).contains(&rows), "{rows} rows of kpi");
}
