//! Both directions of the conversion, and what they refuse.

use roman::{from_roman, to_roman};

#[test]
fn known_numerals() {
    for (number, numeral) in [(1, "I"), (4, "IV"), (90, "XC"), (1987, "MCMLXXXVII"), (3999, "MMMCMXCIX")] {
        assert_eq!(to_roman(number).as_deref(), Some(numeral));
        assert_eq!(from_roman(numeral), Some(number));
    }
}

#[test]
fn every_number_comes_back() {
    for number in 1..=3999 {
        let numeral = to_roman(number).expect("a numeral");
        assert_eq!(from_roman(&numeral), Some(number), "{numeral}");
    }
}

#[test]
fn numbers_without_a_numeral_are_refused() {
    assert_eq!(to_roman(0), None);
    assert_eq!(to_roman(4000), None);
}

#[test]
fn only_the_canonical_form_is_read() {
    for wrong in ["", "IIII", "IC", "VX", "MMMM", "ABC", "X I"] {
        assert_eq!(from_roman(wrong), None, "{wrong:?}");
    }
}
