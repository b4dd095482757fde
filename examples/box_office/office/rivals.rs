//! Whether somebody else on the LAN sells the same: looked for before an office opens, and once more when it is here.

use std::collections::BTreeSet;
use std::time::Duration;

use cooee::{Node, NodeId, Options, PeerInfo};

use crate::args::Globals;
use crate::failure::Failure;
use crate::plan::{Plan, Show};
use crate::words::{Request, channel, outgoing};

/// How long to look around for another office before starting.
const LOOK: Duration = Duration::from_secs(3);

/// How long an office that is listed may take to show that it runs. It is asked some six times meanwhile,
/// and where a tenth of everything is lost, all of them are once in twenty thousand starts.
const SIGN_OF_LIFE: Duration = Duration::from_millis(600);

/// Whether somebody on the LAN sells one of these shows already: another office, or this very one
/// from a copy of its folder. Those that are listed and do not answer any more are returned.
///
/// It looks as a node that is nobody in particular: if it came with the office's own key, all would
/// take it for the office's next run, and the one that is there would be heard no more.
pub(super) fn look_for_rivals(
    plan: &Plan,
    id: NodeId,
    anyway: bool,
    globals: &Globals,
) -> Result<BTreeSet<NodeId>, Failure> {
    let (node, _) = Node::start(Options { visitor: true, ..globals.node("visitor") })?;
    node.wait_until_settled(LOOK)?;
    let mut gone = BTreeSet::new();
    for peer in node.peers()? {
        let Some(show) = sold_by(plan, &peer).filter(|_| !anyway || peer.id == id) else {
            continue;
        };
        let Ok(question) = outgoing("are you there?".to_owned(), &Request::Shows) else { continue };
        // One that was killed a moment ago, such as this office itself, is still listed.
        if node.ask_one(peer.id, question, SIGN_OF_LIFE).is_err() {
            gone.insert(peer.id);
            continue;
        }
        let (show, at) = (&show.name, place(&peer));
        return Err(Failure::No(if peer.id == id {
            format!(
                "this very office runs at {at}, from a copy of its folder: use one, delete the other"
            )
        } else {
            format!(
                "the office {} at {at} sells '{show}' already; end it first, or, if it has no right to, --anyway",
                peer.id
            )
        }));
    }
    Ok(gone)
}

/// Of offices that start at the same moment none finds another before it is here itself. So each looks once
/// more before it sells, and of two that see each other the one with the larger id ends.
///
/// It does so only here: an office that sells would else be ended by anybody with a small id.
pub(super) fn give_way(plan: &Plan, node: &Node, gone: &BTreeSet<NodeId>) -> Result<(), Failure> {
    node.wait_until_settled(LOOK)?;
    for peer in node.peers()? {
        let is_first = peer.id < node.id() && !gone.contains(&peer.id);
        if let Some(show) = sold_by(plan, &peer).filter(|_| is_first) {
            return Err(Failure::No(format!(
                "the office {} at {} is starting to sell '{}', too, and goes first; end it, or, if it has no \
                 right to, --anyway",
                peer.id,
                place(&peer),
                show.name
            )));
        }
    }
    Ok(())
}

/// A show of the plan that the peer sells.
pub(super) fn sold_by<'a>(plan: &'a Plan, peer: &PeerInfo) -> Option<&'a Show> {
    let sells = |show: &&Show| channel(&show.name).is_some_and(|name| peer.offers(name.as_str()));
    plan.shows.iter().find(sells)
}

pub(super) fn place(peer: &PeerInfo) -> String {
    peer.addr.map_or_else(|| "an unknown address".to_owned(), |addr| addr.ip().to_string())
}
