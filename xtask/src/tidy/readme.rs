//! The two READMEs say the same: as many headings of each level, as many blocks of commands, and
//! the same commands to set up.

use super::Finding;

const RULE: &str = "readme";

pub(super) const ENGLISH: &str = "README.md";
pub(super) const CHINESE: &str = "README.zh-CN.md";

/// The first block of commands sets up. It has at least so many commands: one that builds and
/// starts, one that tests.
const SET_UP_COMMANDS_MIN: usize = 2;

/// The command that runs everything the tests need and the tests.
const TEST_COMMAND: &str = "cargo xtask test";

/// What of a README can be compared across languages.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outline {
    /// The levels of the headings, in order.
    headings: Vec<usize>,
    /// The commands of each shell block, without comments.
    blocks: Vec<Vec<String>>,
}

pub(super) fn check(english: &str, chinese: &str) -> Vec<Finding> {
    let (english, chinese) = (outline(english), outline(chinese));
    let mut findings = Vec::new();
    let mut found = |path, what: String| findings.push(Finding::new(RULE, path, 1, what));
    if english.headings != chinese.headings {
        let (ours, theirs) = (english.headings.len(), chinese.headings.len());
        found(CHINESE, format!("its {theirs} headings differ from the {ours} of {ENGLISH}"));
    }
    if english.blocks.len() != chinese.blocks.len() {
        let (ours, theirs) = (english.blocks.len(), chinese.blocks.len());
        found(
            CHINESE,
            format!("its {theirs} blocks of commands differ from the {ours} of {ENGLISH}"),
        );
    }
    if english.blocks.first() != chinese.blocks.first() {
        found(CHINESE, format!("its commands to set up differ from those of {ENGLISH}"));
    }
    for (path, outline) in [(ENGLISH, &english), (CHINESE, &chinese)] {
        if outline.blocks.first().is_none_or(|block| block.len() < SET_UP_COMMANDS_MIN) {
            found(path, format!("the first block has fewer than {SET_UP_COMMANDS_MIN} commands"));
        }
        if !outline.blocks.iter().flatten().any(|line| line.starts_with(TEST_COMMAND)) {
            found(path, format!("`{TEST_COMMAND}` is in no block of commands"));
        }
    }
    findings
}

fn outline(text: &str) -> Outline {
    let mut outline = Outline::default();
    let mut fence = None;
    for line in text.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            let shell = ["sh", "bash", "shell", "console"].contains(&language.trim());
            fence = if fence.is_some() { None } else { Some(shell) };
            if fence == Some(true) {
                outline.blocks.push(Vec::new());
            }
            continue;
        }
        match fence {
            None if line.starts_with('#') => {
                outline.headings.push(line.chars().take_while(|c| *c == '#').count());
            }
            Some(true) => {
                let command = line.split(" #").next().unwrap_or(line).trim();
                if let Some(block) = outline.blocks.last_mut()
                    && !command.is_empty()
                    && !command.starts_with('#')
                {
                    block.push(command.to_owned());
                }
            }
            None | Some(false) => {}
        }
    }
    outline
}
