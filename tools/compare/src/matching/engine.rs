//! What an engine is to the driver: three C functions, native or wrapped around a crate.

use std::ffi::c_void;

/// `CompareMessage` of native/engine.hpp.
#[repr(C, align(64))]
#[derive(Clone, Copy, Default)]
pub struct Message {
    pub id: u64,
    pub price: i64,
    pub qty: i64,
    pub owner: u32,
    pub action: u8,
    pub side: u8,
    pub kind: u8,
    pub stp: u8,
    pub sent_ns: u64,
    pub reserved: [u64; 3],
}

/// `CompareReport` of native/engine.hpp.
#[repr(C, align(64))]
#[derive(Clone, Copy, Default)]
pub struct Report {
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

pub const PLACE: u8 = 0;
pub const CANCEL: u8 = 1;
pub const BID: u8 = 0;

pub const ACCEPTED: u8 = 0;
pub const TRADE: u8 = 1;
pub const CANCELLED: u8 = 2;
pub const REJECTED: u8 = 4;

/// `CompareRing` of native/engine.hpp. The reports are the driver's; engines only append.
#[repr(C)]
pub struct Ring {
    reports: *mut Report,
    pub head: u64,
    mask: u64,
}

impl Ring {
    /// A ring over `reports`, whose number must be a power of two.
    pub fn over(reports: &mut [Report]) -> Ring {
        assert!(reports.len().is_power_of_two());
        Ring { reports: reports.as_mut_ptr(), head: 0, mask: reports.len() as u64 - 1 }
    }

    /// Appends a report, as an engine does.
    #[inline]
    pub fn push(&mut self, report: Report) {
        // SAFETY: `reports` points at mask + 1 reports that outlive the ring, and the mask keeps the place among them.
        unsafe { *self.reports.add((self.head & self.mask) as usize) = report };
        self.head += 1;
    }

    /// The report that was appended as number `at`; it must not have been overwritten.
    pub fn at(&self, at: u64) -> Report {
        assert!(at < self.head && self.head - at <= self.mask + 1, "the ring is too small");
        // SAFETY: as in `push`.
        unsafe { *self.reports.add((at & self.mask) as usize) }
    }
}

type New = unsafe extern "C" fn(u32, u32) -> *mut c_void;
type Free = unsafe extern "C" fn(*mut c_void);
type Submit = unsafe extern "C" fn(*mut c_void, *const Message, *mut Ring);
type SubmitBatch = unsafe extern "C" fn(*mut c_void, *const Message, usize, *mut Ring);

/// How an engine takes its messages.
#[derive(Clone, Copy)]
pub enum Calls {
    /// One call a message.
    Single(Submit),
    /// One call for up to 64 messages.
    Batch(SubmitBatch),
}

/// Messages of one batch call.
pub const BATCH: usize = 64;

/// One contestant.
#[derive(Clone, Copy)]
pub struct Engine {
    pub name: &'static str,
    pub new: New,
    pub free: Free,
    pub calls: Calls,
    /// Slow ones are given the head of a workload only, and no million orders.
    pub is_slow: bool,
    /// The floor answers nothing of sense, so there is nothing to check.
    pub is_null: bool,
    /// Whether its trades name both orders; otherwise price, quantity and order of the trades are compared.
    pub names_orders: bool,
    /// Its own account of its memory, where that does not come from the allocator.
    pub bytes: Option<unsafe extern "C" fn(*mut c_void) -> u64>,
}

/// A live instance.
pub struct Instance {
    engine: Engine,
    state: *mut c_void,
}

impl Instance {
    pub fn new(engine: Engine, orders: u32, levels: u32) -> Instance {
        // SAFETY: every `new` accepts any two numbers and answers a state for the same engine's other functions.
        let state = unsafe { (engine.new)(orders, levels) };
        assert!(!state.is_null(), "{} has no memory", engine.name);
        Instance { engine, state }
    }

    /// One message by itself, whatever the engine's way.
    #[inline]
    pub fn submit(&mut self, message: &Message, ring: &mut Ring) {
        match self.engine.calls {
            // SAFETY: the state is this engine's own and alive, message and ring are valid for the call.
            Calls::Single(submit) => unsafe { submit(self.state, message, ring) },
            // SAFETY: as above, for one message.
            Calls::Batch(submit) => unsafe { submit(self.state, message, 1, ring) },
        }
    }

    /// As `submit`, by another engine's call on the same state.
    pub fn submit_by(&mut self, engine: &Engine, message: &Message, ring: &mut Ring) {
        match engine.calls {
            // SAFETY: as in `submit`; the caller names an engine whose states are of the same kind.
            Calls::Single(submit) => unsafe { submit(self.state, message, ring) },
            Calls::Batch(_) => unreachable!("only single calls are counted"),
        }
    }

    /// The bytes that the engine says it holds, if it says.
    pub fn bytes(&self) -> Option<u64> {
        // SAFETY: the state is this engine's own and alive.
        self.engine.bytes.map(|bytes| unsafe { bytes(self.state) })
    }

    /// All messages, in the engine's own way.
    #[inline]
    pub fn submit_all(&mut self, messages: &[Message], ring: &mut Ring) {
        match self.engine.calls {
            Calls::Single(submit) => {
                for message in messages {
                    // SAFETY: as in `submit`.
                    unsafe { submit(self.state, message, ring) };
                }
            }
            Calls::Batch(submit) => {
                for chunk in messages.chunks(BATCH) {
                    // SAFETY: as in `submit`, for the messages of the slice.
                    unsafe { submit(self.state, chunk.as_ptr(), chunk.len(), ring) };
                }
            }
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: the state came from this engine's `new` and is used no more.
        unsafe { (self.engine.free)(self.state) };
    }
}

/// A peer written in Rust.
pub trait Peer {
    fn new(orders: u32, levels: u32) -> Self;
    fn submit(&mut self, message: &Message, ring: &mut Ring);
}

/// The same three C functions around a Rust peer, so that it is called as the native engines are.
pub const fn peer<P: Peer>(name: &'static str) -> Engine {
    unsafe extern "C" fn new<P: Peer>(orders: u32, levels: u32) -> *mut c_void {
        Box::into_raw(Box::new(P::new(orders, levels))).cast()
    }
    unsafe extern "C" fn free<P: Peer>(state: *mut c_void) {
        // SAFETY: the state is a `Box<P>` from `new`.
        drop(unsafe { Box::from_raw(state.cast::<P>()) });
    }
    unsafe extern "C" fn submit<P: Peer>(state: *mut c_void, message: *const Message, ring: *mut Ring) {
        // SAFETY: the state is a live `P` that nothing else borrows; message and ring are valid for the call.
        unsafe { (*state.cast::<P>()).submit(&*message, &mut *ring) };
    }
    Engine {
        name,
        new: new::<P>,
        free: free::<P>,
        calls: Calls::Single(submit::<P>),
        is_slow: true,
        is_null: false,
        names_orders: true,
        bytes: None,
    }
}
