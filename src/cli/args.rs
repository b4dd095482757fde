//! What was typed. Parsing touches nothing: no file, no environment, no network. What it comes
//! to is worked out in [`super::options`].

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser, Subcommand, ValueHint};

use super::{duration, help, sim};
use crate::agent::Need;
use crate::values::{ChannelName, Json, Level, Nick, limits};

/// A command line.
#[derive(Debug, Parser)]
#[command(
    args_override_self = true,
    name = "cooee",
    version,
    about = "The hosts of a LAN find each other and talk",
    long_about = help::COOEE,
    after_help = help::after(),
    max_term_width = 100
)]
pub(super) struct Args {
    /// Options that every command has.
    #[command(flatten)]
    pub(super) globals: Globals,
    /// The command.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// The options that every command has, as typed; each is also an environment variable and a key
/// of the configuration file.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag on its own")]
pub(super) struct Globals {
    /// The multicast address and port that the nodes share [default: 239.255.26.33:26633]
    #[arg(long, global = true, value_name = "ADDR[:PORT]")]
    pub(super) group: Option<String>,
    /// Use just this interface (repeatable) [default: all that are fit]
    #[arg(long, global = true, value_name = "NAME|ADDR", action = ArgAction::Append)]
    pub(super) iface: Vec<String>,
    /// Ask this host by unicast too, for where multicast is filtered (repeatable)
    #[arg(long, global = true, value_name = "HOST[:PORT]", action = ArgAction::Append)]
    pub(super) peer: Vec<String>,
    /// Never use multicast; finds those that --peer names, earlier peers and neighbours
    #[arg(long, global = true)]
    pub(super) no_multicast: bool,
    /// The name to appear under [default: the host's name]
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) nick: Option<String>,
    /// How far multicast goes: 1 stays on the LAN, each router takes one [default: 1]
    #[arg(long, global = true, value_name = "N", allow_hyphen_values = true)]
    pub(super) ttl: Option<String>,
    /// A file with the sealed group's secret
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) secret_file: Option<PathBuf>,
    /// Go without the agent, even if one runs
    #[arg(long, global = true)]
    pub(super) no_agent: bool,
    /// Where the agent listens [default: `$XDG_RUNTIME_DIR/cooee.sock`]
    #[arg(long, global = true, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
    /// The configuration file [default: ~/.config/cooee/config.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Print nothing but the answer and errors
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Print more of what happens, on standard error
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(super) verbose: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List who is here
    #[command(long_about = help::PEERS, after_long_help = help::PEERS_EXAMPLES)]
    Peers(Peers),
    /// Say something to everyone in a channel, or tell it to one peer
    #[command(long_about = help::SAY, after_long_help = help::SAY_EXAMPLES)]
    Say(Say),
    /// Say something, best effort, and be gone: for high rates
    #[command(long_about = help::CAST, after_long_help = help::CAST_EXAMPLES)]
    Cast(Words),
    /// Print what arrives, or run a command for each message
    #[command(long_about = help::LISTEN, after_long_help = help::LISTEN_EXAMPLES)]
    Listen(Listen),
    /// Talk, line by line
    #[command(long_about = help::CHAT, after_long_help = help::CHAT_EXAMPLES)]
    Chat(Chat),
    /// Ask everyone, and print the answers as they come
    #[command(long_about = help::ASK, after_long_help = help::ASK_EXAMPLES)]
    Ask(Ask),
    /// Answer others' questions, by a command for each or from a pipe
    #[command(long_about = help::ANSWER, after_long_help = help::ANSWER_EXAMPLES)]
    Answer(Answer),
    /// Serve this host: keep presence, channels and history for all commands
    #[command(long_about = help::AGENT, after_long_help = help::AGENT_EXAMPLES)]
    Agent(Agent),
    /// Have the agent take part in a channel, from now on
    #[command(after_long_help = help::CHANNEL_EXAMPLES)]
    Join(OneChannel),
    /// Have the agent take part in a channel no longer
    #[command(after_long_help = help::CHANNEL_EXAMPLES)]
    Leave(OneChannel),
    /// List the agent's channels
    #[command(after_long_help = help::CHANNEL_EXAMPLES)]
    Channels,
    /// List the network interfaces, and say which are used and why
    #[command(long_about = help::LINKS, after_long_help = help::LINKS_EXAMPLES)]
    Links,
    /// Change the agent's nick, and keep it
    #[command(after_long_help = help::NICK_EXAMPLES)]
    Nick(OneNick),
    /// Say that nobody is at this host, or with --back that somebody is
    #[command(after_long_help = help::AWAY_EXAMPLES)]
    Away(Away),
    /// Set tags that others see, or list them
    #[command(after_long_help = help::TAG_EXAMPLES)]
    Tag(Tag),
    /// Offer services that others see, or list them
    #[command(after_long_help = help::SERVICE_EXAMPLES)]
    Service(Service),
    /// Print how the agent is
    #[command(after_long_help = help::STATUS_EXAMPLES)]
    Status,
    /// Print what was said while the agent ran
    #[command(long_about = help::HISTORY, after_long_help = help::HISTORY_EXAMPLES)]
    History(History),
    /// End the agent
    #[command(after_long_help = help::STOP_EXAMPLES)]
    Stop,
    /// Print a script that completes command lines in a shell
    #[command(long_about = help::COMPLETIONS, after_long_help = help::COMPLETIONS_EXAMPLES)]
    Completions(Completions),
    /// Print a manual page, or write all of them
    #[command(after_long_help = help::MAN_EXAMPLES)]
    Man(Manual),
    /// Simulate a LAN of many hosts, and print what finding each other costs
    #[command(long_about = sim::ABOUT, after_long_help = sim::EXAMPLES)]
    Sim(sim::SimArgs),
}

