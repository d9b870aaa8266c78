//! Stamps of one message on its way from the socket to the socket.
//!
//! A stamp is a raw time stamp counter, taken where a stage ends and carried along; what the counters mean in
//! nanoseconds, and the histograms, are the control tile's business. Each hop is the difference of two neighbours, so
//! the hops of a message add up to its whole way exactly.

use super::latency::Hop;

/// Where a message can be stamped, in the order of its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Stage {
    /// The socket read that completed the frame.
    Read = 0,
    /// The frame is decoded.
    Decoded = 1,
    /// The book has taken it.
    Booked = 2,
    /// The features have taken it.
    Featured = 3,
    /// The quoter and the limits of a quote have said what is wanted.
    Quoted = 4,
    /// The orders that follow have passed every check.
    Checked = 5,
    /// The first order is about to be put on its link.
    Queued = 6,
    /// The order's bytes are signed, framed and in front of the socket.
    Ready = 7,
    /// The socket has taken them.
    Written = 8,
}

const STAGES: usize = 9;

/// The stamps of a message. All zero when no frame caused it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamps([u64; STAGES]);

impl Stamps {
    /// No frame caused it.
    pub const NONE: Stamps = Stamps([0; STAGES]);

    /// A message whose frame was complete at `read`.
    pub fn begin(read: u64) -> Stamps {
        let mut stamps = Stamps::NONE;
        stamps.set(Stage::Read, read);
        stamps
    }

    /// Whether a frame caused it.
    pub fn is_some(&self) -> bool {
        self.0[0] != 0
    }

    /// Notes the end of a stage. Zero notes nothing.
    pub fn set(&mut self, stage: Stage, counter: u64) {
        self.0[stage as usize] = counter;
    }

    /// A stage's stamp; zero when it has none.
    pub fn at(&self, stage: Stage) -> u64 {
        self.0[stage as usize]
    }

    /// The names of the stages, in the order of a [`line`](Self::line)'s columns.
    pub const HEADING: &str = "read,decoded,booked,featured,quoted,checked,queued,ready,written";

    /// The raw counters, separated by commas; zero for a stage without one.
    pub fn line(&self) -> String {
        self.0.map(|counter| counter.to_string()).join(",")
    }

    /// Reads a [`line`](Self::line) back.
    pub fn from_line(line: &str) -> Option<Stamps> {
        let mut stamps = Stamps::NONE;
        let mut cells = line.split(',');
        for stamp in &mut stamps.0 {
            *stamp = cells.next()?.parse().ok()?;
        }
        cells.next().is_none().then_some(stamps)
    }

    /// Nanoseconds of each hop, and of the way up to `Ready` and `Written`. `ns` measures between two counters. A stage
    /// without a stamp, or with one before its neighbour's (two cores' counters differ by some ns), took no time.
    pub fn hops(&self, ns: impl Fn(u64, u64) -> u64) -> [(Hop, u64); STAGES + 1] {
        let mut hops = [(Hop::TickToOrder, 0); STAGES + 1];
        let (mut newest, mut so_far) = (self.0[0], 0);
        for (index, &hop) in Hop::ALL[..STAGES - 1].iter().enumerate() {
            newest = newest.max(self.0[index + 1]);
            let whole = ns(self.0[0], newest);
            hops[index] = (hop, whole - so_far);
            so_far = whole;
        }
        hops[STAGES - 1] = (Hop::TickToOrder, so_far - hops[Stage::Written as usize - 1].1);
        hops[STAGES] = (Hop::TickToWire, so_far);
        hops
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hops_of_a_message_add_up_to_its_way_exactly() {
        // A counter of 2.8 GHz: no hop is a whole number of nanoseconds.
        let ns = |from: u64, to: u64| (to - from) * 10 / 28;
        let mut random = 7_u64;
        for _ in 0..10_000 {
            let mut at = 1_000_000_000_007;
            let mut stamps = Stamps::begin(at);
            for stage in [
                Stage::Decoded,
                Stage::Booked,
                Stage::Featured,
                Stage::Quoted,
                Stage::Checked,
                Stage::Queued,
                Stage::Ready,
                Stage::Written,
            ] {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                at += random >> 50;
                // Some stages have none, some seem to come before their neighbour.
                match random % 16 {
                    0 => {}
                    1 => stamps.set(stage, at - 20),
                    _ => stamps.set(stage, at),
                }
            }
            let hops = stamps.hops(ns);
            let sum: u64 = hops[..STAGES - 1].iter().map(|hop| hop.1).sum();
            let of = |wanted| hops.iter().find(|hop| hop.0 == wanted).unwrap().1;
            assert_eq!(sum, of(Hop::TickToWire));
            assert_eq!(of(Hop::TickToOrder) + of(Hop::Written), of(Hop::TickToWire));
        }
    }

    #[test]
    fn hops_are_the_differences_of_neighbours() {
        let mut stamps = Stamps::begin(100);
        stamps.set(Stage::Decoded, 130);
        stamps.set(Stage::Queued, 190);
        stamps.set(Stage::Written, 200);
        let hops = stamps.hops(|from, to| to - from);
        let of = |wanted| hops.iter().find(|hop| hop.0 == wanted).unwrap().1;
        assert_eq!([of(Hop::Decoded), of(Hop::Booked), of(Hop::Queued), of(Hop::Ready)], [30, 0, 60, 0]);
        assert_eq!([of(Hop::TickToOrder), of(Hop::Written), of(Hop::TickToWire)], [90, 10, 100]);
        assert!(stamps.is_some() && !Stamps::NONE.is_some());
    }

    #[test]
    fn a_line_has_a_column_for_each_stage_and_is_read_back() {
        let mut stamps = Stamps::begin(u64::MAX);
        stamps.set(Stage::Written, 7);
        assert_eq!(Stamps::from_line(&stamps.line()), Some(stamps));
        assert_eq!(Stamps::HEADING.split(',').count(), stamps.line().split(',').count());
        for wrong in ["", "1,2,3", "1,2,3,4,5,6,7,8,x", "1,2,3,4,5,6,7,8,9,10", Stamps::HEADING] {
            assert_eq!(Stamps::from_line(wrong), None, "{wrong}");
        }
    }
}
