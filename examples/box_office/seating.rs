//! The seats of a house, as a picture that people draw and read:
//!
//! ```text
//! A  ooo oooo ooo      row A has seats A1 to A10, with aisles after A3 and A7
//! B  ooo oooo ooo
//! ```

use std::collections::BTreeSet;

/// Seats of one house at most: the map of all of them has to fit into one answer (64 KiB).
pub(crate) const MOST_SEATS: usize = 2_000;

/// Bytes of its picture at most, for the same reason.
pub(crate) const MOST_BYTES: usize = 8 * 1024;

/// The rows, from the stage on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seating {
    pub(crate) rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// From left to right; `None` is an aisle.
    pub(crate) places: Vec<Option<String>>,
}

impl Seating {
    /// Reads the picture; the error says which line is wrong, and how it should be.
    pub(crate) fn parse(picture: &str) -> Result<Self, String> {
        if picture.len() > MOST_BYTES {
            return Err(format!("the picture is longer than {MOST_BYTES} bytes; leave out blanks"));
        }
        let lines = picture.lines().map(str::trim_end).filter(|line| !line.is_empty());
        let mut rows: Vec<Row> = lines.map(row).collect::<Result<_, _>>()?;
        // What is blank in all rows is no aisle, only how the file looks.
        let margin =
            rows.iter().map(|row| row.places.iter().take_while(|seat| seat.is_none()).count());
        let margin = margin.min().unwrap_or(0);
        for row in &mut rows {
            row.places.drain(..margin);
        }
        let seating = Self { rows };
        let names: BTreeSet<&str> = seating.rows.iter().map(|row| row.name.as_str()).collect();
        match seating.seats().count() {
            0 => Err("no seat is drawn; a row is its name and an o for each seat".to_owned()),
            count if count > MOST_SEATS => {
                Err(format!("{count} seats are drawn; at most {MOST_SEATS} can be sold"))
            }
            _ if names.len() < seating.rows.len() => {
                let is_again = |row: &&Row| {
                    seating.rows.iter().filter(|other| other.name == row.name).count() > 1
                };
                let again = seating.rows.iter().find(is_again).map_or("", |row| row.name.as_str());
                Err(format!("two rows are called {again}; give each a name of its own"))
            }
            _ => Ok(seating),
        }
    }

    /// All seats, row by row.
    pub(crate) fn seats(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().flat_map(|row| row.places.iter().flatten()).map(String::as_str)
    }
}

fn row(line: &str) -> Result<Row, String> {
    let (name, places) = line.trim_start().split_once(' ').unwrap_or((line, ""));
    let wrong = |what: &str| format!("row '{}' {what}", cooee::Escaped::of(line));
    if !(1..=3).contains(&name.len()) || !name.chars().all(|c| c.is_ascii_uppercase()) {
        return Err(wrong("has no name: begin it with one to three capital letters"));
    }
    let mut number = 0;
    let place = |c| match c {
        'o' => {
            number += 1;
            Ok(Some(format!("{name}{number}")))
        }
        ' ' => Ok(None),
        _ => Err(wrong("has something else than seats (o) and aisles (blanks)")),
    };
    let places: Vec<_> = places.chars().map(place).collect::<Result<_, _>>()?;
    if places.len() > 99 {
        return Err(wrong("is too wide: at most 99 seats and aisles"));
    }
    if places.iter().all(Option::is_none) {
        return Err(wrong("has no seat; draw an o for each, or remove the row"));
    }
    Ok(Row { name: name.to_owned(), places })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_numbered_within_their_row_across_aisles() {
        let seating = Seating::parse("\n  A oo o\nBB  o\n").unwrap();
        assert_eq!(seating.seats().collect::<Vec<_>>(), ["A1", "A2", "A3", "BB1"]);
        let first: Vec<_> = seating.rows.iter().map(|row| row.places[0].as_deref()).collect();
        assert_eq!(first, [Some("A1"), None], "the second row begins under the second seat");
    }

    #[test]
    fn a_picture_that_is_none_is_refused_with_the_line() {
        for (picture, says) in [
            ("", "no seat is drawn"),
            ("A", "row 'A' has no seat"),
            ("A o\nB  \n", "row 'B' has no seat"),
            ("ooo", "row 'ooo' has no name"),
            ("A oxo", "row 'A oxo' has something else"),
            ("A o\nA o", "two rows are called A"),
        ] {
            let error = Seating::parse(picture).unwrap_err();
            assert!(error.contains(says), "{picture}: {error}");
        }
        assert!(
            Seating::parse(&format!("A{}o", " ".repeat(9_000))).unwrap_err().contains("8192 bytes")
        );
        let row = "o".repeat(80);
        let rows: Vec<String> = ('A'..='Z').map(|name| format!("{name} {row}")).collect();
        assert!(Seating::parse(&rows.join("\n")).unwrap_err().contains("at most 2000"));
    }
}
