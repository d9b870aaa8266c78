//! What hot tiles are made of, kept near their core.
//!
//! A processor that is shared with strangers loses what it does not use: a millisecond after the last message the books,
//! estimators and buffers of the way to an order lie in memory again, and each of some two hundred lines costs a way
//! there. While the tiles of a spinning thread are made, their allocations are noted; between two messages the thread
//! asks for the noted memory piece by piece. Nothing is read: a prefetch has no effect that a program can see and never
//! faults, so a note whose memory was given back is worth nothing and harms nothing.
#![allow(unsafe_code, reason = "an allocator is one by an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::wire::lines;

/// Allocations noted at most; what comes later is not kept near.
const NOTES: usize = 1024;
/// Of an allocation longer than this only the beginning is kept near, where a buffer is used: rings know their place.
const LONG: usize = 32 << 10;
const BEGINNING: usize = 1 << 10;
const LINE: usize = 64;
const PAGE: usize = 4 << 10;

static NOTED: [Note; NOTES] = [const { Note { at: AtomicUsize::new(0), bytes: AtomicUsize::new(0) } }; NOTES];
static COUNT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static NOTES_NOW: Cell<bool> = const { Cell::new(false) };
}

struct Note {
    at: AtomicUsize,
    bytes: AtomicUsize,
}

impl Note {
    /// Bytes that are kept near.
    fn near(&self) -> usize {
        match self.bytes.load(Ordering::Relaxed) {
            long if long > LONG => BEGINNING,
            bytes => bytes,
        }
    }
}

/// The system's allocator, which notes what is allocated within [`noted`]. A program without it keeps nothing near.
pub struct NotingAllocator;

// SAFETY: memory comes from the system's allocator and goes back to it with the layout that it came with; notes are
// numbers that nobody reads memory by.
unsafe impl GlobalAlloc for NotingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        let memory = unsafe { System.alloc(layout) };
        note(memory, layout.size());
        memory
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        let memory = unsafe { System.alloc_zeroed(layout) };
        note(memory, layout.size());
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        forget(memory);
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(memory, layout) };
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        forget(memory);
        // SAFETY: as in `alloc`.
        let memory = unsafe { System.realloc(memory, layout, bytes) };
        note(memory, bytes);
        memory
    }
}

fn notes_now() -> bool {
    // A thread that is ending has no flag any more, and notes nothing.
    NOTES_NOW.try_with(Cell::get).unwrap_or(false)
}

fn note(memory: *mut u8, bytes: usize) {
    if !notes_now() {
        return;
    }
    let index = COUNT.fetch_add(1, Ordering::Relaxed);
    if let Some(note) = NOTED.get(index) {
        note.bytes.store(bytes, Ordering::Relaxed);
        note.at.store(memory as usize, Ordering::Relaxed);
    }
}

/// What is given back while tiles are made was scaffolding.
fn forget(memory: *mut u8) {
    if notes_now() {
        let count = COUNT.load(Ordering::Relaxed).min(NOTES);
        if let Some(note) = NOTED[..count].iter().rev().find(|note| note.at.load(Ordering::Relaxed) == memory as usize)
        {
            note.bytes.store(0, Ordering::Relaxed);
        }
    }
}

/// Notes what `make` allocates on this thread.
pub fn noted<T>(make: impl FnOnce() -> T) -> T {
    let before = NOTES_NOW.replace(true);
    let made = make();
    NOTES_NOW.set(before);
    made
}

/// Goes through the noted memory, a piece at a time, for ever.
#[derive(Debug, Default)]
pub struct Sweep {
    note: usize,
    offset: usize,
}

impl Sweep {
    /// Asks for the next `lines` lines.
    pub fn step(&mut self, lines: usize) {
        let count = COUNT.load(Ordering::Relaxed).min(NOTES);
        for _ in 0..lines {
            let Some(note) = NOTED[..count].get(self.note) else {
                *self = Sweep::default();
                return;
            };
            if self.offset >= note.near() {
                *self = Sweep { note: self.note + 1, offset: 0 };
                continue;
            }
            lines::fetch(note.at.load(Ordering::Relaxed) + self.offset);
            self.offset += LINE;
        }
    }
}

/// Makes the pages of all noted memory present, so that nobody's first touch of a ring or a window is a page fault. What
/// the system refuses costs such faults.
pub fn make_present() {
    let count = COUNT.load(Ordering::Relaxed).min(NOTES);
    for note in &NOTED[..count] {
        let (at, bytes) = (note.at.load(Ordering::Relaxed), note.bytes.load(Ordering::Relaxed));
        if bytes >= PAGE {
            let (from, to) = (at & !(PAGE - 1), (at + bytes).next_multiple_of(PAGE));
            // SAFETY: this advice changes no byte; a range that is not mapped any more is refused.
            unsafe { libc::madvise(from as *mut libc::c_void, to - from, libc::MADV_POPULATE_WRITE) };
        }
    }
}

/// Allocations noted, and their bytes that are kept near.
pub fn kept() -> (usize, usize) {
    let count = COUNT.load(Ordering::Relaxed).min(NOTES);
    let bytes = NOTED[..count].iter().map(Note::near).sum();
    (count, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allocated_while_tiles_are_made_is_noted_and_scaffolding_is_not() {
        let layout = Layout::from_size_align(3 * PAGE, 64).unwrap();
        let near_now = || kept().1;
        let before = near_now();
        // SAFETY: each block goes back with the layout that it came with, and is not used after.
        unsafe {
            let not_noted = NotingAllocator.alloc(layout);
            assert_eq!(near_now(), before);
            let (kept_block, scaffolding) = noted(|| {
                let blocks = (NotingAllocator.alloc_zeroed(layout), NotingAllocator.alloc(layout));
                NotingAllocator.dealloc(blocks.1, layout);
                blocks
            });
            assert!(!kept_block.is_null() && !scaffolding.is_null());
            assert_eq!(near_now(), before + layout.size());
            kept_block.write_bytes(7, layout.size());
            make_present();
            let mut sweep = Sweep::default();
            // More than once through all notes.
            (0..100).for_each(|_| sweep.step(128));
            assert!((0..layout.size()).all(|at| kept_block.add(at).read() == 7), "nothing is changed");
            // A ring is present and not kept near but for its beginning.
            let ring = Layout::from_size_align(1 << 20, 64).unwrap();
            let block = noted(|| NotingAllocator.alloc(ring));
            assert_eq!(near_now(), before + layout.size() + BEGINNING);
            NotingAllocator.dealloc(block, ring);
            // Given back later, a note stays and harms nothing.
            NotingAllocator.dealloc(kept_block, layout);
            NotingAllocator.dealloc(not_noted, layout);
            make_present();
            (0..100).for_each(|_| sweep.step(128));
        }
    }
}
