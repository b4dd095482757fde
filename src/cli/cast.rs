//! `cooee cast`: best effort, and gone. What matters here is the time from start to exit, so
//! nothing is waited for and no thread is started beside the node's.

use std::io::{self, BufReader};
use std::time::{Duration, Instant};

use super::args;
use super::exit::{Exit, Failure};
use super::lines;
use super::options::Settings;
use super::output::{Out, json, note};
use super::session::{self, Role};
use crate::node::Node;
use crate::proto::Outgoing;

/// How long hosts that can only be reached by unicast are looked for.
const LOOK: Duration = Duration::from_secs(1);

/// Bytes of standard input read at once.
const INPUT: usize = 256 * 1024;

/// Runs the command.
pub(super) fn run(words: args::Words, mut settings: Settings) -> Result<Exit, Failure> {
    let input = words.text == ["-"];
    let text = if input { String::new() } else { words.joined()? };
    // Copies by unicast need somebody to send them to.
    let alone = settings.seeds.is_empty() && !settings.node.no_multicast;
    let until = Instant::now() + LOOK;
    let role = if alone { Role::Blind } else { Role::Visitor };
    let (node, notices) = session::start(&mut settings, role)?;
    let looked = if alone { Ok(()) } else { session::settle(&notices, until) };
    drop(notices);
    let ended = looked.and_then(|()| {
        if input {
            return cast_input(&node, &words);
        }
        let bytes = text.len();
        cast(&node, &words, text)?;
        if settings.json {
            let peers = if alone { 0 } else { node.peers()?.len() };
            let said = json::said(words.channel.as_str(), words.level.as_str(), bytes, peers);
            Out::new().line(&said)?;
        }
        Ok(Exit::Done)
    });
    node.stop();
    ended
}

fn cast(node: &Node, words: &args::Words, text: String) -> Result<(), Failure> {
    let (data, level) = (words.data.clone(), words.level);
    Ok(node.cast(&words.channel, Outgoing { at: node.wall(), text, data, level })?)
}

/// Casts each line of standard input.
fn cast_input(node: &Node, words: &args::Words) -> Result<Exit, Failure> {
    let mut input = BufReader::with_capacity(INPUT, io::stdin().lock());
    let (mut number, mut worst) = (0_u64, Exit::Done);
    while let Some(line) = lines::read(&mut input).map_err(|e| Failure::input(&e))? {
        number += 1;
        match line.said(number) {
            Ok(Some(text)) => cast(node, words, text)?,
            Ok(None) => {}
            Err(cause) => {
                note(cause);
                worst = Exit::Usage;
            }
        }
    }
    Ok(worst)
}
