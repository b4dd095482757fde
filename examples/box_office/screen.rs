//! How a map gets to whoever looks: redrawn in place on a terminal, otherwise line by line. Whether it is
//! up to date is always to be seen, however small the terminal.

use std::io::{self, IsTerminal};

use cooee::Escaped;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Map as Object, json};
use unicode_width::UnicodeWidthChar;

use crate::clock::{now, time_of_day};
use crate::failure::{Failure, print, write};
use crate::map::Map;
use crate::words::Place;

/// Where maps are shown.
pub(crate) struct Screen {
    kind: Kind,
    /// The mark of who looks.
    mine: String,
}

enum Kind {
    /// Objects, one a line.
    Json,
    /// Lines of text.
    Lines,
    /// A picture that changes in place.
    Live(Live),
}

impl Screen {
    /// Standard output as it is; `live` if the picture is to change in place where that is possible.
    pub(crate) fn new(as_json: bool, live: bool, mine: String) -> Self {
        let kind = match as_json {
            true => Kind::Json,
            false if live && io::stdout().is_terminal() => Kind::Live(Live::default()),
            false => Kind::Lines,
        };
        Self { kind, mine }
    }

    /// Shows the whole map.
    pub(crate) fn map(&mut self, map: &Map) -> Result<(), Failure> {
        match &mut self.kind {
            Kind::Json => {
                let seats: Object<_, _> = map
                    .seating
                    .seats()
                    .map(|seat| (seat.to_owned(), json!(map.place(seat).state)))
                    .collect();
                let mine = map.seating.seats().filter(|seat| self.mine == map.place(seat).mark);
                print(json!({
                    "event": "map", "show": map.night.show, "date": map.night.date,
                    "title": map.title, "version": map.version, "at": now(), "seats": seats,
                    "mine": mine.collect::<Vec<_>>(),
                }))
            }
            Kind::Lines => map.picture(&self.mine, colour()).iter().try_for_each(print),
            Kind::Live(live) => live.draw(map, &self.mine),
        }
    }

    /// Shows what has changed in it.
    pub(crate) fn changes(&mut self, map: &Map, changes: &[Place]) -> Result<(), Failure> {
        match &mut self.kind {
            Kind::Json => changes.iter().try_for_each(|place| {
                print(json!({
                    "event": "change", "seat": place.seat, "state": place.state,
                    "mine": place.mark == self.mine, "version": map.version, "at": now(),
                }))
            }),
            Kind::Lines => changes.iter().try_for_each(|place| {
                let whose = if place.mark == self.mine { " (yours)" } else { "" };
                let (seat, state) = (Escaped::of(&place.seat), place.state.as_str());
                print(format_args!("{} {seat} {state}{whose}", time_of_day(now())))
            }),
            Kind::Live(live) => live.draw(map, &self.mine),
        }
    }

    /// To be called now and then: draws anew where the terminal has another size, and ends where nobody
    /// reads any more, as in `box_office seats … --watch | head -1`.
    pub(crate) fn tick(&mut self, map: &Map) -> Result<(), Failure> {
        match &mut self.kind {
            Kind::Live(live) if live.size != size() => live.draw(map, &self.mine),
            Kind::Live(_) => Ok(()),
            Kind::Json | Kind::Lines => is_read(),
        }
    }

    /// Shows whether the office is there: while it is not, the map may be out of date.
    pub(crate) fn office(&mut self, map: &Map, here: bool) -> Result<(), Failure> {
        match &mut self.kind {
            Kind::Json => print(json!({ "event": "office", "here": here, "at": now() })),
            Kind::Lines if here => print(format_args!("{} the office is back", time_of_day(now()))),
            Kind::Lines => print(format_args!("{} the office is away", time_of_day(now()))),
            Kind::Live(live) => {
                live.away_since = (!here).then(now);
                live.draw(map, &self.mine)
            }
        }
    }
}

/// The terminal's second screen, for as long as this lives; then everything is as it was before, with
/// the last picture below.
#[derive(Default)]
struct Live {
    /// The last picture; none as long as nothing was drawn.
    last: Vec<String>,
    /// Columns and rows of the terminal when it was drawn.
    size: (usize, usize),
    away_since: Option<i64>,
}

impl Live {
    fn draw(&mut self, map: &Map, mine: &str) -> Result<(), Failure> {
        // Second screen, no cursor.
        let begin = if self.last.is_empty() { "\x1b[?1049h\x1b[?25l" } else { "" };
        let picture = map.picture(mine, colour());
        let status = self.status(map);
        self.size = size();
        let lines: Vec<String> =
            fit(&picture, &status, self.size).iter().map(|line| format!("{line}\x1b[K")).collect();
        self.last = picture;
        self.last.extend(status.into_iter().next());
        write(&format!("{begin}\x1b[H{}\x1b[J", lines.join("\r\n")))
    }

