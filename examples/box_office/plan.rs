//! The file that says what an office sells. What makes no sense is refused with the line where it stands
//! and with what to write instead; so whatever a [`Plan`] says can be sold, shown, and typed.

#[cfg(test)]
mod tests;

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use cooee::values::{duration, limits};
use cooee::{Escaped, NodeId, Options};
use serde::Deserialize;
use toml::Spanned;

use crate::rules::Rules;
use crate::seating::Seating;
use crate::words::{Billing, Night, SERVICE, channel};

/// The longest time for which a seat is held; who wants it for longer can buy it.
const LONGEST_HOLD: Duration = Duration::from_secs(24 * 3600);

const MOST_DATES: usize = 100;

/// What is sold, and by whom.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The one office that sells it; none as long as nobody has written it down.
    pub(crate) office: Option<NodeId>,
    pub(crate) shows: Vec<Show>,
    pub(crate) rules: Rules,
}

#[derive(Clone, Debug)]
pub(crate) struct Show {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) dates: Vec<String>,
    /// As it stands in the file.
    pub(crate) picture: String,
    pub(crate) seating: Seating,
}

/// The file as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    office: Option<Spanned<String>>,
    hold: Option<Spanned<String>>,
    most: Option<Spanned<usize>>,
    #[serde(default)]
    show: Vec<FileShow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileShow {
    name: Spanned<String>,
    title: Spanned<String>,
    dates: Spanned<Vec<Spanned<String>>>,
    seats: Spanned<String>,
}

/// What is wrong, and where in the file.
struct Wrong(Option<Range<usize>>, String);

/// What is wrong with a value that stands in the file.
fn wrong<T>(at: &Spanned<T>, what: impl Into<String>) -> Wrong {
    Wrong(Some(at.span()), what.into())
}

impl Plan {
    /// Reads the file; the error says what to change.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let wrong = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
        let text = fs::read_to_string(path).map_err(|error| wrong(&error))?;
        Self::parse(&text).map_err(|error| wrong(&error))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        Self::of(file).map_err(|Wrong(at, what)| match at.and_then(|at| text.get(..at.start)) {
            Some(before) => format!("line {}: {what}", before.matches('\n').count() + 1),
            None => what,
        })
    }

    fn of(file: File) -> Result<Self, Wrong> {
        let office = file
            .office
            .map(|id| id.get_ref().parse().map_err(|error| wrong(&id, format!("office: {error}"))));
        let rules = rules(file.hold.as_ref(), file.most.as_ref())?;
        let mut plan = Self { office: office.transpose()?, shows: Vec::new(), rules };
        for written in file.show {
            let name = written.name.clone();
            let show = show(written)?;
            if plan.shows.iter().any(|other| other.name == show.name) {
                let text = format!("two shows are called '{}'; give each its name", show.name);
                return Err(wrong(&name, text));
            }
            plan.shows.push(show);
            if !plan.can_be_announced() {
                let text = "too many shows, or too long names of shows, for one office; use another one \
                            for this and the next";
                return Err(wrong(&name, text));
            }
        }
        if plan.shows.is_empty() {
            return Err(Wrong(None, "it sells nothing; add a [[show]]".to_owned()));
        }
        Ok(plan)
    }

    /// An office says in each announcement what it sells, so that has to be short.
    fn can_be_announced(&self) -> bool {
        let mut options = Options::default();
        self.announce(&mut options);
        self.shows.len() < limits::TAGS && options.profile.tag_bytes() <= limits::TAG_BYTES
    }

    /// Adds to a node's profile what it offers: each show is a service. It has no port of its own: it
    /// is reached over cooee.
    pub(crate) fn announce(&self, options: &mut Options) {
        let port = options.group.port();
        let services = &mut options.profile.services;
        services.insert(SERVICE.into(), port);
        for channel in self.shows.iter().filter_map(|show| channel(&show.name)) {
            services.insert(channel.as_str().into(), port);
        }
    }

    /// The show of a night that is on.
    pub(crate) fn find(&self, night: &Night) -> Option<&Show> {
        let is_on = |show: &&Show| show.name == night.show && show.dates.contains(&night.date);
        self.shows.iter().find(is_on)
    }
}

