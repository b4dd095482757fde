//! The smallest program on the library: joins the lobby, says hello, and prints who comes, goes
//! and says what, until ten messages have arrived.
//!
//! Run it in two terminals: `cargo run --example hello ada` and `cargo run --example hello bob`.

use std::time::Duration;

use cooee::node::{Node, Notice, Options};
use cooee::proto::{Event, Outgoing};
use cooee::values::{ChannelName, Level};
use cooee::wire::Profile;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let nick = std::env::args().nth(1).unwrap_or_else(|| "anna".to_owned());
    let lobby = ChannelName::lobby();
    let (node, notices) = Node::start(Options {
        profile: Profile { nick: nick.as_str().into(), ..Profile::default() },
        channels: vec![lobby.clone()],
        ..Options::default()
    })?;
    let hello = |text: String| Outgoing { at: node.wall(), text, data: None, level: Level::Info };
    let mut messages = 0;
    while messages < 10 {
        match notices.next(Duration::MAX)? {
            Some(Notice::Event(Event::Joined(peer))) => {
                println!("{} is here, at {:?}", peer.profile.nick.escaped(), peer.addr);
                node.say(&lobby, hello(format!("hello, {}", peer.profile.nick.raw())))?;
            }
            Some(Notice::Event(Event::Left(peer) | Event::Dead(peer))) => {
                println!("{} has gone", peer.profile.nick.escaped());
            }
            Some(Notice::Event(Event::Message(message))) => {
                println!("{}: {}", message.nick.escaped(), message.text.escaped());
                messages += 1;
            }
            _ => {}
        }
    }
    node.stop();
    Ok(())
}
