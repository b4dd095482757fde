//! `cooee agent`, and the commands that change or ask the agent: `join`, `leave`, `channels`, `nick`,
//! `away`, `tag`, `service`, `status`, `stop`.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::args;
use super::duration;
use super::exit::{Exit, Failure};
use super::gateway;
use super::options::{self, Settings};
use super::output::{Out, note};
use super::surroundings::Surroundings;
use crate::agent::protocol::{HookCounts, Line, Reply, Status};
use crate::agent::{AgentOptions, Client, Configuration, Ended, Log, Server, Source};
use crate::values::{ChannelName, Escaped, Nick, filled};

/// Serves this host until it is stopped.
pub(super) fn serve(
    args: &args::Agent,
    mut settings: Settings,
    typed: &args::Globals,
) -> Result<Exit, Failure> {
    let gateway = gateway::resolve(args, &settings.gateway)?;
    settings.look_up()?;
    let socket = settings.socket.path().ok_or_else(|| {
        Failure::Refused("no place for the agent's socket; name one with --socket".to_owned())
    })?;
    let socket = socket.to_owned();
    let log = Log::from_environment(settings.quiet, settings.verbose);
    loop {
        let typed = typed.clone();
        let source = Source::new(move || match options::resolve(&typed, &Surroundings::real()) {
            Ok(settings) => Ok(configuration(&settings)),
            Err(failure) => Err(one_line(&failure.to_string())),
        });
        let options = AgentOptions {
            node: crate::node::Options { recall: settings.recall, ..settings.node.clone() },
            socket: socket.clone(),
            folder: settings.node.state_dir.clone(),
            log,
            configuration: configuration(&settings),
            source,
            gateway: gateway.clone(),
        };
        match Server::start(options)?.run()? {
            Ended::Stopped => return Ok(Exit::Done),
            Ended::Renewed | Ended::Resumed => {}
        }
    }
}

/// An error for the log: where and what, without the line of the file that is wrong. There may be a
/// password in it.
fn one_line(error: &str) -> String {
    let quotes = |line: &&str| {
        line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit()).starts_with('|')
    };
    let lines: Vec<&str> = error.lines().filter(|line| !quotes(line)).map(str::trim).collect();
    Escaped::of(lines.join("; ").trim_end_matches("; ")).to_string()
}

/// What an agent is told of the settings.
fn configuration(settings: &Settings) -> Configuration {
    let node = &settings.node;
    // Enough to see that it is another; the secret itself stays where it is.
    let mut secret = DefaultHasher::new();
    node.secret.hash(&mut secret);
    let fixed = vec![
        ("group", node.group.to_string()),
        ("iface", node.interfaces.join(",")),
        ("peer", format!("{:?}", settings.seeds)),
        ("no-multicast", node.no_multicast.to_string()),
        ("ttl", node.ttl.to_string()),
        ("secret-file", secret.finish().to_string()),
        ("socket", format!("{:?}", settings.socket)),
        ("tcp", format!("{:?}", settings.gateway.tcp)),
        ("tcp-public", settings.gateway.public.to_string()),
        ("tcp-idle", format!("{:?}", settings.gateway.idle)),
        ("recall", settings.recall.to_string()),
    ];
    Configuration {
        profile: node.profile.clone(),
        hooks: settings.hooks.clone(),
        keeping: settings.keeping,
        renew_identity: settings.renew_identity,
        quiet: settings.quiet,
        verbose: settings.verbose,
        fixed,
        warnings: settings.warnings.clone(),
    }
}

/// The agent, which has to be there.
fn client(settings: &Settings) -> Result<Client, Failure> {
    let none =
        || Failure::Refused("there is no place for the agent's socket; see --socket".to_owned());
    let path = settings.socket.path().ok_or_else(none)?;
    Client::connect(path).map_err(|error| {
        let path = path.display();
        Failure::Refused(format!("no agent answers at {path} ({error}); `cooee agent` starts one"))
    })
}

fn line(verb: &str) -> Line {
    Line { verb: verb.to_owned(), ..Line::default() }
}

fn ask(settings: &Settings, line: Line) -> Result<Reply, Failure> {
    Ok(client(settings)?.ask(line)?)
}

/// Takes part in a channel from now on, or no longer.
pub(super) fn membership(
    verb: &str,
    channel: &ChannelName,
    settings: &Settings,
) -> Result<Exit, Failure> {
    let channel = Some(channel.as_str().to_owned());
    ask(settings, Line { channel, keep: Some(true), ..line(verb) })?;
    Ok(Exit::Done)
}

