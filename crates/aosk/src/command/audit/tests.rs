//! Tests of `aosk audit`.

use super::*;

#[test]
fn a_head_parses_back() {
    let head = Head { length: 7, hash: Hash::of(b"seven") };
    assert_eq!(parse_head(&print_head(head)), Ok(head));
}

#[test]
fn what_is_no_head_is_wrong_usage() {
    let hash = Hash::of(b"seven");
    for text in ["", "7", ":", "7:", &format!(":{hash}"), &format!("-7:{hash}"), "7:abc"] {
        let error = parse_head(text).expect_err(text);
        assert_eq!(error.code, ErrorCode::Usage, "{text}");
    }
}
