//! Starting a node for a command, and waiting until it knows who is there.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::exit::Failure;
use super::options::Settings;
use super::output::note;
use crate::agent::{Client, Door, DoorError};
use crate::node::{Node, Notice, Notices, Options, Stopped};
use crate::proto::{Event, PeerInfo};
use crate::talk::find::{self, Found};
use crate::talk::text;
use crate::values::{Escaped, NodeId, limits};

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

/// The options for a node of this role.
pub(super) fn options(settings: &mut Settings, role: Role) -> Result<Options, Failure> {
    settings.look_up()?;
    let mut options = std::mem::take(&mut settings.node);
    options.visitor = role != Role::Resident;
    options.blind = role == Role::Blind;
    Ok(options)
}

/// Starts a node with a thread of its own and introduces it.
pub(super) fn start(settings: &mut Settings, role: Role) -> Result<(Door, Notices), Failure> {
    if let Some(client) = agent(settings)? {
        let notices = client.subscribe(&settings.node.channels, true, settings.node.recall)?;
        return Ok((Door::Agent(client), notices));
    }
    let (node, notices) = own(settings, role)?;
    Ok((Door::Own(node), notices))
}

/// The same, without an agent.
pub(super) fn own(settings: &mut Settings, role: Role) -> Result<(Node, Notices), Failure> {
    let (node, notices) = Node::start(options(settings, role)?)?;
    introduce(settings, node.id(), node.warnings(), || Ok(node.links()?))?;
    Ok((node, notices))
}

/// The agent, if there is one that can do what the command is asked to.
pub(super) fn agent(settings: &Settings) -> Result<Option<Client>, Failure> {
    let Some(path) = settings.socket.path().filter(|_| !settings.alone) else { return Ok(None) };
    let note_why = |why: &dyn std::fmt::Display| {
        if settings.verbose {
            note(format_args!("without the agent at {}: {why}", path.display()));
        }
    };
    let client = match Client::connect(path) {
        Ok(client) => client,
        Err(error) if settings.socket.is_named() => {
            let path = path.display();
            return Err(Failure::Refused(format!(
                "no agent answers at {path} ({error}); start one with `cooee agent --socket \
                 {path}`, or go without: --no-agent"
            )));
        }
        Err(error) => {
            note_why(&error);
            return Ok(None);
        }
    };
    let about = client.about();
    let (group, sealed) = (settings.node.group.to_string(), settings.node.secret.is_some());
    if (&about.group, about.sealed) != (&group, sealed) {
        let kind = |sealed| if sealed { "sealed " } else { "" };
        let (its, ours) = (kind(about.sealed), kind(sealed));
        note_why(&format_args!(
            "it is in the {its}group {}, not in the {ours}{group}",
            about.group
        ));
        return Ok(None);
    }
    if settings.renamed && about.nick != settings.node.profile.nick.raw() {
        note_why(&format_args!("its nick is {}", Escaped::of(&about.nick)));
        return Ok(None);
    }
    if settings.verbose {
        note(format_args!("the agent at {} is {}", path.display(), about.id));
    }
    Ok(Some(client))
}

/// The peer that a message or a question is for.
pub(super) fn addressee(node: &Door, name: &str) -> Result<PeerInfo, Failure> {
    let peers = node.peers()?;
    let shown = Escaped::of(name);
    match find::find(&peers, name) {
        Found::One(peer) => Ok(peer.clone()),
        Found::Nobody => Err(Failure::No(format!(
            "nobody here is called '{shown}', or has an id that begins so ({} characters are \
             enough); `cooee peers` lists who is here",
            find::PREFIX
        ))),
        Found::Several(found) => {
            let candidates = find::candidates(&found);
            Err(Failure::Usage(format!("'{shown}' may be any of these; give the id:{candidates}")))
        }
    }
}

/// Tells the user what is to be known about the node.
pub(super) fn introduce(
    settings: &Settings,
    id: NodeId,
    warnings: &[String],
    links: impl Fn() -> Result<Vec<(String, IpAddr)>, DoorError>,
) -> Result<(), Failure> {
    if !settings.quiet {
        warnings.iter().for_each(note);
    }
    if settings.verbose {
        note(format_args!("this node is {id} on {}", show(&links()?)));
    }
    Ok(())
}

/// Lets everything leave that was said, says goodbye, and tells what was counted if the user wants
/// to know.
pub(super) fn stop(node: Door, settings: &Settings) {
    if settings.verbose
        && let Some(stats) = node.stats()
    {
        let counted: Vec<String> = stats
            .protocol
            .rows()
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        let (sockets, memberships) = (stats.sockets, stats.memberships);
        note(format_args!("{}; {sockets} sockets, {memberships} memberships", counted.join(", ")));
    }
    node.stop();
}

/// The links in use, for people: `eth0 (10.0.0.1), eth1 (10.0.1.1)`.
pub(super) fn links(node: &Door) -> Result<String, Failure> {
    Ok(show(&node.links()?))
}

pub(super) fn show(links: &[(String, IpAddr)]) -> String {
    let links: Vec<String> = links.iter().map(|(name, addr)| format!("{name} ({addr})")).collect();
    if links.is_empty() { "no link".to_owned() } else { links.join(", ") }
}

/// Waits until what is known of the LAN is as complete as it will be for now, or that time has
/// come.
/// `next` waits for the next notice, so long at most.
pub(super) fn settle(
    mut next: impl FnMut(Duration) -> Result<Option<Notice>, Stopped>,
    until: Instant,
) -> Result<(), Failure> {
    let mut alone = true;
    let mut cause = None;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match next(left)? {
            Some(Notice::Event(Event::Settled { .. })) | None => break,
            Some(Notice::Event(Event::Joined(_))) => alone = false,
            Some(Notice::Event(Event::Cloned { addr, nick, .. })) => {
                note(text::cloned(addr, &nick));
            }
            Some(Notice::LinkDown { name, why }) => {
                cause = Some(refused(&name, &why));
            }
            Some(_) if left == Duration::ZERO => break,
            Some(_) => {}
        }
    }
    // Nobody was found, and there is a reason why nobody could be.
    match cause {
        Some(cause) if alone => Err(cause),
        _ => Ok(()),
    }
}

/// Waits until everyone who is here was heard itself, and not only told of by others, as in groups of
/// many; not much longer than it takes all of them to announce themselves once.
pub(super) fn hear_all(node: &Node, notices: &Notices) -> Result<(), Failure> {
    const LOOK: Duration = Duration::from_millis(50);
    const LEAST: Duration = Duration::from_secs(3);
    const MOST: Duration = Duration::from_secs(10);
    let begun = Instant::now();
    loop {
        let peers = node.peers()?;
        let all = Duration::from_secs(peers.len() as u64) / limits::ANNOUNCEMENTS;
        let until = begun + (LEAST + all).min(MOST);
        if peers.iter().all(|peer| peer.verified) || Instant::now() >= until {
            return Ok(());
        }
        let next_look = Instant::now() + LOOK;
        while Instant::now() < next_look {
            notices.next(next_look.saturating_duration_since(Instant::now()))?;
        }
    }
}

/// A link on which nothing could be sent, for a command that found nobody by any other.
pub(super) fn refused(name: &str, why: &str) -> Failure {
    Failure::Refused(format!(
        "link {}: {}; see whether a firewall on this host forbids it, or name one host: --peer HOST",
        Escaped::of(name),
        Escaped::of(why)
    ))
}
