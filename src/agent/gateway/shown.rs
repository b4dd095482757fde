//! What the agent shows of its gateway: on the LAN as the tag `gateway=N`, N being the number of
//! callers, and to `cooee status`.

use std::time::Duration;

use crate::agent::protocol::GatewayStatus;
use crate::agent::server::Server;
use crate::values::{PeerText, limits};
use crate::wire::Profile;

/// The key of the tag.
const TAG: &str = "gateway";

/// How often the number may change on the LAN: each change is an announcement.
const EVERY: Duration = Duration::from_secs(1);

impl Server {
    /// Tells the LAN how many callers there are, if that has changed.
    pub(in crate::agent) fn show_callers(&mut self) {
        let Some(gateway) = &self.gateway else { return };
        let (count, now) = (gateway.connected(), self.node.now());
        let (shown, at) = self.shown_callers;
        if shown == Some(count) || shown.is_some() && now.since(at) < EVERY {
            return;
        }
        self.shown_callers = (Some(count), now);
        let mut profile = self.profile.clone();
        self.add_callers(&mut profile);
        if profile != self.profile {
            self.profile = profile;
            self.node.set_profile(self.profile.clone());
        }
    }

    /// Adds the tag, if the user's own leave room for it.
    pub(in crate::agent) fn add_callers(&self, profile: &mut Profile) {
        let Some(count) = self.shown_callers.0 else { return };
        let tag = PeerText::from(TAG);
        profile.tags.insert(tag.clone(), count.to_string().as_str().into());
        if profile.tags.len() > limits::TAGS || profile.tag_bytes() > limits::TAG_BYTES {
            profile.tags.remove(&tag);
        }
    }

    pub(in crate::agent) fn gateway_status(&self) -> Option<GatewayStatus> {
        let gateway = self.gateway.as_ref()?;
        let (addr, callers) = (gateway.addr().to_string(), gateway.connected());
        Some(GatewayStatus { addr, clients: callers })
    }
}
