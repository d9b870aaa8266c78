//! Calendar dates, in UTC: the one place that knows the Gregorian calendar.

use std::fmt;
use std::str::FromStr;

use super::TimestampNs;

const DAY_NANOS: u64 = 86_400_000_000_000;

/// A day of the Gregorian calendar, from 1970 to 2554, where nanoseconds since the epoch end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// The year.
    pub year: u16,
    /// The month, from 1.
    pub month: u8,
    /// The day of the month, from 1.
    pub day: u8,
}

impl Date {
    /// The day of a number of days since the epoch; the arithmetic is Howard Hinnant's `civil_from_days`.
    pub const fn from_days(days: u64) -> Date {
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + (month <= 2) as u64;
        Date { year: year as u16, month: month as u8, day: day as u8 }
    }

    /// Days since the epoch; `days_from_civil` of the same source.
    pub const fn days(self) -> u64 {
        let year = self.year as u64 - (self.month <= 2) as u64;
        let (era, year_of_era) = (year / 400, year % 400);
        let month_from_march = (self.month as u64 + 9) % 12;
        let day_of_year = (153 * month_from_march + 2) / 5 + self.day as u64 - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }

    /// Its first moment.
    pub const fn midnight(self) -> TimestampNs {
        TimestampNs::from_nanos(self.days() * DAY_NANOS)
    }
}

impl TimestampNs {
    /// The day, in UTC, and the nanoseconds passed of it.
    pub const fn date(self) -> (Date, u64) {
        (Date::from_days(self.nanos() / DAY_NANOS), self.nanos() % DAY_NANOS)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl FromStr for Date {
    type Err = String;

    fn from_str(text: &str) -> Result<Date, String> {
        let mut parts = text.split('-');
        let mut next = || parts.next().and_then(|part| part.parse::<u16>().ok());
        let found = match (next(), next(), next()) {
            (Some(year @ 1970..=2553), Some(month @ 1..=12), Some(day @ 1..=31)) if text.len() == 10 => {
                Some(Date { year, month: month as u8, day: day as u8 })
            }
            _ => None,
        };
        // The 31st of a shorter month would become another day on its way back.
        found
            .filter(|date| Date::from_days(date.days()) == *date)
            .ok_or_else(|| format!("\"{text}\" is no date: write it as 2024-12-31"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_each_others_inverse() {
        for days in 0..210_000 {
            assert_eq!(Date::from_days(days).days(), days);
        }
        assert_eq!(Date::from_days(0).to_string(), "1970-01-01");
        for (days, date) in [(11_016, "2000-02-29"), (20_779, "2026-11-22"), (47_541, "2100-03-01")] {
            assert_eq!(Date::from_days(days).to_string(), date);
        }
        assert_eq!("2012-06-21".parse::<Date>().unwrap().midnight(), TimestampNs::from_millis(1_340_236_800_000));
        let (date, rest) = TimestampNs::from_nanos(u64::MAX).date();
        assert_eq!((date.to_string().as_str(), rest), ("2554-07-21", 84_873_709_551_615));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in ["2023-02-29", "2023-13-01", "2023-1-1", "20230101", "2023-01-01x", "1969-12-31", ""] {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
    }
}
