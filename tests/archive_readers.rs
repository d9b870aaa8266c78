//! Everybody's tools open every table in one line, with the right types and units; the notebook runs on them as it is.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

/// A demo on the virtual clock in a folder of its own.
fn demo(dir: &Path, seconds: u32) -> PathBuf {
    let out = dir.join("demo");
    let demo = ["demo", "--virtual", "--json", "--seed", "7", "--seconds", &seconds.to_string(), "--out"];
    let done = Command::new(env!("CARGO_BIN_EXE_touchline")).args(demo).arg(&out).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    out
}

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
    let out = demo(dir.path(), 30);
    // `raw` is made on request alone.
    let parquet = out.join("parquet");
    assert!(!parquet.join("raw").exists());
    let journal = out.join("journal");
    let converted = Command::new(env!("CARGO_BIN_EXE_touchline"))
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

fn notebook() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/notebook/market_maker.ipynb")
}

/// The cells that draw.
fn chart_cells() -> Vec<String> {
    let text = std::fs::read_to_string(notebook()).unwrap();
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    let cells = read["cells"].as_array().unwrap();
    for cell in cells {
        let is_clean = cell["outputs"].as_array().is_none_or(Vec::is_empty) && cell["execution_count"].is_null();
        assert!(is_clean, "{}: the notebook is kept without its outputs", cell["id"]);
    }
    let draws = |cell: &&serde_json::Value| {
        cell["metadata"]["tags"].as_array().is_some_and(|tags| tags.contains(&"chart".into()))
    };
    cells.iter().filter(draws).map(|cell| cell["id"].as_str().unwrap().to_owned()).collect()
}

/// Executes the notebook on a run, and hands back what it drew and told, or what stopped it.
fn execute(python: &Path, run: &Path) -> Result<serde_json::Value, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/run_notebook.py");
    let mut command = Command::new(python);
    command.arg(script).arg(notebook()).arg(run.join("notebook")).env("TOUCHLINE_RUN", run);
    let done = command.output().unwrap();
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    if done.status.success() { Ok(serde_json::from_slice(&done.stdout).unwrap()) } else { Err(told) }
}

#[test]
fn the_notebook_draws_a_session_and_finds_the_engines_figures_in_its_tables() {
    let wanted = chart_cells();
    for cell in ["depth", "mid", "spread", "skew", "lives", "markouts", "pnl", "inventory", "rolling-sharpe"] {
        assert!(wanted.iter().any(|name| name == cell), "no chart {cell}");
    }
    let Some(python) = common::python_with(&["ipykernel", "matplotlib", "nbclient", "pandas", "pyarrow"]) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    // Long enough for toxicity and volatility to be measured.
    let run = demo(dir.path(), 120);
    let summary: serde_json::Value = serde_json::from_slice(&std::fs::read(run.join("summary.json")).unwrap()).unwrap();

    // A figure that is not the tables' stops it: the check is one.
    let told = std::fs::read_to_string(run.join("summary.json")).unwrap();
    let fills = format!("\"fills\": {},\n    \"pnl\"", summary["fills"]);
    assert!(told.contains(&fills), "{told}");
    let other = dir.path().join("other");
    std::fs::create_dir(&other).unwrap();
    for name in ["parquet", "journal", "fills.csv", "pnl.csv"] {
        std::os::unix::fs::symlink(run.join(name), other.join(name)).unwrap();
    }
    std::fs::write(other.join("summary.json"), told.replace(&fills, "\"fills\": 1,\n    \"pnl\"")).unwrap();
    let (executed, stopped) = std::thread::scope(|scope| {
        let stopped = scope.spawn(|| execute(&python, &other));
        (execute(&python, &run), stopped.join().unwrap())
    });
    let stopped = stopped.unwrap_err();
    assert!(stopped.contains("not the engine's: ['fills']"), "{stopped}");

    let executed = executed.unwrap();
    let charts = executed["charts"].as_array().unwrap();
    assert_eq!(charts.iter().map(|chart| chart["cell"].as_str().unwrap()).collect::<Vec<_>>(), wanted);
    for chart in charts {
        // An empty frame has a title, axes and a few greys.
        assert!(chart["bytes"].as_u64().unwrap() > 8_000 && chart["colours"].as_u64().unwrap() > 60, "{chart}");
    }
    let text = executed["text"].as_str().unwrap();
    for figure in
        ["PnL, net", "Sharpe ratio", "average spread captured", "markout after 5 s", "fill ratio", "inventory CVaR"]
    {
        assert!(text.contains(figure), "{figure} is missing in {text}");
    }
    let net = summary["kpis"]["pnl"]["total"].to_string();
    assert!(text.contains(&net), "{net} is missing in {text}");
}
