//! `[hooks]` and `[[on]]` of `config.toml`, as written, and what they come to.
//!
//! A value that is wrong is refused with its line, whatever is wrong with it.

use std::fmt;
use std::marker::PhantomData;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use crate::agent::hooks::{Hook, HookOptions, LIMITS, MOST, TIMEOUT, Template, Trigger, words};
use crate::agent::runner::Limits;
use crate::values::{ChannelName, Escaped, Level, SmallSet, duration};

/// The most commands at a time that can be configured.
const AT_ONCE: usize = 256;

/// The most jobs that may wait that can be configured.
const BACKLOG: usize = 100_000;

/// `[hooks]`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct HookLimits {
    at_once: Option<AtOnce>,
    backlog: Option<Backlog>,
}

/// `[[on]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Written")]
pub(super) struct On(Hook);

/// `[[on]]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    name: Option<String>,
    event: Several<Trigger>,
    channel: Option<Several<ChannelName>>,
    direct: Option<bool>,
    level: Option<Parsed<Level>>,
    from: Option<Several<String>>,
    #[serde(rename = "match")]
    matching: Option<String>,
    verified: Option<bool>,
    max_age: Option<Time>,
    own: Option<bool>,
    run: Vec<Parsed<Template>>,
    timeout: Option<Time>,
    at_once: Option<AtOnce>,
}

impl TryFrom<Written> for On {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let of_messages = [
            ("channel", written.channel.is_some()),
            ("direct", written.direct.is_some()),
            ("level", written.level.is_some()),
            ("match", written.matching.is_some()),
            ("verified", written.verified.is_some()),
            ("max-age", written.max_age.is_some()),
            ("own", written.own.is_some()),
        ];
        let events = written.event.set();
        if events.is_empty() {
            return Err("event: none is named".to_owned());
        }
        if !events.contains(&Trigger::Message)
            && let Some((key, _)) = of_messages.into_iter().find(|(_, written)| *written)
        {
            return Err(format!("{key} is for event = \"message\" only"));
        }
        let from = written.from.map(Several::set).unwrap_or_default();
        let peerless = |event: &Trigger| *event != Trigger::Message && !event.is_of_peer();
        if !from.is_empty() && events.iter().all(peerless) {
            return Err("from is for messages and for peers that come and go only".to_owned());
        }
        let channels = written.channel.map(Several::set).unwrap_or_default();
        if written.direct == Some(true) && !channels.is_empty() {
            return Err("what is told to this node alone is in no channel: leave out channel, or \
                        direct"
                .to_owned());
        }
        let words: SmallSet<String> = written.matching.iter().flat_map(|m| words(m)).collect();
        if written.matching.is_some() && words.is_empty() {
            return Err("match: there is no word in it".to_owned());
        }
        let run: Vec<Template> = written.run.into_iter().map(|word| word.0).collect();
        let program = program(&run)?.to_owned();
        for event in events.iter() {
            if let Some(name) = run.iter().find_map(|word| word.lacks(*event)) {
                return Err(format!("run: {{{name}}} has no value when event is \"{event}\""));
            }
        }
        let name = written.name.unwrap_or_else(|| {
            let name = Path::new(&program).file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        });
        Ok(Self(Hook {
            name,
            events,
            channels,
            direct: written.direct,
            level: written.level.map_or(Level::Debug, |level| level.0),
            from,
            words,
            verified: written.verified.unwrap_or(true),
            max_age: written.max_age.map(|age| age.0),
            own: written.own.unwrap_or(false),
            run,
            timeout: written.timeout.map_or(TIMEOUT, |timeout| timeout.0),
            at_once: written.at_once.map(|count| count.0),
        }))
    }
}

/// The program that is run, whose name nobody on the network has a say in.
fn program(run: &[Template]) -> Result<&str, String> {
    let first = run.first().ok_or("run: there is no program; write run = [\"/path/to/it\"]")?;
    let program = first.plain().ok_or("run: the program's own name can't have a placeholder")?;
    if program.is_empty() {
        return Err("run: the program has no name".to_owned());
    }
    if program.contains('/') && !program.starts_with('/') && !program.starts_with("~/") {
        let program = Escaped::of(program);
        return Err(format!(
            "run: {program} would depend on where the agent was started; write the whole path"
        ));
    }
    Ok(program)
}

/// What the tables come to. `home` is where `~` stands for.
pub(super) fn options(
    limits: HookLimits,
    on: &[On],
    home: Option<&Path>,
) -> Result<HookOptions, String> {
    if on.len() > MOST {
        return Err(format!("{} hooks are too many; at most {MOST}", on.len()));
    }
    let mut hooks: Vec<Hook> = on.iter().map(|on| on.0.clone()).collect();
    for hook in &mut hooks {
        let Some(program) = hook.run.first_mut() else { continue };
        if let Some(rest) = program.plain().and_then(|path| path.strip_prefix("~/"))
            && let Some(home) = home
        {
            *program = Template::plainly(&home.join(rest).to_string_lossy());
        }
    }
    let limits = Limits {
        at_once: limits.at_once.map_or(LIMITS.at_once, |count| count.0),
        backlog: limits.backlog.map_or(LIMITS.backlog, |count| count.0),
    };
    Ok(HookOptions { limits, hooks })
}

/// A text that is read as something else.
#[derive(Debug)]
struct Parsed<T>(T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

/// One text, or a list of them.
#[derive(Debug)]
struct Several<T>(Vec<T>);

impl<T: Ord> Several<T> {
    fn set(self) -> SmallSet<T> {
        self.0.into_iter().collect()
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Several<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);

        impl<'de, T: FromStr<Err: fmt::Display>> Visitor<'de> for Either<T> {
            type Value = Several<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Several<T>, E> {
                text.parse().map(|one| Several(vec![one])).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Several<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(Parsed(one)) = list.next_element()? {
                    all.push(one);
                }
                Ok(Several(all))
            }
        }

        from.deserialize_any(Either(PhantomData))
    }
}

/// Some time, and not none.
#[derive(Debug)]
struct Time(Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let time = duration::parse(&String::deserialize(from)?).map_err(de::Error::custom)?;
        if time.is_zero() {
            return Err(de::Error::custom("that is no time at all; give at least 1ms"));
        }
        Ok(Self(time))
    }
}

/// How many run at a time.
#[derive(Clone, Copy, Debug)]
struct AtOnce(usize);

impl<'de> Deserialize<'de> for AtOnce {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        between(from, 1, AT_ONCE).map(Self)
    }
}

/// How much waits.
#[derive(Clone, Copy, Debug)]
struct Backlog(usize);

impl<'de> Deserialize<'de> for Backlog {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        between(from, 0, BACKLOG).map(Self)
    }
}

fn between<'de, D: Deserializer<'de>>(
    from: D,
    least: usize,
    most: usize,
) -> Result<usize, D::Error> {
    let number = i64::deserialize(from)?;
    let fits = usize::try_from(number).ok().filter(|n| (least..=most).contains(n));
    fits.ok_or_else(|| de::Error::custom(format!("{number} is not from {least} to {most}")))
}

#[cfg(test)]
mod tests;
