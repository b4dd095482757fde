//! The smallest program on the library: joins the lobby, says hello, and prints who comes, goes
//! and says what, until ten messages have arrived.
//!
//! Run it in two terminals: `cargo run --example hello ada` and `cargo run --example hello ben`.

use std::time::Duration;

use cooee::{ChannelName, Event, Node, Notice, Options};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let nick = std::env::args().nth(1).unwrap_or_else(|| "anna".to_owned());
    let lobby = ChannelName::lobby();
    let options = Options { channels: vec![lobby.clone()], ..Options::named(&nick) };
    let (node, notices) = Node::start(options)?;
    let mut messages = 0;
    while messages < 10 {
        match notices.next(Duration::MAX)? {
            Some(Notice::Event(Event::Joined(peer))) => {
                println!("{} is here, at {:?}", peer.profile.nick.escaped(), peer.addr);
                node.say(&lobby, format!("hello, {}", peer.profile.nick.raw()))?;
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
