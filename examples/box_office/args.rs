//! What was typed, and the node's settings that come of it.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use cooee::values::duration;
use cooee::{Escaped, Group, NodeId, Options};
use etcetera::BaseStrategy;

use crate::failure::{Exit, Failure};
use crate::words::Night;

/// Sells the seats of a theatre to everyone on the LAN, each seat once.
#[derive(Debug, Parser)]
#[command(name = "box_office", max_term_width = 100, after_help = Exit::help())]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Be the office: sell what FILE says until Ctrl-C
    Serve(Serve),
    /// Show what is on, and where it is sold
    Shows,
    /// Show the seats of one night
    Seats(Seats),
    /// Keep seats for a few minutes; all of them or none
    Hold(Order),
    /// Buy seats that are free or held by you; all of them or none
    ///
    /// Without a seat: all that you hold. With - instead: each line of standard input is an order of its
    /// own, and each gets its result; the exit code is the highest of theirs.
    Book(Order),
    /// Give seats back, held or bought; without a seat: all of yours that night
    Cancel(Order),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Start though another office says that it sells the same (whoever says so may be lying)
    #[arg(long)]
    pub(crate) anyway: bool,
    /// Start though seats are sold that FILE does not list any more. They stay sold; needed once
    #[arg(long)]
    pub(crate) retire: bool,
    /// The shows, dates and seats, as TOML
    pub(crate) file: PathBuf,
    /// The folder of the office's key and database [default: FILE with the ending .office]
    #[arg(long, value_name = "DIR")]
    pub(crate) office_dir: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Seats {
    #[command(flatten)]
    pub(crate) night: Night,
    /// Stay, and show each change at once
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Order {
    #[command(flatten)]
    pub(crate) night: Night,
    /// Seats, such as B7; - for lines of standard input
    #[arg(value_parser = seat)]
    pub(crate) seats: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// Print JSON, one object a line; failures as well: {"event":"failed","error":…,"kind":…,"exit":…}
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// How long to look for the office, and to wait for its answer
    #[arg(long, global = true, value_name = "D", default_value = "10s", value_parser = duration::parse)]
    pub(crate) wait: Duration,
    /// Buy only from the office with this id, which `shows --json` prints
    #[arg(long, global = true, value_name = "ID", env = "BOX_OFFICE")]
    pub(crate) office: Option<NodeId>,
    /// Which buyer to be, for a user who is several
    #[arg(long = "as", global = true, value_name = "NAME", env = "BOX_OFFICE_AS", default_value = "buyer", value_parser = name)]
    pub(crate) buyer: String,
    /// The folder of the buyers' keys [default: box-office where the user's programs keep state]
    #[arg(long, global = true, value_name = "DIR", env = "BOX_OFFICE_STATE")]
    pub(crate) state: Option<PathBuf>,
    /// The multicast address and port that all share
    #[arg(long, global = true, value_name = "ADDR[:PORT]", env = "COOEE_GROUP", default_value_t)]
    group: Group,
    /// Use just this interface (repeatable)
    #[arg(long, global = true, value_name = "NAME|ADDR", env = "COOEE_IFACE")]
    iface: Vec<String>,
    /// Ask this host by unicast too, where multicast is filtered (repeatable)
    #[arg(long, global = true, value_name = "HOST[:PORT]", env = "COOEE_PEER", value_parser = address)]
    peer: Vec<SocketAddr>,
}

impl Globals {
    /// The settings of a node that is nobody in particular.
    pub(crate) fn node(&self, nick: &str) -> Options {
        Options {
            group: self.group,
            interfaces: self.iface.clone(),
            seeds: self.peer.iter().map(|peer| self.with_port(*peer)).collect(),
            ..Options::named(nick)
        }
    }

    /// Where no port was given it is the group's.
    fn with_port(&self, peer: SocketAddr) -> SocketAddr {
        let port = if peer.port() == 0 { self.group.port() } else { peer.port() };
        SocketAddr::new(peer.ip(), port)
    }

    /// The settings of the buyer's node. Its key is who holds and owns seats: the same for every
    /// command of this user, and nobody else's. It comes, asks and goes, so it is a visitor.
    pub(crate) fn buyer(&self) -> Result<Options, Failure> {
        let usual = || Some(etcetera::choose_base_strategy().ok()?.state_dir()?.join("box-office"));
        let folder = self.state.clone().or_else(usual).ok_or_else(|| {
            Failure::Refused("there is no home to keep the buyer's key in; give --state DIR".into())
        })?;
        Ok(Options {
            state_dir: Some(folder),
            key: Some(self.buyer.clone()),
            same: true,
            visitor: true,
            ..self.node(&self.buyer)
        })
    }
}

/// A seat's name as the office writes it, or `-`.
pub(crate) fn seat(text: &str) -> Result<String, String> {
    let is_good = text.chars().all(char::is_alphanumeric) && (1..=16).contains(&text.len());
    if is_good || text == "-" {
        return Ok(text.to_uppercase());
    }
    let shown: String = Escaped::of(text).to_string().chars().take(40).collect();
    Err(format!("'{shown}' is no seat: a seat is a row and a number, such as B7"))
}

/// A name that is part of a file's.
fn name(text: &str) -> Result<String, String> {
    let is_good = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    if text.chars().all(is_good) && (1..=32).contains(&text.len()) {
        return Ok(text.to_owned());
    }
    Err("use up to 32 letters, digits, - and _".to_owned())
}

/// The host's first address; its port is 0 if none is given.
fn address(text: &str) -> Result<SocketAddr, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, 0));
    }
    let has_port = text.contains(':');
    let found = if has_port { text.to_socket_addrs() } else { (text, 0).to_socket_addrs() };
    let write = "write HOST or HOST:PORT, for example web1, web1:9, fd77::2 or [fd77::2]:9";
    let found = found.map_err(|error| format!("{error}; {write}"))?.next();
    found
        .filter(|addr| !has_port || addr.port() != 0)
        .ok_or_else(|| format!("no address comes of it; {write}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_host_with_or_without_a_port() {
        for (text, addr) in [
            ("10.0.0.7", "10.0.0.7:0"),
            ("10.0.0.7:9", "10.0.0.7:9"),
            ("fd77::2", "[fd77::2]:0"),
            ("[fd77::2]", "[fd77::2]:0"),
            ("[fd77::2]:9", "[fd77::2]:9"),
        ] {
            assert_eq!(address(text), Ok(addr.parse().unwrap()), "{text}");
        }
        assert_eq!(address("localhost").map(|addr| addr.port()), Ok(0));
        for text in ["10.0.0.7:0", "10.0.0.7:web", ""] {
            assert!(address(text).unwrap_err().contains("web1:9"), "{text}");
        }
        let args = ["box_office", "shows", "--group", "239.1.2.3:77", "--peer", "10.0.0.7"];
        let node = Args::try_parse_from(args).unwrap().globals.node("x");
        assert_eq!(node.seeds, ["10.0.0.7:77".parse().unwrap()]);
    }
}
