//! From points and marks to SVG text. Colours stand in attributes for viewers that know nothing else,
//! and in a style sheet for dark ones.

use super::scale::step;
use crate::term::{count, cut};

/// A model call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Point {
    /// Which, from 0.
    pub(super) call: usize,
    /// Tokens of its input.
    pub(super) input: u64,
    /// Those among them that the provider read from its cache.
    pub(super) cached: u64,
    /// Whether the provider counted them.
    pub(super) counted: bool,
}

/// A mark at a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tick {
    pub(super) call: usize,
    /// What a viewer says of it.
    pub(super) say: String,
    /// Tokens that are written beside it where there is room.
    pub(super) size: Option<u64>,
}

/// Marks of one kind, on a line of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) name: &'static str,
    pub(super) class: &'static str,
    pub(super) ticks: Vec<Tick>,
}

/// What is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) name: String,
    pub(super) calls: usize,
    /// The largest input of all calls, drawn or not.
    pub(super) peak: u64,
    /// In order; each stands for the calls up to the next.
    pub(super) points: Vec<Point>,
    /// From which call on which limit holds.
    pub(super) limits: Vec<(usize, Option<u64>)>,
    pub(super) lanes: Vec<Lane>,
}

const WIDTH: u32 = 960;
const LEFT: f64 = 96.0;
const RIGHT: f64 = 936.0;
const TOP: f64 = 76.0;
const BOTTOM: f64 = 336.0;
/// Where the first lane stands, and how far apart lanes are.
const LANES: f64 = 404.0;
const LANE: f64 = 20.0;

/// Where the legend begins, and how far apart its lines are.
const LEGEND: f64 = 42.0;
const LEGEND_LINE: f64 = 16.0;
/// What the sign before a word of it takes, a letter at most, and what is between two words.
const KEY: f64 = 22.0;
const LETTER: f64 = 6.5;
const GAP: f64 = 20.0;

/// Marks of a lane that each have words of their own.
const WORDS_MAX: usize = 1_000;

/// Cuts beside which the tokens they freed are written.
const SIZES_MAX: usize = 12;

/// A limit so many times above the peak is told of, not drawn.
const FAR: u64 = 4;

/// Colours by class: in light viewers, in dark ones.
const COLOURS: [(&str, &str, &str); 11] = [
    ("paper", "#ffffff", "#14171c"),
    ("ink", "#22272e", "#dde3ea"),
    ("faint", "#d5dae0", "#363d47"),
    ("cached", "#8cb8dc", "#3f6f96"),
    ("fresh", "#e08a3c", "#d98638"),
    ("open", "#b4bac2", "#6c7683"),
    ("limit", "#c02f2f", "#ff7b72"),
    ("cut", "#7a3fb0", "#c79bf2"),
    ("fault", "#c02f2f", "#ff7b72"),
    ("recall", "#1f7a3f", "#63c982"),
    ("miss", "#9a6a00", "#e3b341"),
];

/// What a class is in light viewers.
fn colour(class: &str) -> &'static str {
    let found = COLOURS.iter().find(|(name, _, _)| *name == class);
    found.map_or("#22272e", |(_, light, _)| *light)
}

/// Text that XML allows, with what would be markup escaped.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            _ if c.is_control() => safe.push(' '),
            _ => safe.push(c),
        }
    }
    safe
}

/// The picture while it is written.
struct Svg {
    text: String,
    /// The calls and tokens that the axes end at.
    calls: f64,
    tokens: f64,
}

impl Picture {
    /// The picture as SVG text.
    pub(super) fn svg(&self) -> String {
        let drawn = |limit: &u64| *limit <= self.peak.saturating_mul(FAR);
        let limits = self.limits.iter().filter_map(|(_, limit)| *limit);
        let top = limits.filter(drawn).max().unwrap_or_default().max(self.peak).max(1);
        let by = step(top, 6);
        let top = top.div_ceil(by).saturating_mul(by);
        let calls = self.calls.max(1);
        let mut svg = Svg { text: String::new(), calls: float(calls as u64), tokens: float(top) };
        svg.begin(self);
        svg.axes(self.calls, top, by);
        svg.areas(&self.points);
        svg.limits(&self.limits, self.calls, top);
        for (lane, at) in self.lanes.iter().zip(0_u32..) {
            svg.lane(lane, LANES + f64::from(at) * LANE);
        }
        svg.text.push_str("</svg>");
        svg.text
    }
}

#[expect(clippy::cast_precision_loss, reason = "a picture has no use for the last digits")]
fn float(figure: u64) -> f64 {
    figure as f64
}

