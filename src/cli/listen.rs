//! `cooee listen`: prints what arrives, or runs a command for each message.

use std::time::Instant;

use super::args;
use super::duration;
use super::exec::Exec;
use super::exit::{Exit, Failure};
use super::hub::{Happening, Hub};
use super::options::Settings;
use super::output::text::Style;
use super::output::{Out, json, note};
use super::session::{self, Role};
use crate::agent::Door;
use crate::node::Notice;
use crate::proto::{Event, Message};
use crate::values::{ChannelName, limits, order};

/// Runs the command.
pub(super) fn run(args: args::Listen, mut settings: Settings) -> Result<Exit, Failure> {
    let until = args.lasting.map(|lasting| Instant::now() + lasting);
    let mut channels = args.channel;
    order::sort_by(&mut channels, ChannelName::cmp);
    channels.dedup();
    if channels.is_empty() {
        channels.push(ChannelName::lobby());
    }
    if channels.len() > limits::CHANNELS {
        let (count, limit) = (channels.len(), limits::CHANNELS);
        let cause = format!("{count} channels are too many; a node takes part in at most {limit}");
        return Err(Failure::Usage(cause));
    }
    let mut about = About::of(&settings, &channels);
    settings.node.channels.clone_from(&channels);
    settings.node.recall = args.history;
    let hub = Hub::new();
    let exec = args.exec.map(|words| Exec::new(words, args.exec_timeout)).transpose()?;
    let killer = exec.as_ref().map(Exec::killer);
    hub.signals(move || killer.into_iter().for_each(|killer| killer.kill_all()))?;
    if exec.is_none() {
        hub.output();
    }
    let (node, notices) = session::start(&mut settings, Role::Resident)?;
    hub.notices(notices);
    if let Some(nick) = node.agents_nick() {
        nick.clone_into(&mut about.nick);
    }
    let mut listener = Listener {
        node: &node,
        out: Out::new(),
        style: Style::new(false),
        settings: &settings,
        events: args.events,
        exec: exec.as_ref(),
        left: args.count,
    };
    let ended = listener.announce(&about).and_then(|()| listener.listen(&hub, until));
    let left = listener.left;
    if let Some(exec) = exec {
        match &ended {
            // Ended by itself: what was received is dealt with. A signal cuts that short as well.
            Ok(End::Count | End::Time) => {
                exec.finish(|| matches!(hub.next(Some(Instant::now())), Happening::Signal));
            }
            _ => exec.abort(),
        }
    }
    session::stop(node, &settings);
    match (ended?, args.count, left) {
        (End::Time, Some(count), Some(left)) => {
            if !settings.quiet {
                let lasting = duration::show(args.lasting.unwrap_or_default());
                let came = count - left;
                note(format_args!("{came} of {count} messages arrived within {lasting}"));
            }
            Ok(Exit::No)
        }
        _ => Ok(Exit::Done),
    }
}

/// What the node is told to be, for the first line.
struct About {
    nick: String,
    group: crate::values::Group,
    channels: String,
}

impl About {
    fn of(settings: &Settings, channels: &[ChannelName]) -> Self {
        let channels: Vec<String> = channels.iter().map(|channel| format!("#{channel}")).collect();
        let profile = &settings.node.profile;
        Self {
            nick: profile.nick.raw().to_owned(),
            group: settings.node.group,
            channels: channels.join(" "),
        }
    }
}

/// Why listening ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// As many messages came as were asked for.
    Count,
    /// The time was up.
    Time,
    /// The user or the system wanted it.
    Signal,
}

struct Listener<'a> {
    node: &'a Door,
    out: Out,
    style: Style,
    settings: &'a Settings,
    events: bool,
    exec: Option<&'a Exec>,
    left: Option<u64>,
}

impl Listener<'_> {
    /// Says that everything said from now on is heard.
    fn announce(&mut self, about: &About) -> Result<(), Failure> {
        if self.settings.json && self.events {
            let links = self.node.links()?;
            self.out.line(&json::ready(self.node.id(), &about.nick, about.group, &links))?;
        }
        if !self.settings.quiet {
            let links = session::links(self.node)?;
            let About { nick, group, channels } = about;
            note(format_args!("listening on {links} as {nick}, group {group}: {channels}"));
        }
        Ok(())
    }

    fn listen(&mut self, hub: &Hub, until: Option<Instant>) -> Result<End, Failure> {
        loop {
            match hub.next(until) {
                // It is neither counted nor acted upon.
                Happening::Notice(Notice::Event(Event::Message(message))) if message.history => {
                    self.show(&message)?;
                }
                Happening::Notice(Notice::Event(Event::Message(message))) => {
                    self.message(&message)?;
                    if let Some(left) = &mut self.left {
                        *left -= 1;
                        if *left == 0 {
                            return Ok(End::Count);
                        }
                    }
                }
                Happening::Notice(notice) => self.notice(&notice)?,
                Happening::Time => return Ok(End::Time),
                Happening::Signal => return Ok(End::Signal),
                Happening::Stopped => return Err(Failure::Refused(self.node.why_silent())),
                Happening::Line(_) | Happening::End(_) => {}
            }
        }
    }

    fn message(&mut self, message: &Message) -> Result<(), Failure> {
        let clocks = self.node.clocks();
        if let Some(exec) = self.exec {
            exec.add(message, clocks);
            if self.settings.quiet {
                return Ok(());
            }
        }
        self.show(message)
    }

    fn show(&mut self, message: &Message) -> Result<(), Failure> {
        let clocks = self.node.clocks();
        let line = match (self.settings.json, message.history) {
            (true, _) => json::message(message, clocks),
            (false, true) => self.style.quiet(self.style.dated(message, None)),
            (false, false) => self.style.message(message, clocks.wall()),
        };
        self.out.line(&line)
    }

    fn notice(&mut self, notice: &Notice) -> Result<(), Failure> {
        let clocks = self.node.clocks();
        if self.events && self.settings.json {
            return json::notice(notice, clocks).map_or(Ok(()), |line| self.out.line(&line));
        }
        let Some(line) = self.style.notice(notice) else { return Ok(()) };
        let fault = matches!(
            notice,
            Notice::LinkDown { .. }
                | Notice::Missed(_)
                | Notice::Dropped { .. }
                | Notice::Event(Event::Cloned { .. } | Event::Refused(_) | Event::Gap { .. })
        );
        if self.events {
            let time = self.style.time(clocks.wall());
            self.out.line(&self.style.quiet(format!("{time} * {line}")))?;
        } else if fault && !self.settings.quiet || self.settings.verbose {
            note(line);
        }
        Ok(())
    }
}
