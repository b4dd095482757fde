//! What a viewer knows of one night, change by change, and the picture of it. A map is always one that
//! the office had at some time: a change is taken in only if it is the next.

use std::collections::BTreeMap;

use cooee::Escaped;

use crate::seating::Seating;
use crate::words::{Change, News, Night, Place, Snapshot, State};

/// The seats of one night.
#[derive(Clone, Debug)]
pub(crate) struct Map {
    pub(crate) night: Night,
    pub(crate) title: String,
    pub(crate) seating: Seating,
    /// The number of the show's last change that is in it.
    pub(crate) version: i64,
    /// The seats that are not free.
    taken: BTreeMap<String, Place>,
}

/// What news was to the map.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The next change; these seats of this night have changed.
    Next(Vec<Place>),
    /// Nothing that the map does not show.
    Known,
    /// Something before it is missing: only the whole map helps.
    Gap,
}

impl Map {
    /// The map as the office gives it; `None` if it draws no seats that can be read.
    pub(crate) fn new(night: Night, from: Snapshot) -> Option<Self> {
        let seating = Seating::parse(&from.seating).ok()?;
        let mut map = Self {
            night,
            title: from.title,
            seating,
            version: from.version,
            taken: BTreeMap::new(),
        };
        for (state, seats) in [(State::Held, from.held), (State::Sold, from.sold)] {
            for (seat, mark) in seats {
                map.set(Place { date: map.night.date.clone(), seat, state, mark });
            }
        }
        Some(map)
    }

    /// Takes in what was said in the show's channel.
    pub(crate) fn hear(&mut self, news: &News) -> Step {
        match news {
            News::Change(change) if change.version <= self.version => Step::Known,
            News::Change(change) if change.version - 1 == self.version => {
                Step::Next(self.apply(change))
            }
            News::Still { version, .. } if *version <= self.version => Step::Known,
            News::Change(_) | News::Still { .. } => Step::Gap,
        }
    }

    /// Makes the next change; which seats of this night have changed by it.
    fn apply(&mut self, change: &Change) -> Vec<Place> {
        self.version = change.version;
        let here = |place: &&Place| place.date == self.night.date;
        let changed: Vec<Place> = change.places.iter().filter(here).cloned().collect();
        for place in &changed {
            self.set(place.clone());
        }
        changed
    }

    /// Becomes the newer map; which seats have changed by that, or `None` if it is of another house, so
    /// that only the whole of it tells.
    pub(crate) fn replace(&mut self, newer: Self) -> Option<Vec<Place>> {
        if (&self.title, &self.seating) != (&newer.title, &newer.seating) {
            *self = newer;
            return None;
        }
        let seats: Vec<String> = newer.seating.seats().map(str::to_owned).collect();
        let changed = seats.iter().filter(|seat| self.place(seat) != newer.place(seat));
        let changed = changed.map(|seat| newer.place(seat)).collect();
        *self = newer;
        Some(changed)
    }

    fn set(&mut self, place: Place) {
        match place.state {
            State::Free => drop(self.taken.remove(&place.seat)),
            State::Held | State::Sold => drop(self.taken.insert(place.seat.clone(), place)),
        }
    }

    /// What a seat is.
    pub(crate) fn place(&self, seat: &str) -> Place {
        self.taken.get(seat).cloned().unwrap_or_else(|| Place {
            date: self.night.date.clone(),
            seat: seat.to_owned(),
            state: State::Free,
            mark: String::new(),
        })
    }

    /// The picture, line by line: a free seat is its number, so that people see what to type. `mine`
    /// is the mark of who looks.
    pub(crate) fn picture(&self, mine: &str, colour: bool) -> Vec<String> {
        let widest = self.seating.rows.iter().map(|row| row.places.len()).max().unwrap_or(0);
        let (show, date) = (&self.night.show, &self.night.date);
        let heading = format!("{}  ({show}) on {date}", Escaped::of(&self.title));
        let mut lines = vec![heading, String::new()];
        lines.push(format!("    {:─^width$}", " stage ", width = (widest * 3).max(9)));
        let mut counts = [0; Look::ALL.len()];
        for row in &self.seating.rows {
            let mut line = format!("{:<3} ", row.name);
            for seat in &row.places {
                let Some(seat) = seat else {
                    line.push_str("   ");
                    continue;
                };
                let look = Look::of(&self.place(seat), mine);
                counts[look as usize] += 1;
                line.push_str(&look.draw(seat.trim_start_matches(row.name.as_str()), colour));
            }
            lines.push(line.trim_end().to_owned());
        }
        let legend = Look::ALL.into_iter().zip(counts);
        let legend: Vec<String> = legend
            .filter(|(look, count)| *count > 0 || *look == Look::Free)
            .map(|(look, count)| {
                format!("{} {} {count}", look.draw("n", colour).trim(), look.word())
            })
            .collect();
        lines.extend([String::new(), legend.join("   ")]);
        lines
    }
}

