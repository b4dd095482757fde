//! In which channels this node takes part, and which groups it has to be a member of for that.
//!
//! Two channels may live on the same address; the membership goes when the last of them is left.

use std::net::Ipv4Addr;

use crate::values::{ChannelName, Group, SmallMap, limits};

/// The channels of this node.
#[derive(Debug)]
pub(crate) struct Channels {
    group: Group,
    joined: Vec<ChannelName>,
    groups: SmallMap<Ipv4Addr, usize>,
}

impl Channels {
    pub(crate) fn new(group: Group) -> Self {
        Self { group, joined: Vec::new(), groups: SmallMap::new() }
    }

    /// The channels in the order in which they were joined.
    pub(crate) fn names(&self) -> &[ChannelName] {
        &self.joined
    }

    pub(crate) fn has(&self, name: &ChannelName) -> bool {
        self.joined.contains(name)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.joined.len() >= limits::CHANNELS
    }

    /// Takes a channel up; the caller has asked [`Channels::has`] and [`Channels::is_full`].
    /// Returns the group to become a member of, if there is a new one.
    pub(crate) fn join(&mut self, name: ChannelName) -> Option<Ipv4Addr> {
        debug_assert!(!self.has(&name) && !self.is_full());
        let group = *self.group.channel(&name).ip();
        self.joined.push(name);
        let users = self.groups.entry(group).or_default();
        *users += 1;
        (*users == 1).then_some(group)
    }

    /// Gives a channel up. Returns the group whose membership is not needed any more.
    pub(crate) fn leave(&mut self, name: &ChannelName) -> Option<Ipv4Addr> {
        let at = self.joined.iter().position(|joined| joined == name)?;
        let group = *self.group.channel(&self.joined.remove(at)).ip();
        let users = self.groups.get_mut(&group)?;
        *users -= 1;
        if *users > 0 {
            return None;
        }
        self.groups.remove(&group);
        Some(group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_group_is_left_with_the_last_channel_on_it() {
        let group = Group::DEFAULT;
        // Two names on one address, found by trying: 65,534 addresses, so some 300 names suffice.
        let mut seen = BTreeMap::new();
        let (a, b) = (0..)
            .find_map(|i| {
                let name: ChannelName = format!("c{i}").parse().unwrap();
                seen.insert(group.channel(&name), name.clone()).map(|other| (name, other))
            })
            .unwrap();
        let mut channels = Channels::new(group);
        let address = channels.join(a.clone()).unwrap();
        assert_eq!(channels.join(b.clone()), None);
        assert_eq!(channels.leave(&a), None);
        assert_eq!(channels.leave(&a), None);
        assert_eq!(channels.leave(&b), Some(address));
        assert_eq!(channels.names(), []);
    }
}
