//! `cooee peers`: who is here.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use super::args;
use super::duration;
use super::exit::{Exit, Failure};
use super::hub::{Happening, Hub};
use super::options::Settings;
use super::output::text::Style;
use super::output::{Out, json, note, table};
use super::session::{self, Role};
use crate::agent::{Door, Filter};
use crate::node::{Notice, Notices};
use crate::proto::{Event, PeerInfo};
use crate::talk::find::sort_by_nick;
use crate::talk::text;
use crate::values::NodeId;

/// How long answers are waited for unless said otherwise.
const WAIT: Duration = Duration::from_secs(1);

/// Runs the command.
pub(super) fn run(args: &args::Peers, mut settings: Settings) -> Result<Exit, Failure> {
    let until = Instant::now() + args.wait.unwrap_or(WAIT);
    let filter = Filter::parse(&args.tag, &args.service).map_err(Failure::Usage)?;
    let looks = Looks::of(&settings);
    if !args.watch
        && args.need.is_none()
        && let Some(agent) = session::agent(&settings)?
    {
        // It knows already.
        return list(&Door::Agent(agent), &filter, args, looks, &settings);
    }
    let (node, notices) = session::start(&mut settings, Role::Visitor)?;
    let ended = if args.watch {
        watch(&node, notices, &filter, &settings)
    } else {
        wait(&notices, &filter, args.need, until)
            .and_then(|()| list(&node, &filter, args, looks, &settings))
    };
    session::stop(node, &settings);
    ended
}

/// Where the command looks for others, for the hint if it finds nobody.
#[derive(Clone, Copy, Debug)]
struct Looks {
    /// Without multicast, and without anybody to ask.
    nowhere: bool,
    /// On whatever interfaces there are.
    anywhere: bool,
}

impl Looks {
    fn of(settings: &Settings) -> Self {
        Self {
            nowhere: settings.node.no_multicast && settings.seeds.is_empty(),
            anywhere: settings.node.interfaces.is_empty(),
        }
    }
}

/// Waits until the answer is complete.
fn wait(
    notices: &Notices,
    filter: &Filter,
    need: Option<usize>,
    until: Instant,
) -> Result<(), Failure> {
    let mut here = Here::default();
    let (mut settled, mut cause) = (false, None);
    loop {
        // A number that was asked for is waited for; without one, the LAN decides.
        let enough = match need {
            Some(need) => here.matching(filter) >= need,
            None => settled && !here.0.is_empty(),
        };
        let left = until.saturating_duration_since(Instant::now());
        let notice = if enough { None } else { notices.next(left)? };
        match notice {
            // Nobody was found, and there is a reason why nobody could be.
            None => return cause.filter(|_| here.0.is_empty()).map_or(Ok(()), Err),
            Some(Notice::LinkDown { name, why }) => cause = Some(session::refused(&name, &why)),
            Some(Notice::Event(Event::Settled { .. })) => settled = true,
            Some(Notice::Event(Event::Cloned { addr, nick, .. })) => {
                note(text::cloned(addr, &nick));
            }
            Some(notice) => here.take(&notice),
        }
    }
}

/// Prints who is there.
fn list(
    node: &Door,
    filter: &Filter,
    args: &args::Peers,
    looks: Looks,
    settings: &Settings,
) -> Result<Exit, Failure> {
    let mut peers = node.peers()?;
    peers.retain(|peer| filter.fits(&peer.profile));
    sort_by_nick(&mut peers);
    let mut out = Out::new();
    if settings.json {
        let clocks = node.clocks();
        let lines: Vec<String> = peers.iter().map(|peer| json::peer(peer, clocks) + "\n").collect();
        if !lines.is_empty() {
            out.line(&lines.concat())?;
        }
    } else if !peers.is_empty() {
        out.line(&table::peers(&peers))?;
        if !settings.quiet && io::stdout().is_terminal() {
            out.line(&match peers.len() {
                1 => "\n1 peer is here".to_owned(),
                count => format!("\n{count} peers are here"),
            })?;
        }
    }
    let need = args.need.unwrap_or(1);
    if peers.len() >= need {
        return Ok(Exit::Done);
    }
    if !settings.quiet {
        note(missing(node, peers.len(), need, args, looks)?);
    }
    Ok(Exit::No)
}

