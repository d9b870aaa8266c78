//! The CSV files: one row a fill, one row for each look at the account.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use super::record::{FillRow, SessionRecord};
use super::{ReportError, path_of, write_whole};
use crate::kpi::markout::{HORIZONS, MARKOUT_HORIZONS, horizon_name};
use crate::types::{FeeAsset, HalfTicks, Instrument, Side, TimestampNs, format_e8};

fn e8_text(e8: i64) -> String {
    let mut text = String::new();
    format_e8(e8, &mut text);
    text
}

/// A mid as exact decimal text; half a tick may need a ninth place, which money has.
fn mid_text(instrument: &Instrument, mid: HalfTicks) -> String {
    // One whole base unit at the mid is the mid itself.
    instrument.value(mid, crate::types::BaseAtoms::new(100_000_000)).to_string()
}

/// `2026-11-22T18:25:53.123456789Z`.
fn utc_text(ts: TimestampNs) -> String {
    let (date, rest) = ts.date();
    let seconds = rest / 1_000_000_000;
    format!("{date}T{:02}:{:02}:{:02}.{:09}Z", seconds / 3600, seconds / 60 % 60, seconds % 60, rest % 1_000_000_000)
}

fn fill_cells(instrument: &Instrument, fill: &FillRow) -> Vec<String> {
    let sample = &fill.settled.sample;
    let fee_asset = match fill.fee_asset {
        FeeAsset::None => "",
        FeeAsset::Base => instrument.spec.base.as_str(),
        FeeAsset::Quote => instrument.spec.quote.as_str(),
        FeeAsset::Other => "other",
    };
    let spread = instrument.value(HalfTicks::new(sample.effective()), instrument.atoms(sample.qty));
    let mut cells = vec![
        fill.event_ts.nanos().to_string(),
        utc_text(fill.event_ts),
        instrument.symbol().to_owned(),
        fill.trade_id.0.to_string(),
        fill.client_id.to_string(),
        if sample.side == Side::Bid { "buy" } else { "sell" }.to_owned(),
        instrument.price_text(sample.price),
        instrument.qty_text(sample.qty),
        if fill.is_maker { "maker" } else { "taker" }.to_owned(),
        fill.cause.unwrap_or("").to_owned(),
        e8_text(fill.fee_e8),
        fee_asset.to_owned(),
        fill.fee.to_string(),
        mid_text(instrument, sample.mid),
        sample.touch_ticks.map_or(String::new(), |ticks| ticks.to_string()),
        spread.to_string(),
        e8_text(fill.position.get()),
    ];
    for horizon in 0..HORIZONS {
        // Half ticks are exact in a float; the text is the shortest that reads back the same.
        let spread = fill.settled.spread(horizon);
        cells.push(spread.map_or(String::new(), |spread| (spread.realised as f64 / 2.0).to_string()));
    }
    cells
}

const FILL_COLUMNS: [&str; 17] = [
    "event_ts_ns",
    "time",
    "symbol",
    "trade_id",
    "order",
    "side",
    "price",
    "qty",
    "role",
    "cause",
    "fee",
    "fee_asset",
    "fee_quote",
    "mid",
    "touch_ticks",
    "spread_pnl",
    "position",
];

/// Tables of fills in the making, one an instrument: rows go to disk as they come, and a table has its name once it is
/// whole.
pub struct FillTables {
    tables: Vec<FillTable>,
}

struct FillTable {
    instrument: Instrument,
    path: PathBuf,
    partial: PathBuf,
    /// Gone once the table is finished.
    writer: Option<csv::Writer<BufWriter<File>>>,
}

impl FillTables {
    /// Tables in a folder: the first instrument's is `fills.csv`, the others carry their symbol.
    ///
    /// # Errors
    /// When the folder or the disk refuses.
    pub fn create(out: &Path, instruments: &[Instrument]) -> Result<FillTables, ReportError> {
        let mut tables = Vec::with_capacity(instruments.len());
        for (index, instrument) in instruments.iter().enumerate() {
            let path = path_of(out, "fills", "csv", index, instrument);
            let partial = path.with_extension("partial");
            let failed = |source| ReportError { path: path.clone(), source };
            let file = File::create(&partial).map_err(failed)?;
            let mut writer = csv::Writer::from_writer(BufWriter::new(file));
            let markouts = MARKOUT_HORIZONS.map(|horizon| format!("markout_{}_ticks", horizon_name(horizon)));
            let header = FILL_COLUMNS.iter().copied().chain(markouts.iter().map(String::as_str));
            writer.write_record(header).map_err(|error| failed(error.into()))?;
            tables.push(FillTable { instrument: *instrument, path, partial, writer: Some(writer) });
        }
        Ok(FillTables { tables })
    }

