//! Hooks: commands that the agent runs when something happens, as its user has configured.
//!
//! What holds always:
//! - A message that is signed starts a hook at most once, also over a restart: it is in the history
//!   before the hook starts, and one that is there already starts none. Where the history can't be
//!   written, such a message starts no hook, and that is counted and said; where another program has
//!   locked it, the hook waits until the message is in it. An agent that ends between the two has
//!   started none, and won't.
//! - No shell, and nothing from the network in an argument but where a placeholder stands.
//! - So many run at a time, so much waits, each has its time; what is more is dropped, counted and
//!   said, and so is what fails. The log gets a line for a hook's first failure and then one in a
//!   while, however fast it fails.

mod rule;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::facts::Facts;
use super::log::Log;
use super::objects::Clocks;
use super::protocol::HookCounts;
use super::runner::{Ended, Job, Lane, Limits, Outcome, Runner, Sink};
use crate::node::Notice;
use crate::proto::Event;
use crate::values::{ChannelName, Escaped, Group, SmallSet};

pub(crate) use rule::{Hook, TIMEOUT, Template, Trigger, words};

use rule::Happening;

/// How much is run and how much waits, unless said otherwise.
pub(crate) const LIMITS: Limits = Limits { at_once: 4, backlog: 1_000 };

/// Hooks that can be configured.
pub(crate) const MOST: usize = 256;

/// Bytes of what a command prints that are looked at, for the log.
const OUTPUT: usize = 4_096;

/// Between two lines of the log about the same trouble of the same hook.
const QUIET: Duration = Duration::from_secs(10);

/// What is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HookOptions {
    /// How much is run and how much waits.
    pub(crate) limits: Limits,
    /// The hooks.
    pub(crate) hooks: Vec<Hook>,
}

impl Default for HookOptions {
    fn default() -> Self {
        Self { limits: LIMITS, hooks: Vec::new() }
    }
}

/// The hooks of a running agent.
#[derive(Debug)]
pub(super) struct Hooks {
    entries: Vec<Arc<Entry>>,
    /// Lanes given out.
    lanes: Lane,
    /// Variables that tell a `cooee` run by a hook where this agent is.
    home: Vec<(&'static str, String)>,
    runner: Runner,
    /// Who was here when the agent started is known.
    settled: bool,
    /// Messages for which a hook did not run because they could not be kept.
    not_kept: u64,
}

/// A hook, and what was said about it.
#[derive(Debug)]
struct Entry {
    hook: Hook,
    /// Its own in the runner.
    lane: Lane,
    failures: Rarely,
    drops: Rarely,
    losses: Rarely,
}

impl Hooks {
    pub(super) fn new(options: &HookOptions, socket: &Path, group: Group) -> Self {
        let socket = std::path::absolute(socket).unwrap_or_else(|_| socket.to_owned());
        let home = vec![
            ("COOEE_SOCKET", socket.to_string_lossy().into_owned()),
            ("COOEE_GROUP", group.to_string()),
        ];
        let runner = Runner::new(options.limits);
        let mut hooks =
            Self { entries: Vec::new(), lanes: 0, home, runner, settled: false, not_kept: 0 };
        hooks.change(options);
        hooks
    }

    /// The channels that the agent has to be in for them.
    pub(super) fn channels(&self) -> SmallSet<ChannelName> {
        self.entries.iter().flat_map(|entry| entry.hook.channels.iter().cloned()).collect()
    }

    /// Goes by other options from now on. What runs or waits already is not touched, and a hook that
    /// stays as it is goes on as it was.
    pub(super) fn change(&mut self, options: &HookOptions) {
        self.runner.limit(options.limits);
        let mut before = std::mem::take(&mut self.entries);
        for hook in &options.hooks {
            let same = before.iter().position(|entry| entry.hook == *hook);
            let entry = if let Some(at) = same {
                before.swap_remove(at)
            } else {
                self.lanes += 1;
                Arc::new(Entry::new(hook.clone(), self.lanes))
            };
            self.entries.push(entry);
        }
    }