/// Lists the channels, those that are kept and those that clients are in just now.
pub(super) fn channels(settings: &Settings) -> Result<Exit, Failure> {
    let reply = ask(settings, line("channels"))?;
    let kept = reply.kept.unwrap_or_default();
    let hooked = reply.hooked.unwrap_or_default();
    let mut out = Out::new();
    for channel in reply.joined.unwrap_or_default() {
        let (kept, hooked) = (kept.contains(&channel), hooked.contains(&channel));
        if settings.json {
            let channel = serde_json::to_string(&channel).unwrap_or_default();
            let object = format!("{{\"channel\":{channel},\"kept\":{kept},\"hook\":{hooked}}}");
            out.line(&object)?;
        } else {
            let note = match (kept, hooked) {
                (true, _) => "",
                (false, true) => "  (for a hook)",
                (false, false) => "  (for as long as a command listens)",
            };
            out.line(&format!("#{}{note}", Escaped::of(&channel)))?;
        }
    }
    Ok(Exit::Done)
}

/// Changes the agent's nick.
pub(super) fn nick(nick: &Nick, settings: &Settings) -> Result<Exit, Failure> {
    ask(settings, Line { nick: Some(nick.as_str().to_owned()), ..line("nick") })?;
    Ok(Exit::Done)
}

/// Says that nobody is at this host, or that somebody is back.
pub(super) fn away(args: &args::Away, settings: &Settings) -> Result<Exit, Failure> {
    let text = (!args.back).then(|| match args.text.join(" ") {
        text if text.is_empty() => "away".to_owned(),
        text => text,
    });
    ask(settings, Line { text, ..line("away") })?;
    Ok(Exit::Done)
}

/// Sets or removes tags, or lists them.
pub(super) fn tag(args: &args::Tag, settings: &Settings) -> Result<Exit, Failure> {
    let mut set = BTreeMap::new();
    for tag in &args.tags {
        let (key, value) = tag.split_once('=').ok_or_else(|| {
            let tag = Escaped::of(tag);
            Failure::Usage(format!("'{tag}' is not K=V; `--remove {tag}` takes a tag away"))
        })?;
        set.insert(key.to_owned(), Some(value.to_owned()));
    }
    set.extend(args.remove.iter().map(|key| (key.clone(), None)));
    if set.keys().any(String::is_empty) {
        return Err(Failure::Usage("a tag without a name; write K=V, such as role=web".to_owned()));
    }
    if !set.is_empty() {
        ask(settings, Line { set: Some(set), ..line("tag") })?;
        return Ok(Exit::Done);
    }
    let tags = status_of(settings)?.tags;
    pairs(settings, tags.iter().map(|(key, value)| (key.as_str(), value.clone())), "tag", "value")
}

/// Offers or withdraws services, or lists them.
pub(super) fn service(args: &args::Service, settings: &Settings) -> Result<Exit, Failure> {
    let mut offer = BTreeMap::new();
    for service in &args.services {
        let port = service.split_once('=').and_then(|(name, port)| {
            let port = port.parse::<u16>().ok().filter(|port| *port > 0)?;
            (!name.is_empty()).then(|| (name.to_owned(), Some(port)))
        });
        let (name, port) = port.ok_or_else(|| {
            let service = Escaped::of(service);
            Failure::Usage(format!("'{service}' is not NAME=PORT, such as web=8080"))
        })?;
        offer.insert(name, port);
    }
    offer.extend(args.remove.iter().map(|name| (name.clone(), None)));
    if !offer.is_empty() {
        ask(settings, Line { offer: Some(offer), ..line("service") })?;
        return Ok(Exit::Done);
    }
    let services = status_of(settings)?.services;
    let services = services.iter().map(|(name, port)| (name.as_str(), port.to_string()));
    pairs(settings, services, "service", "port")
}

fn pairs<'a>(
    settings: &Settings,
    pairs: impl Iterator<Item = (&'a str, String)>,
    name: &str,
    what: &str,
) -> Result<Exit, Failure> {
    let mut out = Out::new();
    for (key, value) in pairs {
        if settings.json {
            let members = [(name.to_owned(), key.to_owned()), (what.to_owned(), value)];
            let object: BTreeMap<String, String> = filled(members);
            out.line(&serde_json::to_string(&object).unwrap_or_default())?;
        } else {
            out.line(&format!("{}={}", Escaped::of(key), Escaped::of(&value)))?;
        }
    }
    Ok(Exit::Done)
}

