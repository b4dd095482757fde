//! The long texts of `--help`. Every line of an example is parsed by a test.

use super::exit::Exit;

/// What `cooee --help` begins with.
pub(super) const COOEE: &str = "\
The hosts of a LAN find each other over UDP multicast and talk: no server, no account, no \
configuration. A person chats, a script announces and listens, and each knows who is there.";

/// What every help page ends with that of the program itself.
pub(super) fn after() -> String {
    format!(
        "\
Examples:
  cooee chat                          talk to everyone on this LAN
  cooee peers                         who is here?
  cooee say 'back in five minutes'    tell everyone
  cooee listen                        print what is said

Each global option is also an environment variable (--secret-file is COOEE_SECRET_FILE; lists are \
separated by commas) and a key of config.toml (secret-file = \"FILE\"). What is typed goes before \
the environment, the environment before the file. The file may have [tags] and [services] too, \
which this host then announces.

{}",
        Exit::help()
    )
}

pub(super) const PEERS: &str = "\
Lists who is on this LAN. It returns as soon as the answer is complete, within milliseconds where \
anybody is there, and after --wait at the latest. Whoever only asks is not listed by others.

Exit code 1 says that nobody (that fits) answered, or fewer than --need.";

pub(super) const PEERS_EXAMPLES: &str = "\
Examples:
  cooee peers
  cooee peers --json
  cooee peers --need 3 --wait 10s      wait until three are there
  cooee peers --tag role=web           only those with the tag
  cooee peers --watch                  print who comes and goes
  cooee --peer 192.168.1.20 peers      where multicast is filtered
  cooee --peer fe80::2%eth0 peers      the same by IPv6";

pub(super) const SAY: &str = "\
Says something to everyone in a channel: signed, and shown once by each listener, in order. Who \
misses something asks for it. The agent stays and sends it again; without one, the command itself stays until \
everyone in the channel has it, but no longer than a second, and says who may not; with --json as an \
object after {\"event\":\"said\",\"channel\",\"level\",\"bytes\",\"peers\"}: \
{\"event\":\"unconfirmed\",\"missing\":[{\"id\",\"nick\"}]}. With --to it is \
told to one peer alone, encrypted, and acknowledged: exit code 1 says that it did not arrive.

With --confirm each receipt is printed as it comes, and in the end who is missing. Exit code 1 says \
that not everyone who is in the channel has confirmed, or fewer than --need, or that nobody is there. \
Who is here by what others say, and does not answer, is missing, too. \
Among more than 40 hosts it takes a command without an agent some seconds to hear of everyone. \
With --json a receipt is an object, {\"event\":\"receipt\",\"id\",\"nick\",\"rtt_ms\"}; the last object is \
{\"event\":\"confirmed\",\"received\":N,\"expected\":N,\"missing\":[{\"id\",\"nick\"}]}.

Several words are joined by blanks. With - each line of standard input is a message, and all are confirmed together; \
where that is a file or a pipe and the command is interrupted, exit code 1 says that not all of it was said. A text has at \
most 65536 bytes.";

pub(super) const SAY_EXAMPLES: &str = "\
Examples:
  cooee say hello
  cooee say --channel ops --level warn 'disk nearly full on web1'
  cooee say --to ada 'lunch?'
  cooee say --channel deploys --confirm 'web 1.2.3 is out'      fails unless everyone there has it
  cooee say --confirm --need 80% --wait 10s 'reboot at noon'
  cooee say --confirm --json hello | jq -r 'select(.event==\"confirmed\").missing[].nick'
  cooee say --data '{\"load\":0.7}' load
  uptime | cooee say -";

pub(super) const CAST: &str = "\
Sends a message best effort: unsigned, never sent again, not even after the network dropped it. \
The command looks for nobody and is gone at once, so thousands can run in a row; hosts that only \
unicast reaches are looked for, and told, with --peer. With - many messages share a datagram when \
they come fast. Where the message matters, use `cooee say`.";

pub(super) const CAST_EXAMPLES: &str = "\
Examples:
  cooee cast tick
  cooee cast --channel sensors --data '{\"celsius\":21.5}' temperature
  seq 100000 | cooee cast --channel load -";

pub(super) const LISTEN: &str = "\
Prints what is said in the channels, and what is told to this node alone, until it is stopped. \
While it runs, this host is listed by `cooee peers` elsewhere. A message that is lost and that nobody \
sends again is left out; how many of whose are missing is said on standard error, also with --json, \
unless -q is given, and is one of the --events: {\"event\":\"gap\",\"channel\",\"peer\":{\"id\",\"nick\"},\"count\"}. \
16 MiB wait for whoever reads the output, 4 MiB with an agent; what comes beyond that is missed, and \
reported once the rest was read: with --json --events as the event `missed`.

--exec runs a command for each message, without a shell: the message as JSON on its standard input, \
and COOEE_TEXT, COOEE_CHANNEL (empty for what was told to this node alone), COOEE_FROM (the \
author's id), COOEE_FROM_NICK, COOEE_LEVEL, COOEE_DATA, COOEE_AT, COOEE_DIRECT and COOEE_VERIFIED \
(true or false: whether the author signed it) in its environment. At most 4 run at a time and 1,000 messages wait; what is \
more is dropped and reported. When a command ends, or has run for --exec-timeout, whatever it has \
started ends too. With -q only the commands print.

Text in COOEE_TEXT and in the JSON is a stranger's: quote it, and never hand it to a shell to run.";

pub(super) const LISTEN_EXAMPLES: &str = "\
Examples:
  cooee listen
  cooee listen --channel ops --channel lobby
  cooee listen --json --events
  cooee listen --count 1 --for 30s     wait half a minute for one message
  cooee listen --channel ops --exec sh -c 'echo \"$COOEE_FROM_NICK: $COOEE_TEXT\" >> ops.log'";

pub(super) const CHAT: &str = "\
Talks, line by line. On a terminal what arrives is printed above the line being typed; on pipes \
each line in is a message and each line out is what arrived. A line that begins with / is a \
command, /help lists them; // says a line that begins with a slash. Ctrl-C, Ctrl-D or /quit leaves.";

pub(super) const CHAT_EXAMPLES: &str = "\
Examples:
  cooee chat
  cooee chat --channel ops --nick ada
  printf 'hello\\n/who\\n' | cooee chat";

pub(super) const ASK: &str = "\
Puts a question to everyone who is here, to those with a tag, or to one, and prints each answer as \
it comes. It ends with the last answer that is expected, or after --wait, and says who has not \
answered. Hosts where nobody answers questions say so at once, and are not waited for. The question \
and the answers are encrypted, and sent again until they arrive.

Unless --need says how many have to answer, everyone has to at whom somebody answers questions, and \
that has to be one at least. Exit code 1 says that fewer have answered.

With --json each answer is an object, {\"event\":\"answer\",\"from\":{\"id\",\"nick\"},\"at\",\"text\",\"data\",\"exit\",\
\"rtt_ms\"}, where \"exit\" is the exit code of the command that answered; the last object is \
{\"event\":\"answered\",\"answers\":N,\"expected\":N,\"missing\":[...],\"without\":[...]}: how many have answered, \
how many should have, who of them has not, and where nobody answers. An answer has at most 64 KiB.";

pub(super) const ASK_EXAMPLES: &str = "\
Examples:
  cooee ask uptime
  cooee ask --tag role=web --need 50% 'disk free?'
  cooee ask --to web1 --wait 1m 'run the backup'
  cooee ask --json uptime | jq -s 'map(select(.event==\"answer\"))|map({(.from.nick):.text})|add'

On the hosts that answer:
  cooee answer --match uptime uptime";

pub(super) const ANSWER: &str = "\
Answers the questions that others put with `cooee ask`, until it is stopped. For each question it \
runs a command, without a shell: the question as JSON on its standard input, and COOEE_TEXT, \
COOEE_FROM (the asker's id), COOEE_FROM_NICK and COOEE_AT in its environment. What the command \
prints is the answer, and its exit code goes with it. At most 4 run at a time and 1,000 questions \
wait; what is more, what takes longer than --timeout (exit code 124), what can't be started (126 and \
127) and what prints more than 64 KiB is answered with a word that says so. When a command ends, \
whatever it has started ends too. With --match, questions with another first word are left to others.

With --pipe no command is run: each question is printed as a JSON line, and each line of standard \
input answers the oldest question that waits; an empty line leaves it to others. To answer in another \
order, or in several lines, write {\"question\":N,\"text\":\"...\",\"exit\":0}.

Whoever can reach this group can ask. Text in COOEE_TEXT and in the JSON is a stranger's: quote it, \
and never hand it to a shell to run.";

pub(super) const ANSWER_EXAMPLES: &str = "\
Examples:
  cooee answer --match uptime uptime
  cooee answer --match disk df -h /
  cooee answer sh -c 'case $COOEE_TEXT in load) cat /proc/loadavg;; *) echo what?; exit 1;; esac'
  coproc C { cooee answer --pipe; }; while read -r q; do date >&${C[1]}; done <&${C[0]}";

pub(super) const AGENT: &str = "\
Serves this host, in the foreground: one node that keeps presence, channels and history. Every \
command of the same user finds it and uses it, so that `cooee peers` and `cooee say` answer at \
once; a command goes without it after --no-agent, in another group, or with options that only a \
node of its own can follow (--iface, --peer, a --nick that is not the agent's, ...).

Channels joined with `cooee join`, nick, tags and services are kept over a restart. What is said in \
its channels, and what is told to it, is in the history before anyone is shown it: 90 days and \
256 MiB of it. Scripts can speak to its socket as docs/agent.md says.

[[on]] in config.toml makes it run a command when something happens: docs/config.md describes these \
hooks, and packaging/config.toml shows them.

With --tcp it is a line gateway too: whoever connects with nc or telnet is asked for a nick and \
then takes part as a peer of its own; lines are said, and \\help lists the commands. Only an address \
of this host alone is taken (127.0.0.1) unless --tcp-public allows another: everything is sent in \
the clear, to whoever connects. --tcp, --tcp-public and --tcp-idle are environment variables and \
keys of config.toml as well.

SIGTERM or Ctrl-C says goodbye; SIGHUP reads the configuration again. Under systemd it tells when it is ready, and keeps the watchdog \
quiet.";

pub(super) const AGENT_EXAMPLES: &str = "\
Examples:
  cooee agent
  cooee agent --nick web1 --iface eth0
  cooee agent --socket /run/cooee/cooee.sock
  cooee agent --tcp 127.0.0.1:3000     then, in another terminal: nc 127.0.0.1 3000";

pub(super) const CHANNEL_EXAMPLES: &str = "\
Examples:
  cooee join ops
  cooee channels
  cooee leave ops";

pub(super) const NICK_EXAMPLES: &str = "\
Examples:
  cooee nick ada";

pub(super) const AWAY_EXAMPLES: &str = "\
Examples:
  cooee away back at two
  cooee away --back";

pub(super) const TAG_EXAMPLES: &str = "\
Examples:
  cooee tag role=web rack=7
  cooee tag
  cooee tag --remove rack
  cooee peers --tag role=web           on any host";

pub(super) const SERVICE_EXAMPLES: &str = "\
Examples:
  cooee service web=8080
  cooee service --remove web
  cooee peers --service web            on any host";

pub(super) const LINKS: &str = "\
Lists this host's network interfaces, with a + before those that are used, and says of each why it is \
used or why not: by the agent, if one runs, else by a command with these options. With --json the \
members are name, index, addrs (of IPv4), ipv6, used, why, up, carrier, multicast, loopback and wireless.

The exit code is 1 if none is used that leads out of this host.";

pub(super) const LINKS_EXAMPLES: &str = "\
Examples:
  cooee links
  cooee links --json | jq -r 'select(.used).name'
  cooee links --no-agent --iface eth1";

pub(super) const STATUS_EXAMPLES: &str = "\
Examples:
  cooee status
  cooee status --json";

pub(super) const HISTORY: &str = "\
Prints what was said in the agent's channels, and what was told to it, the oldest first. It reads \
the file itself, so it works while no agent runs. Exit code 1 says that nothing fits.";

pub(super) const HISTORY_EXAMPLES: &str = "\
Examples:
  cooee history
  cooee history --channel ops --since 24h
  cooee history --search 'deploy failed' --limit 10
  cooee history --json --limit 1000";

pub(super) const STOP_EXAMPLES: &str = "\
Examples:
  cooee stop";

pub(super) const COMPLETIONS: &str = "\
Prints a script that completes commands, options and file names in bash, zsh, fish, elvish or \
powershell. It reads no configuration, so a shell's start-up file can call it.";

pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  cooee completions bash > ~/.local/share/bash-completion/completions/cooee
  cooee completions fish > ~/.config/fish/completions/cooee.fish
  cooee completions zsh > ~/.zfunc/_cooee      with ~/.zfunc in fpath, before compinit";

pub(super) const MAN_EXAMPLES: &str = "\
Examples:
  cooee man | man -l -
  cooee man say | man -l -
  cooee man --out ~/.local/share/man/man1";
