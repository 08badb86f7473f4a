//! Figures, moments and foreign text in the middle of sentences, for people.

use aosk_abi::{Choice, MicroUsd, Millis, Timestamp};

/// Whether a character is a control one, or one of Unicode's that turn the direction of writing.
#[must_use]
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2066}'..='\u{2069}')
}

/// A figure with thousands apart.
#[must_use]
pub fn count(figure: u64) -> String {
    let digits = figure.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A figure with its noun, which is given in the singular.
#[must_use]
pub fn plural(figure: u64, noun: &str) -> String {
    let end = match noun.strip_suffix('y') {
        _ if figure == 1 => return format!("1 {noun}"),
        Some(stem) => return format!("{} {stem}ies", count(figure)),
        None if noun.ends_with('s') => "es",
        None => "s",
    };
    format!("{} {noun}{end}", count(figure))
}

/// Money, to a hundredth of a cent.
#[must_use]
pub fn money(amount: MicroUsd) -> String {
    let hundredths = amount.0.div_ceil(100);
    format!("${}.{:04}", hundredths / 10_000, hundredths % 10_000)
}

/// What a rule of a route looked at, with a blank before it.
#[must_use]
pub fn route_figure(by: Choice, figure: Option<u64>) -> String {
    match (by, figure) {
        (_, None) => String::new(),
        (Choice::ByLatency, Some(figure)) => format!(" {}", Millis(figure)),
        (Choice::InOrder | Choice::ByWeight | Choice::ByCost | Choice::ByQuality, Some(figure)) => {
            format!(" {}", money(MicroUsd(figure)))
        }
    }
}

/// A moment in local time.
#[must_use]
pub fn time(at: Timestamp) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(moment) => moment
            .to_zoned(jiff::tz::TimeZone::system())
            .strftime("%Y-%m-%d %H:%M:%S%.3f")
            .to_string(),
        Err(_) => at.0.to_string(),
    }
}

/// The text as one harmless line, cut to a number of characters.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    let clean: String = text.chars().map(|c| if steers(c) { ' ' } else { c }).collect();
    if clean.chars().count() <= most {
        return clean;
    }
    let mut short: String = clean.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}
