//! The offset of greatest expected value, by search, and where theory puts it.
//!
//! A quote at distance delta earns delta less its cost when it is filled, and is filled the more seldom the further it
//! lies. [`best`] searches a grid for the distance at which chance times gain is greatest; the closed forms are what the
//! search has to find for two shapes of the chance. Source: quant.md 9.

/// The greatest expected value among candidates and where it is; of equals the last one, which for candidates that go
/// outwards is the wider quote. Candidates without a value are passed over; `None` when none has one.
pub fn best<T>(candidates: impl IntoIterator<Item = T>, mut value: impl FnMut(&T) -> Option<f64>) -> Option<(T, f64)> {
    let mut best: Option<(T, f64)> = None;
    for candidate in candidates {
        if let Some(found) = value(&candidate).filter(|found| !found.is_nan())
            && best.as_ref().is_none_or(|(_, most)| found >= *most)
        {
            best = Some((candidate, found));
        }
    }
    best
}

/// Where A exp(-k delta) (delta - c) is greatest: c + 1/k.
pub fn exponential_optimum(cost: f64, k: f64) -> f64 {
    cost + 1.0 / k
}

/// Where (delta - c) / (1 + exp(a + b delta)) is greatest, and that value: c + (1 + W) / b and W / b with
/// W = W(exp(-(1 + a + b c))), Lambert's function.
pub fn logistic_optimum(a: f64, b: f64, cost: f64) -> (f64, f64) {
    let w = lambert_w((-(1.0 + a + b * cost)).exp());
    (cost + (1.0 + w) / b, w / b)
}

/// Lambert's W of a number not below zero: the w with w exp(w) = x, by Halley's steps.
pub fn lambert_w(x: f64) -> f64 {
    // A start below the root for small x and near it for large x; from there each step triples the digits.
    let mut w = if x < 3.0 { x / (1.0 + x) } else { x.ln() - x.ln().ln() };
    for _ in 0..64 {
        let grown = w.exp();
        let error = w * grown - x;
        let step = error / (grown * (w + 1.0) - (w + 2.0) * error / (2.0 * w + 2.0));
        w -= step;
        if step.abs() <= 1e-15 * w.abs().max(1e-300) {
            break;
        }
    }
    w
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> impl Iterator<Item = f64> {
        (0..=40_000).map(|step| f64::from(step) * 1e-4)
    }

    #[test]
    fn the_search_finds_what_theory_says_for_an_exponential_chance() {
        for (c, k, want) in [(0.2, 1.5, 0.866_667), (0.5, 10.0, 0.6)] {
            assert!((exponential_optimum(c, k) - want).abs() < 1e-6);
            let (found, _) = best(grid(), |delta| Some((-k * delta).exp() * (delta - c))).unwrap();
            assert!((found - want).abs() < 1e-4, "{found}");
        }
    }

    #[test]
    fn the_search_finds_what_theory_says_for_a_logistic_chance() {
        for (a, b, c, want, value) in [
            (-1.0, 2.0, 0.1, 0.848_860, 0.248_860),
            (0.0, 1.0, 0.3, 1.518_943, 0.218_943),
            (1.0, 0.5, 0.2, 2.419_460, 0.219_460),
        ] {
            let theory = logistic_optimum(a, b, c);
            assert!((theory.0 - want).abs() < 1e-6 && (theory.1 - value).abs() < 1e-6, "{theory:?}");
            let found = best(grid(), |delta| Some((delta - c) / (1.0 + (a + b * delta).exp()))).unwrap();
            assert!((found.0 - want).abs() < 1e-4 && (found.1 - value).abs() < 1e-6, "{found:?}");
        }
    }

    #[test]
    fn lamberts_function_is_the_inverse_that_it_should_be() {
        assert_eq!(lambert_w(0.0), 0.0);
        for x in [1e-9, 0.1, 1.0, 2.9, 3.1, 50.0, 1e6] {
            let w = lambert_w(x);
            assert!((w * w.exp() / x - 1.0).abs() < 1e-12, "{x}");
        }
        assert!((lambert_w(1.0) - 0.567_143_290_409_783_8).abs() < 1e-15);
    }

    #[test]
    fn of_equals_the_wider_quote_is_taken_and_what_has_no_value_is_none() {
        assert_eq!(best([1, 2, 3, 4], |at| Some(if *at == 4 { 0.0 } else { 1.0 })), Some((3, 1.0)));
        assert_eq!(best([1, 2], |_| None), None);
        assert_eq!(best([1, 2], |_| Some(f64::NAN)), None);
    }
}