    /// Runs the hooks for what has happened. `kept`: messages among it are in the history.
    pub(super) fn on(&mut self, notice: &Notice, kept: bool, clocks: Clocks, log: Log) {
        if matches!(notice, Notice::Event(Event::Settled { .. })) && !self.settled {
            self.settled = true;
            log.detail("who is here is known; whoever comes from now on starts hooks");
        }
        // What was said before this agent came is news to nobody.
        if matches!(notice, Notice::Event(Event::Message(message)) if message.history) {
            return;
        }
        let happening = Happening::new(notice, clocks.wall());
        let mut facts = None;
        for entry in &self.entries {
            let Some(trigger) = entry.hook.wants(&happening) else { continue };
            // Who is here already does not come.
            if trigger == Trigger::Joined && !self.settled {
                continue;
            }
            if let Notice::Event(Event::Message(message)) = notice
                && message.verified
                && !kept
            {
                self.not_kept += 1;
                if let Some(more) = entry.losses.say() {
                    log.warn(&format!(
                        "hook {}: not run for a message that can't be kept, because it could run \
                         twice{more}",
                        entry.hook.shown()
                    ));
                }
                continue;
            }
            // In a flood most are dropped, which must cost little.
            if self.runner.refuses() {
                self.complain_of_drops(entry, log);
                continue;
            }
            if facts.is_none() {
                facts = Facts::of_notice(notice, clocks);
            }
            let Some(facts) = &facts else { return };
            self.start(entry, facts, log);
        }
    }

    fn start(&self, entry: &Arc<Entry>, facts: &Facts, log: Log) {
        let hook = &entry.hook;
        let job = Job {
            words: hook.run.iter().map(|word| word.fill(facts)).collect(),
            input: facts.json.clone(),
            env: facts.env.iter().chain(&self.home).cloned().collect(),
            timeout: hook.timeout,
            stdout: if log.is_verbose() { Sink::Capture(OUTPUT) } else { Sink::Discard },
            stderr: Sink::Capture(OUTPUT),
        };
        let at_once = hook.at_once.unwrap_or(usize::MAX);
        let owner = Arc::clone(entry);
        let taken = self.runner.add_to(entry.lane, at_once, job, move |outcome| {
            owner.report(&outcome, log);
        });
        if !taken {
            self.complain_of_drops(entry, log);
        }
    }

    fn complain_of_drops(&self, entry: &Entry, log: Log) {
        let Some(more) = entry.drops.say() else { return };
        let counts = self.runner.counts();
        log.warn(&format!(
            "hook {}: dropped, because {} run and {} wait{more}",
            entry.hook.shown(),
            counts.running,
            counts.waiting
        ));
    }

    pub(super) fn counts(&self) -> HookCounts {
        let counts = self.runner.counts();
        HookCounts {
            configured: self.entries.len(),
            run: counts.started,
            failed: counts.failed,
            timed_out: counts.timed_out,
            not_started: counts.not_started,
            dropped: counts.dropped,
            not_kept: self.not_kept,
            running: counts.running,
            waiting: counts.waiting,
        }
    }

    /// Kills what runs and forgets what waits.
    pub(super) fn stop(&self, log: Log) {
        let counts = self.runner.counts();
        if counts.running + counts.waiting > 0 {
            log.info(&format!(
                "hooks: {} are killed because the agent ends, {} that waited won't run",
                counts.running, counts.waiting
            ));
        }
        self.runner.abort();
    }
}

impl Hook {
    /// Its name, for the log.
    fn shown(&self) -> Escaped<'_> {
        Escaped::of(&self.name)
    }
}

impl Entry {
    fn new(hook: Hook, lane: Lane) -> Self {
        let [failures, drops, losses] = Default::default();
        Self { hook, lane, failures, drops, losses }
    }

    /// Tells the log how a command ended.
    fn report(&self, outcome: &Outcome, log: Log) {
        let name = self.hook.shown();
        if matches!(outcome.ended, Ended::Stopped) {
            return;
        }
        for (which, captured) in [("", &outcome.stdout), (" complains", &outcome.stderr)] {
            let text = String::from_utf8_lossy(&captured.bytes);
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                log.detail(&format!("hook {name}{which}: {}", Escaped::of(line)));
            }
        }
        if outcome.ended.is_success() {
            log.detail(&format!("hook {name} has run"));
        } else if let Some(more) = self.failures.say() {
            let text = String::from_utf8_lossy(&outcome.stderr.bytes);
            let last = text.lines().rfind(|line| !line.trim().is_empty());
            let last: String = last.unwrap_or_default().chars().take(300).collect();
            let complaint =
                if last.is_empty() { last } else { format!(": {}", Escaped::of(&last)) };
            log.warn(&format!("hook {name} {}{complaint}{more}", outcome.ended));
        }
    }
}

/// Lets something be said at once, and then once in a while.
#[derive(Debug, Default)]
struct Rarely(Mutex<(Option<Instant>, u64)>);

impl Rarely {
    /// `None`: not now. Otherwise what to add about those that were held back.
    fn say(&self) -> Option<String> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, held) = &mut *said;
        if last.is_some_and(|last| last.elapsed() < QUIET) {
            *held += 1;
            return None;
        }
        *last = Some(Instant::now());
        Some(match std::mem::take(held) {
            0 => String::new(),
            more => format!(" ({more} more of these since the last such line)"),
        })
    }
}

#[cfg(test)]
mod tests;
