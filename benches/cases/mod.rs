//! The hot functions on fixed input, one case each: `benches/hot.rs` counts their instructions and tells their times.
//!
//! A case does the same work on each call and answers with a sum that was worked out in another way beforehand. Nothing
//! in it depends on an address, a clock or a random seed, so that its instruction count is the same on every run.

mod decide;
mod frames;
mod learn;
mod market;
mod tile;
mod venue;

/// One hot function.
pub struct Case {
    /// `<module>_<what>`.
    pub name: &'static str,
    /// How often one call does it.
    pub units: u64,
    /// How many calls are counted together.
    pub calls: u64,
    /// Whether it can be called without end.
    pub repeats: bool,
    /// What one call must answer.
    want: u64,
    /// Done before each call and not counted.
    before: Option<Box<dyn FnMut()>>,
    /// One call.
    pub run: Box<dyn FnMut() -> u64>,
}

impl Case {
    fn new(name: &'static str, units: usize, want: u64, run: impl FnMut() -> u64 + 'static) -> Case {
        Case { name, units: units as u64, calls: 1, repeats: true, want, before: None, run: Box::new(run) }
    }

    /// It uses up what it works on.
    fn once(mut self) -> Case {
        self.repeats = false;
        self
    }

    /// Calls it as `how` says, and checks the answer.
    ///
    /// # Panics
    /// When the answer is wrong.
    pub fn call(&mut self, how: impl FnOnce(&mut Case) -> u64) {
        if let Some(before) = &mut self.before {
            before();
        }
        let answer = how(self);
        assert_eq!(answer, self.want, "{}", self.name);
    }
}

/// A case's name, and how to make it.
pub type Maker = (&'static str, fn() -> Case);

/// Every case, in the order of a tick's way through the engine.
pub const CASES: &[Maker] = &[
    ("frame_parse", frames::parse),
    ("decode_decimal", frames::decimal),
    ("decode_depth_20", frames::depth),
    ("scan_depth_20", frames::scanned_depth),
    ("sbe_depth_20", frames::binary_depth),
    ("decode_trade", frames::trade),
    ("scan_trade", frames::scanned_trade),
    ("decode_touch", frames::touch),
    ("scan_touch", frames::scanned_touch),
    ("decode_execution_report", frames::execution_report),
    ("record_encode_depth_20", market::record_encode),
    ("link_record_depth_20", market::link_record),
    ("ring_push_pop", market::ring),
    ("journal_append_64", market::journal_append),
    ("book_apply_20", market::book_apply),
    ("market_stage_20", market::stage),
    ("features_on_book", decide::features),
    ("features_on_trade", learn::tape),
    ("estimators_on_event", learn::estimators),
    ("quoter_naive", decide::naive),
    ("quoter_hybrid", decide::hybrid),
    ("quoter_as", decide::avellaneda),
    ("quoter_glft", decide::glft),
    ("quoter_ev", decide::expected),
    ("quote_bound", decide::bound),
    ("risk_checks", decide::risk),
    ("orders_plan_side", decide::plan),
    ("pipeline_event_to_action", decide::pipeline),
    ("quote_tile_step", tile::step),
    ("quote_tile_step_watched", tile::step_watched),
    ("rest_request", venue::rest_request),
    ("ws_api_request", venue::ws_api_request),
    ("stamps_to_hops", venue::hops),
    ("histogram_record", venue::histogram),
    ("matching_message", venue::matching),
];
