//! What time it is: as the office counts it, and as people read it.

use cooee::net::Clock;

/// This host's clock, in milliseconds since 1970.
pub(crate) fn now() -> i64 {
    i64::try_from(Clock::wall().0).unwrap_or(i64::MAX)
}

/// A time of day, where the user is.
pub(crate) fn time_of_day(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).ok();
    let local = time.map(|time| time.to_zoned(jiff::tz::TimeZone::system()));
    local.map_or_else(String::new, |local| local.strftime("%H:%M:%S").to_string())
}
