//! The picture, read back as elements and paths.

use super::*;

fn picture(name: &str, calls: usize) -> Picture {
    let point = |call: usize| {
        let input = 1_000 + 10 * call as u64;
        Point { call, input, cached: input / 2, counted: call + 1 < calls }
    };
    let tick = |call| Tick { call, say: format!("cut <{call}>"), size: Some(500) };
    Picture {
        name: name.to_owned(),
        calls,
        peak: 1_000 + 10 * calls as u64,
        points: (0..calls).map(point).collect(),
        limits: vec![(0, Some(2_000))],
        lanes: vec![
            Lane { name: "cuts", class: "cut", ticks: (0..calls / 10).map(tick).collect() },
            Lane { name: "faults", class: "fault", ticks: Vec::new() },
        ],
    }
}

/// The names of all elements, after it was checked that they are closed in their order and that
/// nothing stands open in texts or attributes.
fn elements(svg: &str) -> Vec<String> {
    let (mut open, mut all) = (Vec::new(), Vec::new());
    let mut rest = svg;
    while let Some((text, after)) = rest.split_once('<') {
        assert!(!text.contains('>') || open.last() == Some(&"style"), "{text}");
        for entity in text.split('&').skip(1) {
            let known = ["amp;", "lt;", "gt;", "quot;", "apos;"];
            assert!(known.iter().any(|known| entity.starts_with(known)), "{text}");
        }
        let (tag, behind) = after.split_once('>').expect("a tag ends");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else {
            let name = tag.split([' ', '/']).next().expect("a name");
            all.push(name.to_owned());
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
        rest = behind;
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest}");
    all
}

#[test]
fn a_picture_is_one_whole_element_whatever_the_name() {
    let name = "<b>&\"'\u{7}\u{202e}\u{ffff}";
    let svg = picture(name, 40).svg();
    let all = elements(&svg);
    assert_eq!(all.iter().filter(|name| *name == "svg").count(), 1);
    assert!(all.iter().all(|name| name != "script" && name != "b"), "{all:?}");
    assert!(svg.contains("The window of &lt;b&gt;&amp;&quot;&apos;"), "{svg}");
    assert!(!svg.contains(['\u{7}', '\u{202e}', '\u{ffff}']));
    assert!(svg.contains("prefers-color-scheme: dark"));
    assert_eq!(svg.matches("http").count(), 1, "the name space and nothing else: {svg}");
    // Four cuts, each with its words, and the tokens it freed.
    assert_eq!(svg.matches("<title>cut &lt;").count(), 4);
    assert_eq!(svg.matches(">−500<").count(), 4);
    assert!(svg.contains("no answer, by estimate"));
}

/// The words of the legend and the title: where they begin, how high, and how long they are.
fn legend(svg: &str) -> Vec<(f64, f64, usize)> {
    let figure = |line: &str, name: &str| -> f64 {
        let (_, rest) = line.split_once(&format!(" {name}=\"")).expect("an attribute");
        rest.split('"').next().and_then(|figure| figure.parse().ok()).expect("a figure")
    };
    let words = svg.lines().filter(|line| line.starts_with("<text") && line.contains("\"start\""));
    let words = words.map(|line| {
        let (_, say) = line.split_once('>').expect("a text");
        let say = say.strip_suffix("</text>").expect("an end");
        (figure(line, "x"), figure(line, "y"), say.chars().count())
    });
    words.filter(|(_, y, _)| *y < TOP - 12.0).collect()
}

#[test]
fn a_legend_stays_in_the_picture_and_overlaps_nothing() {
    // An answer that is missing, a limit and cuts: all that there can be.
    let svg = picture("agent", 40).svg();
    let words = legend(&svg);
    assert_eq!(words.len(), 6, "{words:?}");
    for (at, (x, y, length)) in words.iter().enumerate() {
        let end = x + 6.0 * *length as f64;
        assert!(at == 0 || end <= RIGHT, "{words:?}");
        let behind = words.iter().filter(|(next, line, _)| line == y && next > x);
        assert!(behind.into_iter().all(|(next, ..)| *next >= end), "{words:?}");
    }
    let mut lines: Vec<String> = words.iter().map(|(_, y, _)| y.to_string()).collect();
    lines.dedup();
    assert_eq!(lines.len(), 3, "a title and two lines: {words:?}");
}

#[test]
fn no_cut_is_lost_where_there_are_many() {
    let picture = picture("agent", 20_000);
    let svg = picture.svg();
    elements(&svg);
    let lane = svg.lines().find(|line| line.contains("class=\"cut-line\"")).expect("a lane");
    assert_eq!(lane.matches('M').count(), 2_000);
}

#[test]
fn an_agent_that_asked_nothing_has_empty_axes() {
    let empty = Picture { points: Vec::new(), limits: Vec::new(), ..picture("agent", 0) };
    let svg = empty.svg();
    elements(&svg);
    assert!(svg.contains("no model was asked yet"));
}

#[test]
fn areas_stand_where_their_tokens_are() {
    let points = [
        Point { call: 0, input: 100, cached: 0, counted: true },
        Point { call: 1, input: 200, cached: 150, counted: true },
    ];
    let picture = Picture { points: points.to_vec(), peak: 200, ..picture("agent", 2) };
    let picture = Picture { limits: vec![(0, Some(10_000))], lanes: Vec::new(), ..picture };
    let svg = picture.svg();
    // The plot is 840 wide from 96 and 260 high above 336, and ends at 200 tokens.
    assert!(svg.contains("d=\"M96.0 336V206.0H516.0V76.0H936.0V336Z\""), "{svg}");
    assert!(svg.contains("d=\"M96.0 336V336.0H516.0V141.0H936.0V336Z\""), "{svg}");
    assert!(svg.contains("the limit of 10,000 is above"), "{svg}");
}
