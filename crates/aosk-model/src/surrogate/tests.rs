//! Tests of `surrogate`.

use proptest::prelude::*;

use super::*;

fn text(json: &str) -> String {
    let json = format!("\"{json}\"");
    serde_json::from_slice(&mended(json.as_bytes())).expect("JSON")
}

#[test]
fn halves_of_pairs_are_replaced() {
    assert_eq!(text(r"a\ud800b"), "a\u{fffd}b");
    assert_eq!(text(r"\uDFFF"), "\u{fffd}");
    assert_eq!(text(r"\ude00\ud83d"), "\u{fffd}\u{fffd}");
    // A half before a pair, and before other escapes.
    assert_eq!(text(r"\ud83d\ud83d\ude00"), "\u{fffd}😀");
    assert_eq!(text(r"\ud83d\n\ud83d\u0041\ud83d\\"), "\u{fffd}\n\u{fffd}A\u{fffd}\\");
}

#[test]
fn everything_else_is_left_alone() {
    let same = [
        r#""\ud83d\ude00 \u00e9 \ufffd""#,
        r#""\\ud800 \\\\ud800 \" \/""#,
        // No JSON, and none after mending either.
        r"\ud80",
        r"\ud8+1\ud8",
        "\\",
        "",
    ];
    for json in same {
        assert!(matches!(mended(json.as_bytes()), Cow::Borrowed(_)), "{json}");
    }
}

/// A piece of a JSON text, and the UTF-16 it stands for.
fn piece() -> impl Strategy<Value = (String, Vec<u16>)> {
    let escaped = |unit: u16| (format!("\\u{unit:04x}"), vec![unit]);
    prop_oneof![
        any::<u16>().prop_map(escaped),
        (0xd800..=0xdfff_u16).prop_map(escaped),
        Just((r"\\".to_owned(), vec![u16::from(b'\\')])),
        Just(("u".to_owned(), vec![u16::from(b'u')])),
        "[a-f0-9]{1,4}".prop_map(|text| (text.clone(), text.encode_utf16().collect())),
        any::<char>()
            .prop_filter("plain in JSON", |c| *c >= ' ' && !r#""\"#.contains(*c))
            .prop_map(|c| {
                let mut units = [0; 2];
                (c.to_string(), c.encode_utf16(&mut units).to_vec())
            }),
    ]
}

proptest! {
    #[test]
    fn a_text_is_read_as_lossy_utf_16(pieces in prop::collection::vec(piece(), 0..20)) {
        let (json, units): (Vec<_>, Vec<_>) = pieces.into_iter().unzip();
        prop_assert_eq!(text(&json.concat()), String::from_utf16_lossy(&units.concat()));
    }

    #[test]
    fn json_of_whole_characters_is_left_alone(original in any::<String>()) {
        let plain = serde_json::to_string(&original).expect("JSON");
        let escaped: String =
            original.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
        for json in [plain, format!("\"{escaped}\"")] {
            prop_assert!(matches!(mended(json.as_bytes()), Cow::Borrowed(_)), "{}", json);
        }
    }
}
