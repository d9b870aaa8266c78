//! The engines written in C++: the floor, the textbook and our core.

use std::ffi::c_void;

use super::engine::{Calls, Engine, Message, Ring};

unsafe extern "C" {
    fn compare_null_new(orders: u32, levels: u32) -> *mut c_void;
    fn compare_null_free(state: *mut c_void);
    fn compare_null_submit(state: *mut c_void, message: *const Message, ring: *mut Ring);
    fn compare_textbook_new(orders: u32, levels: u32) -> *mut c_void;
    fn compare_textbook_free(state: *mut c_void);
    fn compare_textbook_submit(state: *mut c_void, message: *const Message, ring: *mut Ring);
    fn compare_touchline_new(orders: u32, levels: u32) -> *mut c_void;
    fn compare_touchline_free(state: *mut c_void);
    fn compare_touchline_submit(state: *mut c_void, message: *const Message, ring: *mut Ring);
    fn compare_allocations() -> u64;
    fn compare_bytes_in_use() -> u64;
}

pub const NULL: Engine = Engine {
    name: "null",
    new: compare_null_new,
    free: compare_null_free,
    calls: Calls::Single(compare_null_submit),
    is_slow: false,
    is_null: true,
    names_orders: false,
};

pub const TEXTBOOK: Engine = Engine {
    name: "textbook",
    new: compare_textbook_new,
    free: compare_textbook_free,
    calls: Calls::Single(compare_textbook_submit),
    is_slow: false,
    is_null: false,
    names_orders: true,
};

pub const TOUCHLINE: Engine = Engine {
    name: "touchline",
    new: compare_touchline_new,
    free: compare_touchline_free,
    calls: Calls::Single(compare_touchline_submit),
    is_slow: false,
    is_null: false,
    names_orders: true,
};

/// Allocations of the whole process so far.
pub fn allocations() -> u64 {
    // SAFETY: reads a counter.
    unsafe { compare_allocations() }
}

/// Bytes that the allocator has handed out and not got back.
pub fn bytes_in_use() -> u64 {
    // SAFETY: asks the C library for its own count.
    unsafe { compare_bytes_in_use() }
}
