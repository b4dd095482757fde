//! What peers ask of each other's being there, read: `probe`, `alive` and `suspect`.

use std::time::Duration;

use super::{DecodeError, Members, Result, hex, id, need};
use crate::wire::{Alive, Probe, Sender, Suspect};

impl Members<'_> {
    pub(super) fn probe(&self) -> Result<Probe> {
        let (via, on_behalf) =
            (id(self.via.as_deref(), "via")?, id(self.on_behalf.as_deref(), "for")?);
        if via.is_some() && on_behalf.is_some() {
            return Err(DecodeError::Member("via"));
        }
        Ok(Probe {
            from: self.sender()?,
            to: need(id(self.to.as_deref(), "to")?, "to")?,
            nonce: need(hex(self.nonce.as_deref(), "nonce")?, "nonce")?,
            via,
            on_behalf,
        })
    }

    pub(super) fn alive(&self) -> Result<Alive> {
        let to = id(self.to.as_deref(), "to")?;
        Ok(Alive {
            from: self.sender()?,
            re: need(hex(self.re.as_deref(), "re")?, "re")?,
            stranger: self.stranger,
            ago: self.ago.map(Duration::from_millis),
            through: to.map(|to| (to, self.heard)),
        })
    }

    pub(super) fn suspect(&self) -> Result<Suspect> {
        let peer = need(id(self.peer.as_deref(), "peer")?, "peer")?;
        Ok(Suspect {
            from: self.sender()?,
            n: need(self.n, "n")?,
            of: Sender { id: peer, epoch: need(self.run, "run")? },
        })
    }
}
