//! Which format each file of a recording is in, told by its first line, and which files are read side by side.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::binance_csv;
use super::cryptofeed::Log;
use super::dialect::{Dialect, Listing, Said};
use super::error::ImportError;
use super::hftbacktest::RawLines;
use super::lines::Lines;
use super::lobster;
use super::tardis;
use crate::types::Date;

/// A format of recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// hftbacktest's raw lines: a receive time and the message.
    Hftbacktest,
    /// cryptofeed's logs of Binance, Kraken and OKX, as text or JSON.
    Cryptofeed,
    /// Tardis' CSV: quotes, trades, incremental_book_L2.
    Tardis,
    /// Binance's public CSV of trades and aggregated trades.
    BinanceCsv,
    /// LOBSTER's messages, with or without the order book file.
    Lobster,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 5] =
        [Format::Hftbacktest, Format::Cryptofeed, Format::Tardis, Format::BinanceCsv, Format::Lobster];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Format::Hftbacktest => "hftbacktest",
            Format::Cryptofeed => "cryptofeed",
            Format::Tardis => "tardis",
            Format::BinanceCsv => "binance-csv",
            Format::Lobster => "lobster",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Format, String> {
        Format::ALL.into_iter().find(|one| one.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Format::ALL.iter().map(|one| one.name()).collect();
            format!("give one of {}", names.join(", "))
        })
    }
}

/// What the files themselves may not say.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// The format; without it each file's first line tells.
    pub format: Option<Format>,
    /// The symbol of files that name none; without it the start of the file's name.
    pub symbol: Option<String>,
    /// The day of files that hold times of day; without it the date in the file's name.
    pub date: Option<Date>,
}

/// What a file holds: files of equal content continue each other, others are read side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    RawLines,
    Log,
    Tardis(tardis::Kind),
    BinanceCsv(binance_csv::Kind, String),
    LobsterMessages(String),
    LobsterBook(String),
}

impl Content {
    fn format(&self) -> Format {
        match self {
            Content::RawLines => Format::Hftbacktest,
            Content::Log => Format::Cryptofeed,
            Content::Tardis(_) => Format::Tardis,
            Content::BinanceCsv(..) => Format::BinanceCsv,
            Content::LobsterMessages(_) | Content::LobsterBook(_) => Format::Lobster,
        }
    }
}

/// Files that continue each other, and how they are read.
#[derive(Clone, Debug)]
pub(super) struct Part {
    content: Content,
    /// In the order given.
    pub files: Vec<PathBuf>,
    /// Midnight of the day, for times of day.
    date: Option<Date>,
    /// The order book files beside LOBSTER's messages.
    book: Vec<PathBuf>,
}

impl Part {
    /// A new reader of its lines, from the first one on.
    pub(super) fn dialect(&self) -> Box<dyn Dialect> {
        match &self.content {
            Content::RawLines => Box::new(RawLines::new()),
            Content::Log => Box::new(Log::new()),
            Content::Tardis(kind) => Box::new(tardis::Rows::new(*kind)),
            Content::BinanceCsv(kind, symbol) => Box::new(binance_csv::Rows::new(*kind, symbol.clone())),
            Content::LobsterMessages(symbol) | Content::LobsterBook(symbol) => {
                let midnight = self.date.map(Date::midnight).unwrap_or_default();
                let book = (!self.book.is_empty()).then(|| Lines::new(&self.book));
                Box::new(lobster::Messages::new(symbol.clone(), midnight, book))
            }
        }
    }
}

