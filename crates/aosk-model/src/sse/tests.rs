//! Streams cut in every way, badly ended, too long and not UTF-8.

use super::*;

fn decode(chunks: &[&[u8]]) -> Vec<(String, String)> {
    let mut decoder = Decoder::new(1000);
    let mut events = Vec::new();
    let mut read = |decoder: &mut Decoder| {
        while let Some(event) = decoder.event().expect("within the bound") {
            events.push((event.name, event.data));
        }
    };
    for chunk in chunks {
        decoder.push(Bytes::copy_from_slice(chunk));
        read(&mut decoder);
    }
    decoder.finish();
    read(&mut decoder);
    events
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, data)| (name.to_string(), data.to_string())).collect()
}

#[test]
fn every_way_of_cutting_gives_the_same_events() {
    let stream = "\u{feff}: hello\r\nevent: a\r\ndata: 日本\r\n\r\nid: 7\ndata:x\ndata:  y\n\n\rdata: z\r\rdata\n\n";
    let expected = pairs(&[("a", "日本"), ("", "x\n y"), ("", "z"), ("", "")]);
    let bytes = stream.as_bytes();
    assert_eq!(decode(&[bytes]), expected);
    for first in 0..bytes.len() {
        for second in first..bytes.len() {
            let parts = [&bytes[..first], &bytes[first..second], &bytes[second..]];
            assert_eq!(decode(&parts), expected, "cut at {first} and {second}");
        }
    }
}

#[test]
fn the_last_event_may_lack_its_blank_line() {
    assert_eq!(decode(&[b"data: [DONE]"]), pairs(&[("", "[DONE]")]));
    assert_eq!(decode(&[b"data: 1\n\nevent: x"]), pairs(&[("", "1")]));
    for line_end in ["\r", "\n", "\r\n"] {
        assert_eq!(decode(&[b"data: 1", line_end.as_bytes()]), pairs(&[("", "1")]));
    }
}

#[test]
fn comments_and_blank_lines_are_no_events() {
    assert_eq!(decode(&[b": keep-alive\n\n\n\n: again\n\n"]), pairs(&[]));
}

#[test]
fn an_event_is_bounded_over_all_its_lines() {
    let mut decoder = Decoder::new(20);
    decoder.push(Bytes::from_static(b"data: 0123456789\n"));
    assert_eq!(decoder.event().expect("fits"), None);
    decoder.push(Bytes::from_static(b"data: 0123456789\n"));
    let error = decoder.event().expect_err("too long");
    assert!(matches!(error, Undecodable::EventTooLong { max: 20 }), "{error}");
}

#[test]
fn the_bound_is_of_one_event_and_not_of_a_chunk() {
    let mut decoder = Decoder::new(20);
    for line_end in ["\n", "\r", "\r\n"] {
        let event = format!("data: 0123456789{line_end}{line_end}");
        decoder.push(event.repeat(9).into());
        let events = std::iter::from_fn(|| decoder.event().expect("each fits"));
        assert_eq!(events.count(), 9, "{line_end:?}");
    }
    decoder.push(Bytes::from_static(b"data: 1\n\ndata: 0123456789 and so on"));
    assert_eq!(decoder.event().expect("fits").map(|event| event.data).as_deref(), Some("1"));
    assert!(decoder.event().is_err(), "a line that has not ended is bounded too");
}

#[test]
fn what_is_not_utf8_is_refused_after_the_events_before_it() {
    let mut decoder = Decoder::new(100);
    decoder.push(Bytes::from_static(b"data: 1\n\ndata: \xe6\x97\n\n"));
    assert_eq!(decoder.event().expect("UTF-8").map(|event| event.data).as_deref(), Some("1"));
    let error = decoder.event().expect_err("half a character");
    assert!(matches!(error, Undecodable::Malformed(_)), "{error}");
}
