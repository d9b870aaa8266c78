//! The crossing itself: plain-data twins of the C++ structs and the calls, none of which can throw or panic.
//!
//! Only `core.rs` calls this. The layouts are fixed on both sides: by the assertions below and by the
//! `static_assert`s in `cpp/include/touchline/{message,report}.hpp`.
#![allow(unsafe_code)]

use std::mem::offset_of;

use cxx::{ExternType, type_id};

use crate::types::Level;

/// `touchline::Message`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawMessage {
    pub id: u64,
    pub price: i64,
    pub qty: i64,
    pub owner: u32,
    pub action: u8,
    pub side: u8,
    pub kind: u8,
    pub stp: u8,
}

/// `touchline::Report`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawReport {
    pub sequence: u64,
    pub id: u64,
    pub taker_id: u64,
    pub price: i64,
    pub qty: i64,
    pub remaining: i64,
    pub taker_remaining: i64,
    pub owner: u32,
    pub kind: u8,
    pub reason: u8,
    pub side: u8,
    pub reserved: u8,
}

/// `touchline::OrderView`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct RawOrder {
    pub id: u64,
    pub price: i64,
    pub remaining: i64,
    pub owner: u32,
    pub side: u8,
    pub reserved: [u8; 3],
}

/// `touchline::CheckResult`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawCheck {
    pub slot: u32,
    pub fault: u8,
    pub reserved: [u8; 3],
}

const _: () = assert!(size_of::<RawMessage>() == 32 && offset_of!(RawMessage, stp) == 31);
const _: () = assert!(size_of::<RawReport>() == 64 && offset_of!(RawReport, side) == 62);
const _: () = assert!(size_of::<RawOrder>() == 32 && offset_of!(RawOrder, side) == 28);
const _: () = assert!(size_of::<RawCheck>() == 8 && offset_of!(RawCheck, fault) == 4);
const _: () = assert!(size_of::<Level>() == 16 && offset_of!(Level, qty) == 8);

// SAFETY: `touchline::Message` is a trivially copyable struct of the same fields in the same order (asserted above and in
// message.hpp), so it may be passed by reference and moved as bytes.
unsafe impl ExternType for RawMessage {
    type Id = type_id!("touchline::Message");
    type Kind = cxx::kind::Trivial;
}

// SAFETY: as for `RawMessage`; the layout is asserted above and in report.hpp.
unsafe impl ExternType for RawReport {
    type Id = type_id!("touchline::Report");
    type Kind = cxx::kind::Trivial;
}

// SAFETY: as for `RawMessage`; the layout is asserted above and in report.hpp.
unsafe impl ExternType for RawOrder {
    type Id = type_id!("touchline::OrderView");
    type Kind = cxx::kind::Trivial;
}

// SAFETY: as for `RawMessage`; the layout is asserted above and in check.hpp.
unsafe impl ExternType for RawCheck {
    type Id = type_id!("touchline::CheckResult");
    type Kind = cxx::kind::Trivial;
}

// SAFETY: `Level` is `repr(C)` of two 64-bit integers, price then quantity, as `touchline::LevelView` is (asserted above
// and in report.hpp); every bit pattern is valid on both sides.
unsafe impl ExternType for Level {
    type Id = type_id!("touchline::LevelView");
    type Kind = cxx::kind::Trivial;
}

#[cxx::bridge(namespace = "touchline")]
pub mod ffi {
    unsafe extern "C++" {
        include!("touchline/bridge.hpp");

        #[cxx_name = "Message"]
        type RawMessage = super::RawMessage;
        #[cxx_name = "Report"]
        type RawReport = super::RawReport;
        #[cxx_name = "OrderView"]
        type RawOrder = super::RawOrder;
        #[cxx_name = "CheckResult"]
        type RawCheck = super::RawCheck;
        #[cxx_name = "LevelView"]
        type Level = super::Level;

        /// A core and the buffer that holds the reports of its last message.
        type Bridge;

        fn new_bridge(orders: u32, levels: u32, may_grow: bool) -> UniquePtr<Bridge>;
        /// The reports live until the next message.
        fn submit<'a>(self: Pin<&'a mut Bridge>, message: &RawMessage) -> &'a [RawReport];

        fn best(self: &Bridge, side: u8, out: &mut Level) -> bool;
        fn qty_at(self: &Bridge, side: u8, price: i64) -> i64;
        fn top(self: &Bridge, side: u8, out: &mut [Level]) -> usize;
        fn order(self: &Bridge, id: u64, out: &mut RawOrder) -> bool;
        /// Below zero when there is no such order.
        fn ahead_of(self: &Bridge, id: u64) -> i64;
        /// Fills `out` with the level's next orders; `cursor` is 0 at first, and 0 again when the level is done.
        fn orders_at(self: &Bridge, side: u8, price: i64, cursor: &mut u32, out: &mut [RawOrder]) -> usize;
        fn order_count(self: &Bridge) -> u32;
        fn level_count(self: &Bridge, side: u8) -> u32;
        fn order_capacity(self: &Bridge) -> u32;
        fn memory_bytes(self: &Bridge) -> usize;
        fn check(self: &Bridge) -> RawCheck;
    }
}

// SAFETY: a Bridge owns all its memory, keeps no thread-local or global state and hands out no pointer that outlives a
// borrow, so it may move between threads. It is not Sync: nothing needs that.
unsafe impl Send for ffi::Bridge {}
