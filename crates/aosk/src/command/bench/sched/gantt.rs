//! A picture of a run: a line for each agent, a bar for each time that it had a slot.

use std::collections::BTreeMap;
use std::fmt::Write;

use aosk::abi::{Pid, Timestamp};

use super::world::Stretch;

const LEFT: u64 = 70;
const WIDTH: u64 = 1_100;
const TOP: u64 = 50;
const LINE: u64 = 18;

/// The part of a run that is drawn.
const SPAN: u64 = 120_000;

/// The picture as SVG text.
pub(super) fn draw(stretches: &[Stretch]) -> String {
    let begin = stretches.iter().map(|one| one.from).min().unwrap_or_default();
    let mut lines: BTreeMap<Pid, Vec<&Stretch>> = BTreeMap::new();
    for one in stretches.iter().filter(|one| one.from.since(begin).0 < SPAN) {
        lines.entry(one.pid).or_default().push(one);
    }
    let count = u64::try_from(lines.len()).unwrap_or(u64::MAX);
    let height = TOP + count * LINE + 40;
    let full = LEFT + WIDTH + 20;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {full} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\"><style>svg{{background:#fff}}.run{{fill:#8cb8dc}}\
         .cut{{fill:#e08a3c}}text{{fill:#22272e}}line{{stroke:#d5dae0}}@media \
         (prefers-color-scheme:dark){{svg{{background:#14171c}}.run{{fill:#3f6f96}}\
         text{{fill:#dde3ea}}line{{stroke:#363d47}}}}</style>\
         <text x=\"{LEFT}\" y=\"18\" font-size=\"14\">who had a slot when</text>\
         <rect class=\"run\" x=\"{LEFT}\" y=\"26\" width=\"14\" height=\"10\"/>\
         <text x=\"{}\" y=\"35\">ran to its end</text>\
         <rect class=\"cut\" x=\"{}\" y=\"26\" width=\"14\" height=\"10\"/>\
         <text x=\"{}\" y=\"35\">gave up its slot</text>",
        LEFT + 20,
        LEFT + 130,
        LEFT + 150,
    );
    let x = |at: Timestamp| LEFT + at.since(begin).0.min(SPAN) * WIDTH / SPAN;
    for (at, (pid, stretches)) in (0_u64..).zip(&lines) {
        let y = TOP + at * LINE;
        // Writing into a string does not fail.
        let _written = write!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{0}\" x2=\"{1}\" y2=\"{0}\"/><text x=\"10\" y=\"{2}\">{pid}</text>",
            y + LINE - 3,
            LEFT + WIDTH,
            y + 12,
        );
        for one in stretches {
            let (from, to) = (x(one.from), x(one.to));
            let class = if one.cut { "cut" } else { "run" };
            let _written = write!(
                svg,
                "<rect class=\"{class}\" x=\"{from}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
                y + 2,
                to.saturating_sub(from).max(1),
                LINE - 6,
            );
        }
    }
    for second in (0..=SPAN / 1_000).step_by(20) {
        let x = LEFT + second * 1_000 * WIDTH / SPAN;
        // The last one ends where the picture does.
        let anchor = if second == SPAN / 1_000 { "end" } else { "start" };
        let y = height - 15;
        let _written =
            write!(svg, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{second} s</text>");
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_agent_has_a_line_and_every_stretch_a_bar() {
        let stretch = |pid, from, to, cut| Stretch {
            pid: Pid(pid),
            from: Timestamp(from),
            to: Timestamp(to),
            cut,
        };
        let svg = draw(&[
            stretch(1, 5_000, 9_000, false),
            stretch(2, 5_000, 6_000, true),
            stretch(1, 9_500, 9_600, false),
        ]);
        assert_eq!(svg.matches("class=\"run\"").count(), 3, "two bars and the legend");
        assert_eq!(svg.matches("class=\"cut\"").count(), 2);
        assert!(svg.contains(">p1<") && svg.contains(">p2<"));
        assert!(svg.contains("text-anchor=\"end\">120 s<"), "the last label is inside: {svg}");
        assert_eq!(svg.matches('<').count(), svg.matches('>').count());
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert!(draw(&[]).ends_with("</svg>\n"));
    }
}
