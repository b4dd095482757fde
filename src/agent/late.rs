//! What could not be kept when it was said, because another program had locked the history: it is
//! written when that is free again, and only then do hooks hear of it.

use super::server::Server;
use crate::net::Clock;
use crate::node::Notice;
use crate::proto::Event;

impl Server {
    /// Writes what could not be written when it came, and tells the hooks of what is new among it.
    pub(super) fn catch_up(&mut self) {
        let (log, up) = (self.log, self.up());
        let new = self.history.catch_up(Clock::wall(), up, &mut |warning| log.warn(&warning));
        if new.is_empty() {
            return;
        }
        let clocks = self.clocks();
        let run = (Some(self.node.id()), self.node.epoch());
        for message in new {
            let event = match (message.from, message.epoch) == run {
                // What this node has told one is no event.
                true if message.channel.is_none() => continue,
                true => Event::Said(message),
                false => Event::Message(message),
            };
            let notice = Notice::Event(event);
            // What is not signed has not waited.
            if is_signed(&notice) {
                self.hooks.on(&notice, true, clocks, log);
            }
        }
    }
}

/// Whether it is a message that carries its author's signature.
pub(super) fn is_signed(notice: &Notice) -> bool {
    match notice {
        Notice::Event(Event::Message(message) | Event::Said(message)) => message.verified,
        _ => false,
    }
}