/// `cooee peers`
#[derive(Debug, clap::Args)]
pub(super) struct Peers {
    /// How long to wait for answers at most [default: 1s]
    #[arg(long, value_name = "D", value_parser = duration::parse)]
    pub(super) wait: Option<Duration>,
    /// Wait for this many peers; fewer in time is exit code 1
    #[arg(long, value_name = "N", conflicts_with = "watch", value_parser = at_least_one)]
    pub(super) need: Option<usize>,
    /// Stay, and print who comes and goes
    #[arg(long)]
    pub(super) watch: bool,
    /// Only peers with this tag, and this value of it (repeatable)
    #[arg(long, value_name = "K[=V]", action = ArgAction::Append)]
    pub(super) tag: Vec<String>,
    /// Only peers that offer this service (repeatable)
    #[arg(long, value_name = "NAME", action = ArgAction::Append)]
    pub(super) service: Vec<String>,
}

/// What is to be said, and where.
#[derive(Debug, clap::Args)]
pub(super) struct Words {
    /// The channel to say it in
    #[arg(long, value_name = "C", default_value = ChannelName::LOBBY)]
    pub(super) channel: ChannelName,
    /// How urgent it is: debug, info, warn or error
    #[arg(long, value_name = "L", default_value = "info")]
    pub(super) level: Level,
    /// JSON that goes with the text, for programs
    #[arg(long, value_name = "JSON", value_parser = Json::parse)]
    pub(super) data: Option<Json>,
    /// The text; `-` says each line of standard input
    #[arg(value_name = "TEXT", required_unless_present = "data")]
    pub(super) text: Vec<String>,
}

/// `cooee say`
#[derive(Debug, clap::Args)]
pub(super) struct Say {
    /// What and where.
    #[command(flatten)]
    pub(super) words: Words,
    /// Tell it to this peer alone, encrypted: its nick, its id, or the first characters of its id
    #[arg(long, value_name = "PEER", conflicts_with = "channel")]
    pub(super) to: Option<String>,
    /// Wait until everyone in the channel has confirmed that it has arrived, and name who has not
    #[arg(long)]
    pub(super) confirm: bool,
    /// How many have to confirm: a number, a share of those who are here, or all; fewer in time are
    /// exit code 1 [default: all]
    #[arg(long, value_name = "N|P%|all", requires = "confirm")]
    pub(super) need: Option<Need>,
    /// How long to look for peers first, at most [default: 1s]; with --confirm, how long to wait for
    /// receipts of those who are heard: who is only told of is named at once [default: 5s]
    #[arg(long, value_name = "D", value_parser = duration::parse)]
    pub(super) wait: Option<Duration>,
}

/// `cooee listen`
#[derive(Debug, clap::Args)]
pub(super) struct Listen {
    /// A channel to listen in (repeatable) [default: lobby]
    #[arg(long, value_name = "C", action = ArgAction::Append)]
    pub(super) channel: Vec<ChannelName>,
    /// Stop after this many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
    /// Stop after this time; with --count, fewer messages by then are exit code 1
    #[arg(long = "for", value_name = "D", value_parser = duration::parse)]
    pub(super) lasting: Option<Duration>,
    /// First print up to N messages that were said in each channel before, 1000 at most, also of
    /// what others have
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true,
          value_parser = clap::value_parser!(u32).range(..=i64::from(limits::RECALL)))]
    pub(super) history: u32,
    /// Print also who comes and goes, and what happens to the links
    #[arg(long)]
    pub(super) events: bool,
    /// How long a command started by --exec may run
    #[arg(long, value_name = "D", default_value = "30s", value_parser = duration::parse)]
    pub(super) exec_timeout: Duration,
    /// Run this for each message, without a shell; everything that follows is CMD and its ARGs
    #[arg(long, value_names = ["CMD", "ARG"], num_args = 1.., allow_hyphen_values = true)]
    pub(super) exec: Option<Vec<OsString>>,
}

/// `cooee chat`
#[derive(Debug, clap::Args)]
pub(super) struct Chat {
    /// The channel to begin in
    #[arg(long, value_name = "C", default_value = ChannelName::LOBBY)]
    pub(super) channel: ChannelName,
}

