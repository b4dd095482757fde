//! Taking up a changed configuration while the agent runs (`SIGHUP`).
//!
//! All of it or nothing: a configuration that is wrong, or that can't be announced, changes nothing
//! and the log says why. The log names the keys that have changed, never their values.

use std::collections::BTreeMap;
use std::fmt;

use super::history::Keeping;
use super::hooks::HookOptions;
use super::log::Log;
use super::requests::{fits, merged};
use super::server::Server;
use crate::values::{Escaped, PeerText, SmallSet};
use crate::wire::Profile;

/// What the user has configured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Configuration {
    /// What this host says of itself.
    pub(crate) profile: Profile,
    /// Commands to run.
    pub(crate) hooks: HookOptions,
    /// How much of what was said is kept.
    pub(crate) keeping: Keeping,
    /// Take a new identity when another node has this one's.
    pub(crate) renew_identity: bool,
    /// Write as little as possible into the log.
    pub(crate) quiet: bool,
    /// Write details into the log.
    pub(crate) verbose: bool,
    /// The keys that only a restart changes, each with a text that is another when its value is.
    pub(crate) fixed: Vec<(&'static str, String)>,
    /// What the user should know.
    pub(crate) warnings: Vec<String>,
}

/// Reads the configuration again; the error says what is wrong and where.
pub(crate) struct Source(Box<dyn FnMut() -> Result<Configuration, String>>);

impl Source {
    /// That which `read` reads.
    pub(crate) fn new(read: impl FnMut() -> Result<Configuration, String> + 'static) -> Self {
        Self(Box::new(read))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

impl Server {
    /// Reads the configuration again and goes by it.
    pub(super) fn reload(&mut self) {
        Log::reloading();
        match (self.source.0)().and_then(|new| self.take_up(new)) {
            Ok(changed) if changed.is_empty() => {
                self.log.info("the configuration was read again: nothing has changed");
            }
            Ok(changed) => {
                let changed = changed.join(", ");
                self.log.info(&format!("the configuration was read again; changed: {changed}"));
            }
            Err(why) => self.log.warn(&format!("the configuration stays as it was: {why}")),
        }
        Log::ready(&self.who());
    }

    /// Goes by a new configuration. Returns the keys that have changed.
    fn take_up(&mut self, new: Configuration) -> Result<Vec<String>, String> {
        let mut profile = merged(&new.profile, &self.kept);
        profile.away.clone_from(&self.profile.away);
        fits(&profile)?;
        new.warnings.iter().for_each(|warning| self.log.warn(warning));
        let before = &self.configuration;
        let mut changed = changed(&before.profile, &new.profile);
        if let Some(nick) = &self.kept.nick
            && before.profile.nick != new.profile.nick
        {
            let nick = Escaped::of(nick);
            self.log.info(&format!("the nick stays {nick}, as it was set with `cooee nick`"));
        }
        if before.keeping != new.keeping {
            changed.push("history".to_owned());
        }
        if before.hooks.limits != new.hooks.limits {
            changed.push("hooks".to_owned());
        }
        if before.hooks.hooks != new.hooks.hooks {
            let (was, is) = (before.hooks.hooks.len(), new.hooks.hooks.len());
            changed.push(format!("on ({was} before, {is} now)"));
        }
        for (key, was, is) in
            [("quiet", before.quiet, new.quiet), ("verbose", before.verbose, new.verbose)]
        {
            changed.extend((was != is).then(|| key.to_owned()));
        }
        let fixed: Vec<&str> = (before.fixed.iter().zip(&new.fixed))
            .filter(|(before, new)| before != new)
            .map(|((key, _), _)| *key)
            .collect();
        if !fixed.is_empty() {
            let fixed = fixed.join(", ");
            self.log
                .warn(&format!("changed, but only a restart of the agent takes it up: {fixed}"));
        }
        self.log.set(new.quiet, new.verbose);
        self.hooks.change(&new.hooks);
        self.history.keeping = new.keeping;
        self.add_callers(&mut profile);
        if profile != self.profile {
            self.profile = profile;
            self.node.set_profile(self.profile.clone());
        }
        // What a restart is needed for stays what the agent was started with.
        let fixed = std::mem::take(&mut self.configuration.fixed);
        self.configuration = Configuration { fixed, ..new };
        self.join_for_hooks();
        Ok(changed)
    }

    /// Is in the channels that hooks wait for, and no longer in those that they did.
    pub(super) fn join_for_hooks(&mut self) {
        let wanted = self.hooks.channels();
        let hooked = std::mem::take(&mut self.hooked).into_iter();
        let (kept, others): (Vec<_>, Vec<_>) = hooked.partition(|channel| wanted.contains(channel));
        self.hooked.extend(kept);
        for channel in others {
            self.part(&channel);
        }
        for channel in wanted {
            if self.hooked.contains(&channel) {
                continue;
            }
            match self.has_room(&channel) {
                Ok(()) => {
                    self.take_part_again(&channel);
                    self.hooked.insert(channel);
                }
                Err(why) => self.log.warn(&format!(
                    "hooks for #{channel} wait in vain, because the agent is not in it: {why}"
                )),
            }
        }
    }
}

/// The keys of what a host says of itself that are not the same.
fn changed(before: &Profile, new: &Profile) -> Vec<String> {
    let mut keys = Vec::new();
    keys.extend((before.nick != new.nick).then(|| "nick".to_owned()));
    keys.extend(differing("tags", &before.tags, &new.tags));
    keys.extend(differing("services", &before.services, &new.services));
    keys
}

fn differing<V: PartialEq>(
    table: &str,
    before: &BTreeMap<PeerText, V>,
    new: &BTreeMap<PeerText, V>,
) -> Vec<String> {
    let keys: SmallSet<&PeerText> = before.keys().chain(new.keys()).collect();
    let differ = keys.into_iter().filter(|key| before.get(*key) != new.get(*key));
    differ.map(|key| format!("{table}.{}", key.escaped())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_that_have_changed_are_named_and_no_value() {
        let before = Profile {
            nick: "ada".into(),
            tags: [("role".into(), "web".into()), ("rack".into(), "7".into())].into(),
            services: [("http".into(), 80)].into(),
            ..Profile::default()
        };
        assert!(changed(&before, &before).is_empty());
        let new = Profile {
            nick: "bob".into(),
            tags: [("role".into(), "db".into()), ("a\x1bb".into(), "x".into())].into(),
            ..Profile::default()
        };
        assert_eq!(
            changed(&before, &new),
            ["nick", "tags.a\\u{1b}b", "tags.rack", "tags.role", "services.http"]
        );
    }
}
