//! One line of the table: what a value should be, where that is known from, and how we compute ours.

use serde_json::{Value, json};

use super::lab::Lab;

/// Where the expected value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Printed in the model's paper.
    Paper,
    /// A closed form or an exact solution.
    Theory,
    /// A larger simulation that was made for the specification.
    Simulated,
}

impl Source {
    fn word(self) -> &'static str {
        match self {
            Source::Paper => "paper",
            Source::Theory => "theory",
            Source::Simulated => "simulated",
        }
    }
}

/// What a value has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Expect {
    /// Within a tolerance of a value.
    Near {
        /// The value.
        value: f64,
        /// How far off it may be.
        tolerance: f64,
    },
    /// Less than this.
    Below(f64),
    /// More than this.
    Above(f64),
}

impl Expect {
    /// NaN meets nothing.
    fn is_met_by(self, ours: f64) -> bool {
        match self {
            // The last digit of a decimal bound must not decide.
            Expect::Near { value, tolerance } => (ours - value).abs() <= tolerance * (1.0 + 1e-9),
            Expect::Below(bound) => ours < bound,
            Expect::Above(bound) => ours > bound,
        }
    }

    fn text(self) -> String {
        match self {
            Expect::Near { value, tolerance } => format!("{} ± {}", short(value), short(tolerance)),
            Expect::Below(bound) => format!("< {}", short(bound)),
            Expect::Above(bound) => format!("> {}", short(bound)),
        }
    }
}

/// A number with seven digits that matter, without trailing zeros.
fn short(value: f64) -> String {
    let size = value.abs();
    if value != 0.0 && !(1e-3..1e9).contains(&size) {
        return format!("{value:.4e}");
    }
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

type Compute = Box<dyn Fn(&Lab) -> f64>;

/// A row before it is computed.
pub(super) struct Row {
    section: &'static str,
    name: String,
    expect: Expect,
    source: Source,
    ours: Compute,
}

/// A row whose value has to be within `tolerance` of `value`.
pub(super) fn row(
    section: &'static str,
    name: impl Into<String>,
    value: f64,
    tolerance: f64,
    source: Source,
    ours: impl Fn(&Lab) -> f64 + 'static,
) -> Row {
    Row { section, name: name.into(), expect: Expect::Near { value, tolerance }, source, ours: Box::new(ours) }
}

/// A row whose value is bounded on one side.
pub(super) fn bound(
    section: &'static str,
    name: impl Into<String>,
    expect: Expect,
    source: Source,
    ours: impl Fn(&Lab) -> f64 + 'static,
) -> Row {
    Row { section, name: name.into(), expect, source, ours: Box::new(ours) }
}

impl Row {
    /// Computes ours and compares.
    pub(super) fn judge(&self, lab: &Lab) -> Verdict {
        let ours = (self.ours)(lab);
        Verdict {
            section: self.section,
            name: self.name.clone(),
            want: self.expect.text(),
            expect: self.expect,
            source: self.source,
            ours,
            is_met: self.expect.is_met_by(ours),
        }
    }
}

/// A row after it was computed.
pub(super) struct Verdict {
    pub(super) section: &'static str,
    pub(super) name: String,
    pub(super) want: String,
    pub(super) ours: f64,
    pub(super) is_met: bool,
    expect: Expect,
    source: Source,
}

impl Verdict {
    /// One line of the printed table.
    pub(super) fn text(&self) -> String {
        let (mark, word) = (if self.is_met { "pass" } else { "FAIL" }, self.source.word());
        let ours = short(self.ours);
        format!("{:7} {:56} {:>26} {ours:>14}  {word:9} {mark}\n", self.section, self.name, self.want)
    }

    /// One object of the JSON output.
    pub(super) fn json(&self) -> Value {
        let mut value = json!({
            "section": self.section,
            "name": self.name,
            "source": self.source.word(),
            "ours": self.ours,
            "pass": self.is_met,
        });
        match self.expect {
            Expect::Near { value: want, tolerance } => {
                value["expected"] = json!(want);
                value["tolerance"] = json!(tolerance);
            }
            Expect::Below(limit) => value["below"] = json!(limit),
            Expect::Above(limit) => value["above"] = json!(limit),
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_strict_and_nan_meets_none() {
        let near = Expect::Near { value: 1.0, tolerance: 0.1 };
        assert!(near.is_met_by(1.1) && !near.is_met_by(1.11) && !near.is_met_by(f64::NAN));
        assert!(Expect::Below(2.0).is_met_by(1.9) && !Expect::Below(2.0).is_met_by(2.0));
        assert!(Expect::Above(2.0).is_met_by(2.1) && !Expect::Above(2.0).is_met_by(f64::NAN));
        assert_eq!((short(0.25), short(1.35e-4), short(3.0)), ("0.25".into(), "1.3500e-4".into(), "3".into()));
    }
}
