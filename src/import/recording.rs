//! A recording as one stream of feed events.

use std::fmt;
use std::path::{Path, PathBuf};

use super::error::ImportError;
use super::hftbacktest::{self, Body};
use super::infer::Seen;
use super::lines::Lines;
use crate::pipeline::sync::SyncRule;
use crate::types::{Instrument, InstrumentId, Level, Symbol, TimestampNs};
use crate::venue::binance::decode::{DecodeError, Decoded, Decoder, decode_snapshot};
use crate::wire::{DepthBuf, FeedEvent};

/// Files that continue each other, opened and understood.
#[derive(Clone, Debug)]
pub struct Recording {
    files: Vec<PathBuf>,
    instruments: Vec<Instrument>,
    /// For each file, whose a snapshot without a symbol is: that of the file's only symbol.
    snapshot_owners: Vec<Option<InstrumentId>>,
    rule: SyncRule,
    lines: u64,
}

/// One line of a recording.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// When the recorder read it, by its own clock.
    pub recv_ts: TimestampNs,
    /// The JSON as it was recorded.
    pub json: &'a [u8],
    /// What it says; `None` for a message of a kind that is not followed.
    pub event: Option<FeedEvent<'a>>,
}

impl Recording {
    /// Opens files that continue each other in the given order. A first pass over all of them checks each line and
    /// infers the instruments; reading it again cannot fail unless the files change meanwhile.
    ///
    /// # Errors
    /// [`ImportError`] naming the file and line: a file that cannot be read or is of no known format, a line that is
    /// malformed, a receive time that lies before the file's before it.
    pub fn open(files: &[impl AsRef<Path>]) -> Result<Recording, ImportError> {
        if files.is_empty() {
            return Err(ImportError::Nothing);
        }
        let files: Vec<PathBuf> = files.iter().map(|file| file.as_ref().to_owned()).collect();
        let mut survey = Survey::new(files.len());
        let mut lines = Lines::new(&files);
        let mut count = 0;
        let mut latest = TimestampNs::ZERO;
        while lines.advance()? {
            let line = match hftbacktest::split(lines.line()) {
                Ok(line) => line,
                Err(why) if lines.starts_file() => return Err(unknown_format(lines.file(), why)),
                Err(why) => return Err(lines.error(why)),
            };
            if lines.starts_file() && line.recv_ts < latest {
                return Err(
                    lines.error("it was received before the end of the file before: give files in order of time")
                );
            }
            latest = latest.max(line.recv_ts);
            survey.take(lines.file_index(), line.json, line.body).map_err(|why| lines.error(why))?;
            count += 1;
        }
        survey.finish(files, count)
    }

    /// The instruments found, with the tick and lot inferred from their prices and quantities.
    pub fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    /// Which venue's rule joins its diffs.
    pub fn rule(&self) -> SyncRule {
        self.rule
    }

    /// Lines in all files.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Reads it from the start. A reader is independent of the recording and of other readers.
    pub fn reader(&self) -> RecordingReader {
        RecordingReader {
            lines: Lines::new(&self.files),
            decoder: Decoder::new(&self.instruments),
            depth: DepthBuf::with_capacity(1024),
            instruments: self.instruments.clone(),
            snapshot_owners: self.snapshot_owners.clone(),
        }
    }

    /// Hands each event with its receive time to `visit`, in order, and returns how many lines were read.
    ///
    /// # Errors
    /// [`ImportError`] naming the file and line; the events before it have been handed out.
    pub fn for_each(&self, mut visit: impl FnMut(TimestampNs, &FeedEvent<'_>)) -> Result<u64, ImportError> {
        let mut reader = self.reader();
        let mut count = 0;
        while let Some(recorded) = reader.next_line()? {
            count += 1;
            if let Some(event) = &recorded.event {
                visit(recorded.recv_ts, event);
            }
        }
        Ok(count)
    }
}

fn unknown_format(file: &Path, why: &str) -> ImportError {
    ImportError::Format {
        file: file.to_owned(),
        why: format!(
            "not a recording that is known here: as a raw line of hftbacktest, its first line is wrong: {why}"
        ),
    }
}

/// What a failed decode says about a line.
fn sentence(error: DecodeError) -> String {
    format!("the message cannot be decoded: {error}")
}

/// The first pass: which instruments there are, and what their steps must be.
struct Survey {
    seen: Vec<Seen>,
    decoder: Decoder,
    depth: DepthBuf,
    /// Whether diffs state the previous update id; `None` before the first diff.
    chained: Option<bool>,
    /// By file: its symbols, and what its snapshots hold, whose symbol is known at the end only.
    file_symbols: Vec<Vec<InstrumentId>>,
    file_snapshots: Vec<Option<Seen>>,
}

impl Survey {
    fn new(files: usize) -> Survey {
        Survey {
            seen: Vec::new(),
            decoder: Decoder::new(&[]),
            depth: DepthBuf::with_capacity(1024),
            chained: None,
            file_symbols: vec![Vec::new(); files],
            file_snapshots: vec![None; files],
        }
    }

