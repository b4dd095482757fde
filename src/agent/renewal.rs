//! Going on as somebody else, where another node has this agent's identity: a copied state folder or a
//! cloned disk.
//!
//! Of the two the one whose run began first gives way, if its user allows it: the others take the later
//! one for its next run, and hear only that. It ends, and is started again in the same process with a new
//! key; history, channels and tags stay. If its user does not allow it, it is started again once the other one
//! has gone: its next run is heard.

use super::server::Server;

/// The name of an agent's key: it is the same node whatever runs beside it.
pub(super) const KEY: &str = "agent";

/// How an agent has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// As it was asked to.
    Stopped,
    /// To start again as another node.
    Renewed,
    /// To start again as the same node.
    Resumed,
}

impl Server {
    /// The one that was heard in this one's place has gone.
    pub(super) fn resume_identity(&mut self) {
        self.log.warn("the other node with this identity has gone; starting again, to be heard");
        self.ends = self.ends.or(Some(Ended::Resumed));
    }

    /// The others hear only another node that has this one's identity.
    pub(super) fn renew_identity(&mut self) {
        let Some(folder) = self.folder.as_ref().filter(|_| self.configuration.renew_identity)
        else {
            return;
        };
        match crate::node::renew_identity(folder, KEY) {
            Ok(()) => {
                self.log.warn("this agent takes a new identity and starts again");
                self.ends = self.ends.or(Some(Ended::Renewed));
            }
            Err(error) => self.log.warn(&format!("no new identity can be kept: {error}")),
        }
    }
}