    /// Adds a row to the instrument at that place.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&mut self, index: usize, fill: &FillRow) -> Result<(), ReportError> {
        let table = &mut self.tables[index];
        let Some(writer) = &mut table.writer else { return Ok(()) };
        let cells = fill_cells(&table.instrument, fill);
        writer.write_record(&cells).map_err(|error| ReportError { path: table.path.clone(), source: error.into() })
    }

    /// Makes the tables durable and gives them their names.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(mut self) -> Result<(), ReportError> {
        for table in &mut self.tables {
            let Some(writer) = table.writer.take() else { continue };
            let finish = || {
                let rows = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
                let file = rows.into_inner().map_err(std::io::IntoInnerError::into_error)?;
                file.sync_all()?;
                std::fs::rename(&table.partial, &table.path)
            };
            finish().map_err(|source| ReportError { path: table.path.clone(), source })?;
        }
        Ok(())
    }
}

impl Drop for FillTables {
    fn drop(&mut self) {
        for table in self.tables.iter().filter(|table| table.writer.is_some()) {
            // Unfinished: the error that led here is told by whoever dropped it.
            let _ = std::fs::remove_file(&table.partial);
        }
    }
}

/// Writes one row for each time at which the account was looked at.
///
/// # Errors
/// When the folder or the disk refuses.
pub fn write_pnl(path: &Path, record: &SessionRecord) -> Result<(), ReportError> {
    let header = [
        "ts_ns",
        "time",
        "mid",
        "bid",
        "ask",
        "position",
        "total",
        "gross",
        "spread",
        "inventory",
        "fees",
        "sigma_ticks",
        "tau",
        "tau_raw",
        "tau_signed",
        "k_ticks",
        "gamma",
        "kappa_ticks",
        "half_spread_ticks",
    ]
    .map(str::to_owned);
    let price = |price: Option<_>| price.map_or(String::new(), |price| record.instrument.price_text(price));
    let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    write_table(
        path,
        &header,
        record.pnl.iter().map(|row| {
            let model = &row.model;
            vec![
                row.ts.nanos().to_string(),
                utc_text(row.ts),
                mid_text(&record.instrument, row.mid),
                price(row.quotes[0]),
                price(row.quotes[1]),
                e8_text(row.position.get()),
                row.total.to_string(),
                (row.spread + row.inventory).to_string(),
                row.spread.to_string(),
                row.inventory.to_string(),
                row.fees.to_string(),
                number(model.sigma_ticks),
                number(model.tau),
                number(model.tau_raw),
                number(model.tau_signed),
                number(model.k_ticks),
                number(model.gamma),
                number(model.kappa_ticks),
                number(model.half_spread_ticks),
            ]
        }),
    )
}

fn write_table(path: &Path, header: &[String], rows: impl Iterator<Item = Vec<String>>) -> Result<(), ReportError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let in_memory = |error: csv::Error| ReportError { path: path.to_owned(), source: error.into() };
    writer.write_record(header).map_err(in_memory)?;
    for row in rows {
        writer.write_record(&row).map_err(in_memory)?;
    }
    let bytes =
        writer.into_inner().map_err(|error| ReportError { path: path.to_owned(), source: error.into_error() })?;
    write_whole(path, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_utc() {
        assert_eq!(utc_text(TimestampNs::from_nanos(0)), "1970-01-01T00:00:00.000000000Z");
        // Oracles from `date -u -d @N`.
        assert_eq!(utc_text(TimestampNs::from_nanos(1_709_210_096_000_000_001)), "2024-02-29T12:34:56.000000001Z");
        assert_eq!(utc_text(TimestampNs::from_millis(1_795_371_953_123)), "2026-11-22T18:25:53.123000000Z");
    }
}
