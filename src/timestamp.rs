//! Seconds since 1970, and the two ways a zip archive writes them.

use std::fmt;

/// A point in time in whole seconds since 1970-01-01T00:00:00Z; negative before it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(pub i64);

const SECONDS_A_DAY: i64 = 86_400;

impl Timestamp {
    /// 1980-01-01T00:00:00Z, the first moment that a DOS time can hold: what directories without an entry of their own
    /// carry, and what stands for an impossible time.
    pub const ZIP_EPOCH: Self = Self(315_532_800);

    /// Reads an MS-DOS date and time (APPNOTE 4.4.6), which has no time zone, as UTC: Lambda's machines know no other.
    /// A date that no calendar has becomes [`Timestamp::ZIP_EPOCH`].
    pub fn from_dos(date: u16, time: u16) -> Self {
        let (year, month, day) = (
            1980 + i64::from(date >> 9),
            i64::from(date >> 5 & 15),
            i64::from(date & 31),
        );
        let (hour, minute, second) = (
            i64::from(time >> 11),
            i64::from(time >> 5 & 63),
            i64::from(time & 31) * 2,
        );
        if day == 0 || day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 59 {
            return Self::ZIP_EPOCH;
        }
        Self(days_from_civil(year, month, day) * SECONDS_A_DAY + hour * 3600 + minute * 60 + second)
    }

    /// Reads the 32 bits of an extended timestamp (Info-ZIP's `extrafld.txt`), of an entry whose DOS time is `dos`. They are a
    /// signed number, but writers put the low half of a later time there, and no DOS time lies before 1980: where it lies
    /// after the last moment that a signed number can hold, 2038-01-19, so does this one. `unzip` reads it in the same way.
    pub const fn from_extended(seconds: i32, dos: Self) -> Self {
        // A DOS time may be the local one of any time zone.
        if seconds < 0 && dos.0 > i32::MAX as i64 - SECONDS_A_DAY {
            Self(seconds.cast_unsigned() as i64)
        } else {
            Self(seconds as i64)
        }
    }

