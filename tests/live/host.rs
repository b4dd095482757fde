//! A host of the lab, or this machine: where the program is run, with a home of its own.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::lab::{LAN, Scratch};
use crate::running::{Output, Running};

/// The group that a node uses unless told otherwise.
pub(crate) const GROUP: &str = "239.255.26.33:26633";

#[derive(Clone)]
pub(crate) struct Host {
    /// The lab's name and the host's number in it; none for this machine.
    place: Option<(String, usize)>,
    nick: String,
    home: PathBuf,
}

impl Host {
    pub(crate) fn in_lab(lab: &str, number: usize, scratch: &Path) -> Self {
        let nick = format!("host{number}");
        let home = scratch.join(&nick);
        Self { place: Some((lab.to_owned(), number)), nick, home }
    }

    /// This machine, for what needs no network: use it with `--iface lo` only.
    pub(crate) fn here(scratch: &Scratch) -> Self {
        Self { place: None, nick: "here".into(), home: scratch.path().join("here") }
    }

    /// Another user on the same host: a home and so an identity of their own.
    pub(crate) fn user(&self, nick: &str) -> Self {
        let home = self.home.with_file_name(nick);
        Self { nick: nick.into(), home, ..self.clone() }
    }

    /// The name that its nodes have.
    pub(crate) fn nick(&self) -> &str {
        &self.nick
    }