/// How a seat looks to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Free,
    Held,
    Sold,
    Mine,
    HeldByMe,
}

impl Look {
    const ALL: [Self; 5] = [Self::Free, Self::Held, Self::Sold, Self::Mine, Self::HeldByMe];

    fn of(place: &Place, mine: &str) -> Self {
        let is_mine = !mine.is_empty() && place.mark == mine;
        match (place.state, is_mine) {
            (State::Free, _) => Self::Free,
            (State::Held, false) => Self::Held,
            (State::Sold, false) => Self::Sold,
            (State::Held, true) => Self::HeldByMe,
            (State::Sold, true) => Self::Mine,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Held => "held",
            Self::Sold => "sold",
            Self::Mine => "yours",
            Self::HeldByMe => "held by you",
        }
    }

    /// Three columns wide, and told apart without colours as well.
    fn draw(self, number: &str, colour: bool) -> String {
        let (text, paint) = match self {
            Self::Free => (number.to_owned(), "32"),
            Self::Held => ("░░".to_owned(), "33"),
            Self::Sold => ("██".to_owned(), "90"),
            Self::Mine => (format!("*{number}"), "1;36"),
            Self::HeldByMe => (format!("+{number}"), "1;33"),
        };
        let text = format!("{text:>3}");
        if colour { format!("\x1b[{paint}m{text}\x1b[0m") } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(seat: &str, state: State, mark: &str) -> Place {
        Place { date: "today".into(), seat: seat.into(), state, mark: mark.into() }
    }

    fn map(version: i64, taken: &[Place]) -> Map {
        let night = Night { show: "hamlet".into(), date: "today".into() };
        let seating = "A oo oo\nB  ooo".to_owned();
        let of = |state| {
            let places = taken.iter().filter(|place| place.state == state);
            places.map(|place| (place.seat.clone(), place.mark.clone())).collect()
        };
        let (held, sold) = (of(State::Held), of(State::Sold));
        Map::new(night, Snapshot { title: "Hamlet".into(), seating, version, held, sold }).unwrap()
    }

    fn change(version: i64, places: &[Place]) -> News {
        News::Change(Change { show: "hamlet".into(), version, places: places.to_vec() })
    }

    fn still(version: i64) -> News {
        News::Still { show: "hamlet".into(), version }
    }

    #[test]
    fn changes_count_in_order_once_and_a_missing_one_is_noticed() {
        let mut map = map(3, &[]);
        let sold = [place("A1", State::Sold, "x")];
        assert_eq!(map.hear(&change(3, &sold)), Step::Known);
        assert_eq!(map.hear(&change(5, &sold)), Step::Gap);
        assert_eq!(map.place("A1").state, State::Free);
        assert_eq!(map.hear(&change(4, &sold)), Step::Next(sold.to_vec()));
        assert_eq!(map.hear(&still(4)), Step::Known, "nothing has changed since");
        assert_eq!(map.hear(&still(5)), Step::Gap, "the last change was missed");
        let other = Place { date: "tomorrow".into(), ..place("A2", State::Sold, "x") };
        assert_eq!(map.hear(&change(5, &[other])), Step::Next(Vec::new()));
        assert_eq!((map.version, map.place("A2").state), (5, State::Free));
    }

    #[test]
    fn what_a_newer_map_changes_is_told_seat_by_seat() {
        let (kept, bought) = (place("A1", State::Sold, "x"), place("B2", State::Sold, "y"));
        let mut old = map(3, &[kept.clone(), place("A2", State::Held, "x")]);
        let changed = old.replace(map(9, &[kept, bought.clone()]));
        assert_eq!(changed, Some(vec![place("A2", State::Free, ""), bought]));
        assert_eq!(old.version, 9);
        let mut other = map(9, &[]);
        other.seating = Seating::parse("A oo").unwrap();
        assert_eq!(old.replace(other), None, "no seat alone tells of another house");
        assert_eq!(old.seating.seats().count(), 2);
        let title = "Lear".into();
        assert_eq!(old.clone().replace(Map { title, ..old }), None);
    }

    #[test]
    fn the_picture_shows_free_seats_by_number_and_ones_own() {
        let taken = [
            place("A1", State::Sold, "x"),
            place("A3", State::Held, "x"),
            place("A4", State::Sold, "me"),
            place("B3", State::Held, "me"),
        ];
        let picture = map(1, &taken).picture("me", false);
        assert_eq!(
            picture,
            [
                "Hamlet  (hamlet) on today",
                "",
                "    ──── stage ────",
                "A    ██  2    ░░ *4",
                "B        1  2 +3",
                "",
                "n free 3   ░░ held 1   ██ sold 1   *n yours 1   +n held by you 1",
            ]
        );
        assert!(map(1, &taken).picture("me", true)[3].contains("\x1b[1;36m *4\x1b[0m"));
    }
}