    fn take(&mut self, file: usize, json: &[u8], body: Body) -> Result<(), String> {
        match body {
            Body::Snapshot => {
                let seen = self.file_snapshots[file].get_or_insert(Seen::new(Symbol::default()));
                let finest = seen.finest(InstrumentId(0));
                decode_snapshot(json, &finest, TimestampNs::ZERO, &mut self.depth).map_err(sentence)?;
                self.depth.bids.iter().chain(&self.depth.asks).for_each(|&level| seen.note(level));
                Ok(())
            }
            Body::Frame => self.take_frame(file, json),
        }
    }

    fn take_frame(&mut self, file: usize, json: &[u8]) -> Result<(), String> {
        if let Some(symbol) = hftbacktest::symbol(json) {
            let id = self.find_or_add(&symbol)?;
            if !self.file_symbols[file].contains(&id) {
                self.file_symbols[file].push(id);
            }
        }
        let decoded = self.decoder.decode(json, TimestampNs::ZERO, &mut self.depth).map_err(sentence)?;
        match decoded {
            Decoded::Depth => {
                let chained = self.depth.head.prev_id.is_some();
                if *self.chained.get_or_insert(chained) != chained {
                    return Err("diffs with and without `pu` are mixed: these are two venues".to_owned());
                }
                let seen = &mut self.seen[self.depth.head.instrument.index()];
                self.depth.bids.iter().chain(&self.depth.asks).for_each(|&level| seen.note(level));
            }
            Decoded::Trade(trade) | Decoded::AggTrade(trade) => {
                self.seen[trade.instrument.index()].note(Level { price: trade.price, qty: trade.qty });
            }
            Decoded::Touch(touch) => {
                let seen = &mut self.seen[touch.instrument.index()];
                seen.note(touch.bid);
                seen.note(touch.ask);
            }
            Decoded::Ack { .. } | Decoded::ControlError { .. } | Decoded::ServerShutdown | Decoded::Ignored => {}
        }
        Ok(())
    }

    fn find_or_add(&mut self, name: &str) -> Result<InstrumentId, String> {
        let symbol = Symbol::new(name).map_err(|error| format!("symbol `{name}`: {error}"))?;
        let index = match self.seen.iter().position(|seen| seen.symbol() == symbol) {
            Some(index) => index,
            None => {
                self.seen.push(Seen::new(symbol));
                let finest: Vec<_> =
                    self.seen.iter().enumerate().map(|(at, seen)| seen.finest(InstrumentId(at as u16))).collect();
                self.decoder = Decoder::new(&finest);
                self.seen.len() - 1
            }
        };
        u16::try_from(index).map(InstrumentId).map_err(|_| "more than 65536 symbols".to_owned())
    }

    fn finish(mut self, files: Vec<PathBuf>, lines: u64) -> Result<Recording, ImportError> {
        let mut snapshot_owners = vec![None; files.len()];
        for (at, snapshot) in self.file_snapshots.iter().enumerate() {
            let Some(snapshot) = snapshot else { continue };
            let owner = match (&self.file_symbols[at][..], self.seen.len()) {
                (&[only], _) => only,
                ([], 1) => InstrumentId(0),
                (symbols, _) => {
                    let why = format!(
                        "a snapshot without a symbol stands in a file of {} symbols: nothing tells whose it is",
                        symbols.len()
                    );
                    return Err(ImportError::Format { file: files[at].clone(), why });
                }
            };
            self.seen[owner.index()].merge(snapshot);
            snapshot_owners[at] = Some(owner);
        }
        if self.seen.is_empty() {
            let file = files.into_iter().next().unwrap_or_default();
            return Err(ImportError::Format { file, why: "no message names a symbol".to_owned() });
        }
        let instruments =
            self.seen.iter().enumerate().map(|(at, seen)| seen.instrument(InstrumentId(at as u16))).collect();
        let rule = if self.chained == Some(true) { SyncRule::UsdM } else { SyncRule::Spot };
        Ok(Recording { files, instruments, snapshot_owners, rule, lines })
    }
}

/// Reads a recording, line after line. What it hands out is borrowed until the next line.
pub struct RecordingReader {
    lines: Lines,
    decoder: Decoder,
    depth: DepthBuf,
    instruments: Vec<Instrument>,
    snapshot_owners: Vec<Option<InstrumentId>>,
}

impl fmt::Debug for RecordingReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingReader").field("file", &self.lines.file()).finish_non_exhaustive()
    }
}

