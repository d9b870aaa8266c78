//! The session file: everything that a replay needs besides the streams, as JSON that people can read.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::JournalError;
use super::format::FORMAT_VERSION;
use super::keeper::sync_folder;
use crate::types::{
    Filters, Instrument, InstrumentId, InstrumentSpec, Money, Price, Qty, SessionId, Symbol, TimestampNs, format_e8,
    parse_e8,
};

/// Name of the session file in the session's folder.
pub const SESSION_FILE: &str = "session.json";
/// Name of the file that a session leaves when it ends on purpose.
pub(super) const END_FILE: &str = "end.json";

/// An instrument as the session file holds it: steps as decimal text, filters in whole steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstrumentEntry {
    /// Name on the venue.
    pub symbol: String,
    /// What is traded.
    pub base: String,
    /// What it is priced in.
    pub quote: String,
    /// Least price step, decimal text.
    pub tick: String,
    /// Least quantity step, decimal text.
    pub lot: String,
    /// Lowest price, ticks.
    pub price_min_ticks: Option<i64>,
    /// Highest price, ticks.
    pub price_max_ticks: Option<i64>,
    /// Least quantity, lots.
    pub qty_min_lots: i64,
    /// Greatest quantity, lots; 0 for none.
    pub qty_max_lots: i64,
    /// Least notional, decimal text in 1e-18 of quote currency.
    pub notional_min_attos: String,
}

impl InstrumentEntry {
    /// The entry of an instrument.
    pub fn new(instrument: &Instrument) -> InstrumentEntry {
        let spec = &instrument.spec;
        let text = |e8| {
            let mut out = String::new();
            format_e8(e8, &mut out);
            out
        };
        InstrumentEntry {
            symbol: spec.symbol.as_str().to_owned(),
            base: spec.base.as_str().to_owned(),
            quote: spec.quote.as_str().to_owned(),
            tick: text(spec.tick_e8),
            lot: text(spec.lot_e8),
            price_min_ticks: spec.filters.price_min.map(Price::ticks),
            price_max_ticks: spec.filters.price_max.map(Price::ticks),
            qty_min_lots: spec.filters.qty_min.lots(),
            qty_max_lots: spec.filters.qty_max.lots(),
            notional_min_attos: spec.filters.notional_min.attos().to_string(),
        }
    }

    /// The instrument at that place of the list.
    ///
    /// # Errors
    /// When a field is not what it must be; the text names it.
    pub fn instrument(&self, id: InstrumentId) -> Result<Instrument, String> {
        let symbol = |field, text: &str| Symbol::new(text).map_err(|error| format!("{field} \"{text}\": {error}"));
        let step = |field, text: &str| match parse_e8(text.as_bytes()) {
            Ok(step) if step > 0 => Ok(step),
            Ok(_) => Err(format!("{field} \"{text}\": must be above zero")),
            Err(error) => Err(format!("{field} \"{text}\": {error}")),
        };
        let notional = self
            .notional_min_attos
            .parse()
            .map_err(|error| format!("notional_min_attos \"{}\": {error}", self.notional_min_attos))?;
        let spec = InstrumentSpec {
            symbol: symbol("symbol", &self.symbol)?,
            base: symbol("base", &self.base)?,
            quote: symbol("quote", &self.quote)?,
            tick_e8: step("tick", &self.tick)?,
            lot_e8: step("lot", &self.lot)?,
            filters: Filters {
                price_min: self.price_min_ticks.map(Price::from_ticks),
                price_max: self.price_max_ticks.map(Price::from_ticks),
                qty_min: Qty::from_lots(self.qty_min_lots),
                qty_max: Qty::from_lots(self.qty_max_lots),
                notional_min: Money::from_attos(notional),
            },
        };
        Ok(Instrument::new(id, spec))
    }
}

/// What the session file holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionInfo {
    /// Version of the layout of this file and of the segments.
    pub format: u32,
    /// The session's number; its text names the folder.
    pub session: u64,
    /// Version of the program that wrote it.
    pub build: String,
    /// Processor and system that it ran on: decisions replay byte for byte on the same only.
    pub target: String,
    /// Which verb wrote it: `demo`, `run`, `record`, …
    pub mode: String,
    /// Rules of the venue: `binance` or `binance-usdm`; decides how books join their snapshots.
    pub venue_profile: String,
    /// When it started, nanoseconds since the epoch.
    pub started_ns: u64,
    /// The instruments, in the order of their numbers.
    pub instruments: Vec<InstrumentEntry>,
    /// The configuration of the decisions; absent when the session only recorded.
    pub pipeline: Option<serde_json::Value>,
    /// What the decisions began with: state of an earlier session or a back-fill; absent for a cold start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm: Option<serde_json::Value>,
    /// Digest of instruments, profile and configuration; every segment's header repeats it.
    pub config_digest: String,
}

impl SessionInfo {
    /// Describes a session of this build.
    pub fn new(
        session: SessionId,
        mode: &str,
        venue_profile: &str,
        started: TimestampNs,
        instruments: &[Instrument],
        pipeline: Option<serde_json::Value>,
    ) -> SessionInfo {
        let mut info = SessionInfo {
            format: FORMAT_VERSION,
            session: session.0,
            build: env!("CARGO_PKG_VERSION").to_owned(),
            target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            mode: mode.to_owned(),
            venue_profile: venue_profile.to_owned(),
            started_ns: started.nanos(),
            instruments: instruments.iter().map(InstrumentEntry::new).collect(),
            pipeline,
            warm: None,
            config_digest: String::new(),
        };
        info.config_digest = format!("{:016x}", info.digest());
        info
    }

