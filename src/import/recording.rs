//! A recording as one stream of feed events.

use std::fmt;
use std::path::{Path, PathBuf};

use super::dialect::{Event, NOBODY, Said};
use super::error::ImportError;
use super::format::{Hints, Part, parts};
use super::infer::Seen;
use super::pass::Pass;
use crate::pipeline::sync::SyncRule;
use crate::types::{Instrument, InstrumentId, Level, Price, Qty, Symbol, TimestampNs, Trade};
use crate::wire::{DepthKind, FeedEvent};

/// Files opened and understood: those of one content continue each other, others are read side by side.
#[derive(Clone, Debug)]
pub struct Recording {
    parts: Vec<Part>,
    instruments: Vec<Instrument>,
    /// For each part and file of it, whose a snapshot without a symbol is: that of the file's only symbol.
    snapshot_owners: Vec<Vec<Option<InstrumentId>>>,
    rule: SyncRule,
    lines: u64,
    first_recv: TimestampNs,
}

/// One event of a recording.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// When the recorder read it, by its own clock.
    pub recv_ts: TimestampNs,
    /// The venue's message as it was recorded; empty where the recording keeps none.
    pub json: &'a [u8],
    /// What it says.
    pub event: FeedEvent<'a>,
}

impl Recording {
    /// Opens files whose formats their first lines tell. A first pass over all of them checks each line and infers the
    /// instruments; reading it again cannot fail unless the files change meanwhile.
    ///
    /// # Errors
    /// [`ImportError`] naming the file and line: a file that cannot be read or is of no known format, a line that is
    /// malformed, a receive time that lies before the file's before it.
    pub fn open(files: &[impl AsRef<Path>]) -> Result<Recording, ImportError> {
        Recording::open_with(files, &Hints::default())
    }

    /// As [`open`](Self::open), told what the files do not say.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(files: &[impl AsRef<Path>], hints: &Hints) -> Result<Recording, ImportError> {
        if files.is_empty() {
            return Err(ImportError::Nothing);
        }
        let files: Vec<PathBuf> = files.iter().map(|file| file.as_ref().to_owned()).collect();
        Survey::new(parts(&files, hints)?).finish()
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

    /// When its first event was received.
    pub fn first_recv(&self) -> TimestampNs {
        self.first_recv
    }

    /// Reads it from the start. A reader is independent of the recording and of other readers.
    pub fn reader(&self) -> RecordingReader {
        RecordingReader {
            pass: Pass::new(&self.parts),
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
        while let Some(recorded) = reader.advance()? {
            visit(recorded.recv_ts, &recorded.event);
        }
        Ok(reader.pass.lines())
    }
}

/// The first pass: which instruments there are, and what their steps must be.
struct Survey {
    pass: Pass,
    parts: Vec<Part>,
    seen: Vec<Seen>,
    /// Whether diffs state the previous update id; `None` before the first diff.
    chained: Option<bool>,
    /// By part and file: its symbols, and what its snapshots hold, whose symbol is known at the end only.
    files: Vec<Vec<(Vec<InstrumentId>, Option<Seen>)>>,
    first_recv: TimestampNs,
}

impl Survey {
    fn new(parts: Vec<Part>) -> Survey {
        Survey {
            pass: Pass::new(&parts),
            seen: Vec::new(),
            chained: None,
            files: parts.iter().map(|part| vec![(Vec::new(), None); part.files.len()]).collect(),
            first_recv: TimestampNs::ZERO,
            parts,
        }
    }

