//! The one file of the journal with `unsafe`: segments as mapped memory.
//!
//! Who writes where: a [`SegmentMap`] is shared by one writer, which alone touches the bytes from its cursor on and the
//! opening part of the header, and the keeper, which touches the header's other parts, and those only before the writer
//! has the segment or after it has given it back.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use memmap2::{Advice, Mmap, MmapOptions, MmapRaw};

use super::error::JournalError;
use super::format::record_crc;
use crate::wire::record::RawHeader;
use crate::wire::{UNIT_BYTES, Unit};

/// A preallocated segment, mapped for writing.
#[derive(Debug)]
pub(super) struct SegmentMap {
    map: MmapRaw,
    file: File,
    path: PathBuf,
}

impl SegmentMap {
    /// Makes a file of real blocks and maps it. On any failure the file is removed again: a failed `fallocate` keeps
    /// what it got, which would leave the disk full.
    pub(super) fn create(path: &Path, bytes: u64) -> Result<SegmentMap, JournalError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(JournalError::io("create the segment", path))?;
        let made = allocate(&file, bytes)
            .and_then(|()| MmapOptions::new().len(bytes as usize).map_raw(&file))
            .map_err(|error| no_space_or(error, path, bytes));
        match made {
            Ok(map) => Ok(SegmentMap { map, file, path: path.to_owned() }),
            Err(error) => {
                // The first error is the one to tell; truncating frees the blocks even where removal is refused.
                let _ = file.set_len(0);
                let _ = std::fs::remove_file(path);
                Err(error)
            }
        }
    }

    /// The file's path now.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its final name.
    pub(super) fn rename(&mut self, to: &Path) -> Result<(), JournalError> {
        std::fs::rename(&self.path, to).map_err(JournalError::io("rename the segment", &self.path))?;
        self.path = to.to_owned();
        Ok(())
    }

    /// Bytes mapped.
    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    /// Makes the pages of a range present and writable, so that the writer does not fault on them.
    pub(super) fn populate(&self, from: usize, to: usize) -> Result<(), JournalError> {
        let to = to.min(self.map.len());
        if from >= to {
            return Ok(());
        }
        match self.map.advise_range(Advice::PopulateWrite, from, to - from) {
            // Kernels before 5.14 do not know the advice; the writer then pays for its faults itself.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
            other => other.map_err(JournalError::io("touch the pages of the segment", &self.path)),
        }
    }

    /// Starts the write-out of a range without waiting for it.
    pub(super) fn start_write_out(&self, from: usize, to: usize) {
        if from < to {
            // SAFETY: `sync_file_range` reads no memory of ours; the descriptor is open as long as `self.file` lives.
            // Its result is only a hint refused: durability comes from `sync`.
            let _ = unsafe {
                libc::sync_file_range(
                    self.file.as_raw_fd(),
                    from as libc::off64_t,
                    (to - from) as libc::off64_t,
                    libc::SYNC_FILE_RANGE_WRITE,
                )
            };
        }
    }

    /// Waits until everything written so far is on the disk. After an error nothing may be assumed about it.
    pub(super) fn sync(&self) -> Result<(), JournalError> {
        self.file.sync_data().map_err(JournalError::io("sync the segment", &self.path))
    }

    /// Cuts the file to its used length. The mapping stays, and nothing may touch it beyond that length.
    pub(super) fn truncate(&self, bytes: u64) -> Result<(), JournalError> {
        self.file.set_len(bytes).map_err(JournalError::io("cut the segment", &self.path))
    }

    /// Writes a part of the header page.
    ///
    /// # Panics
    /// When the part does not lie in the header page.
    pub(super) fn write_header_part(&self, at: usize, part: &[u8]) {
        assert!(at + part.len() <= super::format::HEADER_BYTES && self.map.len() >= super::format::HEADER_BYTES);
        // SAFETY: the range lies in the mapping (asserted); only one thread at a time writes a given part, as the
        // module says, and no reference to mapped bytes is ever made.
        unsafe { std::ptr::copy_nonoverlapping(part.as_ptr(), self.map.as_mut_ptr().add(at), part.len()) };
    }

    /// Copies a record to `offset`, its checksum with it, and commits it: the commit word goes last, with Release, so
    /// that whoever sees it sees the record.
    ///
    /// # Panics
    /// When the record does not lie in the mapping.
    #[inline]
    pub(super) fn write_record(&self, offset: usize, units: &[Unit], crc_seed: u32) {
        let bytes = units.len() * UNIT_BYTES;
        assert!(offset.is_multiple_of(UNIT_BYTES) && !units.is_empty() && offset + bytes <= self.map.len());
        let crc = record_crc(crc_seed, offset, units);
        // SAFETY: the range lies in the mapping and starts on a unit (asserted; mappings start on pages), so the first
        // two words are aligned for u32. The writer is the only one that touches bytes at or after its cursor, and no
        // reference to mapped bytes is ever made, so writing through the pointer aliases nothing. The commit word is
        // only accessed atomically.
        unsafe {
            let target = self.map.as_mut_ptr().add(offset);
            std::ptr::copy_nonoverlapping(units.as_ptr().cast::<u8>().add(8), target.add(8), bytes - 8);
            target.add(4).cast::<u32>().write(crc);
            AtomicU32::from_ptr(target.cast::<u32>())
                .store(RawHeader::COMMITTED | units.len() as u32, Ordering::Release);
        }
    }
}