fn status_of(settings: &Settings) -> Result<Status, Failure> {
    let reply = ask(settings, line("status"))?;
    reply.status.ok_or_else(|| Failure::Refused("the agent does not tell its status".to_owned()))
}

/// Prints how the agent is.
pub(super) fn status(settings: &Settings) -> Result<Exit, Failure> {
    let client = client(settings)?;
    let about = client.about().clone();
    let reply = client.ask(line("status"))?;
    let status = reply.status.unwrap_or_default();
    let mut out = Out::new();
    if settings.json {
        let object = serde_json::json!({ "about": about, "status": status });
        out.line(&object.to_string())?;
        return Ok(Exit::Done);
    }
    let up = duration::show(Duration::from_secs(status.up));
    let sealed = if about.sealed { ", sealed" } else { "" };
    let links: Vec<String> = about
        .links
        .iter()
        .map(|link| format!("{} ({})", Escaped::of(&link.name), link.addr))
        .collect();
    let history = match (&status.trouble, status.history) {
        (Some(trouble), _) => format!("NOT KEPT: {}", Escaped::of(trouble)),
        (None, Some(count)) => format!("{count} messages"),
        (None, None) => "none".to_owned(),
    };
    let mut rows = vec![
        (
            "agent",
            format!("process {}, up {up}, version {}", status.pid, Escaped::of(&about.version)),
        ),
        ("node", about.id),
        ("nick", Escaped::of(&about.nick).to_string()),
        ("group", about.group + sealed),
        ("links", links.join(", ")),
        ("peers", status.peers.to_string()),
        ("clients", status.clients.to_string()),
        ("history", history),
    ];
    if let Some(gateway) = &status.gateway {
        rows.push(("gateway", format!("{}, {} connected", gateway.addr, gateway.clients)));
    }
    if let Some(away) = &status.away {
        rows.push(("away", Escaped::of(away).to_string()));
    }
    if status.hooks.configured > 0 {
        rows.push(("hooks", hooks(&status.hooks)));
    }
    if settings.verbose {
        let counted: Vec<String> =
            status.counters.iter().map(|(name, count)| format!("{name} {count}")).collect();
        rows.push(("counted", counted.join(", ")));
    }
    for (name, value) in rows {
        out.line(&format!("{name:<8} {value}"))?;
    }
    Ok(Exit::Done)
}

fn hooks(counts: &HookCounts) -> String {
    let rest = [
        (counts.failed, "failed"),
        (counts.timed_out, "killed at their limit"),
        (counts.not_started, "not started"),
        (counts.dropped, "dropped"),
        (counts.not_kept, "not run because the message could not be kept"),
        (counts.running as u64, "running"),
        (counts.waiting as u64, "waiting"),
    ];
    let mut words =
        vec![format!("{} configured", counts.configured), format!("{} run", counts.run)];
    let happened = rest.into_iter().filter(|(count, _)| *count > 0);
    words.extend(happened.map(|(count, what)| format!("{count} {what}")));
    words.join(", ")
}

/// Ends the agent.
pub(super) fn stop(settings: &Settings) -> Result<Exit, Failure> {
    ask(settings, line("stop"))?;
    if settings.verbose {
        note("the agent says goodbye and ends");
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_restart_is_marked_so_in_the_sample_configuration() {
        let sample = include_str!("../../packaging/config.toml");
        let mut marked = Vec::new();
        let mut lines = sample.lines().skip_while(|line| !line.is_empty());
        while lines.by_ref().any(|line| line.starts_with("# (restart)")) {
            let key =
                lines.by_ref().find(|line| !line.starts_with("# ") || line.starts_with("#  "));
            let key = key.unwrap().trim_start_matches(['#', ' ']);
            marked.push(key.split(' ').next().unwrap());
        }
        let mut fixed: Vec<&str> =
            configuration(&Settings::default()).fixed.into_iter().map(|(key, _)| key).collect();
        marked.sort_unstable();
        fixed.sort_unstable();
        assert_eq!(marked, fixed);
    }

    #[test]
    fn a_wrong_file_is_told_without_the_line_that_is_wrong() {
        let error = "the configuration c.toml is wrong: TOML parse error at line 12, column 1\n   \
                     |\n12 | secret = 7\n   | ^^^^\nunknown field `secret`\n";
        assert_eq!(
            one_line(error),
            "the configuration c.toml is wrong: TOML parse error at line 12, column 1; unknown \
             field `secret`"
        );
    }
}
