//! Numbers to Roman numerals and back.

/// What a numeral is made of, from large to small.
const PARTS: [(u16, &str); 13] = [
    (1000, "M"),
    (900, "CM"),
    (500, "D"),
    (400, "CD"),
    (100, "C"),
    (90, "XC"),
    (50, "L"),
    (40, "XL"),
    (10, "X"),
    (9, "IX"),
    (5, "V"),
    (4, "IV"),
    (1, "I"),
];

/// The numeral of a number from 1 to 3999; none for any other.
pub fn to_roman(number: u16) -> Option<String> {
    if !(1..=3999).contains(&number) {
        return None;
    }
    let mut rest = number;
    let mut numeral = String::new();
    for (value, letters) in PARTS {
        while rest >= value {
            numeral.push_str(letters);
            rest -= value;
        }
    }
    Some(numeral)
}

/// The number of a numeral in its canonical form; none if it is not one.
pub fn from_roman(numeral: &str) -> Option<u16> {
    let mut rest = numeral;
    let mut number: u16 = 0;
    for (value, letters) in PARTS {
        while let Some(shorter) = rest.strip_prefix(letters) {
            number = number.checked_add(value)?;
            rest = shorter;
        }
    }
    // Reading is lenient, writing is not: only what is written the same way is a numeral.
    let canonical = to_roman(number)?;
    (rest.is_empty() && canonical == numeral).then_some(number)
}
