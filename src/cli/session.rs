//! Starting a node for a command, and waiting until it knows who is there.

use std::time::{Duration, Instant};

use super::exit::Failure;
use super::options::Settings;
use super::output::note;
use crate::node::{Node, Notice, Notices};
use crate::proto::Event;

/// What a command is to the others on the LAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It stays, and is listed.
    Resident,
    /// It asks or says something, and goes.
    Visitor,
    /// It says something and goes, and looks for nobody.
    Blind,
}

/// Starts a node and tells the user what is to be known about it.
pub(super) fn start(settings: &mut Settings, role: Role) -> Result<(Node, Notices), Failure> {
    settings.look_up()?;
    let mut options = std::mem::take(&mut settings.node);
    options.visitor = role != Role::Resident;
    options.blind = role == Role::Blind;
    let (node, notices) = Node::start(options)?;
    if !settings.quiet {
        node.warnings().iter().for_each(note);
    }
    if settings.verbose {
        note(format_args!("this node is {} on {}", node.id(), links(&node)?));
    }
    Ok((node, notices))
}

/// The links in use, for people: `eth0 (10.0.0.1), eth1 (10.0.1.1)`.
pub(super) fn links(node: &Node) -> Result<String, Failure> {
    let links: Vec<String> =
        node.links()?.iter().map(|(name, addr)| format!("{name} ({addr})")).collect();
    Ok(if links.is_empty() { "no link".to_owned() } else { links.join(", ") })
}

/// Waits until what is known of the LAN is as complete as it will be for now, or that time has
/// come.
pub(super) fn settle(notices: &Notices, until: Instant) -> Result<(), Failure> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match notices.next(left)? {
            None | Some(Notice::Event(Event::Settled { .. })) => return Ok(()),
            Some(_) if left == Duration::ZERO => return Ok(()),
            Some(_) => {}
        }
    }
}