/// The bytes of a segment to read: mapped when sealed, because nobody changes a sealed file any more; copied otherwise,
/// because its writer may be alive.
#[derive(Debug)]
pub(super) enum SegmentBytes {
    Mapped(Mmap),
    Copied(Vec<Unit>, usize),
}

impl SegmentBytes {
    /// Maps a sealed file.
    pub(super) fn map(path: &Path) -> Result<SegmentBytes, JournalError> {
        let file = File::open(path).map_err(JournalError::io("open the segment", path))?;
        // SAFETY: the segment is sealed: no writer of ours has it, and the format forbids changing it. Somebody who
        // truncates the file while it is read breaks the program, which is the known price of mapped files.
        let map = unsafe { Mmap::map(&file) }.map_err(JournalError::io("map the segment", path))?;
        let _ = map.advise(Advice::Sequential);
        Ok(SegmentBytes::Mapped(map))
    }

    /// Reads a file into memory.
    pub(super) fn copy(path: &Path) -> Result<SegmentBytes, JournalError> {
        use std::io::Read;
        let mut file = File::open(path).map_err(JournalError::io("open the segment", path))?;
        let len = file.metadata().map_err(JournalError::io("size the segment", path))?.len() as usize;
        let mut units = vec![Unit::default(); len.div_ceil(UNIT_BYTES)];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut units);
        let mut filled = 0;
        while filled < len {
            match file.read(&mut bytes[filled..len]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(JournalError::io("read the segment", path)(error)),
            }
        }
        Ok(SegmentBytes::Copied(units, filled))
    }

    /// Whole bytes of the file.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            SegmentBytes::Mapped(map) => map,
            SegmentBytes::Copied(units, len) => &bytemuck::cast_slice(units)[..*len],
        }
    }

    /// Whole units of the file; a part of a unit at its end is not among them.
    pub(super) fn units(&self) -> &[Unit] {
        let bytes = self.bytes();
        // Mappings start on pages and copies are made of units, so the cast finds the alignment that it needs.
        bytemuck::cast_slice(&bytes[..bytes.len() / UNIT_BYTES * UNIT_BYTES])
    }
}

/// Gives the file real blocks; writes zeros where the file system has no `fallocate`.
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    loop {
        // SAFETY: `fallocate` touches no memory of ours; the descriptor is open for the length of the call.
        if unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, bytes as libc::off64_t) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EOPNOTSUPP) => break,
            _ => return Err(error),
        }
    }
    let zeros = vec![0_u8; 1 << 16];
    let mut file = file;
    let mut left = bytes;
    while left > 0 {
        let part = left.min(zeros.len() as u64) as usize;
        file.write_all(&zeros[..part])?;
        left -= part as u64;
    }
    Ok(())
}

fn no_space_or(error: io::Error, path: &Path, bytes: u64) -> JournalError {
    match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => {
            JournalError::NoSpace { path: path.to_owned(), wanted_bytes: bytes }
        }
        _ => JournalError::io("allocate the segment", path)(error),
    }
}
