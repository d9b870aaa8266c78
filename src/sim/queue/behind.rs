//! How probable it is that a cancellation happened behind an order: five forms, and room for others.
//!
//! Pure functions of the quantity ahead (`front`) and behind (`back`), both at least zero. An empty queue on both sides
//! gives 1: there is nothing ahead that could have left.

/// The probability that a decrease of the level that is not a trade was behind the order.
///
/// Implement it for a form of your own; [`Prob`](super::Prob) hands in quantities that are not negative and takes an
/// answer outside `[0, 1]`, or no number, for the nearest sensible one.
pub trait Behind: std::fmt::Debug + Send + Sync {
    /// The probability with `front` lots ahead and `back` lots behind.
    fn raw(&self, front: f64, back: f64) -> f64;

    /// [`Self::raw`] made safe: quantities at least zero, the answer in `[0, 1]`.
    fn probability(&self, front: f64, back: f64) -> f64 {
        let (front, back) = (front.max(0.0), back.max(0.0));
        if front + back <= 0.0 {
            return 1.0;
        }
        let p = self.raw(front, back);
        if p.is_nan() { 1.0 } else { p.clamp(0.0, 1.0) }
    }
}

/// `b^n / (b^n + f^n)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Power {
    /// Exponent; larger values trust the larger side more.
    pub n: f64,
}

/// `b^n / (b + f)^n`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Power2 {
    /// Exponent.
    pub n: f64,
}

/// `1 - (f / (f + b))^n`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Power3 {
    /// Exponent.
    pub n: f64,
}

/// `ln(1 + b) / (ln(1 + b) + ln(1 + f))`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Log;

/// `ln(1 + b) / ln(1 + b + f)`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Log2;

impl Behind for Power {
    fn raw(&self, front: f64, back: f64) -> f64 {
        back.powf(self.n) / (back.powf(self.n) + front.powf(self.n))
    }
}

impl Behind for Power2 {
    fn raw(&self, front: f64, back: f64) -> f64 {
        (back / (back + front)).powf(self.n)
    }
}

impl Behind for Power3 {
    fn raw(&self, front: f64, back: f64) -> f64 {
        1.0 - (front / (front + back)).powf(self.n)
    }
}

impl Behind for Log {
    fn raw(&self, front: f64, back: f64) -> f64 {
        back.ln_1p() / (back.ln_1p() + front.ln_1p())
    }
}

impl Behind for Log2 {
    fn raw(&self, front: f64, back: f64) -> f64 {
        back.ln_1p() / (back + front).ln_1p()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_gives_its_unit_vector() {
        let forms: [(&dyn Behind, f64); 5] = [
            (&Power { n: 2.0 }, 0.307_692),
            (&Power2 { n: 2.0 }, 0.16),
            (&Power3 { n: 3.0 }, 0.784),
            (&Log, 0.452_681),
            (&Log2, 0.671_188),
        ];
        for (at, (form, want)) in forms.into_iter().enumerate() {
            let got = form.probability(6.0, 4.0);
            assert!((got - want).abs() < 5e-7, "form {at}: {got} and not {want}");
        }
    }

    #[test]
    fn an_empty_queue_and_negative_quantities_have_a_probability() {
        let forms: [&dyn Behind; 5] = [&Power { n: 2.5 }, &Power2 { n: 2.5 }, &Power3 { n: 2.5 }, &Log, &Log2];
        for form in forms {
            assert_eq!(form.probability(0.0, 0.0), 1.0);
            assert_eq!(form.probability(5.0, 0.0), 0.0);
            assert_eq!(form.probability(0.0, 5.0), 1.0);
            let odd = form.probability(-1.0, 3.0);
            assert!((0.0..=1.0).contains(&odd), "{odd}");
        }
    }
}
