//! Numbers that are exact fractions until they cannot be.

use std::fmt;

use super::error::MathError;

/// The largest number whose factorial a float can hold.
const FACTORIAL_MAX: u32 = 170;

/// Digits after the point that an exact decimal is written with.
const DECIMALS_MAX: u32 = 30;

/// A number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    /// `top / bottom` in lowest terms, `bottom` at least 1.
    Exact {
        /// The numerator.
        top: i128,
        /// The denominator.
        bottom: i128,
    },
    /// The nearest float; always finite.
    Float(f64),
}

use Number::{Exact, Float};

impl Number {
    /// A whole number.
    pub(super) fn whole(top: i128) -> Self {
        Exact { top, bottom: 1 }
    }

    /// `top / bottom` in lowest terms; none if `bottom` is zero or a part is too large.
    pub(super) fn fraction(top: i128, bottom: i128) -> Option<Self> {
        if bottom == 0 {
            return None;
        }
        let divisor = i128::try_from(gcd(top.unsigned_abs(), bottom.unsigned_abs())).ok()?;
        let sign = bottom.signum();
        let top = top.checked_div(divisor)?.checked_mul(sign)?;
        Some(Exact { top, bottom: bottom.checked_div(divisor)?.checked_mul(sign)? })
    }

    /// A float.
    ///
    /// # Errors
    /// If it is no number or infinite.
    pub(super) fn float(value: f64) -> Result<Self, MathError> {
        if value.is_finite() { Ok(Float(value)) } else { Err(MathError::Undefined) }
    }

    /// The nearest float.
    pub(super) fn to_f64(self) -> f64 {
        match self {
            Exact { top, bottom } => top as f64 / bottom as f64,
            Float(value) => value,
        }
    }

    /// The whole number it is; none if it is not one.
    pub(super) fn to_whole(self) -> Option<i128> {
        match self {
            Exact { top, bottom: 1 } => Some(top),
            Exact { .. } | Float(_) => None,
        }
    }

    pub(super) fn is_zero(self) -> bool {
        self.to_f64() == 0.0
    }

    pub(super) fn negate(self) -> Self {
        match self {
            Exact { top, bottom } => {
                top.checked_neg().map_or_else(|| Float(-self.to_f64()), |top| Exact { top, bottom })
            }
            Float(value) => Float(-value),
        }
    }

    pub(super) fn add(self, other: Self) -> Result<Self, MathError> {
        let exact = self.with(other, |a, b, c, d| {
            Self::fraction(a.checked_mul(d)?.checked_add(c.checked_mul(b)?)?, b.checked_mul(d)?)
        });
        exact.map_or_else(|| Self::float(self.to_f64() + other.to_f64()), Ok)
    }

    pub(super) fn multiply(self, other: Self) -> Result<Self, MathError> {
        let exact =
            self.with(other, |a, b, c, d| Self::fraction(a.checked_mul(c)?, b.checked_mul(d)?));
        exact.map_or_else(|| Self::float(self.to_f64() * other.to_f64()), Ok)
    }

    pub(super) fn divide(self, other: Self) -> Result<Self, MathError> {
        if other.is_zero() {
            return Err(MathError::DivisionByZero);
        }
        let exact =
            self.with(other, |a, b, c, d| Self::fraction(a.checked_mul(d)?, b.checked_mul(c)?));
        exact.map_or_else(|| Self::float(self.to_f64() / other.to_f64()), Ok)
    }

    /// What is left of `self` when `other` is taken from it as often as it goes; with its sign.
    pub(super) fn remainder(self, other: Self) -> Result<Self, MathError> {
        if other.is_zero() {
            return Err(MathError::DivisionByZero);
        }
        let exact = self.with(other, |a, b, c, d| {
            Self::fraction(a.checked_mul(d)?.checked_rem(c.checked_mul(b)?)?, b.checked_mul(d)?)
        });
        exact.map_or_else(|| Self::float(self.to_f64() % other.to_f64()), Ok)
    }

    pub(super) fn power(self, exponent: Self) -> Result<Self, MathError> {
        if self.is_zero() && exponent.to_f64() < 0.0 {
            return Err(MathError::DivisionByZero);
        }
        let whole = exponent.to_whole().and_then(|exponent| i32::try_from(exponent).ok());
        let exact = whole.and_then(|exponent| self.exact_power(exponent));
        exact.map_or_else(|| Self::float(self.to_f64().powf(exponent.to_f64())), Ok)
    }

    /// By squaring; none as soon as a part is too large.
    fn exact_power(self, exponent: i32) -> Option<Self> {
        let Exact { top, bottom } = self else { return None };
        let size = exponent.unsigned_abs();
        let (top, bottom) = (top.checked_pow(size)?, bottom.checked_pow(size)?);
        if exponent < 0 { Self::fraction(bottom, top) } else { Self::fraction(top, bottom) }
    }

    pub(super) fn factorial(self) -> Result<Self, MathError> {
        let count = self
            .to_whole()
            .and_then(|whole| u32::try_from(whole).ok())
            .filter(|count| *count <= FACTORIAL_MAX)
            .ok_or(MathError::Factorial)?;
        (2..=count).try_fold(Self::whole(1), |product, factor| {
            product.multiply(Self::whole(i128::from(factor)))
        })
    }

    /// Applies `exact` to both fractions; none unless both are exact and the result is.
    fn with(
        self,
        other: Self,
        exact: impl Fn(i128, i128, i128, i128) -> Option<Self>,
    ) -> Option<Self> {
        match (self, other) {
            (Exact { top: a, bottom: b }, Exact { top: c, bottom: d }) => exact(a, b, c, d),
            (Exact { .. } | Float(_), _) => None,
        }
    }
}

/// The greatest common divisor; of zero and a number, that number.
pub(super) fn gcd(mut a: u128, mut b: u128) -> u128 {
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    a
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exact { top, bottom: 1 } => write!(f, "{top}"),
            Exact { top, bottom } => match decimals(*top, *bottom) {
                Some(text) => f.write_str(&text),
                None => write!(f, "≈ {} (exactly {top}/{bottom})", rounded(self.to_f64())),
            },
            Float(value) if *value != 0.0 && !(1e-6..1e21).contains(&value.abs()) => {
                write!(f, "≈ {:e}", rounded(*value))
            }
            Float(value) => write!(f, "≈ {}", rounded(*value)),
        }
    }
}

/// To the 15 digits that a float holds whatever its value; the ones beyond are noise.
fn rounded(value: f64) -> f64 {
    format!("{value:.14e}").parse().unwrap_or(value)
}

/// `top / bottom` as a decimal, if it ends within [`DECIMALS_MAX`] digits.
fn decimals(top: i128, bottom: i128) -> Option<String> {
    let (mut scale, mut digits) = (1_u128, 0_u32);
    let bottom = bottom.unsigned_abs();
    while !scale.is_multiple_of(bottom) {
        scale = scale.checked_mul(10)?;
        digits += 1;
        if digits > DECIMALS_MAX {
            return None;
        }
    }
    let shifted = top.unsigned_abs().checked_mul(scale.checked_div(bottom)?)?;
    let sign = if top < 0 { "-" } else { "" };
    let width = usize::try_from(digits).ok()?;
    let text = format!("{shifted:0>width$}", width = width + 1);
    let (whole, part) = text.split_at_checked(text.len().checked_sub(width)?)?;
    Some(format!("{sign}{whole}.{part}"))
}
