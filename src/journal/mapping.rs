//! Segments as mapped memory.
//!
//! Who writes where: a [`SegmentMap`] is shared by one writer, which alone touches the bytes from its cursor on and the
//! opening part of the header, and the keeper, which touches the header's other parts, and those only before the writer
//! has the segment or after it has given it back. Bytes before the cursor never change; the keeper may read them.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{Advice, Mmap, MmapMut, MmapOptions, MmapRaw};

use super::copy::copy_with_crc;
use super::error::JournalError;
use crate::wire::record::RawHeader;
use crate::wire::{UNIT_BYTES, Unit};

/// Bytes of a page.
pub(super) const PAGE: usize = 4 << 10;
/// Bytes of a large page.
pub(super) const LARGE_PAGE: usize = 2 << 20;

/// What a segment of that size is cleaned by: a large page, or less where it has few of them.
pub(super) fn grain_of(segment_bytes: u64) -> usize {
    let eighth = (segment_bytes / 8).max(PAGE as u64).min(LARGE_PAGE as u64) as usize;
    1 << eighth.ilog2()
}

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
            Ok(map) => {
                // A large page costs a tenth of what its bytes do in small ones, when they are made present and when they
                // go to the disk. It is cleaned as a whole, which is why nothing is ever synced but whole grains. Where
                // there is none, no read-ahead: the page cache then takes its memory page by page, and not in pieces
                // that lie across a grain's border. A hint refused costs that.
                if grain_of(bytes) == LARGE_PAGE {
                    let _ = map.advise(Advice::HugePage);
                }
                let _ = map.advise(Advice::Random);
                Ok(SegmentMap { map, file, path: path.to_owned() })
            }
            Err(error) => {
                // The first error is the one to tell; truncating frees the blocks even where removal is refused.
                let _ = file.set_len(0);
                let _ = std::fs::remove_file(path);
                Err(error)
            }
        }
    }

    /// The same without a file on a disk: nobody finds it, and nothing is ever written out.
    pub(super) fn in_memory(bytes: u64) -> Result<SegmentMap, JournalError> {
        let path = PathBuf::from("a segment in memory");
        // SAFETY: the name is a string with its end; the call reads nothing else.
        let descriptor = unsafe { libc::memfd_create(c"touchline".as_ptr(), libc::MFD_CLOEXEC) };
        if descriptor < 0 {
            return Err(JournalError::io("create the segment", &path)(io::Error::last_os_error()));
        }
        // SAFETY: the descriptor was just made and is owned by nobody else.
        let file = unsafe { File::from_raw_fd(descriptor) };
        let map = file
            .set_len(bytes)
            .and_then(|()| MmapOptions::new().len(bytes as usize).map_raw(&file))
            .map_err(JournalError::io("map the segment", &path))?;
        Ok(SegmentMap { map, file, path })
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

    /// What is cleaned at once: see [`grain_of`].
    pub(super) fn grain(&self) -> usize {
        grain_of(self.map.len() as u64)
    }

    /// Where a byte of the file lies in memory.
    pub(super) fn address_of(&self, offset: usize) -> usize {
        self.map.as_ptr() as usize + offset
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

    /// Whether the page cache has a page already.
    pub(super) fn is_present(&self, offset: usize) -> bool {
        assert!(offset.is_multiple_of(PAGE) && offset < self.map.len());
        let mut resident = 0_u8;
        // SAFETY: the page lies in the mapping (asserted; mappings start on pages), and the call writes one byte for it.
        let asked = unsafe { libc::mincore(self.map.as_mut_ptr().add(offset).cast(), PAGE, &raw mut resident) };
        asked == 0 && resident & 1 == 1
    }

    /// Takes the pages of a range out of the mapping; their bytes stay in the page cache. A page that is mapped must be
    /// write-protected on all cores before its write-out, which interrupts the writer's; a range that is let go costs one
    /// interruption.
    pub(super) fn let_go(&self, from: usize, to: usize) {
        if from < to {
            // Locked pages as well: an engine locks what it has when it starts. Kernels before 5.18 refuse, and without it
            // the write-out only disturbs more.
            // SAFETY: the range is bounded by the mapping's length (the caller counts bytes that were written to it). The
            // mapping is shared and backed by the file, so no byte is lost; nobody holds a reference into it, and a later
            // touch maps the page again.
            let _ = unsafe {
                let start = self.map.as_mut_ptr().add(from);
                libc::madvise(start.cast(), to - from, libc::MADV_DONTNEED_LOCKED)
            };
        }
    }

    /// Waits until everything written so far is on the disk. After an error nothing may be assumed about it.
    pub(super) fn sync(&self) -> Result<(), JournalError> {
        self.file.sync_data().map_err(JournalError::io("sync the segment", &self.path))
    }

    /// Waits until the pages of a range are on the disk, and leaves all others as they are. Errors as [`sync`](Self::sync).
    pub(super) fn sync_range(&self, from: usize, to: usize) -> Result<(), JournalError> {
        self.map.flush_range(from, to - from).map_err(JournalError::io("sync the segment", &self.path))
    }

    /// Copies bytes out of the mapping.
    ///
    /// # Panics
    /// When the range does not lie in it.
    pub(super) fn read(&self, from: usize, into: &mut [u8]) {
        assert!(from + into.len() <= self.map.len());
        // SAFETY: the range lies in the mapping (asserted). Callers ask only for bytes before a cursor that they have read
        // with Acquire: those were written before and do not change any more.
        unsafe { std::ptr::copy_nonoverlapping(self.map.as_ptr().add(from), into.as_mut_ptr(), into.len()) };
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

    /// Copies a record to `offset` and commits it: commit word and checksum go last, with Release, so that whoever sees
    /// them sees the record.
    ///
    /// # Panics
    /// When the record does not lie in the mapping.
    #[inline]
    pub(super) fn write_record(&self, offset: usize, units: &[Unit], crc_seed: u32) {
        let bytes = units.len() * UNIT_BYTES;
        assert!(offset.is_multiple_of(UNIT_BYTES) && !units.is_empty() && offset + bytes <= self.map.len());
        // SAFETY: the range lies in the mapping and starts on a unit (asserted; mappings start on pages), so its first word
        // is aligned. The writer is the only one that touches bytes at or after its cursor, and no reference to mapped
        // bytes is ever made, so writing through the pointer aliases nothing. The first word is only accessed atomically:
        // the commit word in its low half, the checksum in its high half.
        unsafe {
            let target = self.map.as_mut_ptr().add(offset);
            let crc = copy_with_crc(units, target, crc_seed, offset as u64);
            let commit = RawHeader::COMMITTED | units.len() as u32;
            AtomicU64::from_ptr(target.cast::<u64>())
                .store(u64::from(crc) << 32 | u64::from(commit), Ordering::Release);
            prefetch(target.wrapping_add(bytes + PREFETCH_BYTES));
        }
    }
}

/// How far ahead of the cursor memory is called into the cache: over the next page's border before the writer gets there.
const PREFETCH_BYTES: usize = 1024;

/// Calls a line into the cache. The address may be anything.
#[inline]
fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing that the program could see and never faults.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_ET0 }>(address.cast::<i8>());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// The bytes of a segment to read: mapped when sealed, because nobody changes a sealed file any more; copied otherwise,
/// because its writer may be alive.
#[derive(Debug)]
pub(super) enum SegmentBytes {
    Mapped(Mmap),
    /// Memory of whole units, and how many bytes of it are the file's.
    Copied(MmapMut, usize),
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
        let mut bytes = MmapMut::map_anon(len.next_multiple_of(UNIT_BYTES))
            .map_err(JournalError::io("find memory for the segment", path))?;
        // Else the page faults of a large segment take three times as long as reading it; where there are no huge pages,
        // they do.
        #[cfg(target_os = "linux")]
        let _ = bytes.advise(Advice::HugePage);
        let mut filled = 0;
        while filled < len {
            match file.read(&mut bytes[filled..len]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(JournalError::io("read the segment", path)(error)),
            }
        }
        Ok(SegmentBytes::Copied(bytes, filled))
    }

    /// Puts bytes over a copy, where it has that place; a mapped segment stays as it is.
    pub(super) fn lay_over(&mut self, at: usize, over: &[u8]) {
        if let SegmentBytes::Copied(bytes, len) = self
            && at + over.len() <= *len
        {
            bytes[at..at + over.len()].copy_from_slice(over);
        }
    }

    /// Whole bytes of the file.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            SegmentBytes::Mapped(map) => map,
            SegmentBytes::Copied(bytes, len) => &bytes[..*len],
        }
    }

    /// Whole units of the file; a part of a unit at its end is not among them.
    pub(super) fn units(&self) -> &[Unit] {
        let bytes = self.bytes();
        // Mappings start on pages, so the cast finds the alignment that it needs.
        bytemuck::cast_slice(&bytes[..bytes.len() / UNIT_BYTES * UNIT_BYTES])
    }
}

/// Gives a file real blocks.
pub(super) fn reserve(file: &File, bytes: u64, path: &Path) -> Result<(), JournalError> {
    allocate(file, bytes).map_err(|error| no_space_or(error, path, bytes))
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
