use super::*;

fn decode(chunks: &[&[u8]]) -> Vec<(String, String)> {
    let mut decoder = Decoder::new(1000);
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.push(chunk, &mut events).expect("within the bound");
    }
    events.extend(decoder.finish());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    events.into_iter().map(|event| (text(event.name), text(event.data))).collect()
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
}

#[test]
fn comments_and_blank_lines_are_no_events() {
    assert_eq!(decode(&[b": keep-alive\n\n\n\n: again\n\n"]), pairs(&[]));
}

#[test]
fn an_event_is_bounded_over_all_its_lines() {
    let mut decoder = Decoder::new(20);
    let mut events = Vec::new();
    decoder.push(b"data: 0123456789\n", &mut events).expect("fits");
    assert_eq!(decoder.push(b"data: 0123456789\n", &mut events), Err(EventTooLong { max: 20 }));
    assert_eq!(events, []);
}