/// Says that fewer answered than expected, and what to try.
fn missing(
    node: &Door,
    count: usize,
    need: usize,
    args: &args::Peers,
    looks: Looks,
) -> Result<String, Failure> {
    let fits = if args.tag.is_empty() && args.service.is_empty() { "" } else { " that fits" };
    let within = duration::show(args.wait.unwrap_or(WAIT));
    let links = node.links()?;
    let inside = links.iter().all(|(_, addr)| addr.is_loopback());
    let links = session::show(&links);
    let who = match count {
        0 => format!("nobody{fits} answered"),
        _ => format!("{count} of {need}{fits} answered"),
    };
    if looks.nowhere {
        return Ok(format!(
            "{who}: without multicast only earlier peers, neighbours and hosts that are named are \
             asked: --peer HOST"
        ));
    }
    if inside && looks.anywhere {
        return Ok(format!(
            "{who} within {within} on {links}, which only reaches this host: no other interface is \
             up and can multicast; `ip address` shows why"
        ));
    }
    Ok(format!(
        "{who} within {within} on {links}: is `cooee listen` or `cooee chat` running on another \
         host? Where multicast is filtered, name one host: --peer HOST"
    ))
}

/// Prints who comes and goes, until it is stopped.
fn watch(
    node: &Door,
    notices: Notices,
    filter: &Filter,
    settings: &Settings,
) -> Result<Exit, Failure> {
    let hub = Hub::new();
    hub.signals(|| {})?;
    hub.output();
    hub.notices(notices);
    let (mut out, style) = (Out::new(), Style::new(false));
    loop {
        let notice = match hub.next(None) {
            Happening::Notice(notice) => notice,
            Happening::Signal => return Ok(Exit::Done),
            Happening::Stopped => return Err(Failure::Refused(node.why_silent())),
            Happening::Line(_) | Happening::End(_) | Happening::Time => continue,
        };
        if subject(&notice).is_none_or(|peer| !filter.fits(&peer.profile)) {
            if let Notice::LinkDown { .. } | Notice::Missed(_) | Notice::Dropped { .. } = notice
                && !settings.quiet
            {
                style.notice(&notice).into_iter().for_each(note);
            }
            continue;
        }
        let clocks = node.clocks();
        let line = if settings.json {
            json::notice(&notice, clocks)
        } else {
            style.notice(&notice).map(|line| format!("{} {line}", style.time(clocks.wall())))
        };
        line.map_or(Ok(()), |line| out.line(&line))?;
    }
}

/// The peer that a notice is about.
fn subject(notice: &Notice) -> Option<&PeerInfo> {
    match notice {
        Notice::Event(
            Event::Joined(peer)
            | Event::Left(peer)
            | Event::Suspect(peer)
            | Event::Alive(peer)
            | Event::Dead(peer)
            | Event::Path(peer)
            | Event::Status(peer)
            | Event::Renamed { peer, .. }
            | Event::Moved { peer, .. },
        ) => Some(peer),
        _ => None,
    }
}

/// Who is here, as far as events have told.
#[derive(Debug, Default)]
struct Here(BTreeMap<NodeId, PeerInfo>);

impl Here {
    fn take(&mut self, notice: &Notice) {
        match notice {
            Notice::Event(Event::Left(peer) | Event::Dead(peer)) => {
                self.0.remove(&peer.id);
            }
            _ => {
                if let Some(peer) = subject(notice) {
                    self.0.insert(peer.id, peer.clone());
                }
            }
        }
    }

    fn matching(&self, filter: &Filter) -> usize {
        if filter.is_empty() {
            return self.0.len();
        }
        self.0.values().filter(|peer| filter.fits(&peer.profile)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::objects::tests::a_peer;

    fn filter(tags: &[&str], services: &[&str]) -> Filter {
        let owned = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        Filter::parse(&owned(tags), &owned(services)).unwrap()
    }

    #[test]
    fn who_has_left_is_not_counted() {
        let mut here = Here::default();
        let everyone = filter(&[], &[]);
        here.take(&Notice::Event(Event::Joined(a_peer())));
        here.take(&Notice::Event(Event::Status(a_peer())));
        assert_eq!(here.matching(&everyone), 1);
        assert_eq!(here.matching(&filter(&["rack"], &[])), 0);
        here.take(&Notice::Event(Event::Left(a_peer())));
        assert_eq!(here.matching(&everyone), 0);
    }
}