/// `cooee agent`
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Agent {
    /// Let nc and telnet take part, at this address of this host
    #[arg(long, value_name = "ADDR:PORT")]
    pub(super) tcp: Option<String>,
    /// Allow an address for --tcp where others than this host's users can come in
    #[arg(long)]
    pub(super) tcp_public: bool,
    /// How long a client of --tcp may type nothing; 0s is for ever [default: 30m]
    #[arg(long, value_name = "D")]
    pub(super) tcp_idle: Option<String>,
}

/// `cooee ask`
#[derive(Debug, clap::Args)]
pub(super) struct Ask {
    /// Ask this peer alone: its nick, its id, or the first characters of its id
    #[arg(long, value_name = "PEER", conflicts_with = "tag")]
    pub(super) to: Option<String>,
    /// Ask only peers with this tag, and this value of it (repeatable)
    #[arg(long, value_name = "K[=V]", action = ArgAction::Append)]
    pub(super) tag: Vec<String>,
    /// How many have to answer: a number, a share of those who are here, or all; fewer in time are
    /// exit code 1 [default: everyone who answers questions]
    #[arg(long, value_name = "N|P%|all", default_value = "", hide_default_value = true)]
    #[arg(value_parser = need)]
    pub(super) need: Need,
    /// How long to wait for answers, at most
    #[arg(long, value_name = "D", default_value = "5s", value_parser = duration::parse)]
    pub(super) wait: Duration,
    /// JSON that goes with the question, for programs
    #[arg(long, value_name = "JSON", value_parser = Json::parse)]
    pub(super) data: Option<Json>,
    /// The question
    #[arg(value_name = "TEXT", required_unless_present = "data")]
    pub(super) text: Vec<String>,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| "not a number from 1 on".to_owned())
}

fn need(text: &str) -> Result<Need, String> {
    if text.is_empty() { Ok(Need::default()) } else { text.parse() }
}

/// `cooee answer`
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "cooee answer [OPTIONS] CMD [ARG]...\n       cooee answer [OPTIONS] --pipe"
)]
pub(super) struct Answer {
    /// Answer only questions that begin with this word
    #[arg(long = "match", value_name = "WORD")]
    pub(super) word: Option<String>,
    /// How long an answer may take
    #[arg(long, value_name = "D", default_value = "30s", value_parser = duration::parse)]
    pub(super) timeout: Duration,
    /// Print each question as a JSON line, and read the answers from standard input, a line each
    #[arg(long, conflicts_with = "command")]
    pub(super) pipe: bool,
    /// Run this for each question, without a shell; what it prints is the answer
    #[arg(value_names = ["CMD", "ARG"], num_args = 1.., required_unless_present = "pipe")]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(super) command: Vec<OsString>,
}

/// `cooee join` and `cooee leave`
#[derive(Debug, clap::Args)]
pub(super) struct OneChannel {
    /// The channel
    #[arg(value_name = "CHANNEL")]
    pub(super) channel: ChannelName,
}

/// `cooee nick`
#[derive(Debug, clap::Args)]
pub(super) struct OneNick {
    /// The nick
    #[arg(value_name = "NAME")]
    pub(super) name: Nick,
}

/// `cooee away`
#[derive(Debug, clap::Args)]
pub(super) struct Away {
    /// Somebody is back
    #[arg(long, conflicts_with = "text")]
    pub(super) back: bool,
    /// Why, or for how long
    #[arg(value_name = "TEXT")]
    pub(super) text: Vec<String>,
}

/// `cooee tag`
#[derive(Debug, clap::Args)]
pub(super) struct Tag {
    /// A tag to set (repeatable); none lists them
    #[arg(value_name = "K=V")]
    pub(super) tags: Vec<String>,
    /// A tag to take away (repeatable)
    #[arg(long, value_name = "K", action = ArgAction::Append)]
    pub(super) remove: Vec<String>,
}

/// `cooee service`
#[derive(Debug, clap::Args)]
pub(super) struct Service {
    /// A service to offer, and its port (repeatable); none lists them
    #[arg(value_name = "NAME=PORT")]
    pub(super) services: Vec<String>,
    /// A service to withdraw (repeatable)
    #[arg(long, value_name = "NAME", action = ArgAction::Append)]
    pub(super) remove: Vec<String>,
}

/// `cooee history`
#[derive(Debug, clap::Args)]
pub(super) struct History {
    /// Only what was said in this channel
    #[arg(long, value_name = "C")]
    pub(super) channel: Option<ChannelName>,
    /// Only what arrived within this time
    #[arg(long, value_name = "D", value_parser = duration::parse)]
    pub(super) since: Option<Duration>,
    /// The last so many messages
    #[arg(long, value_name = "N", default_value = "50")]
    pub(super) limit: usize,
    /// Only messages with all of these words
    #[arg(long, value_name = "WORDS")]
    pub(super) search: Option<String>,
}

/// `cooee completions`
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(super) shell: clap_complete::Shell,
}

/// `cooee man`
#[derive(Debug, clap::Args)]
pub(super) struct Manual {
    /// The command that the page is about [default: the program as a whole]
    #[arg(value_name = "COMMAND")]
    pub(super) command: Option<String>,
    /// Write the pages of all commands into this folder instead
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "command")]
    pub(super) out: Option<PathBuf>,
}

#[cfg(test)]
mod tests;
