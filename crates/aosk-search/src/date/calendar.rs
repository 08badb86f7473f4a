//! The civil calendar as day numbers.

/// A day, counted from 1 January 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub i32);

/// Years that are read as years.
pub(super) const YEARS: std::ops::RangeInclusive<i32> = 1900..=2100;

impl Day {
    /// The day of a civil date, if there is such a date.
    #[must_use]
    pub fn new(year: i32, month: u8, day: u8) -> Option<Day> {
        let known = YEARS.contains(&year) && (1..=12).contains(&month);
        if !known || !(1..=days_in(year, month)).contains(&day) {
            return None;
        }
        // Years that begin in March have the leap day at their end.
        let (month, day) = (i32::from(month), i32::from(day));
        let year = if month <= 2 { year - 1 } else { year };
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        Some(Day(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468))
    }

    /// The day of a time in seconds since 1970.
    #[must_use]
    pub fn of_unix(seconds: i64) -> Day {
        // Beyond the range no calendar is meant, and a clamped day is as good as any.
        let days = seconds.div_euclid(86_400);
        Day(i32::try_from(days).unwrap_or(if days < 0 { i32::MIN / 4 } else { i32::MAX / 4 }))
    }

    /// The first date that a text names with day, month and year: `7 May 2023`,
    /// `1:56 pm on 8 May, 2023`, `2023-05-08T10:00:00Z`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Day> {
        super::mentions(text, None).into_iter().find_map(|mention| match mention {
            super::Mention::Span(span) if span.days() == 1 => Some(span.first),
            super::Mention::Span(_) | super::Mention::Yearly { .. } => None,
        })
    }

    /// Year, month and day of the month.
    #[must_use]
    pub fn civil(self) -> (i32, u8, u8) {
        let days = self.0.saturating_add(719_468);
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let shifted = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year + era * 400 + i32::from(month <= 2);
        (year, u8::try_from(month).unwrap_or(1), u8::try_from(day).unwrap_or(1))
    }

    /// The day so many days later.
    #[must_use]
    pub fn plus(self, days: i32) -> Day {
        Day(self.0.saturating_add(days))
    }

    /// 0 for Monday to 6 for Sunday.
    #[must_use]
    pub fn weekday(self) -> i32 {
        self.0.saturating_add(3).rem_euclid(7)
    }
}

/// How many days a month has.
pub(super) fn days_in(year: i32, month: u8) -> u8 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The same day so many months later, or the last day of that month.
pub(super) fn plus_months(day: Day, months: i32) -> Option<Day> {
    let (year, month, of_month) = day.civil();
    let count = year.checked_mul(12)?.checked_add(i32::from(month) - 1)?.checked_add(months)?;
    let (year, month) = (count.div_euclid(12), u8::try_from(count.rem_euclid(12) + 1).ok()?);
    Day::new(year, month, of_month.min(days_in(year, month)))
}
