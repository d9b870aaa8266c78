//! Cache lines, asked for all at once before they are written.
//!
//! A slot of a ring was last read by the other core, so each of its lines has to be fetched from there before it can be
//! written. Stores leave a core in order and fetch few lines ahead: a message of seven lines waits several times for the
//! other core, one of which all lines were asked for beforehand waits about once. They are asked for right after the message
//! before as well, and may be here by then. `cargo bench --bench link` measures it.
#![allow(unsafe_code, reason = "instructions that have no safe name, and slots that are written in one copy")]

use std::mem::MaybeUninit;

use rtrb::Producer;

use super::link::Full;
use super::record::UNIT_BYTES;

/// Sends a message of several cache lines.
///
/// # Errors
/// [`Full`] when there is no room; nothing was sent.
pub fn send<T: Copy>(ring: &mut Producer<T>, message: &T) -> Result<(), Full> {
    send_all(ring, message, &[])
}

/// Sends several messages at once, all or none. The first one may lie apart from the rest.
///
/// # Errors
/// [`Full`] when there is no room for all; nothing was sent.
pub(super) fn send_all<T: Copy>(ring: &mut Producer<T>, first: &T, rest: &[T]) -> Result<(), Full> {
    let count = 1 + rest.len();
    let mut chunk = ring.write_chunk_uninit(count).map_err(|_| Full)?;
    let (slots, wrapped) = chunk.as_mut_slices();
    claim(slots);
    claim(wrapped);
    let (head, slots) = slots.split_at_mut(1);
    let (straight, around) = rest.split_at(slots.len());
    head[0].write(*first);
    slots.write_copy_of_slice(straight);
    wrapped.write_copy_of_slice(around);
    // SAFETY: each slot has been written: the first one, as many as are left before the ring's end, and the others.
    unsafe { chunk.commit_all() };
    // What the next ones will be written to is fetched while these are on their way.
    claim_next(ring, count);
    Ok(())
}

/// Asks for the lines of the next `count` slots of a ring, to be written when there is something to write.
pub fn claim_next<T>(ring: &mut Producer<T>, count: usize) {
    // Dropped without a commit: nothing is sent.
    if let Ok(mut chunk) = ring.write_chunk_uninit(count) {
        let (slots, wrapped) = chunk.as_mut_slices();
        claim(slots);
        claim(wrapped);
    }
}

/// Asks for a line of memory, to be read soon; any address will do.
#[cfg(all(target_arch = "x86_64", not(miri)))]
pub fn fetch(address: usize) {
    // SAFETY: as in `claim_line`.
    unsafe { std::arch::asm!("prefetcht1 [{}]", in(reg) address, options(nostack, preserves_flags)) };
}

/// Nothing, on processors that this was not written for.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
pub fn fetch(_: usize) {}

/// Asks for every line of the slots, to be read soon.
pub fn fetch_all<T>(slots: &[T]) {
    let bytes = slots.as_ptr_range();
    for line in (bytes.start as usize..bytes.end as usize + UNIT_BYTES - 1).step_by(UNIT_BYTES) {
        fetch(line);
    }
}

/// Asks for every line of the slots, to be read at once.
pub(super) fn expect<T>(slots: &[T]) {
    let bytes = slots.as_ptr_range();
    let first = bytes.start as usize & !(UNIT_BYTES - 1);
    for line in (first..bytes.end as usize).step_by(UNIT_BYTES) {
        expect_line(line);
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
fn expect_line(address: usize) {
    // SAFETY: as in `claim_line`.
    unsafe { std::arch::asm!("prefetcht0 [{}]", in(reg) address, options(nostack, preserves_flags)) };
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn expect_line(_: usize) {}

/// Asks for every line of the slots, to be written soon.
pub(super) fn claim<T>(slots: &mut [MaybeUninit<T>]) {
    let bytes = slots.as_mut_ptr_range();
    let first = bytes.start as usize & !(UNIT_BYTES - 1);
    for line in (first..bytes.end as usize).step_by(UNIT_BYTES) {
        claim_line(line);
    }
}

/// Asks for a line of memory, to be written soon; any address will do.
#[cfg(all(target_arch = "x86_64", not(miri)))]
pub fn claim_line(address: usize) {
    // SAFETY: a prefetch reads and writes nothing that a program can see, and never faults, whatever the address. A
    // processor that does not know this one does nothing.
    unsafe { std::arch::asm!("prefetchw [{}]", in(reg) address, options(nostack, preserves_flags)) };
}

/// Nothing, on processors that this was not written for.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
pub fn claim_line(_: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_many_lines_arrive_in_order_and_a_full_ring_takes_none() {
        let (mut producer, mut consumer) = rtrb::RingBuffer::new(3);
        for round in 0..100_u64 {
            for number in 0..3 {
                assert_eq!(send(&mut producer, &[round * 3 + number; 54]), Ok(()));
            }
            assert_eq!(send(&mut producer, &[0; 54]), Err(Full));
            for number in 0..3 {
                assert_eq!(consumer.pop(), Ok([round * 3 + number; 54]));
            }
        }
        assert!(consumer.is_empty());
    }
}
