//! The file that says what an office sells.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use cooee::values::{duration, limits};
use cooee::{NodeId, Options};
use serde::Deserialize;

use crate::failure::Failure;
use crate::seating::Seating;
use crate::words::{Billing, Night, SERVICE, channel};

/// What is sold, and by whom.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The one office that sells it; none as long as nobody has written it down.
    pub(crate) office: Option<NodeId>,
    pub(crate) shows: Vec<Show>,
    pub(crate) rules: Rules,
}

/// What holds for every show of the office.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// How long a hold lasts.
    pub(crate) hold: Duration,
    /// Seats that one buyer holds in one night at most.
    pub(crate) most: usize,
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
    office: Option<String>,
    hold: Option<String>,
    most: Option<usize>,
    show: Vec<FileShow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileShow {
    name: String,
    title: String,
    dates: Vec<String>,
    seats: String,
}

impl Plan {
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let wrong =
            |what: &dyn std::fmt::Display| Failure::Usage(format!("{}: {what}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| wrong(&error))?;
        Self::parse(&text).map_err(|error| wrong(&error))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let office = file.office.map(|id| id.parse().map_err(|error| format!("office: {error}")));
        let hold = duration::parse(file.hold.as_deref().unwrap_or("2m"));
        let shows: Vec<Show> = file.show.into_iter().map(show).collect::<Result<_, _>>()?;
        let plan = Self {
            office: office.transpose()?,
            shows,
            rules: Rules {
                hold: hold.map_err(|error| format!("hold: {error}"))?,
                most: file.most.unwrap_or(10),
            },
        };
        let names: BTreeSet<&str> = plan.shows.iter().map(|show| show.name.as_str()).collect();
        if names.len() < plan.shows.len() {
            return Err("two shows have the same name".to_owned());
        }
        // An office says in each announcement what it sells, so that has to be short.
        let mut announced = Options::default();
        plan.announce(&mut announced);
        if plan.shows.len() >= limits::TAGS || announced.profile.tag_bytes() > limits::TAG_BYTES {
            return Err("too many shows, or too long names of shows, for one office".to_owned());
        }
        Ok(plan)
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
}

fn show(file: FileShow) -> Result<Show, String> {
    let FileShow { name, title, dates, seats: picture } = file;
    let wrong = |what: &str| format!("show '{}': {what}", cooee::Escaped::of(&name));
    if channel(&name).is_none() {
        return Err(wrong("its name has to be short, of letters, digits, '-', '_' and '.'"));
    }
    if dates.is_empty() || dates.len() > 100 || dates.iter().any(|date| date.len() > 16) {
        return Err(wrong("it needs 1 to 100 dates of at most 16 letters"));
    }
    if title.len() > 200 {
        return Err(wrong("its title is longer than 200 bytes"));
    }
    let seating = Seating::parse(&picture).map_err(|error| wrong(&error))?;
    Ok(Show { name, title, dates, picture, seating })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        hold = "30s"
        [[show]]
        name = "hamlet"
        title = "Hamlet"
        dates = ["2026-12-01"]
        seats = "A ooo"
    "#;

    #[test]
    fn a_plan_says_what_is_on() {
        let plan = Plan::parse(FILE).unwrap();
        assert_eq!((plan.office, plan.rules.hold), (None, Duration::from_secs(30)));
        let night = |date: &str| Night { show: "hamlet".into(), date: date.into() };
        assert!(plan.find(&night("2026-12-01")).is_some());
        assert!(plan.find(&night("2026-12-02")).is_none());
        assert_eq!(plan.shows[0].billing().seats, 3);
    }

    #[test]
    fn a_plan_that_cannot_be_sold_is_refused_with_the_reason() {
        for (from, to, says) in [
            ("hold", "held", "unknown field"),
            ("\"30s\"", "\"30\"", "hold: '30' has no unit"),
            ("hold", "office = \"x\"\nhold", "office: not a node id"),
            ("\"hamlet\"", "\"the tempest\"", "show 'the tempest': its name"),
            ("[\"2026-12-01\"]", "[]", "1 to 100 dates"),
            ("ooo", "xyz", "row 'A xyz'"),
        ] {
            let error = Plan::parse(&FILE.replace(from, to)).unwrap_err();
            assert!(error.contains(says), "{from} -> {to}: {error}");
        }
        let twice = format!("{FILE}\n{}", &FILE[FILE.find("[[").unwrap()..]);
        assert!(Plan::parse(&twice).unwrap_err().contains("the same name"));
    }
}