/// Tells what each file holds and groups the files.
///
/// # Errors
/// [`ImportError`] for a file that cannot be read, is of no known format, or lacks a symbol or a date.
pub(super) fn parts(files: &[PathBuf], hints: &Hints) -> Result<Vec<Part>, ImportError> {
    let mut parts: Vec<Part> = Vec::new();
    for file in files {
        let content = content_of(file, hints)?;
        if let Some(part) = parts.iter_mut().find(|part| part.content == content) {
            part.files.push(file.clone());
            continue;
        }
        let date = match &content {
            Content::LobsterMessages(_) => Some(date_of(file, hints)?),
            _ => None,
        };
        parts.push(Part { content, files: vec![file.clone()], date, book: Vec::new() });
    }
    // An order book file is read beside the messages of its symbol, never by itself.
    for at in (0..parts.len()).rev() {
        let Content::LobsterBook(symbol) = &parts[at].content else { continue };
        let messages = Content::LobsterMessages(symbol.clone());
        let book = parts.remove(at);
        match parts.iter_mut().find(|part| part.content == messages) {
            Some(part) => part.book = book.files,
            None => {
                let file = book.files.into_iter().next().unwrap_or_default();
                return Err(ImportError::Format { file, why: "an order book file without its messages".to_owned() });
            }
        }
    }
    Ok(parts)
}

fn content_of(file: &Path, hints: &Hints) -> Result<Content, ImportError> {
    let mut lines = Lines::new(&[file.to_owned()]);
    let format = |why: String| ImportError::Format { file: file.to_owned(), why };
    if !lines.advance()? {
        return Err(format("the file has no line".to_owned()));
    }
    let first = lines.line();
    let found = if RawLines::new().take(first, true, &mut Listing::default(), &mut Said::new()).is_ok() {
        Content::RawLines
    } else if Log::new().take(first, true, &mut Listing::default(), &mut Said::new()).is_ok() {
        Content::Log
    } else if let Some(kind) = tardis::Kind::of(first) {
        Content::Tardis(kind)
    } else if lobster::is_messages(first) {
        Content::LobsterMessages(symbol_of(file, hints)?)
    } else if lobster::is_book(first) {
        Content::LobsterBook(symbol_of(file, hints)?)
    } else if let Some(kind) = binance_csv::Kind::of(first) {
        Content::BinanceCsv(kind, symbol_of(file, hints)?)
    } else {
        return Err(format(unknown(first)));
    };
    match hints.format {
        Some(asked) if asked != found.format() => Err(format(format!("not {asked}: it reads as {}", found.format()))),
        _ => Ok(found),
    }
}

/// Why a file of no known format is none of those that it resembles.
fn unknown(first: &[u8]) -> String {
    let (mut listing, mut said) = (Listing::default(), Said::new());
    let mut fault = |format: &str, dialect: &mut dyn Dialect| {
        let wrong = dialect.take(first, true, &mut listing, &mut said).err().unwrap_or_default();
        format!(": as {format}, its first line is wrong: {wrong}")
    };
    let resembles = if first.starts_with(b"PK") {
        ": a zip archive; unpack it first".to_owned()
    } else if first.first().is_some_and(u8::is_ascii_digit) && first.contains(&b'{') {
        fault("a raw line of hftbacktest", &mut RawLines::new())
    } else if first.starts_with(b"{\"t\"") || first.starts_with(b"ws") {
        fault("a log of cryptofeed", &mut Log::new())
    } else {
        String::new()
    };
    format!("not a recording that is known here{resembles}")
}

/// The symbol that a file's name begins with.
fn symbol_of(file: &Path, hints: &Hints) -> Result<String, ImportError> {
    if let Some(symbol) = &hints.symbol {
        return Ok(symbol.clone());
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let symbol = name.split(['-', '_', '.']).next().unwrap_or_default();
    if symbol.len() >= 2 && symbol.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()) {
        return Ok(symbol.to_owned());
    }
    let why = "the file names no symbol, and neither does its own name (BTCUSDT-trades-2024-01-01.csv): give one";
    Err(ImportError::Format { file: file.to_owned(), why: why.to_owned() })
}

/// The date in a file's name.
fn date_of(file: &Path, hints: &Hints) -> Result<Date, ImportError> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let in_name = name.split(['_', '.']).find_map(|part| part.parse().ok());
    hints.date.or(in_name).ok_or_else(|| ImportError::Format {
        file: file.to_owned(),
        why: "the file holds times of day, and its name no date (AAPL_2012-06-21_…): give one".to_owned(),
    })
}