impl Show {
    pub(crate) fn billing(&self) -> Billing {
        let Self { name, title, dates, seating, .. } = self.clone();
        Billing { name, title, dates, seats: seating.seats().count() }
    }

    /// Whether there is such a seat.
    pub(crate) fn has(&self, seat: &str) -> bool {
        self.seating.seats().any(|other| other == seat)
    }
}

fn rules(hold: Option<&Spanned<String>>, most: Option<&Spanned<usize>>) -> Result<Rules, Wrong> {
    let mut rules = Rules { hold: Duration::from_secs(120), most: 10 };
    if let Some(written) = hold {
        let says = |error| wrong(written, format!("hold: {error}"));
        rules.hold = duration::parse(written.get_ref()).map_err(says)?;
        // It is counted in milliseconds.
        if rules.hold.as_millis() == 0 || rules.hold > LONGEST_HOLD {
            let text = "hold: nobody could use a hold of that length; write something from 1ms to 24h, \
                        such as \"2m\"";
            return Err(wrong(written, text));
        }
    }
    if let Some(written) = most {
        rules.most = *written.get_ref();
        if rules.most == 0 {
            return Err(wrong(written, "most: nobody could hold a seat; write 1 or more"));
        }
    }
    Ok(rules)
}

fn show(file: FileShow) -> Result<Show, Wrong> {
    let FileShow { name, title, dates, seats } = file;
    let of_show = |text: &str| format!("show '{}': {text}", Escaped::of(name.get_ref()));
    // What is typed as an argument must not look like an option.
    let can_be_typed = |text: &str| !text.starts_with('-');
    let is_name = !name.get_ref().is_empty() && can_be_typed(name.get_ref());
    if !is_name || channel(name.get_ref()).is_none() {
        let text =
            "its name has to be short, of letters, digits, '-', '_' and '.', and begin with no '-'";
        return Err(wrong(&name, of_show(text)));
    }
    if let Some(text) = unfit(title.get_ref(), 200) {
        return Err(wrong(&title, of_show(&format!("title: {text}"))));
    }
    if dates.get_ref().is_empty() || dates.get_ref().len() > MOST_DATES {
        return Err(wrong(&dates, of_show(&format!("dates: write 1 to {MOST_DATES} of them"))));
    }
    let mut known: Vec<String> = Vec::new();
    for date in dates.get_ref() {
        let text = date.get_ref();
        let shown = Escaped::of(text);
        let why = match unfit(text, 16) {
            Some(why) => Some(format!("date '{shown}': {why}")),
            None if !can_be_typed(text) => Some(format!("date '{shown}': begin it with no '-'")),
            None if known.contains(text) => {
                Some(format!("date '{shown}' stands there twice; remove one"))
            }
            None => None,
        };
        if let Some(why) = why {
            return Err(wrong(date, of_show(&why)));
        }
        known.push(text.clone());
    }
    let seating = Seating::parse(seats.get_ref());
    let seating = seating.map_err(|error| wrong(&seats, of_show(&format!("seats: {error}"))))?;
    let (name, title, picture) = (name.into_inner(), title.into_inner(), seats.into_inner());
    Ok(Show { name, title, dates: known, picture, seating })
}

/// Why people can't be shown a text, and what to do about it.
fn unfit(text: &str, most: usize) -> Option<String> {
    if text.trim().is_empty() {
        return Some("it is empty; write something".to_owned());
    }
    if text.trim() != text {
        return Some("remove the blanks around it".to_owned());
    }
    if text.len() > most {
        return Some(format!("it is longer than {most} bytes; shorten it"));
    }
    if text.chars().any(char::is_control) || Escaped::of(text).to_string() != text {
        return Some("it has characters that can't be seen; remove them".to_owned());
    }
    None
}