    /// `program` on this host.
    pub(crate) fn program(&self, program: &str) -> Command {
        let mut command = match &self.place {
            Some((lab, number)) => {
                let mut lan = Command::new(LAN);
                lan.env("LAN", lab).args(["exec", &number.to_string(), program]);
                lan
            }
            None => Command::new(program),
        };
        for (name, _) in
            std::env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("COOEE_"))
        {
            command.env_remove(name);
        }
        command.env("HOME", &self.home);
        for (name, folder) in
            [("CONFIG_HOME", "config"), ("STATE_HOME", "state"), ("RUNTIME_DIR", "run")]
        {
            let folder = self.home.join(folder);
            DirBuilder::new().recursive(true).mode(0o700).create(&folder).unwrap();
            command.env(format!("XDG_{name}"), folder);
        }
        command
    }

    /// `cooee` with these arguments, and the host's nick unless they have one.
    pub(crate) fn command_line(&self, args: &[&str]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_cooee"));
        if !args.contains(&"--nick") {
            command.args(["--nick", &self.nick]);
        }
        command.args(args);
        command
    }

    /// `cooee` with just these arguments: a nick of its own would keep it from using the agent.
    pub(crate) fn client_line(&self, args: &[&str]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_cooee"));
        command.args(args);
        command
    }

    /// Starts an agent and waits until it serves.
    #[track_caller]
    pub(crate) fn agent(&self, more: &[&str]) -> Running {
        let agent = self.cooee(&[&["agent"], more].concat());
        let here = self.socket().display().to_string();
        agent.wait_for_complaint("where it listens", |line| line.contains(&here));
        agent
    }

    /// Where the agent listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.home.join("run/cooee.sock")
    }

    /// A file among those that the host's nodes keep.
    pub(crate) fn state(&self, name: &str) -> PathBuf {
        self.home.join("state/cooee").join(name)
    }

    /// Starts `cooee` as one who has an agent.
    #[track_caller]
    pub(crate) fn client(&self, args: &[&str]) -> Running {
        let shown: String = args.join(" ").chars().take(60).collect();
        Running::start(format!("[{}] client {shown}", self.nick), &mut self.client_line(args))
    }

    /// Runs `cooee` to its end, as one who has an agent.
    #[track_caller]
    pub(crate) fn ask_agent(&self, args: &[&str]) -> Output {
        self.client(args).finish()
    }

    /// Starts `cooee`, see [`Host::command_line`].
    #[track_caller]
    pub(crate) fn cooee(&self, args: &[&str]) -> Running {
        let shown: String = args.join(" ").chars().take(60).collect();
        Running::start(format!("[{}] cooee {shown}", self.nick), &mut self.command_line(args))
    }

    /// A folder of its own, which its programs know as home.
    pub(crate) fn home(&self) -> &Path {
        fs::create_dir_all(&self.home).unwrap();
        &self.home
    }

    /// Writes its configuration.
    #[track_caller]
    pub(crate) fn configure(&self, text: &str) {
        let folder = self.home().join("config/cooee");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.toml"), text).unwrap();
    }

    /// Starts the agent, under the nick of the configuration if it has one, and waits until it
    /// serves.
    #[track_caller]
    pub(crate) fn configured_agent(&self) -> Running {
        let mut command = self.program(env!("CARGO_BIN_EXE_cooee"));
        let agent = Running::start(format!("[{}] agent", self.nick), command.arg("agent"));
        agent.wait_for_complaint("that it serves", |line| line.contains(" in group "));
        agent
    }

    /// Starts another program.
    #[track_caller]
    pub(crate) fn start_program(&self, line: &[&str]) -> Running {
        let mut command = self.program(line[0]);
        let shown: String = line.join(" ").chars().take(60).collect();
        Running::start(format!("[{}] {shown}", self.nick), command.args(&line[1..]))
    }

    /// Runs `cooee` to its end.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.cooee(args).finish()
    }

    /// Starts a listener that prints everything as objects; [`Running::wait_json`] for what comes.
    #[track_caller]
    pub(crate) fn start_listening(&self, more: &[&str]) -> Running {
        self.cooee(&[&["listen", "--json", "--events"], more].concat())
    }

    /// The same, and waits until it is ready.
    #[track_caller]
    pub(crate) fn listen(&self, more: &[&str]) -> Running {
        let listener = self.start_listening(more);
        ready(&listener);
        listener
    }

    /// Says `text` and demands that this went well.
    #[track_caller]
    pub(crate) fn say(&self, text: &str) {
        self.run(&["say", text]).exits(0);
    }

    /// Who is here: the peers that `cooee peers` lists, by nick. Demands exit 0.
    #[track_caller]
    pub(crate) fn peers(&self, more: &[&str]) -> BTreeMap<String, Value> {
        let output = self.run(&[&["peers", "--json"], more].concat()).exits(0);
        let peers = output.json();
        let by_nick: BTreeMap<_, _> =
            peers.iter().map(|v| (v["nick"].as_str().unwrap().to_owned(), v.clone())).collect();
        assert_eq!(by_nick.len(), peers.len(), "somebody is listed twice: {output:#?}");
        by_nick
    }

    /// Sends each of `datagrams` as it stands to `to` (`ADDRESS:PORT`), each from another port,
    /// with nothing but a shell.
    #[track_caller]
    pub(crate) fn throw(&self, to: &str, datagrams: &[Vec<u8>]) {
        let folder = self.home.join("datagrams");
        fs::create_dir_all(&folder).unwrap();
        for (i, datagram) in datagrams.iter().enumerate() {
            fs::write(folder.join(format!("{i:04}")), datagram).unwrap();
        }
        let (address, port) = to.rsplit_once(':').unwrap();
        let script = r#"for f in "$1"/*; do cat "$f" >"/dev/udp/$2/$3"; done"#;
        let mut command = self.program("bash");
        command.args(["-euc", script, "throw"]).arg(&folder).args([address, port]);
        let output = Running::start(format!("[{}] throw", self.nick), &mut command).finish();
        // A refused port is reported on a later send to it; that is no failure of the thrower.
        assert_eq!(output.code, Some(0), "{output:#?}");
        fs::remove_dir_all(&folder).unwrap();
    }
}

/// Waits until a listener that prints events is ready; what it says about itself.
#[track_caller]
pub(crate) fn ready(listener: &Running) -> Value {
    listener.wait_json("ready", |v| v["event"] == "ready")
}
