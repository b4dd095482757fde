//! Durations as people write them: `300ms`, `5s`, `2m`, `1h`.

use std::time::Duration;

use super::Escaped;

/// The longest duration taken: a year. Longer ones are typing errors.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Reads a duration: a number, with or without a fraction, and its unit.
pub fn parse(text: &str) -> Result<Duration, String> {
    let example = "write a number and its unit: 300ms, 5s, 2m, 1h or 1d";
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        "" => return Err(format!("'{}' has no unit; {example}", Escaped::of(text))),
        _ => return Err(format!("'{}' is not a duration; {example}", Escaped::of(text))),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| format!("'{}' is not a duration; {example}", Escaped::of(text)))?;
    Duration::try_from_secs_f64(number * seconds)
        .ok()
        .filter(|d| *d <= LONGEST)
        .ok_or_else(|| format!("'{}' is too long; at most a year (8760h)", Escaped::of(text)))
}

/// Writes a duration as [`parse`] reads it.
pub fn show(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0 => "0s".to_owned(),
        _ if ms.is_multiple_of(3_600_000) => format!("{}h", ms / 3_600_000),
        _ if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        _ if ms.is_multiple_of(1_000) => format!("{}s", ms / 1_000),
        _ if ms > 1_000 => format!("{:.1}s", duration.as_secs_f64()),
        _ => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, ms) in [
            ("300ms", 300),
            ("5s", 5_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("2d", 172_800_000),
            ("0s", 0),
            ("1.5s", 1_500),
            ("8760h", 31_536_000_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_an_example() {
        for bad in ["", "5", "s", "5 s", "-5s", "5w", "1e3s", "..s", "5ss", "9000h", "\x1bs"] {
            let error = parse(bad).unwrap_err();
            assert!(error.contains("5s") || error.contains("a year"), "{bad}: {error}");
            assert!(!error.contains('\x1b'));
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for text in ["300ms", "5s", "2m", "1h", "0s", "1.5s"] {
            assert_eq!(show(parse(text).unwrap()), text);
        }
    }
}