    /// How true the picture is: in some words, and in fewer for narrow terminals.
    fn status(&self, map: &Map) -> Vec<String> {
        match self.away_since.map(time_of_day) {
            None => vec![format!("live, at change {}", map.version), "live".to_owned()],
            Some(since) => vec![
                format!("the office is away since {since}: may be out of date"),
                format!("AWAY since {since}"),
                "AWAY".to_owned(),
            ],
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if !self.last.is_empty() {
            // Where the terminal is gone nothing can be mended.
            let _ = write(&format!("\x1b[?25h\x1b[?1049l{}\n", self.last.join("\n")));
        }
    }
}

/// Columns and rows of the terminal; no end of them where that is not known.
fn size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(io::stdout()).map(|size| (size.ws_col, size.ws_row));
    let known = |number: u16| if number == 0 { usize::MAX } else { usize::from(number) };
    size.map_or((usize::MAX, usize::MAX), |(columns, rows)| (known(columns), known(rows)))
}

/// The picture as far as there is room for it, and below it always the status, in as many words as
/// there is room for. Blank lines go first, then rows from below.
fn fit(picture: &[String], status: &[String], (columns, rows): (usize, usize)) -> Vec<String> {
    let mut lines: Vec<&String> = picture.iter().collect();
    let room = rows.saturating_sub(1);
    if lines.len() > room {
        lines.retain(|line| !line.is_empty());
        lines.truncate(room);
    }
    let short = status.iter().find(|text| text.len() <= columns).or(status.last());
    let mut lines: Vec<String> = lines.into_iter().map(|line| cut(line, columns)).collect();
    lines.extend(short.map(|text| cut(text, columns)));
    lines
}

/// As much of a line as fits, which may have colours, with a mark where something is missing.
fn cut(line: &str, columns: usize) -> String {
    let (mut text, mut wide, mut rest) = (String::new(), 0, line.chars());
    while let Some(c) = rest.next() {
        if c == '\x1b' {
            text.push(c); // a colour takes no room: \x1b[32m
            text.extend(rest.by_ref().take_while(|c| *c != 'm'));
            text.push('m');
            continue;
        }
        let width = c.width().unwrap_or(0);
        let left = columns.saturating_sub(wide);
        if width > left || width == left && has_more(rest.as_str()) {
            text.push_str(if left > 0 { "›" } else { "" });
            text.push_str(if line.contains('\x1b') { "\x1b[0m" } else { "" });
            return text;
        }
        wide += width;
        text.push(c);
    }
    text
}

/// Whether there is more than the end of a colour.
fn has_more(rest: &str) -> bool {
    !matches!(rest, "" | "\x1b[0m")
}

/// Whether somebody still reads standard output. Without asking it would be known only when there is
/// something to print.
fn is_read() -> Result<(), Failure> {
    let output = io::stdout();
    // Errors are told whatever is asked for.
    let mut watched = [PollFd::new(&output, PollFlags::empty())];
    let gone = PollFlags::ERR | PollFlags::HUP;
    match poll(&mut watched, Some(&Timespec::default())) {
        Ok(_) if watched[0].revents().intersects(gone) => Err(Failure::Closed),
        _ => Ok(()), // it can't be watched, or is there
    }
}

/// Whether standard output takes colours, and its user wants them (no-color.org).
fn colour() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !unwanted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn the_status_is_seen_however_small_the_terminal_is() {
        let picture = lines(&["Hamlet", "", "stage", "A 1 2 3", "B 1 2 3", "", "free 6"]);
        let since = time_of_day(0);
        let status = [
            format!("the office is away since {since}: may be out of date"),
            format!("AWAY since {since}"),
            "AWAY".to_owned(),
        ];
        for (columns, says) in [(80, &status[0]), (20, &status[1]), (5, &status[2])] {
            for rows in 1..10 {
                let shown = fit(&picture, &status, (columns, rows));
                assert!(shown.len() <= rows && shown.last() == Some(says), "{shown:?}");
                assert!(shown.iter().all(|line| line.chars().count() <= columns), "{shown:?}");
            }
        }
        assert_eq!(
            fit(&picture, &status, (80, 8))[..7],
            picture[..],
            "all of it, where there is room"
        );
        assert_eq!(fit(&picture, &status, (80, 3)), lines(&["Hamlet", "stage", &status[0]]));
    }

    #[test]
    fn a_line_is_cut_at_the_edge_and_says_so() {
        assert_eq!(cut("A 1 2", 5), "A 1 2");
        assert_eq!(cut("A 1 2 3", 5), "A 1 ›");
        assert_eq!(cut("A 1", 0), "");
        assert_eq!(cut("ハムレット", 10), "ハムレット");
        assert_eq!(cut("ハムレット", 5), "ハム›");
        assert_eq!(cut("ハムレット", 6), "ハム›");
        let green = "\x1b[32m  1\x1b[0m";
        assert_eq!(cut(green, 3), green, "a colour takes no room");
        assert_eq!(cut(green, 2), "\x1b[32m ›\x1b[0m");
        assert_eq!(cut(&format!("{green}{green}"), 6), format!("{green}{green}"));
    }
}
