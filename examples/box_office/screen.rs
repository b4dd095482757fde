//! How a map gets to whoever looks: redrawn in place on a terminal, otherwise line by line.

use std::io::{self, IsTerminal, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use cooee::Escaped;
use serde_json::{Map as Object, json};

use crate::failure::{Failure, print};
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
                print(format_args!("{} {seat} {state}{whose}", clock(now())))
            }),
            Kind::Live(live) => live.draw(map, &self.mine),
        }
    }

    /// Shows whether the office is there: while it is not, the map may be out of date.
    pub(crate) fn office(&mut self, map: &Map, here: bool) -> Result<(), Failure> {
        match &mut self.kind {
            Kind::Json => print(json!({ "event": "office", "here": here, "at": now() })),
            Kind::Lines if here => print(format_args!("{} the office is back", clock(now()))),
            Kind::Lines => print(format_args!("{} the office is away", clock(now()))),
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
    away_since: Option<i64>,
}

impl Live {
    fn draw(&mut self, map: &Map, mine: &str) -> Result<(), Failure> {
        let mut text = String::new();
        if self.last.is_empty() {
            text.push_str("\x1b[?1049h\x1b[?25l\x1b[?7l"); // second screen, no cursor, no wrapping
        }
        self.last = map.picture(mine, colour());
        self.last.push(match self.away_since {
            None => format!("live, at change {}", map.version),
            Some(since) => format!("the office is away since {}: may be out of date", clock(since)),
        });
        // Higher than the terminal it would scroll.
        let size = rustix::termios::tcgetwinsize(io::stdout());
        let rows = size.map_or(usize::MAX, |size| usize::from(size.ws_row));
        text.push_str("\x1b[H");
        let lines: Vec<String> =
            self.last.iter().take(rows.max(1)).map(|line| format!("{line}\x1b[K")).collect();
        text.push_str(&lines.join("\r\n"));
        text.push_str("\x1b[J");
        write(&text)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if !self.last.is_empty() {
            // Where the terminal is gone nothing can be mended.
            let _ = write(&format!("\x1b[?7h\x1b[?25h\x1b[?1049l{}\n", self.last.join("\n")));
        }
    }
}

fn write(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|_| Failure::Closed)
}

/// Whether standard output takes colours, and its user wants them (no-color.org).
fn colour() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !unwanted
}

/// This host's clock, in milliseconds since 1970.
fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0))
}

/// A time of day, where the user is.
pub(crate) fn clock(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).ok();
    let local = time.map(|time| time.to_zoned(jiff::tz::TimeZone::system()));
    local.map_or_else(String::new, |local| local.strftime("%H:%M:%S").to_string())
}
