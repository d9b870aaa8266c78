//! The simulations that rows share, each made once and only when a row asks for it.

use std::cell::OnceCell;

use crate::sim::reference::as2008::{self, Strategy};
use crate::sim::reference::control::{Arrivals, Outcome, Shock};
use crate::sim::reference::cst::{self, Exact};
use crate::sim::reference::ekop::{Ekop, EkopRun};
use crate::sim::reference::glft2012;
use crate::sim::reference::glosten_milgrom::{self, Replay};
use crate::sim::reference::hawkes::{Counts, Hawkes};
use crate::sim::reference::sm1::{self, Maker, Score, Toxicity};

/// How much is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// The sizes of the specification.
    Full,
    /// Small enough for a test.
    Quick,
}

/// The risk aversions of reference table A.
pub(super) const GAMMAS: [f64; 4] = [0.01, 0.1, 0.5, 1.0];

/// Half-spreads of the zero-profit market, in the order of its rows; the middle one is `PIN * J`.
pub(super) const EKOP_SPREADS: [f64; 5] = [0.15, 0.20, 3.0 / 13.0, 0.25, 0.30];

/// The zero-profit market.
pub(super) const EKOP: Ekop = Ekop { alpha: 0.4, mu: 30.0, epsilon: 20.0, jump: 1.0 };

/// The makers of SM-1 in the order of its table.
pub(super) const MAKERS: [Maker; 6] = [
    Maker::Constant(1.0),
    Maker::Constant(1.3),
    Maker::Symmetric { base: 1.0, c: 1.431 },
    Maker::Symmetric { base: 1.0, c: 4.0 },
    Maker::Signed { base: 1.0, c: 12.0 },
    Maker::Oracle { base: 1.0 },
];

/// Informed shares of the replay in which VPIN is blind.
pub(super) const BLIND_SHARES: [f64; 3] = [0.0, 0.3, 0.6];

const SEED: u64 = 2008;

/// Which variant of the 2008 market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    Literal,
    Poisson,
    Gaussian,
}

/// Results by need.
pub(super) struct Lab {
    pub(super) size: Size,
    control: Vec<OnceCell<Outcome>>,
    glft: OnceCell<Option<(Outcome, Outcome)>>,
    ekop: OnceCell<Option<EkopRun>>,
    blind: OnceCell<Vec<Replay>>,
    books: OnceCell<Exact>,
    hawkes: OnceCell<Option<Counts>>,
    sm1: OnceCell<Vec<Score>>,
    sm1_calm: OnceCell<Vec<Score>>,
    sm1_toxicity: OnceCell<Toxicity>,
}

impl Lab {
    pub(super) fn new(size: Size) -> Lab {
        Lab {
            size,
            control: (0..3 * 2 * GAMMAS.len()).map(|_| OnceCell::new()).collect(),
            glft: OnceCell::new(),
            ekop: OnceCell::new(),
            blind: OnceCell::new(),
            books: OnceCell::new(),
            hawkes: OnceCell::new(),
            sm1: OnceCell::new(),
            sm1_calm: OnceCell::new(),
            sm1_toxicity: OnceCell::new(),
        }
    }

    fn pick(&self, full: usize, quick: usize) -> usize {
        if self.size == Size::Full { full } else { quick }
    }

    /// Paths of a cell of reference table A.
    pub(super) fn control_paths(&self) -> usize {
        self.pick(10_000, 1_000)
    }

    /// How far a standard deviation may be off, relatively, with [`Self::control_paths`].
    pub(super) fn deviation_tolerance(&self) -> f64 {
        if self.size == Size::Full { 0.04 } else { 0.12 }
    }

    /// A cell of reference table A; `gamma` is an index of [`GAMMAS`].
    pub(super) fn control(&self, variant: Variant, gamma: usize, strategy: Strategy) -> &Outcome {
        let at = (variant as usize * 2 + strategy as usize) * GAMMAS.len() + gamma;
        self.control[at].get_or_init(|| {
            let market = match variant {
                Variant::Literal => as2008::PAPER,
                Variant::Poisson => as2008::Market { arrivals: Arrivals::Poisson, ..as2008::PAPER },
                Variant::Gaussian => as2008::Market { shock: Shock::Gaussian, ..as2008::PAPER },
            };
            as2008::run(&market, GAMMAS[gamma], strategy, self.control_paths(), SEED)
        })
    }

    /// Paths of the GLFT simulation.
    pub(super) fn glft_paths(&self) -> usize {
        self.pick(4_000, 200)
    }

    /// The optimal maker and the flat one.
    pub(super) fn glft(&self) -> Option<&(Outcome, Outcome)> {
        self.glft.get_or_init(|| glft2012::run(self.glft_paths(), SEED).ok()).as_ref()
    }

    /// The zero-profit market at [`EKOP_SPREADS`].
    pub(super) fn ekop(&self) -> Option<&EkopRun> {
        let periods = self.pick(200_000, 40_000);
        self.ekop.get_or_init(|| EKOP.simulate(&EKOP_SPREADS, periods, SEED)).as_ref()
    }

    /// The replay at each of [`BLIND_SHARES`], the half-spread at its break-even.
    pub(super) fn blind(&self, share: usize) -> &Replay {
        let trades = self.pick(2_000_000, 500_000);
        let runs = || BLIND_SHARES.map(|share| glosten_milgrom::replay(share, 1.0, share, trades, 50, SEED)).to_vec();
        &self.blind.get_or_init(runs)[share]
    }

    /// The birth-death book, solved.
    pub(super) fn books(&self) -> &Exact {
        self.books.get_or_init(|| cst::solve(&cst::PAPER))
    }

    /// Samples of the intensity's fit.
    pub(super) fn fits(&self) -> usize {
        self.pick(2_000, 500)
    }

    /// Walks on which volatility is estimated.
    pub(super) fn walks(&self) -> usize {
        self.pick(400, 100)
    }

    /// Normal numbers that each length of bar may use.
    pub(super) fn normals(&self) -> usize {
        self.pick(10_000_000, 500_000)
    }

    /// Buckets of fair coin flips.
    pub(super) fn coin_buckets(&self) -> usize {
        self.pick(100_000, 10_000)
    }

    /// Races of one cell of the birth-death book.
    pub(super) fn races(&self) -> usize {
        self.pick(50_000, 4_000)
    }

    /// Counts of the self-exciting flow.
    pub(super) fn hawkes(&self) -> Option<&Counts> {
        let count = || Some(Hawkes::new(0.5, 0.8, 0.0, 1.2).ok()?.counts(2e5, 200.0, SEED));
        self.hawkes.get_or_init(count).as_ref()
    }

    /// The makers of SM-1 on the test tape.
    pub(super) fn sm1(&self, maker: usize) -> &Score {
        &self.sm1.get_or_init(|| sm1::PAPER.score(&MAKERS, 100, 2))[maker]
    }

    /// The same on the tape without information.
    pub(super) fn sm1_calm(&self, maker: usize) -> &Score {
        &self.sm1_calm.get_or_init(|| sm1::CONTROL.score(&MAKERS[..3], self.pick(100, 50), 2))[maker]
    }

    /// What VPIN shows on the test tape.
    pub(super) fn sm1_toxicity(&self) -> &Toxicity {
        self.sm1_toxicity.get_or_init(|| sm1::PAPER.toxicity(2_000_000, 2))
    }
}