    fn take(&mut self, event: Event) -> Result<(), &'static str> {
        let (part, file) = self.pass.place();
        for instrument in &self.pass.listing().finest()[self.seen.len()..] {
            self.seen.push(Seen::new(instrument.spec.symbol));
        }
        let Survey { pass, seen, chained, files, .. } = self;
        let (symbols, ownerless) = &mut files[part][file];
        let said = pass.said();
        if self.first_recv == TimestampNs::ZERO {
            self.first_recv = said.recv_ts;
        }
        let mut note = |id: InstrumentId, levels: &[Level]| {
            if id == NOBODY {
                let all = ownerless.get_or_insert(Seen::new(Symbol::default()));
                levels.iter().for_each(|&level| all.note(level));
                return;
            }
            if !symbols.contains(&id) {
                symbols.push(id);
            }
            levels.iter().for_each(|&level| seen[id.index()].note(level));
        };
        match event {
            Event::Depth => {
                let head = said.depth.head;
                note(head.instrument, &said.depth.bids);
                note(head.instrument, &said.depth.asks);
                let is_chained = head.prev_id.is_some();
                if head.kind == DepthKind::Diff && *chained.get_or_insert(is_chained) != is_chained {
                    return Err("diffs with and without `pu` are mixed: these are two venues");
                }
            }
            Event::Trade(trade) | Event::AggTrade(trade) => {
                note(trade.instrument, &[Level { price: trade.price, qty: trade.qty }]);
            }
            Event::Touch(touch) => note(touch.instrument, &[touch.bid, touch.ask]),
            Event::Notice(_) => {}
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Recording, ImportError> {
        while let Some(event) = self.pass.advance()? {
            self.take(event).map_err(|why| self.pass.error(why))?;
        }
        let mut snapshot_owners = Vec::with_capacity(self.parts.len());
        for (part, files) in self.parts.iter().zip(&self.files) {
            let mut owners = vec![None; files.len()];
            for ((file, (symbols, snapshot)), owner) in part.files.iter().zip(files).zip(&mut owners) {
                let Some(snapshot) = snapshot else { continue };
                let found = match (&symbols[..], self.seen.len()) {
                    (&[only], _) => only,
                    ([], 1) => InstrumentId(0),
                    (symbols, _) => {
                        let why = format!(
                            "a snapshot without a symbol stands in a file of {} symbols: nothing tells whose it is",
                            symbols.len()
                        );
                        return Err(ImportError::Format { file: file.clone(), why });
                    }
                };
                self.seen[found.index()].merge(snapshot);
                *owner = Some(found);
            }
            snapshot_owners.push(owners);
        }
        if self.seen.is_empty() {
            let file = self.parts.iter().flat_map(|part| part.files.first()).next().cloned().unwrap_or_default();
            return Err(ImportError::Format { file, why: "no message names a symbol".to_owned() });
        }
        let instruments =
            self.seen.iter().enumerate().map(|(at, seen)| seen.instrument(InstrumentId(at as u16))).collect();
        let rule = if self.chained == Some(true) { SyncRule::UsdM } else { SyncRule::Spot };
        let lines = self.pass.lines();
        Ok(Recording { parts: self.parts, instruments, snapshot_owners, rule, lines, first_recv: self.first_recv })
    }
}

/// Reads a recording, event after event. What it hands out is borrowed until the next one.
pub struct RecordingReader {
    pass: Pass,
    instruments: Vec<Instrument>,
    snapshot_owners: Vec<Vec<Option<InstrumentId>>>,
}

impl fmt::Debug for RecordingReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingReader").field("place", &self.pass.place()).finish_non_exhaustive()
    }
}

/// What was inferred in the first pass does not hold in a later one.
const CHANGED: &str = "the file has changed since it was opened";

impl RecordingReader {
    /// The next event; `None` after the last.
    ///
    /// # Errors
    /// [`ImportError`] naming the file and line, if the files have changed since they were opened.
    pub fn advance(&mut self) -> Result<Option<Recorded<'_>>, ImportError> {
        let Some(event) = self.pass.advance()? else { return Ok(None) };
        let (part, file) = self.pass.place();
        let owner = self.snapshot_owners[part][file];
        let Some(event) = in_steps(event, owner, &self.instruments, self.pass.said()) else {
            return Err(self.pass.error(CHANGED));
        };
        let said = self.pass.said();
        let event = match event {
            Event::Depth => FeedEvent::Depth(said.depth.as_ref()),
            Event::Trade(trade) => FeedEvent::Trade(trade),
            Event::AggTrade(trade) => FeedEvent::AggTrade(trade),
            Event::Touch(touch) => FeedEvent::Touch(touch),
            Event::Notice(notice) => FeedEvent::Notice(notice),
        };
        Ok(Some(Recorded { recv_ts: said.recv_ts, json: &said.json, event }))
    }
}

/// An event of the finest units in ticks and lots; `None` when something is no whole number of them.
fn in_steps(event: Event, owner: Option<InstrumentId>, instruments: &[Instrument], said: &mut Said) -> Option<Event> {
    let whole = |value: i64, step: i64| (value % step == 0).then(|| value / step);
    let rescale = |id: InstrumentId, level: &mut Level| {
        let spec = &instruments.get(id.index())?.spec;
        level.price = Price::from_ticks(whole(level.price.ticks(), spec.tick_e8)?);
        level.qty = Qty::from_lots(whole(level.qty.lots(), spec.lot_e8)?);
        Some(())
    };
    let trade = |trade: Trade| {
        let mut print = Level { price: trade.price, qty: trade.qty };
        rescale(trade.instrument, &mut print)?;
        Some(Trade { price: print.price, qty: print.qty, ..trade })
    };
    match event {
        Event::Depth => {
            let head = &mut said.depth.head;
            if head.instrument == NOBODY {
                head.instrument = owner?;
            }
            let id = head.instrument;
            said.depth.bids.iter_mut().chain(&mut said.depth.asks).try_for_each(|level| rescale(id, level))?;
            Some(event)
        }
        Event::Trade(print) => trade(print).map(Event::Trade),
        Event::AggTrade(print) => trade(print).map(Event::AggTrade),
        Event::Touch(mut touch) => {
            rescale(touch.instrument, &mut touch.bid)?;
            rescale(touch.instrument, &mut touch.ask)?;
            Some(Event::Touch(touch))
        }
        Event::Notice(_) => Some(event),
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
