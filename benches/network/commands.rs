//! Whole commands from start to exit, by a node of their own and through an agent that knows thirty
//! peers, beside programs that do nothing or just send.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cooee::node::{Node, Notices};
use cooee::values::{ChannelName, Group};

use crate::{ROUNDS, TEXT, median, node};

/// Nodes on the LAN, besides the agent.
const PEERS: usize = 30;

/// How long the agent may take to start and to know everyone.
const PATIENCE: Duration = Duration::from_secs(30);

fn time(command: &mut Command) -> f64 {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let times = (0..20).map(|_| {
        let begun = Instant::now();
        let status = command.status().expect("it runs");
        assert!(status.success(), "{command:?}: {status}");
        begun.elapsed().as_secs_f64() * 1e3
    });
    median(times.collect())
}

/// `cooee` with a home of its own, on the loopback.
struct Cooee {
    group: Group,
    home: PathBuf,
}

impl Cooee {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(option_env!("CARGO_BIN_EXE_cooee").unwrap_or("cooee"));
        let socket = self.home.join("agent.sock");
        command
            .args(args)
            .env("COOEE_GROUP", self.group.to_string())
            .env("COOEE_STATE_DIR", &self.home)
            .env("XDG_CONFIG_HOME", &self.home)
            .env_remove("COOEE_SOCKET");
        // A command that names an interface is no client of an agent.
        if !socket.exists() || args.contains(&"--no-agent") || args.contains(&"agent") {
            command.args(["--iface", "lo"]);
        }
        command
    }

    /// An agent that knows everyone.
    fn agent(&self) -> Child {
        let mut command = self.command(&["agent"]);
        let agent = command.stderr(Stdio::null()).spawn().expect("an agent");
        let deadline = Instant::now() + PATIENCE;
        let known = || {
            let output = self.command(&["peers", "--json"]).output().expect("it runs");
            String::from_utf8_lossy(&output.stdout).lines().count()
        };
        let socket: &Path = &self.home.join("agent.sock");
        while !socket.exists() || known() < PEERS {
            assert!(Instant::now() < deadline, "the agent knows {} of {PEERS}", known());
        }
        agent
    }
}

pub(crate) fn commands(group: Group) {
    println!("one command, start to exit, among {PEERS} peers");
    let home = std::env::temp_dir().join(format!("cooee-bench-{}", std::process::id()));
    std::fs::create_dir_all(&home).expect("a folder");
    let peers: Vec<(Node, Notices)> =
        (0..PEERS).map(|_| node(group, vec![ChannelName::lobby()])).collect();
    let cooee = Cooee { group, home: home.clone() };
    let mut agent = cooee.agent();
    let text = "x".repeat(TEXT);
    let target = format!("UDP4-DATAGRAM:{},ip-multicast-if=127.0.0.1", group.addr());
    let mut socat = Command::new("socat");
    socat.args(["-u", "OPEN:/dev/null", &target]);
    let mut rows = [
        ("true", Command::new("true"), vec![]),
        ("socat", socat, vec![]),
        ("cooee cast, own node", cooee.command(&["--no-agent", "cast", &text]), vec![]),
        ("cooee cast, agent", cooee.command(&["cast", &text]), vec![]),
        ("cooee say, own node", cooee.command(&["--no-agent", "say", &text]), vec![]),
        ("cooee say, agent", cooee.command(&["say", &text]), vec![]),
        ("cooee peers, own node", cooee.command(&["--no-agent", "peers"]), vec![]),
        ("cooee peers, agent", cooee.command(&["peers"]), vec![]),
    ];
    for _ in 0..ROUNDS {
        for (_, command, times) in &mut rows {
            times.push(time(command));
        }
    }
    println!("  {:<28} {:>7}   more than true", "", "ms");
    let nothing = rows[0].2.clone();
    for (name, _, times) in rows {
        let more = times.iter().zip(&nothing).map(|(ours, nothing)| ours - nothing).collect();
        println!("  {name:<28} {:>7.2}   {:>7.2}", median(times), median(more));
    }
    assert!(cooee.command(&["stop"]).status().expect("it runs").success());
    agent.wait().expect("it ends");
    drop(peers);
    let _ = std::fs::remove_dir_all(home);
}