    /// The same with what the decisions begin with.
    pub fn with_warm(mut self, warm: Option<serde_json::Value>) -> SessionInfo {
        self.warm = warm;
        self.config_digest = format!("{:016x}", self.digest());
        self
    }

    /// The session's name.
    pub fn session_id(&self) -> SessionId {
        SessionId(self.session)
    }

    /// Digest of what decisions depend on, as the file's content gives it now.
    pub fn digest(&self) -> u64 {
        // A JSON value of these types always has a text.
        let constants = (&self.venue_profile, &self.instruments, &self.pipeline);
        let text = match &self.warm {
            Some(warm) => serde_json::to_string(&(constants, warm)),
            None => serde_json::to_string(&constants),
        };
        let text = text.unwrap_or_default();
        xxhash_rust::xxh3::xxh3_64(text.as_bytes())
    }

    /// Whether the file says the same as when the session started. An edited file may still be replayed: its decisions
    /// then differ, and the replay says where.
    pub fn is_unedited(&self) -> bool {
        self.config_digest == format!("{:016x}", self.digest())
    }

    /// The instruments.
    ///
    /// # Errors
    /// When an entry is no instrument; the text names it.
    pub fn instruments(&self) -> Result<Vec<Instrument>, String> {
        self.instruments
            .iter()
            .enumerate()
            .map(|(at, entry)| {
                entry.instrument(InstrumentId(at as u16)).map_err(|why| format!("instruments[{at}]: {why}"))
            })
            .collect()
    }

    /// Writes the file, durably.
    pub(super) fn write(&self, session_dir: &Path) -> Result<(), JournalError> {
        // A constant that its text does not give back would make a replay decide otherwise: say so before it matters.
        let path = session_dir.join(SESSION_FILE);
        let read_back = serde_json::to_string(self).and_then(|text| serde_json::from_str::<SessionInfo>(&text));
        match read_back {
            Ok(info) if info == *self => write_json(session_dir, SESSION_FILE, self),
            Ok(_) => Err(JournalError::SessionFile {
                path,
                why: "a constant of the configuration has more digits than its text gives back exactly".to_owned(),
            }),
            Err(error) => Err(JournalError::SessionFile { path, why: error.to_string() }),
        }
    }

    /// Reads the file of a session's folder.
    ///
    /// # Errors
    /// When the folder has none, or it cannot be understood.
    pub fn read(session_dir: &Path) -> Result<SessionInfo, JournalError> {
        let path = session_dir.join(SESSION_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound || session_dir.is_file() => {
                return Err(JournalError::NotASession {
                    path: session_dir.to_owned(),
                    why: format!("it has no {SESSION_FILE}"),
                });
            }
            Err(error) => return Err(JournalError::io("read", &path)(error)),
        };
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let bad = |error: serde_json::Error| JournalError::SessionFile { path: path.clone(), why: error.to_string() };
        // The version first: a later version's unknown fields must not be what is complained about.
        let version: Version = serde_json::from_str(&text).map_err(bad)?;
        if version.format != FORMAT_VERSION {
            return Err(JournalError::Version { path, found: version.format, known: FORMAT_VERSION });
        }
        let info: SessionInfo = serde_json::from_str(&text).map_err(bad)?;
        info.instruments().map_err(|why| JournalError::SessionFile { path, why })?;
        Ok(info)
    }
}

/// What a session that ends on purpose leaves beside its streams: a replay compares its own figures with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnd {
    /// Digest of all books after the last feed record, 32 hexadecimal digits.
    pub books_digest: Option<String>,
    /// Digest of the decisions' state after the last input, 32 hexadecimal digits.
    pub pipeline_digest: Option<String>,
}

impl SessionEnd {
    /// The two digests as text.
    pub fn new(books_digest: Option<u128>, pipeline_digest: Option<u128>) -> SessionEnd {
        let text = |digest: u128| format!("{digest:032x}");
        SessionEnd { books_digest: books_digest.map(text), pipeline_digest: pipeline_digest.map(text) }
    }

    /// Writes the file, durably and whole or not at all.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write(&self, session_dir: &Path) -> Result<(), JournalError> {
        write_json(session_dir, END_FILE, self)
    }

    /// Reads the file; `None` when the session did not end on purpose, or did not say more.
    ///
    /// # Errors
    /// When the file is there but cannot be understood.
    pub fn read(session_dir: &Path) -> Result<Option<SessionEnd>, JournalError> {
        let path = session_dir.join(END_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(JournalError::io("read", &path)(error)),
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| JournalError::SessionFile { path, why: error.to_string() })
    }
}

pub(super) fn write_json(folder: &Path, name: &str, value: &impl Serialize) -> Result<(), JournalError> {
    use std::io::Write;
    let path: PathBuf = folder.join(name);
    let temporary = folder.join(format!("{name}.new"));
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| JournalError::SessionFile { path: path.clone(), why: error.to_string() })?;
    text.push('\n');
    let written = std::fs::File::create(&temporary)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&temporary, &path));
    if let Err(error) = written {
        let _ = std::fs::remove_file(&temporary);
        return Err(match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT) => JournalError::NoSpace { path, wanted_bytes: text.len() as u64 },
            _ => JournalError::io("write", &path)(error),
        });
    }
    sync_folder(folder)
}
