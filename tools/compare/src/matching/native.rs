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
    fn compare_touchline_submit_batch(state: *mut c_void, messages: *const Message, count: usize, ring: *mut Ring);
    fn compare_touchline_bytes(state: *mut c_void) -> u64;
    fn compare_counted_rest(state: *mut c_void, message: *const Message, ring: *mut Ring);
    fn compare_counted_trade(state: *mut c_void, message: *const Message, ring: *mut Ring);
    fn compare_counted_cancel(state: *mut c_void, message: *const Message, ring: *mut Ring);
}

pub const NULL: Engine = Engine {
    name: "null",
    new: compare_null_new,
    free: compare_null_free,
    calls: Calls::Single(compare_null_submit),
    is_slow: false,
    is_null: true,
    names_orders: false,
    bytes: None,
};

pub const TEXTBOOK: Engine = Engine {
    name: "textbook",
    new: compare_textbook_new,
    free: compare_textbook_free,
    calls: Calls::Single(compare_textbook_submit),
    is_slow: false,
    is_null: false,
    names_orders: true,
    bytes: None,
};

pub const TOUCHLINE: Engine = Engine {
    name: "touchline",
    new: compare_touchline_new,
    free: compare_touchline_free,
    calls: Calls::Single(compare_touchline_submit),
    is_slow: false,
    is_null: false,
    names_orders: true,
    // Its memory comes in large pages, not from the allocator whose count the others are held to.
    bytes: Some(compare_touchline_bytes),
};

/// Our core again, 64 messages a call: it fetches memory ahead when the book is large.
pub const TOUCHLINE_BATCH: Engine =
    Engine { name: "touchline_batch", calls: Calls::Batch(compare_touchline_submit_batch), ..TOUCHLINE };

/// What a message comes to, with the name of the function through which messages of that kind are counted.
pub const COUNTED: [(&str, &str, Engine); 3] = [
    ("rest", "compare_counted_rest", Engine { calls: Calls::Single(compare_counted_rest), ..TOUCHLINE }),
    ("trade", "compare_counted_trade", Engine { calls: Calls::Single(compare_counted_trade), ..TOUCHLINE }),
    ("cancel", "compare_counted_cancel", Engine { calls: Calls::Single(compare_counted_cancel), ..TOUCHLINE }),
];
