//! Reads an expression and evaluates it on the way, by recursive descent.
//!
//! ```text
//! sum     = product { ("+" | "-") product }
//! product = sign { ("*" | "/" | "%") sign }
//! sign    = [ "-" | "+" ] sign | power
//! power   = postfix [ ("^" | "**") sign ]
//! postfix = atom { "!" }
//! atom    = number | name | name "(" sum { "," sum } ")" | "(" sum ")"
//! ```

use super::error::MathError;
use super::number::{Number, gcd};
use crate::limits::EXPRESSION_DEPTH_MAX;

/// The value of `expression`.
///
/// # Errors
/// If it is malformed or has no value.
pub(super) fn evaluate(expression: &str) -> Result<Number, MathError> {
    let mut parser = Parser { text: expression, at: 0, depth: 0 };
    let value = parser.sum()?;
    match parser.peek() {
        None => Ok(value),
        Some(_) => Err(parser.expected("an operator or the end")),
    }
}

#[derive(Debug)]
struct Parser<'a> {
    text: &'a str,
    /// In bytes, always on a character's border.
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next character that is not a space.
    fn peek(&mut self) -> Option<char> {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        self.rest().chars().next()
    }

    fn take(&mut self, token: &str) -> bool {
        let there = self.peek().is_some() && self.rest().starts_with(token);
        if there {
            self.at += token.len();
        }
        there
    }

    fn take_any(&mut self, tokens: &[&'static str]) -> Option<&'static str> {
        tokens.iter().copied().find(|token| self.take(token))
    }

    fn expected(&mut self, expected: &'static str) -> MathError {
        let found = self.peek().map_or_else(|| "the end".into(), |c| format!("{c:?}"));
        let before = self.text.get(..self.at).unwrap_or_default();
        MathError::Syntax { expected, at: before.chars().count() + 1, found }
    }

    fn sum(&mut self) -> Result<Number, MathError> {
        let mut value = self.product()?;
        while let Some(operator) = self.take_any(&["+", "-", "−"]) {
            let right = self.product()?;
            value = value.add(if operator == "+" { right } else { right.negate() })?;
        }
        Ok(value)
    }

    fn product(&mut self) -> Result<Number, MathError> {
        let mut value = self.sign()?;
        while let Some(operator) = self.take_any(&["*", "×", "·", "/", "÷", "%"]) {
            let right = self.sign()?;
            value = match operator {
                "/" | "÷" => value.divide(right),
                "%" => value.remainder(right),
                _ => value.multiply(right),
            }?;
        }
        Ok(value)
    }

    /// Every recursion of the grammar passes here, so this is where its depth is bounded.
    fn sign(&mut self) -> Result<Number, MathError> {
        self.depth += 1;
        if self.depth > EXPRESSION_DEPTH_MAX {
            return Err(MathError::TooDeep);
        }
        let value = match self.take_any(&["-", "−", "+"]) {
            Some("+") => self.sign(),
            Some(_) => self.sign().map(Number::negate),
            None => self.power(),
        }?;
        self.depth -= 1;
        Ok(value)
    }

    fn power(&mut self) -> Result<Number, MathError> {
        let base = self.postfix()?;
        if self.take_any(&["^", "**"]).is_some() {
            return base.power(self.sign()?);
        }
        Ok(base)
    }

    fn postfix(&mut self) -> Result<Number, MathError> {
        let mut value = self.atom()?;
        while self.take("!") {
            value = value.factorial()?;
        }
        Ok(value)
    }

    fn atom(&mut self) -> Result<Number, MathError> {
        match self.peek() {
            Some('(') => {
                self.take("(");
                let value = self.sum()?;
                if self.take(")") { Ok(value) } else { Err(self.expected("`)`")) }
            }
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            Some(c) if c.is_alphabetic() => self.name(),
            Some(_) | None => Err(self.expected("a number, a name or `(`")),
        }
    }

    fn span(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn number(&mut self) -> Result<Number, MathError> {
        let from = self.at;
        for (prefix, radix) in [("0x", 16), ("0b", 2), ("0o", 8)] {
            if self.take(prefix) {
                let digits = self.span(|c| c.is_ascii_alphanumeric() || c == '_').replace('_', "");
                return i128::from_str_radix(&digits, radix)
                    .map(Number::whole)
                    .map_err(|_| MathError::BadNumber(format!("{prefix}{digits}")));
            }
        }
        self.span(|c| c.is_ascii_digit() || c == '.' || c == '_');
        self.exponent();
        let text = self.text.get(from..self.at).unwrap_or_default().replace('_', "");
        decimal(&text).ok_or(MathError::BadNumber(text))
    }

    /// `e` and digits, if a number goes on like that; `2e` alone is 2 and then something else.
    fn exponent(&mut self) {
        let Some(rest) = self.rest().strip_prefix(['e', 'E']) else { return };
        let digits = rest.strip_prefix(['-', '+']).unwrap_or(rest);
        if digits.starts_with(|c: char| c.is_ascii_digit()) {
            self.at += 1 + rest.len() - digits.len();
            self.span(|c| c.is_ascii_digit());
        }
    }

    fn name(&mut self) -> Result<Number, MathError> {
        let name = self.span(char::is_alphanumeric).to_lowercase();
        if !self.take("(") {
            return match name.as_str() {
                "pi" | "π" => Number::float(std::f64::consts::PI),
                "tau" | "τ" => Number::float(std::f64::consts::TAU),
                "e" => Number::float(std::f64::consts::E),
                _ => Err(MathError::UnknownName(name)),
            };
        }
        let mut arguments = vec![self.sum()?];
        while self.take(",") {
            arguments.push(self.sum()?);
        }
        if !self.take(")") {
            return Err(self.expected("`,` or `)`"));
        }
        apply(&name, &arguments)
    }
}

/// A decimal with or without point and exponent; exact if it fits.
fn decimal(text: &str) -> Option<Number> {
    let float: f64 = text.parse().ok()?;
    let exact = || {
        let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let top: i128 = format!("{whole}{part}").parse().ok()?;
        let shift = exponent.parse::<i32>().ok()?.checked_sub(i32::try_from(part.len()).ok()?)?;
        let scale = 10_i128.checked_pow(shift.unsigned_abs())?;
        if shift < 0 {
            Number::fraction(top, scale)
        } else {
            Some(Number::whole(top.checked_mul(scale)?))
        }
    };
    exact().or_else(|| Number::float(float).ok())
}

/// The value of a function.
fn apply(name: &str, arguments: &[Number]) -> Result<Number, MathError> {
    if let ("min" | "max", [first, rest @ ..]) = (name, arguments) {
        let better = |a: &Number, b: &Number| match name {
            "min" => b.to_f64() < a.to_f64(),
            _ => b.to_f64() > a.to_f64(),
        };
        return Ok(rest
            .iter()
            .fold(*first, |best, next| if better(&best, next) { *next } else { best }));
    }
    match (name, arguments) {
        ("round", [x]) => round(*x, Number::whole(0)),
        ("round", [x, digits]) => round(*x, *digits),
        ("log", [x, base]) => Number::float(x.to_f64().ln() / base.to_f64().ln()),
        ("gcd", [a, b]) => match (a.to_whole(), b.to_whole()) {
            (Some(a), Some(b)) => i128::try_from(gcd(a.unsigned_abs(), b.unsigned_abs()))
                .map(Number::whole)
                .map_err(|_| MathError::Undefined),
            _ => Err(MathError::NotWhole("gcd")),
        },
        ("log" | "gcd", _) => Err(MathError::Arity(name.to_owned(), "two arguments")),
        ("round", _) => Err(MathError::Arity(name.to_owned(), "one or two arguments")),
        (_, [x]) => unary(name, *x),
        _ => match unary(name, Number::whole(1)) {
            Err(MathError::UnknownName(name)) => Err(MathError::UnknownName(name)),
            Ok(_) | Err(_) => Err(MathError::Arity(name.to_owned(), "one argument")),
        },
    }
}

fn unary(name: &str, x: Number) -> Result<Number, MathError> {
    let value = x.to_f64();
    let float = match name {
        "abs" => return Ok(if value < 0.0 { x.negate() } else { x }),
        "floor" => return whole(x, i128::div_euclid, f64::floor),
        "ceil" => return whole(x.negate(), i128::div_euclid, f64::floor).map(Number::negate),
        "sqrt" => return root(x),
        "cbrt" => value.cbrt(),
        "exp" => value.exp(),
        "ln" => value.ln(),
        "log2" => value.log2(),
        "log10" => value.log10(),
        "sin" => value.sin(),
        "cos" => value.cos(),
        "tan" => value.tan(),
        "asin" => value.asin(),
        "acos" => value.acos(),
        "atan" => value.atan(),
        _ => return Err(MathError::UnknownName(name.to_owned())),
    };
    Number::float(float)
}

/// A square root, exact if it is a whole number.
fn root(x: Number) -> Result<Number, MathError> {
    let nearest = x.to_f64().sqrt();
    let exact = x.to_whole().filter(|whole| *whole >= 0).map(|whole| (whole, whole.isqrt()));
    match exact {
        Some((whole, root)) if root * root == whole => Ok(Number::whole(root)),
        Some(_) | None => Number::float(nearest),
    }
}

/// A whole number from a fraction or a float.
fn whole(
    x: Number,
    exact: impl Fn(i128, i128) -> i128,
    float: impl Fn(f64) -> f64,
) -> Result<Number, MathError> {
    match x {
        Number::Exact { top, bottom } => Ok(Number::whole(exact(top, bottom))),
        Number::Float(value) => Number::float(float(value)),
    }
}

/// `x` with at most `digits` digits after the point, halves away from zero.
fn round(x: Number, digits: Number) -> Result<Number, MathError> {
    let digits = digits.to_whole().filter(|digits| (-18..=18).contains(digits));
    let Some(digits) = digits else {
        return Err(MathError::NotWhole("the second argument of round"));
    };
    let scale = Number::whole(10).power(Number::whole(digits))?;
    let scaled = x.multiply(scale)?;
    let rounded = match scaled {
        Number::Exact { top, bottom } => {
            let away = if top < 0 { -1 } else { 1 };
            let doubled = top.checked_mul(2).and_then(|top| top.checked_add(bottom * away));
            match (doubled, bottom.checked_mul(2)) {
                (Some(doubled), Some(bottom)) => Number::whole(doubled / bottom),
                _ => Number::float(scaled.to_f64().round())?,
            }
        }
        Number::Float(value) => Number::float(value.round())?,
    };
    rounded.divide(scale)
}
