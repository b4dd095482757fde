//! `cooee cast`: best effort, and gone. What matters for one message is the time from start to
//! exit, so nothing is waited for and the node has no thread of its own; what matters for a stream
//! of them is how many leave in a second.

use std::io::{self, BufReader};
use std::time::{Duration, Instant};

use super::args;
use super::exit::{Exit, Failure};
use super::lines;
use super::options::Settings;
use super::output::{Out, json, note};
use super::session::{self, Role};
use crate::agent::Door;
use crate::net::Clock;
use crate::node::{LocalNode, Notice};
use crate::proto::Outgoing;

/// How long hosts that can only be reached by unicast are looked for.
const LOOK: Duration = Duration::from_secs(1);

/// Bytes of standard input read at once.
const INPUT: usize = 256 * 1024;

/// Runs the command.
pub(super) fn run(words: &args::Words, mut settings: Settings) -> Result<Exit, Failure> {
    // Copies by unicast need somebody to send them to.
    let alone = settings.seeds.is_empty() && !settings.node.no_multicast;
    let role = if alone { Role::Blind } else { Role::Visitor };
    if words.text == ["-"] {
        return stream(words, &mut settings, role);
    }
    let text = words.joined()?;
    let bytes = text.len();
    if let Some(agent) = session::agent(&settings)? {
        let agent = Door::Agent(agent);
        agent.cast(&words.channel, words.with(text))?;
        agent.settle()?;
        return said(words, bytes, &settings, || Ok(agent.peers()?.len()));
    }
    let until = Instant::now() + LOOK;
    let mut node = LocalNode::start(session::options(&mut settings, role)?)?;
    session::introduce(&settings, node.id(), node.warnings(), || Ok(node.links()))?;
    if !alone {
        session::settle(|left| node.next(left), until)?;
    }
    node.cast(&words.channel, words.with(text));
    while let Some(notice) = node.next(Duration::ZERO)? {
        if let Notice::LinkDown { name, why } = notice
            && node.peers().is_empty()
        {
            return Err(session::refused(&name, &why));
        }
    }
    said(words, bytes, &settings, || Ok(node.peers().len()))
}

fn said(
    words: &args::Words,
    bytes: usize,
    settings: &Settings,
    peers: impl Fn() -> Result<usize, Failure>,
) -> Result<Exit, Failure> {
    if settings.json {
        let said = json::said(words.channel.as_str(), words.level.as_str(), bytes, peers()?);
        Out::new().line(&said)?;
    }
    Ok(Exit::Done)
}

/// Casts each line of standard input.
fn stream(words: &args::Words, settings: &mut Settings, role: Role) -> Result<Exit, Failure> {
    let until = Instant::now() + LOOK;
    if let Some(agent) = session::agent(settings)? {
        let agent = Door::Agent(agent);
        let ended = cast_input(&agent, words);
        agent.settle()?;
        return ended;
    }
    let (node, notices) = session::own(settings, role)?;
    if role != Role::Blind {
        session::settle(|left| notices.next(left), until)?;
    }
    drop(notices);
    let node = Door::Own(node);
    let ended = cast_input(&node, words);
    session::stop(node, settings);
    ended
}

fn cast_input(node: &Door, words: &args::Words) -> Result<Exit, Failure> {
    let mut input = BufReader::with_capacity(INPUT, io::stdin().lock());
    let (mut number, mut worst) = (0_u64, Exit::Done);
    while let Some(line) = lines::read(&mut input).map_err(|e| Failure::input(&e))? {
        number += 1;
        match line.said(number) {
            Ok(Some(text)) => node.cast(&words.channel, words.with(text))?,
            Ok(None) => {}
            Err(cause) => {
                note(cause);
                worst = Exit::Usage;
            }
        }
    }
    Ok(worst)
}

impl args::Words {
    /// The message of this text, said now.
    fn with(&self, text: String) -> Outgoing {
        Outgoing { at: Clock::wall(), text, data: self.data.clone(), level: self.level }
    }
}
