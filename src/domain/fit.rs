//! Whether visitors were split as the weights say: Pearson's chi-square test.

use super::variant::Weight;

/// Less expected than this of any variant, the test says nothing (Cochran's rule).
const LEAST_EXPECTED: f64 = 5.0;
/// A split that chance makes more rarely than this is not as it was asked.
const RARE: f64 = 0.001;
/// Terms after which a series or fraction stands still for every number of variants there may be.
const TERMS: u32 = 10_000;

/// How a split went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Within what chance does.
    AsAsked,
    /// Chance does not do this.
    Mismatch,
    /// Too few were drawn to tell.
    TooFew,
}

/// How far what was drawn is from what the weights say.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// What would be drawn of each variant if the weights were met exactly.
    pub expected: Vec<f64>,
    /// The sum of the squared differences, each by what was expected.
    pub chi_square: f64,
    /// The number of variants with a weight, less one.
    pub degrees_of_freedom: u32,
    /// How probable chance makes such a sum or a larger one.
    pub p_value: f64,
    /// What follows.
    pub verdict: Verdict,
}

impl Fit {
    /// Compares what was drawn of each variant with its weight.
    pub fn of(drawn: &[(u64, Weight)]) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "no log holds 2^53 clicks")]
        let number = |count: u64| count as f64;
        let total = number(drawn.iter().map(|(count, _)| count).sum());
        let weights = f64::from(drawn.iter().map(|(_, weight)| u32::from(weight.number())).sum::<u32>());
        let share = |weight: Weight| f64::from(weight.number()) / weights.max(1.0);
        let expected: Vec<f64> = drawn.iter().map(|(_, weight)| total * share(*weight)).collect();
        let pairs = || drawn.iter().zip(&expected).filter(|((_, weight), _)| weight.number() > 0);
        let degrees_of_freedom = u32::try_from(pairs().count().saturating_sub(1)).unwrap_or(u32::MAX);
        let distance = |((count, _), expected): (&(u64, Weight), &f64)| {
            if *expected > 0.0 { (number(*count) - expected).powi(2) / expected } else { 0.0 }
        };
        let chi_square: f64 = pairs().map(distance).sum();
        let p_value = p_value(chi_square, degrees_of_freedom);
        let from_nobodys = drawn.iter().any(|(count, weight)| weight.number() == 0 && *count > 0);
        let verdict = if from_nobodys {
            Verdict::Mismatch
        } else if pairs().any(|(_, expected)| *expected < LEAST_EXPECTED) {
            Verdict::TooFew
        } else if p_value < RARE {
            Verdict::Mismatch
        } else {
            Verdict::AsAsked
        };
        Self { expected, chi_square, degrees_of_freedom, p_value, verdict }
    }
}

/// Returns how probable it is that a chi-square with so many degrees of freedom is at least this: the regularised upper
/// incomplete gamma function `Q(degrees / 2, chi_square / 2)`.
fn p_value(chi_square: f64, degrees: u32) -> f64 {
    let (a, x) = (f64::from(degrees) / 2.0, chi_square / 2.0);
    if degrees == 0 || x <= 0.0 {
        return 1.0;
    }
    // x^a e^-x / Gamma(a), by Gamma(n + 1) = n Gamma(n) from Gamma(1) = 1 or Gamma(1/2) = sqrt(pi).
    let first = if degrees.is_multiple_of(2) { 1.0 } else { 0.5 };
    let mut ln_gamma = if degrees.is_multiple_of(2) { 0.0 } else { std::f64::consts::PI.ln() / 2.0 };
    let mut below = first;
    while below < a {
        ln_gamma += below.ln();
        below += 1.0;
    }
    let front = (a * x.ln() - x - ln_gamma).exp();
    if x < a + 1.0 { 1.0 - front * lower_series(a, x) } else { front * upper_fraction(a, x) }
}

/// The series of the lower function (NIST Digital Library of Mathematical Functions, 8.7.1): the sum over n of
/// `x^n / (a (a+1) … (a+n))`.
fn lower_series(a: f64, x: f64) -> f64 {
    let mut term = 1.0 / a;
    let mut sum = term;
    for n in 1..TERMS {
        term *= x / (a + f64::from(n));
        sum += term;
        if term < sum * f64::EPSILON {
            break;
        }
    }
    sum
}