impl Svg {
    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.push_str(&text.to_string());
        self.text.push('\n');
    }

    /// Where a call begins.
    fn x(&self, call: usize) -> f64 {
        let part = float(call as u64) / self.calls;
        LEFT + (RIGHT - LEFT) * part.min(1.0)
    }

    /// The middle of a call; of one that was never made, the end.
    fn middle(&self, call: usize) -> f64 {
        f64::midpoint(self.x(call), self.x(call.saturating_add(1)))
    }

    fn y(&self, tokens: u64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * (float(tokens) / self.tokens).min(1.0)
    }

    fn begin(&mut self, picture: &Picture) {
        let height = LANES + LANE * float(picture.lanes.len() as u64);
        let name = escape(&cut(&picture.name, 80));
        self.put(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
             height=\"{height}\" role=\"img\" font-family=\"system-ui, sans-serif\" font-size=\"12\">"
        ));
        self.put(format_args!("<title>The window of {name} over its model calls</title>"));
        let mut light = String::new();
        let mut dark = String::new();
        for (class, by_day, by_night) in COLOURS {
            for (sheet, colour) in [(&mut light, by_day), (&mut dark, by_night)] {
                sheet.push_str(&format!(
                    ".{class}{{fill:{colour}}}.{class}-line{{stroke:{colour}}}"
                ));
            }
        }
        self.put(format_args!(
            "<style>{light}@media (prefers-color-scheme: dark){{{dark}}}</style>"
        ));
        let paper = colour("paper");
        self.put(format_args!(
            "<rect class=\"paper\" fill=\"{paper}\" width=\"{WIDTH}\" height=\"{height}\"/>"
        ));
        self.words(
            LEFT,
            22.0,
            "start",
            "ink",
            &format!("The window of {name}"),
            " font-size=\"17\"",
        );
        self.legend(picture);
    }

    /// What colours and lines mean, on as many lines as that takes.
    fn legend(&mut self, picture: &Picture) {
        let has_open = picture.points.iter().any(|point| !point.counted);
        let has_limit = picture.limits.iter().any(|(_, limit)| limit.is_some());
        let cuts = picture.lanes.iter().flat_map(|lane| &lane.ticks);
        let cuts = cuts.filter(|tick| tick.size.is_some()).count();
        let has_sizes = (1..=SIZES_MAX).contains(&cuts);
        let (mut x, mut y) = (LEFT, LEGEND);
        for (class, say, is_there) in [
            ("cached", "read from the provider's cache", true),
            ("fresh", "written or not cached", true),
            ("open", "no answer, by estimate", has_open),
            ("limit", "the most that fits", has_limit),
            ("cut", "−N: a cut freed N tokens, by estimate", has_sizes),
        ] {
            if !is_there {
                continue;
            }
            let takes = KEY + LETTER * float(say.chars().count() as u64);
            if x + takes > RIGHT && x > LEFT {
                (x, y) = (LEFT, y + LEGEND_LINE);
            }
            match class {
                "cut" => self.words(x, y, "start", class, say, ""),
                "limit" => {
                    let more = " stroke-width=\"2\" stroke-dasharray=\"5 3\"";
                    self.stroke(class, &format!("M{x} {}h16", y - 4.0), more);
                    self.words(x + KEY, y, "start", "ink", say, "");
                }
                _ => {
                    let (fill, top) = (colour(class), y - 10.0);
                    self.put(format_args!(
                        "<rect class=\"{class}\" fill=\"{fill}\" x=\"{x}\" y=\"{top}\" width=\"12\" height=\"12\"/>"
                    ));
                    self.words(x + KEY, y, "start", "ink", say, "");
                }
            }
            x += takes + GAP;
        }
    }

    /// Text that is escaped already.
    fn words(&mut self, x: f64, y: f64, anchor: &str, class: &str, say: &str, more: &str) {
        let fill = colour(class);
        self.put(format_args!(
            "<text class=\"{class}\" fill=\"{fill}\" x=\"{x:.1}\" y=\"{y:.1}\" \
             text-anchor=\"{anchor}\"{more}>{say}</text>"
        ));
    }

    fn stroke(&mut self, class: &str, path: &str, more: &str) {
        let colour = colour(class);
        self.put(format_args!(
            "<path class=\"{class}-line\" fill=\"none\" stroke=\"{colour}\" d=\"{path}\"{more}/>"
        ));
    }

    fn axes(&mut self, calls: usize, top: u64, by: u64) {
        for tokens in (0..=top).step_by(usize::try_from(by).unwrap_or(usize::MAX).max(1)) {
            let y = self.y(tokens);
            self.stroke("faint", &format!("M{LEFT} {y:.1}H{RIGHT}"), "");
            self.words(LEFT - 8.0, y + 4.0, "end", "ink", &count(tokens), "");
        }
        let middle = f64::midpoint(TOP, BOTTOM);
        let turned = format!(" transform=\"rotate(-90 24 {middle})\"");
        self.words(24.0, middle, "middle", "ink", "input of a call, tokens", &turned);
        let calls = calls as u64;
        let by = step(calls, 10);
        let round = (1..).map(|n: u64| n.saturating_mul(by)).take_while(|call| *call <= calls);
        let round: Vec<u64> = round.collect();
        let first = (by > 1 && calls > 0).then_some(1);
        for call in first.into_iter().chain(round) {
            let x = self.middle(usize::try_from(call.saturating_sub(1)).unwrap_or(usize::MAX));
            self.stroke("ink", &format!("M{x:.1} {BOTTOM}v5"), "");
            self.words(x, BOTTOM + 19.0, "middle", "ink", &count(call), "");
        }
        self.stroke("ink", &format!("M{LEFT} {BOTTOM}H{RIGHT}"), "");
        let axis = f64::midpoint(LEFT, RIGHT);
        self.words(axis, BOTTOM + 38.0, "middle", "ink", "model calls", "");
        if calls == 0 {
            self.words(axis, middle, "middle", "ink", "no model was asked yet", "");
        }
    }

    /// The input of each call as steps: all of it, and over it the part that was cached.
    fn areas(&mut self, points: &[Point]) {
        self.area("fresh", points, |point| if point.counted { point.input } else { 0 });
        self.area("cached", points, |point| point.cached.min(point.input));
        if points.iter().any(|point| !point.counted) {
            self.area("open", points, |point| if point.counted { 0 } else { point.input });
        }
    }

    fn area(&mut self, class: &str, points: &[Point], height: impl Fn(&Point) -> u64) {
        let Some(first) = points.first() else { return };
        let mut path = format!("M{:.1} {BOTTOM}", self.x(first.call));
        for (at, point) in points.iter().enumerate() {
            let end = points.get(at.saturating_add(1)).map(|next| self.x(next.call));
            let end = end.unwrap_or(RIGHT);
            path.push_str(&format!("V{:.1}H{end:.1}", self.y(height(point))));
        }
        path.push_str(&format!("V{BOTTOM}Z"));
        let fill = colour(class);
        self.put(format_args!("<path class=\"{class}\" fill=\"{fill}\" d=\"{path}\"/>"));
    }

    fn limits(&mut self, limits: &[(usize, Option<u64>)], calls: usize, top: u64) {
        let mut path = String::new();
        for (at, (from, limit)) in limits.iter().enumerate() {
            let Some(limit) = limit else { continue };
            let to = limits.get(at.saturating_add(1)).map_or(calls, |(next, _)| *next);
            if *limit <= top {
                let (x, y, end) = (self.x(*from), self.y(*limit), self.x(to));
                path.push_str(&format!("M{x:.1} {y:.1}H{end:.1}"));
            } else {
                let say = format!("the limit of {} is above", count(*limit));
                let x = self.x(*from) + 6.0;
                self.words(x, TOP + 12.0, "start", "limit", &say, "");
            }
        }
        if !path.is_empty() {
            self.stroke("limit", &path, " stroke-width=\"2\" stroke-dasharray=\"5 3\"");
        }
    }

    /// A lane: its name, how many marks it has, and the marks.
    fn lane(&mut self, lane: &Lane, y: f64) {
        let class = lane.class;
        self.words(LEFT - 8.0, y + 4.0, "end", "ink", lane.name, "");
        self.stroke("faint", &format!("M{LEFT} {y}H{RIGHT}"), "");
        if lane.ticks.is_empty() {
            self.words(LEFT + 6.0, y - 3.0, "start", "ink", "none", " font-size=\"10\"");
            return;
        }
        if lane.ticks.len() > WORDS_MAX {
            let mut path = String::new();
            for tick in &lane.ticks {
                path.push_str(&format!("M{:.1} {:.1}v12", self.middle(tick.call), y - 6.0));
            }
            self.stroke(class, &path, "");
            return;
        }
        let stroke = colour(class);
        for tick in &lane.ticks {
            let (x, say) = (self.middle(tick.call), escape(&tick.say));
            self.put(format_args!(
                "<path class=\"{class}-line\" stroke=\"{stroke}\" stroke-width=\"2\" fill=\"none\" \
                 d=\"M{x:.1} {:.1}v12\"><title>{say}</title></path>",
                y - 6.0
            ));
            if let Some(size) = tick.size.filter(|_| lane.ticks.len() <= SIZES_MAX) {
                let x = self.x(tick.call);
                self.stroke(class, &format!("M{x:.1} {TOP}V{BOTTOM}"), " stroke-dasharray=\"2 4\"");
                let more = " font-size=\"10\"";
                self.words(x + 3.0, TOP - 4.0, "start", class, &format!("−{}", count(size)), more);
            }
        }
    }
}

#[cfg(test)]
mod tests;