impl RecordingReader {
    /// The next line; `None` after the last.
    ///
    /// # Errors
    /// [`ImportError`] naming the file and line, if the files have changed since they were opened.
    pub fn next_line(&mut self) -> Result<Option<Recorded<'_>>, ImportError> {
        if !self.lines.advance()? {
            return Ok(None);
        }
        let line = hftbacktest::split(self.lines.line()).map_err(|why| self.lines.error(why))?;
        let recv_ts = line.recv_ts;
        let decoded = match line.body {
            Body::Frame => self.decoder.decode(line.json, recv_ts, &mut self.depth),
            Body::Snapshot => match self.snapshot_owners[self.lines.file_index()] {
                Some(owner) => {
                    let instrument = &self.instruments[owner.index()];
                    decode_snapshot(line.json, instrument, recv_ts, &mut self.depth).map(|()| Decoded::Depth)
                }
                None => return Err(self.lines.error("a snapshot has come into the file since it was opened")),
            },
        };
        let decoded = decoded.map_err(|error| self.lines.error(sentence(error)))?;
        Ok(Some(Recorded { recv_ts, json: line.json, event: decoded.event(&self.depth) }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::wire::DepthKind;

    const GOLDEN: &str = include_str!("../../tests/data/hftbacktest_spot.txt");

    fn file(dir: &tempfile::TempDir, name: &str, content: &[u8]) -> PathBuf {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(content).unwrap();
        out.finish().unwrap()
    }

    fn events(recording: &Recording) -> Vec<String> {
        let mut all = Vec::new();
        recording.for_each(|recv_ts, event| all.push(format!("{recv_ts:?} {event:?}"))).unwrap();
        all
    }

    #[test]
    fn plain_compressed_and_split_recordings_say_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let plain = Recording::open(&[file(&dir, "a.txt", GOLDEN.as_bytes())]).unwrap();
        let packed = Recording::open(&[file(&dir, "no_extension", &gzip(GOLDEN.as_bytes()))]).unwrap();
        let cut = GOLDEN.match_indices('\n').nth(9).unwrap().0 + 1;
        let parts = [file(&dir, "1", &gzip(&GOLDEN.as_bytes()[..cut])), file(&dir, "2", &GOLDEN.as_bytes()[cut..])];
        let split = Recording::open(&parts).unwrap();
        assert_eq!(events(&plain), events(&packed));
        assert_eq!(events(&plain), events(&split));
        assert_eq!(plain.lines(), GOLDEN.lines().count() as u64);
        assert_eq!(plain.rule(), SyncRule::Spot);
        let spec = plain.instruments()[0].spec;
        assert_eq!((spec.symbol.as_str(), spec.tick_e8, spec.lot_e8), ("ETHUSDT", 1_000_000, 10_000));
        let swapped = [parts[1].clone(), parts[0].clone()];
        let error = Recording::open(&swapped).unwrap_err().to_string();
        assert!(error.contains("1:1: ") && error.contains("in order of time"), "{error}");
    }

    #[test]
    fn bare_snapshots_belong_to_the_only_symbol_of_their_file() {
        let dir = tempfile::tempdir().unwrap();
        let recording = Recording::open(&[file(&dir, "a", GOLDEN.as_bytes())]).unwrap();
        let mut snapshots = 0;
        recording
            .for_each(|_, event| {
                if let FeedEvent::Depth(depth) = event
                    && depth.head.kind == DepthKind::Snapshot
                {
                    assert_eq!(depth.head.instrument, InstrumentId(0));
                    snapshots += 1;
                }
            })
            .unwrap();
        assert_eq!(snapshots, 1);
        let other = r#"1723161254024619567 {"u":1,"s":"BTCUSDT","b":"1.0","B":"1","a":"2","A":"1"}"#;
        let error = Recording::open(&[file(&dir, "b", format!("{other}\n{GOLDEN}").as_bytes())]).unwrap_err();
        assert!(error.to_string().contains("file of 2 symbols"), "{error}");
    }

    #[test]
    fn what_is_wrong_names_its_file_and_line() {
        let dir = tempfile::tempdir().unwrap();
        let fail = |content: &[u8]| Recording::open(&[file(&dir, "x", content)]).unwrap_err().to_string();
        let mut lines: Vec<&str> = GOLDEN.lines().collect();
        let broken = lines[3].replace("depthUpdate\",", "depthUpdate\" ");
        lines[3] = &broken;
        let error = fail(lines.join("\n").as_bytes());
        assert!(error.contains("x:4: ") && error.contains("(3 lines before it were fine)"), "{error}");
        assert!(fail(b"").contains("empty"));
        assert!(fail(b"time,price,qty\n1,2,3\n").contains("not a recording that is known here"));
        let packed = gzip(GOLDEN.as_bytes());
        assert!(fail(&packed[..packed.len() - 20]).contains("cannot be read any further"));
        assert!(Recording::open(&[] as &[PathBuf]).is_err());
        assert!(Recording::open(&[dir.path().join("absent")]).unwrap_err().to_string().contains("absent"));
    }
}