/// The continued fraction of the upper function (the same, 8.9.2, contracted), by Lentz's method.
fn upper_fraction(a: f64, x: f64) -> f64 {
    let mut b = x + 1.0 - a;
    let mut c = f64::MAX;
    let mut d = 1.0 / b;
    let mut value = d;
    for n in 1..TERMS {
        let n = f64::from(n);
        let numerator = -n * (n - a);
        b += 2.0;
        d = 1.0 / (numerator * d + b);
        c = b + numerator / c;
        let factor = c * d;
        value *= factor;
        if (factor - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(number: i64) -> Weight {
        Weight::parse(number).unwrap()
    }

    fn fit(drawn: &[(u64, i64)]) -> Fit {
        Fit::of(&drawn.iter().map(|(count, number)| (*count, weight(*number))).collect::<Vec<_>>())
    }

    /// Values of the closed forms (Abramowitz and Stegun, 26.4.4 and 26.4.5), computed with 50 digits.
    #[test]
    fn p_values_are_those_of_the_tables() {
        for (chi_square, degrees, expected) in [
            (0.001, 1, 0.9747728793699604),
            (3.841458820694124, 1, 0.05000000000000006),
            (10.827566170662733, 1, 0.0009999999999999996),
            (40.0, 1, 2.539628589470865e-10),
            (100.0, 1, 1.523970604832105e-23),
            (0.5, 2, 0.7788007830714049),
            (13.815510557964274, 2, 0.001),
            (60.0, 2, 9.357622968840175e-14),
            (2.5, 3, 0.4752910833430206),
            (16.26623619623813, 3, 0.0010000000000000005),
            (7.0, 5, 0.2206403079367108),
            (30.1435272, 10, 0.0008115328916256193),
            (18.0, 19, 0.522438273986263),
            (21.0, 19, 0.3368009019275336),
            (43.82019596, 19, 0.001000000001436483),
            (150.0, 19, 2.1915635993460734e-22),
            (3.0, 18, 0.9999722641807531),
        ] {
            let p = p_value(chi_square, degrees);
            assert!((p / expected - 1.0).abs() < 1e-11, "{chi_square} {degrees}: {p} is not {expected}");
        }
        assert_eq!(p_value(0.0, 3), 1.0);
        assert_eq!(p_value(5.0, 0), 1.0);
    }

    #[test]
    fn split_is_as_asked_until_chance_cannot_have_done_it() {
        let even = fit(&[(5_000, 1), (5_000, 1)]);
        assert_eq!((even.chi_square, even.degrees_of_freedom), (0.0, 1));
        assert_eq!((even.p_value, even.verdict), (1.0, Verdict::AsAsked));
        let near = fit(&[(5_150, 50), (4_850, 50)]);
        assert_eq!(near.expected, [5_000.0, 5_000.0]);
        assert!((near.chi_square - 9.0).abs() < 1e-12 && near.verdict == Verdict::AsAsked, "{near:?}");
        let far = fit(&[(5_170, 50), (4_830, 50)]);
        assert!(far.p_value < RARE && far.verdict == Verdict::Mismatch, "{far:?}");
        assert_eq!(fit(&[(700, 70), (300, 30)]).verdict, Verdict::AsAsked);
        assert_eq!(fit(&[(500, 70), (500, 30)]).verdict, Verdict::Mismatch);
    }

    #[test]
    fn little_is_too_little_and_nobody_is_nobody() {
        assert_eq!(fit(&[(0, 1), (0, 1)]).verdict, Verdict::TooFew);
        assert_eq!(fit(&[(8, 1), (1, 1)]).verdict, Verdict::TooFew);
        assert_eq!(fit(&[(100, 9_999), (0, 1)]).verdict, Verdict::TooFew);
        let without = fit(&[(500, 1), (500, 1), (0, 0)]);
        assert_eq!((without.degrees_of_freedom, without.verdict), (1, Verdict::AsAsked));
        assert_eq!(fit(&[(500, 1), (500, 1), (1, 0)]).verdict, Verdict::Mismatch);
        let one_is_left = fit(&[(500, 1), (0, 0)]);
        assert_eq!((one_is_left.p_value, one_is_left.verdict), (1.0, Verdict::AsAsked));
    }
}