    /// Reads the basic format of ISO 8601, as signatures have it: `20261122T191200Z`. `None` for anything else.
    pub fn from_basic(text: &str) -> Option<Self> {
        let digits = |range| {
            let part: &str = text.get(range)?;
            let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| part.parse::<i64>().ok()).flatten()
        };
        let (year, month, day) = (digits(0..4)?, digits(4..6)?, digits(6..8)?);
        let (hour, minute, second) = (digits(9..11)?, digits(11..13)?, digits(13..15)?);
        let is_a_moment = text.get(8..9) == Some("T")
            && text.get(15..) == Some("Z")
            && (1..=days_in_month(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        let days = days_from_civil(year, month, day);
        is_a_moment.then_some(Self(
            days * SECONDS_A_DAY + hour * 3600 + minute * 60 + second,
        ))
    }

    /// This moment as [`Timestamp::from_basic`] reads it.
    pub fn to_basic(self) -> String {
        self.to_string().replace(['-', ':'], "")
    }

    /// The MS-DOS date and time of this moment in UTC, rounded down to even seconds; the first or the last one that there is
    /// for a moment outside of 1980 to 2107.
    pub fn to_dos(self) -> (u16, u16) {
        const FIRST: (u16, u16) = ((1 << 5) + 1, 0);
        const LAST: (u16, u16) = ((127 << 9) + (12 << 5) + 31, (23 << 11) + (59 << 5) + 58 / 2);
        let (days, seconds) = (
            self.0.div_euclid(SECONDS_A_DAY),
            self.0.rem_euclid(SECONDS_A_DAY),
        );
        let (year, month, day) = civil_from_days(days);
        if year < 1980 {
            return FIRST;
        }
        if year > 2107 {
            return LAST;
        }
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let date = ((year - 1980) << 9) + (month << 5) + day;
        let time = (hour << 11) + (minute << 5) + second / 2;
        // Each field has its place in sixteen bits.
        (
            u16::try_from(date).unwrap_or(FIRST.0),
            u16::try_from(time).unwrap_or(FIRST.1),
        )
    }

    /// The 32 bits of an extended timestamp that are read back as this very moment, beside the DOS time of
    /// [`Timestamp::to_dos`]; `None` where there are none, before December 1901 and from February 2106 on.
    pub fn to_extended(self) -> Option<i32> {
        let bits = i32::try_from(self.0)
            .or_else(|_| u32::try_from(self.0).map(u32::cast_signed))
            .ok()?;
        let (date, time) = self.to_dos();
        (Self::from_extended(bits, Self::from_dos(date, time)) == self).then_some(bits)
    }

    /// What an archive gives back that was written with this moment: itself, but where no field can hold it.
    #[must_use]
    pub fn in_archive(self) -> Self {
        let (date, time) = self.to_dos();
        if self.to_extended().is_some() {
            self
        } else {
            Self::from_dos(date, time)
        }
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, as in `2026-11-22T19:12:00Z`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, seconds) = (
            self.0.div_euclid(SECONDS_A_DAY),
            self.0.rem_euclid(SECONDS_A_DAY),
        );
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(
            formatter,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

/// 0 for a month that does not exist.
const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 0,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar. A year is counted from March, so that the leap day is its last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (
        year_of_era + era * 400 + i64::from(month <= 2),
        month,
        day_of_year - (153 * shifted + 2) / 5 + 1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn dos_date(year: u16, month: u16, day: u16) -> u16 {
        ((year - 1980) << 9) + (month << 5) + day
    }

    const fn dos_time(hour: u16, minute: u16, second: u16) -> u16 {
        (hour << 11) + (minute << 5) + second / 2
    }

    #[test]
    fn dos_times_are_read_as_utc() {
        let first = Timestamp::from_dos(dos_date(1980, 1, 1), 0);
        assert_eq!(first, Timestamp::ZIP_EPOCH);
        // What `date -u -d @1709251198` prints.
        let leap_day = Timestamp::from_dos(dos_date(2024, 2, 29), dos_time(23, 59, 58));
        assert_eq!(leap_day, Timestamp(1_709_251_198));
        assert_eq!(leap_day.to_string(), "2024-02-29T23:59:58Z");
    }

    #[test]
    fn the_basic_format_is_read_as_it_is_written() {
        let moment = Timestamp(1_709_251_198);
        assert_eq!(moment.to_basic(), "20240229T235958Z");
        assert_eq!(Timestamp::from_basic("20240229T235958Z"), Some(moment));
        for bad in [
            "",
            "20240229T235958",
            "20230229T235958Z",
            "20240229T245958Z",
            "20240229 235958Z",
            "2024+229T235958Z",
            "20240229T235958Z ",
        ] {
            assert_eq!(Timestamp::from_basic(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_extended_timestamp_is_late_where_the_dos_time_is() {
        let late = Timestamp::from_dos(dos_date(2040, 1, 1), 0);
        for (bits, dos, expected) in [
            (2_208_988_801_u32, late, 2_208_988_801),
            (1, late, 1),
            (u32::MAX, Timestamp::ZIP_EPOCH, -1),
            (
                u32::MAX,
                Timestamp::from_dos(dos_date(2106, 2, 7), 0),
                4_294_967_295,
            ),
            // One second after the last of a signed number, written west of Greenwich.
            (
                0x8000_0000,
                Timestamp::from_dos(dos_date(2038, 1, 18), dos_time(20, 0, 0)),
                0x8000_0000,
            ),
        ] {
            assert_eq!(
                Timestamp::from_extended(bits.cast_signed(), dos),
                Timestamp(expected)
            );
        }
    }

    #[test]
    fn impossible_dos_times_become_the_first_possible_one() {
        let day = dos_date(2023, 4, 1);
        for (date, time) in [
            (0, 0),
            (dos_date(2023, 2, 29), 0),
            (dos_date(2023, 13, 1), 0),
            (dos_date(2023, 4, 31), 0),
            (day, dos_time(24, 0, 0)),
            (day, dos_time(0, 60, 0)),
            (day, dos_time(0, 0, 60)),
        ] {
            assert_eq!(
                Timestamp::from_dos(date, time),
                Timestamp::ZIP_EPOCH,
                "{date:04x} {time:04x}"
            );
        }
    }

    #[test]
    fn what_is_written_is_read_back_wherever_a_field_can_hold_it() {
        for (seconds, read_back) in [
            (0, 0),
            (-1, -1),
            (1_709_251_199, 1_709_251_199),
            (i64::from(i32::MIN), i64::from(i32::MIN)),
            (i64::from(i32::MIN) - 1, Timestamp::ZIP_EPOCH.0),
            (i64::from(i32::MAX), i64::from(i32::MAX)),
            (i64::from(i32::MAX) + 1, i64::from(i32::MAX) + 1),
            (i64::from(u32::MAX), i64::from(u32::MAX)),
            // From here on only the DOS time is left, in steps of two seconds, until 2107.
            (i64::from(u32::MAX) + 1, i64::from(u32::MAX) + 1),
            (i64::from(u32::MAX) + 2, i64::from(u32::MAX) + 1),
            (4_354_819_199, 4_354_819_198),
            (4_354_819_200, 4_354_819_198),
            (i64::MAX, 4_354_819_198),
            (i64::MIN, Timestamp::ZIP_EPOCH.0),
        ] {
            assert_eq!(
                Timestamp(seconds).in_archive(),
                Timestamp(read_back),
                "{seconds}"
            );
        }
    }

    #[test]
    fn days_and_dates_are_inverse_from_1900_to_2110() {
        for days in -25_567..51_134 {
            let (year, month, day) = civil_from_days(days);
            assert!((1..=days_in_month(year, month)).contains(&day));
            assert_eq!(days_from_civil(year, month, day), days);
        }
        assert_eq!(Timestamp(-1).to_string(), "1969-12-31T23:59:59Z");
    }
}
