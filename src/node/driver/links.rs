//! How the driver follows the host's interfaces: which ones it uses now, and what is told of each.
//!
//! A link is told to be down once, whatever else goes wrong with it, and to be up once nothing speaks against it.

use super::{CHANGES_SETTLE, Driver};
use crate::net::{self, Interface, Link, LinkFailure, Sleep};
use crate::node::notices::Notice;
use crate::proto::{Command, Input};
use crate::values::{Attachment, LinkId, limits};

impl Driver {
    /// Tells the engine which links there are, and how fast it may speak over them.
    pub(super) fn tell_links(&mut self) {
        let links = self.sockets.links();
        let attachments: Vec<Attachment> = links.iter().map(Link::attachment).collect();
        let wireless = links.iter().any(|link| link.wireless);
        let rate = if wireless { limits::SAY_RATE_WIRELESS } else { limits::SAY_RATE };
        self.engine.handle(self.clock.now(), Input::Command(Command::Pace(rate)));
        self.engine.handle(self.clock.now(), Input::Links(&attachments));
        self.look_around();
    }

    pub(super) fn name(&self, link: LinkId) -> Option<String> {
        self.sockets.links().iter().find(|l| l.id == link).map(|l| l.name.clone())
    }

    /// Tells of links that fail, of each once until it works again.
    pub(super) fn report(&mut self, failures: Vec<LinkFailure>) {
        for failure in failures {
            let Some(link) = failure.link else { continue };
            // Many a host has IPv6 that leads nowhere: where there is IPv4 as well, that is no news.
            let has_four = |l: &Link| l.id == link && l.addr.is_some();
            if failure.to.is_some_and(|to| to.is_ipv6())
                && self.sockets.links().iter().any(has_four)
            {
                continue;
            }
            if self.failing.insert(link, Some(self.clock.now())).is_none() {
                let name = self.name(link).unwrap_or_else(|| link.to_string());
                self.tell_down(link, name, failure.why());
            }
        }
    }

    /// Tells that a link does not work, once until it does: one that is switched off may lose its
    /// carrier first, then fail, and then be gone.
    fn tell_down(&mut self, link: LinkId, name: String, why: String) {
        if self.down.insert(link) {
            self.notices.push_back(Notice::LinkDown { name, why });
        }
    }

    /// Tells that a link works again, once nothing speaks against it any more.
    pub(super) fn tell_up(&mut self, link: LinkId, name: String) {
        let works = !self.idle.contains(&link) && !self.failing.contains_key(&link);
        if works && self.down.remove(&link) {
            self.notices.push_back(Notice::LinkUp { name });
        }
    }

    /// The system has told of changes: a look is due once they have settled.
    pub(super) fn expect_changes(&mut self) {
        let Some(changes) = &mut self.changes else { return };
        match changes.take() {
            Ok(false) => return,
            Ok(true) => {}
            Err(_) => self.changes = None,
        }
        // An address that was missing may be there again.
        for (_, last) in &mut self.failing {
            *last = None;
        }
        self.next_look = self.next_look.min(self.clock.now() + CHANGES_SETTLE);
    }

    /// Looks whether interfaces have come, gone or changed.
    pub(super) fn look_at_links(&mut self) {
        let Ok(all) = net::interfaces() else { return }; // the next look may succeed
        let links: Vec<Link> = if self.wanted.is_empty() {
            net::choose(&all, &[]).unwrap_or_default()
        } else {
            // Of those asked for, the ones that are fit right now.
            let each = self.wanted.iter();
            each.filter_map(|name| net::choose(&all, std::slice::from_ref(name)).ok())
                .flatten()
                .collect()
        };
        let mut returned = self.look_at_carriers(&all, &links);
        if self.sleep.as_mut().is_some_and(Sleep::has_slept) {
            // Its peers have lost it, and its switch may have.
            returned = links.iter().map(|link| link.id).collect();
        }
        if links == self.sockets.links() && returned.is_empty() {
            return;
        }
        let before: Vec<Link> = self.sockets.links().to_vec();
        // Where nothing else is left the loopback stands in, which is no news beside what has gone.
        let unnamed = self.wanted.is_empty();
        let stands_in =
            |link: &Link| unnamed && all.iter().any(|i| i.link == link.id && i.loopback);
        for gone in before.iter().filter(|old| !links.iter().any(|new| new.id == old.id)) {
            self.failing.remove(&gone.id);
            if stands_in(gone) {
                continue;
            }
            let mut uses = all.iter().zip(net::usage(&all, &self.wanted));
            let why = match uses.find(|(interface, _)| interface.link == gone.id) {
                Some((_, usage)) => usage.why(&gone.name),
                None => "the interface is gone".to_owned(),
            };
            self.tell_down(gone.id, gone.name.clone(), why);
        }
        // An interface that is there again after it was removed is another one.
        self.down.retain(|id| all.iter().any(|interface| interface.link == *id));
        let mut failures = self.sockets.set_links(&links);
        for changed in links.iter().filter(|new| !before.contains(new)) {
            // What failed was sent from an address that it has no more.
            if let Some(last) = self.failing.get_mut(&changed.id) {
                *last = None;
            }
        }
        let is_new = |link: &&Link| !before.iter().any(|old| old.id == link.id);
        for link in links.iter().filter(|link| !stands_in(link)) {
            if is_new(&link) {
                // If it has no carrier yet, it is told when it has.
                self.down.insert(link.id);
            }
            self.tell_up(link.id, link.name.clone());
        }
        for link in returned {
            // The switch has forgotten what was joined here, and would ask only minutes later.
            failures.extend(self.sockets.rejoin(link));
        }
        self.report(failures);
        self.tell_links();
    }

    /// Notes where a cable was pulled, and returns the links where it is back.
    fn look_at_carriers(&mut self, all: &[Interface], links: &[Link]) -> Vec<LinkId> {
        let mut returned = Vec::new();
        for link in links {
            let runs = all.iter().any(|interface| interface.link == link.id && interface.running);
            if runs && self.idle.remove(&link.id) {
                returned.push(link.id);
            } else if !runs && self.idle.insert(link.id) && self.name(link.id).is_some() {
                let why = "no carrier: the cable is out, or nothing answers at its other end";
                self.tell_down(link.id, link.name.clone(), why.to_owned());
            }
        }
        self.idle.retain(|id| links.iter().any(|link| link.id == *id));
        returned
    }
}
