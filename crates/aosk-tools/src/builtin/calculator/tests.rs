//! Checks of the calculator: values, mistakes, and that no input can hurt the caller.

use super::error::MathError;
use super::parse::evaluate;

fn value(expression: &str) -> String {
    evaluate(expression).map_or_else(|error| format!("error: {error}"), |n| n.to_string())
}

#[test]
fn expressions_have_values() {
    let cases = [
        ("1 + 1", "2"),
        ("0.1 + 0.2", "0.3"),
        ("17 * 23.5", "399.5"),
        ("2 + 3 * 4 ^ 2", "50"),
        ("-2 ^ 2", "-4"),
        ("2 ^ -2", "0.25"),
        ("2 ^ 3 ^ 2", "512"),
        ("2**10", "1024"),
        ("10 - 4 - 3", "3"),
        ("7 % 3 + -7 % 3", "0"),
        ("2^64 - 1", "18446744073709551615"),
        ("20!", "2432902008176640000"),
        ("1/3 + 1/6", "0.5"),
        ("1/3", "≈ 0.333333333333333 (exactly 1/3)"),
        ("-0.05", "-0.05"),
        ("1_000 * 1e3", "1000000"),
        ("1e-3", "0.001"),
        ("0xff + 0b11", "258"),
        ("sqrt(144)", "12"),
        ("sqrt(2)", "≈ 1.4142135623731"),
        ("round(2.675, 2)", "2.68"),
        ("round(-2.5)", "-3"),
        ("floor(-3/2) + ceil(3/2)", "0"),
        ("max(1, 7/2, 3)", "3.5"),
        ("gcd(12, 18)", "6"),
        ("log(8, 2)", "≈ 3"),
        ("abs(-3)", "3"),
        ("2e", "error: expected an operator or the end at character 2, found 'e'"),
        ("1e300 * 1e5", "≈ 1e305"),
        ("2 × 3 ÷ 4", "1.5"),
    ];
    for (expression, expected) in cases {
        assert_eq!(value(expression), expected, "{expression}");
    }
}

#[test]
fn mistakes_are_named() {
    assert_eq!(evaluate("1/0"), Err(MathError::DivisionByZero));
    assert_eq!(evaluate("0^-1"), Err(MathError::DivisionByZero));
    assert_eq!(evaluate("5 % 0"), Err(MathError::DivisionByZero));
    assert_eq!(evaluate("sqrt(-1)"), Err(MathError::Undefined));
    assert_eq!(evaluate("9^9^9^9"), Err(MathError::Undefined));
    assert_eq!(evaluate("171!"), Err(MathError::Factorial));
    assert_eq!(evaluate("1.5!"), Err(MathError::Factorial));
    assert_eq!(evaluate("foo"), Err(MathError::UnknownName("foo".into())));
    assert_eq!(evaluate("foo(1, 2)"), Err(MathError::UnknownName("foo".into())));
    assert_eq!(evaluate("sin(1, 2)"), Err(MathError::Arity("sin".into(), "one argument")));
    assert_eq!(evaluate("1.2.3"), Err(MathError::BadNumber("1.2.3".into())));
    assert_eq!(value("(1"), "error: expected `)` at character 3, found the end");
    assert_eq!(
        value("1 +"),
        "error: expected a number, a name or `(` at character 4, found the end"
    );
    assert_eq!(value("1 $ 2"), "error: expected an operator or the end at character 3, found '$'");
}

#[test]
fn no_input_of_the_allowed_length_is_too_much() {
    let nested = [
        "(".repeat(1000),
        "-".repeat(1000),
        "2^".repeat(500),
        "sqrt(".repeat(200),
        "-(".repeat(500),
        "min(1,".repeat(160),
    ];
    // A quarter of the stack of the threads this runs on.
    let thread = std::thread::Builder::new().stack_size(512 * 1024);
    let worker = thread.spawn(move || {
        for expression in nested {
            assert_eq!(evaluate(&expression), Err(MathError::TooDeep), "{expression:.20}");
        }
        // Long but not deep is fine.
        assert_eq!(value(&format!("{}1", "1+".repeat(499))), "500");
        assert_eq!(value(&format!("{}1{}", "(".repeat(63), ")".repeat(63))), "1");
        assert_eq!(
            value(&format!("3{}", "!".repeat(900))),
            "error: a factorial needs a whole number from 0 to 170"
        );
    });
    worker.expect("starts").join().expect("does not overflow its stack");
}

#[test]
fn exact_numbers_become_floats_instead_of_overflowing() {
    assert_eq!(value("10^30 * 10^30"), "≈ 1e60");
    assert_eq!(value("(10^20 + 1/7) * (10^20 + 1/11)"), "≈ 1e40");
    assert_eq!(value("170!"), "≈ 7.25741561530799e306");
    let beyond = value("-170141183460469231731687303715884105727 - 1 - 1");
    assert_eq!(beyond, "≈ -1.70141183460469e38");
}
