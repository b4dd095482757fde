//! Whom a command is for, by the name that was typed.

use super::exit::Failure;
use super::find::{self, Found};
use crate::agent::Door;
use crate::proto::PeerInfo;
use crate::values::Escaped;

/// The peer that a message or a question is for.
pub(super) fn addressee(node: &Door, name: &str) -> Result<PeerInfo, Failure> {
    let peers = node.peers()?;
    let shown = Escaped::of(name);
    match find::find(&peers, name) {
        Found::One(peer) => Ok(peer.clone()),
        Found::Nobody => Err(Failure::No(format!(
            "nobody here is called '{shown}' or has that id; `cooee peers` lists who is here"
        ))),
        Found::Several(found) => {
            let candidates = find::candidates(&found);
            Err(Failure::Usage(format!("'{shown}' may be any of these; give the id:{candidates}")))
        }
    }
}
