//! Checks of bounded output: what is kept, what is counted, what is made visible.

use super::*;

fn captured(bytes_max: usize, chunks: &[&[u8]]) -> Capture {
    let mut capture = Capture::new(bytes_max);
    for chunk in chunks {
        capture.push(chunk);
    }
    capture
}

#[test]
fn short_output_is_whole_however_it_is_chunked() {
    let text = "one\ntwo ä € 🦀\nthree";
    for size in 1..text.len() {
        let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
        let capture = captured(64, &chunks);
        assert_eq!(capture.render(64), text, "chunks of {size}");
        // The bound that just fits cuts nothing.
        assert_eq!(capture.render(text.len()), text);
    }
}

#[test]
fn long_output_keeps_head_and_tail_and_counts_the_rest() {
    let lines: String = (0..1000).map(|n| format!("line {n}\n")).collect();
    let capture = captured(40, &[lines.as_bytes()]);
    // 20 bytes of head end just before a line feed, 20 of tail begin inside a line.
    let text = capture.render(40);
    assert_eq!(
        text,
        "line 0\nline 1\nline 2\n[… 8,850 bytes cut: 995 lines …]\n7\nline 998\nline 999\n"
    );
    assert_eq!(capture.bytes(), 8_890);
}

#[test]
fn a_flood_costs_no_more_memory_than_the_bound() {
    let bytes_max = 16 * 1024;
    let chunk = vec![b'x'; 64 * 1024];
    let mut capture = Capture::new(bytes_max);
    for _ in 0..1600 {
        capture.push(&chunk);
    }
    assert_eq!(capture.bytes(), 100 * 1024 * 1024);
    assert!(capture.capacity() <= 3 * bytes_max, "capacity {}", capture.capacity());
    let text = capture.render(bytes_max);
    assert!(text.contains("\n[… 104,841,216 bytes cut: 0 lines …]\n"));
    assert!(text.len() < bytes_max + 100);
    // The control: kept whole, the same stream takes what it takes.
    let mut whole = Capture::new(200 * 1024 * 1024);
    for _ in 0..16 {
        whole.push(&chunk);
    }
    assert!(whole.capacity() >= 1024 * 1024);
}

#[test]
fn cuts_fall_between_characters() {
    let text = "€".repeat(1000);
    for bytes_max in 7..20 {
        let shown = captured(bytes_max, &[text.as_bytes()]).render(bytes_max);
        let kept = shown.matches('€').count();
        assert!(!shown.contains('\u{fffd}'), "{bytes_max}: {shown}");
        assert!(kept >= 2 && kept * 3 <= bytes_max + 1, "{bytes_max}: {kept}");
        assert!(shown.contains(&format!("[… {} bytes cut", grouped(3000 - 3 * kept as u64))));
    }
}

#[test]
fn invalid_utf8_is_replaced_and_stays_bounded() {
    assert_eq!(captured(64, &[b"a\xff\xfeb\xe2\x82"]).render(64), "a\u{fffd}\u{fffd}b\u{fffd}");
    // Each byte grows to three when shown; the bound is on what is shown.
    let shown = captured(300, &[&[0xff; 300]]).render(300);
    assert_eq!(shown.matches('\u{fffd}').count(), 100);
    assert!(shown.contains("[… 200 bytes cut: 0 lines …]"));
}

#[test]
fn control_characters_become_visible_or_vanish() {
    let cases = [
        ("a\tb\nc", "a\tb\nc"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("\u{1b}[1;31mred\u{1b}[0m", "red"),
        ("\u{1b}[2J", "␛[2J"),
        ("\u{1b}]0;title\u{7}", "␛]0;title␇"),
        ("\u{1b}]52;c;aGk=\u{1b}\\", "␛]52;c;aGk=␛\\"),
        ("\u{1b}[", "␛["),
        ("a\0b\u{8}c\u{7f}", "a␀b␈c␡"),
        ("\u{9b}31m", "\\u{9b}31m"),
        ("abc\u{202e}fed", "abc\\u{202e}fed"),
        ("x\u{e0041}", "x\\u{e0041}"),
        ("naïve 漢字 👩‍👩‍👧", "naïve 漢字 👩‍👩‍👧"),
    ];
    for (raw, shown) in cases {
        assert_eq!(clean(raw), shown, "{raw:?}");
        assert_eq!(cut(raw, 100), shown, "{raw:?}");
    }
}

#[test]
fn a_colour_sequence_of_endless_parameters_is_not_swallowed() {
    let hidden = format!("\u{1b}[{}m", "1".repeat(100));
    assert_eq!(clean(&hidden), format!("␛[{}m", "1".repeat(100)));
}

#[test]
fn numbers_are_grouped() {
    assert_eq!(
        [0, 12, 123, 1_234, 104_857_600].map(grouped),
        ["0", "12", "123", "1,234", "104,857,600"]
    );
}
