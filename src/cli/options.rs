//! What the command line comes to, together with the environment, the configuration file and the
//! defaults: a [`Settings`] with nothing left to look up but the hosts to ask.
//!
//! Three [`Layer`]s hold the same options as texts; the first that has one wins, and an error
//! names the place where the wrong value was written.

use std::fmt;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::args::Globals;
use super::exit::Failure;
use super::output::note;
use super::seed::Seed;
use super::surroundings::Surroundings;
use super::{config, gateway, hooks};
use crate::agent::history::Keeping;
use crate::agent::hooks::HookOptions;
use crate::agent::usual_socket;
use crate::node::Options;
use crate::values::{Escaped, Nick, PeerText, filled, limits};
use crate::wire::Profile;

/// Bytes of the longest secret.
const SECRET: usize = 4_096;

/// Messages of a channel that are brought back when it is joined, unless configured.
const RECALL: u32 = 50;

/// What a command goes by.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option on its own")]
pub(super) struct Settings {
    /// What the node goes by, its seeds not yet looked up.
    pub(super) node: Options,
    /// Where the agent listens.
    pub(super) socket: Socket,
    /// Goes without the agent: because that was asked for, or because of options that only a node
    /// of one's own can follow.
    pub(super) alone: bool,
    /// Goes without the agent unless it has the nick that was asked for.
    pub(super) renamed: bool,
    /// Whom to ask besides the group; see [`Settings::look_up`].
    pub(super) seeds: Vec<Seed>,
    /// What the agent runs when something happens.
    pub(super) hooks: HookOptions,
    /// How much the agent keeps of what was said.
    pub(super) keeping: Keeping,
    /// How many of a channel's last messages the agent and the chat bring back.
    pub(super) recall: u32,
    /// An agent whose identity another node has takes a new one.
    pub(super) renew_identity: bool,
    /// The agent's line gateway, but for what is typed.
    pub(super) gateway: gateway::Defaults,
    /// Print JSON.
    pub(super) json: bool,
    /// Print no notes.
    pub(super) quiet: bool,
    /// Print more notes.
    pub(super) verbose: bool,
    /// What the user should know.
    pub(super) warnings: Vec<String>,
}

/// Where the agent of this host listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Socket {
    /// Nowhere: there is no folder for it.
    #[default]
    None,
    /// At the usual place.
    Usual(PathBuf),
    /// Where the user said.
    Named(PathBuf),
}

impl Socket {
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::None => None,
            Self::Usual(path) | Self::Named(path) => Some(path),
        }
    }

    pub(super) fn is_named(&self) -> bool {
        matches!(self, Self::Named(_))
    }
}

/// The global options from one place, as texts.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer {
    pub(super) group: Option<String>,
    pub(super) iface: Option<Vec<String>>,
    pub(super) peer: Option<Vec<String>>,
    pub(super) no_multicast: Option<bool>,
    pub(super) nick: Option<String>,
    pub(super) ttl: Option<String>,
    pub(super) secret_file: Option<PathBuf>,
    pub(super) no_agent: Option<bool>,
    pub(super) socket: Option<PathBuf>,
    pub(super) tcp: Option<String>,
    pub(super) tcp_public: Option<bool>,
    pub(super) tcp_idle: Option<String>,
    pub(super) renew_identity: Option<bool>,
    pub(super) json: Option<bool>,
    pub(super) quiet: Option<bool>,
    pub(super) verbose: Option<bool>,
}

impl From<&Globals> for Layer {
    fn from(typed: &Globals) -> Self {
        let list = |items: &Vec<String>| (!items.is_empty()).then(|| items.clone());
        let switch = |on: bool| on.then_some(true);
        Self {
            group: typed.group.clone(),
            iface: list(&typed.iface),
            peer: list(&typed.peer),
            no_multicast: switch(typed.no_multicast),
            nick: typed.nick.clone(),
            ttl: typed.ttl.clone(),
            secret_file: typed.secret_file.clone(),
            no_agent: switch(typed.no_agent),
            socket: typed.socket.clone(),
            // Options of one command: see `gateway::resolve`.
            tcp: None,
            tcp_public: None,
            tcp_idle: None,
            renew_identity: None,
            json: switch(typed.json),
            quiet: switch(typed.quiet),
            verbose: switch(typed.verbose),
        }
    }
}

impl Layer {
    fn from_environment(around: &Surroundings) -> Result<Self, Failure> {
        Ok(Self {
            group: around.text("COOEE_GROUP"),
            iface: around.list("COOEE_IFACE"),
            peer: around.list("COOEE_PEER"),
            no_multicast: around.switch("COOEE_NO_MULTICAST")?,
            nick: around.text("COOEE_NICK"),
            ttl: around.text("COOEE_TTL"),
            secret_file: around.var("COOEE_SECRET_FILE").map(PathBuf::from),
            no_agent: around.switch("COOEE_NO_AGENT")?,
            socket: around.var("COOEE_SOCKET").map(PathBuf::from),
            tcp: around.text("COOEE_TCP"),
            tcp_public: around.switch("COOEE_TCP_PUBLIC")?,
            tcp_idle: around.text("COOEE_TCP_IDLE"),
            renew_identity: around.switch("COOEE_RENEW_IDENTITY")?,
            json: around.switch("COOEE_JSON")?,
            quiet: around.switch("COOEE_QUIET")?,
            verbose: around.switch("COOEE_VERBOSE")?,
        })
    }
}

/// The layers, the strongest first.
struct Layers {
    layers: [Layer; 3],
    file: PathBuf,
}

impl Layers {
    /// The value of the option `key`, and the name of the place where it was written.
    fn pick<T>(&self, key: &str, get: impl Fn(&Layer) -> Option<&T>) -> Option<(&T, String)> {
        let (at, value) =
            self.layers.iter().enumerate().find_map(|(at, layer)| Some((at, get(layer)?)))?;
        let origin = match at {
            0 => format!("--{key}"),
            1 => format!("COOEE_{}", key.replace('-', "_").to_uppercase()),
            _ => format!("{key} in {}", self.file.display()),
        };
        Some((value, origin))
    }

    /// Whether the command line or the environment asks for what an agent has decided already.
    /// (What the configuration file says, it says to the agent as well.)
    fn want_own_node(&self) -> bool {
        self.layers[..2].iter().any(|layer| {
            layer.iface.is_some()
                || layer.peer.is_some()
                || layer.no_multicast.is_some()
                || layer.ttl.is_some()
                || layer.secret_file.is_some()
        })
    }

    fn on(&self, get: impl Fn(&Layer) -> Option<bool>) -> bool {
        self.layers.iter().find_map(get).unwrap_or(false)
    }
}

pub(super) fn wrong(origin: &str, cause: impl fmt::Display) -> Failure {
    Failure::Usage(format!("{origin}: {cause}"))
}

/// Works out what the command goes by.
pub(super) fn resolve(typed: &Globals, around: &Surroundings) -> Result<Settings, Failure> {
    let named = typed.config.clone().or_else(|| around.var("COOEE_CONFIG").map(PathBuf::from));
    let usual = around.config_dir.as_ref().map(|dir| dir.join("cooee").join("config.toml"));
    let file = match (&named, &usual) {
        (Some(path), _) => config::File::read(path, true)?,
        (None, Some(path)) => config::File::read(path, false)?,
        (None, None) => config::File::default(),
    };
    let layers = Layers {
        layers: [typed.into(), Layer::from_environment(around)?, file.layer()],
        file: named.or(usual).unwrap_or_default(),
    };
    let mut settings = Settings {
        json: layers.on(|l| l.json),
        quiet: layers.on(|l| l.quiet) && !typed.verbose,
        verbose: layers.on(|l| l.verbose) && !typed.quiet,
        ..Settings::default()
    };
    network(&layers, &mut settings)?;
    settings.node.secret = secret(&layers, around, &mut settings.warnings)?;
    settings.node.profile = profile(&layers, &file, around)?;
    let home = around.var("HOME").map(PathBuf::from);
    settings.keeping = file.history.keeping();
    settings.recall = file.history.recall.unwrap_or(RECALL);
    if settings.recall > limits::RECALL {
        let why = format_args!("at most {} are brought back", limits::RECALL);
        return Err(wrong(&format!("[history] recall in {}", layers.file.display()), why));
    }
    settings.hooks = hooks::options(file.hooks, &file.on, home.as_deref())
        .map_err(|why| wrong(&format!("[[on]] in {}", layers.file.display()), why))?;
    if !settings.hooks.hooks.is_empty() && anyone_can_write(&layers.file) {
        let path = layers.file.display();
        return Err(wrong(
            &format!("[[on]] in {path}"),
            format_args!("everybody can write the file, and so say what runs: chmod o-w {path}"),
        ));
    }
    settings.node.state_dir = around
        .var("COOEE_STATE_DIR")
        .map(PathBuf::from)
        .or_else(|| around.state_dir.as_ref().map(|dir| dir.join("cooee")));
    settings.socket = if let Some((path, _)) = layers.pick("socket", |l| l.socket.as_ref()) {
        Socket::Named(in_home(path, around))
    } else {
        // Who has a state folder of his own wants an agent of his own.
        let runtime = around.runtime_dir.as_deref();
        let runtime = runtime.filter(|_| around.var("COOEE_STATE_DIR").is_none());
        usual_socket(runtime, settings.node.state_dir.as_deref())
            .map_or(Socket::None, Socket::Usual)
    };
    settings.gateway = gateway::Defaults::read(
        layers.pick("tcp", |l| l.tcp.as_ref()),
        layers.on(|l| l.tcp_public),
        layers.pick("tcp-idle", |l| l.tcp_idle.as_ref()),
    )?;
    settings.renew_identity = layers.on(|l| l.renew_identity);
    settings.alone = layers.on(|l| l.no_agent) || layers.want_own_node();
    settings.renamed = layers.layers[..2].iter().any(|layer| layer.nick.is_some());
    Ok(settings)
}

/// Where the node talks: group, interfaces, seeds.
fn network(layers: &Layers, settings: &mut Settings) -> Result<(), Failure> {
    let node = &mut settings.node;
    if let Some((text, origin)) = layers.pick("group", |l| l.group.as_ref()) {
        let origin = format!("{origin} {}", Escaped::of(text));
        node.group = text.parse().map_err(|e| wrong(&origin, e))?;
    }
    node.ttl = 1;
    if let Some((text, origin)) = layers.pick("ttl", |l| l.ttl.as_ref()) {
        node.ttl = text.parse().ok().filter(|ttl| *ttl > 0).ok_or_else(|| {
            let text = Escaped::of(text);
            wrong(&origin, format_args!("'{text}' is not a time to live; give 1 to 255"))
        })?;
    }
    if let Some((names, origin)) = layers.pick("iface", |l| l.iface.as_ref()) {
        if names.iter().any(|name| name.trim().is_empty()) {
            return Err(wrong(&origin, "an interface without a name; give its name or address"));
        }
        node.interfaces.clone_from(names);
    }
    node.no_multicast = layers.on(|l| l.no_multicast);
    if let Some((texts, origin)) = layers.pick("peer", |l| l.peer.as_ref()) {
        for text in texts {
            settings.seeds.push(Seed::parse(text, &origin, node.group)?);
        }
    }
    Ok(())
}

/// What the node says of itself.
fn profile(
    layers: &Layers,
    file: &config::File,
    around: &Surroundings,
) -> Result<Profile, Failure> {
    let nick: Nick = match layers.pick("nick", |l| l.nick.as_ref()) {
        Some((text, origin)) => text.parse().map_err(|e| wrong(&origin, e))?,
        None => Nick::from_host_name(&around.host),
    };
    let mut host = around.host.clone();
    while host.len() > limits::SHORT_TEXT {
        host.pop();
    }
    for (what, count) in [("tags", file.tags.len()), ("services", file.services.len())] {
        if count > limits::TAGS {
            let limit = limits::TAGS;
            return Err(wrong(
                &format!("[{what}] in {}", layers.file.display()),
                format_args!("{count} are too many; at most {limit} are announced"),
            ));
        }
    }
    let json = |value: Result<String, serde_json::Error>| value.map_or(0, |text| text.len());
    let bytes =
        json(serde_json::to_string(&file.tags)) + json(serde_json::to_string(&file.services));
    if bytes > limits::TAG_BYTES {
        return Err(wrong(
            &format!("[tags] and [services] in {}", layers.file.display()),
            format_args!("{bytes} bytes as JSON; at most {} are announced", limits::TAG_BYTES),
        ));
    }
    let text = |text: &String| PeerText::from(text.as_str());
    Ok(Profile {
        nick: nick.as_str().into(),
        host: host.as_str().into(),
        version: env!("CARGO_PKG_VERSION").into(),
        away: None,
        tags: filled(file.tags.iter().map(|(key, value)| (text(key), text(value)))),
        services: filled(file.services.iter().map(|(name, port)| (text(name), *port))),
    })
}

/// The sealed group's secret.
fn secret(
    layers: &Layers,
    around: &Surroundings,
    warnings: &mut Vec<String>,
) -> Result<Option<Vec<u8>>, Failure> {
    let Some((path, origin)) = layers.pick("secret-file", |l| l.secret_file.as_ref()) else {
        return Ok(None);
    };
    let path = &in_home(path, around);
    let shown = path.display().to_string();
    let shown = Escaped::of(&shown);
    let refused = |e| Failure::Refused(format!("{origin}: {shown} can't be read: {e}"));
    let file = fs::File::open(path).map_err(refused)?;
    if others_can_read(&file) {
        warnings.push(format!("others can read the secret in {shown}; try: chmod 600 {shown}"));
    }
    let mut secret = Vec::new();
    file.take(SECRET as u64 + 3).read_to_end(&mut secret).map_err(refused)?;
    if secret.ends_with(b"\n") {
        secret.pop();
        if secret.ends_with(b"\r") {
            secret.pop();
        }
    }
    match secret.len() {
        0 => Err(wrong(&origin, format_args!("{shown} is empty; put the group's secret in it"))),
        1..=SECRET => Ok(Some(secret)),
        _ => Err(wrong(&origin, format_args!("{shown} is longer than {SECRET} bytes"))),
    }
}

/// In a configuration file no shell has put the home folder in the place of `~`.
fn in_home(path: &Path, around: &Surroundings) -> PathBuf {
    match (path.strip_prefix("~"), around.var("HOME")) {
        (Ok(rest), Some(home)) => Path::new(&home).join(rest),
        _ => path.to_owned(),
    }
}

fn anyone_can_write(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o002 != 0)
}

fn others_can_read(file: &fs::File) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o044 != 0)
}

impl Settings {
    /// Looks up the hosts to ask: the one step that may take time and fail for others' reasons.
    /// One that can't be found is no reason to do without the others, or without multicast.
    pub(super) fn look_up(&mut self) -> Result<(), Failure> {
        let mut missing = None;
        for seed in &self.seeds {
            match seed.look_up() {
                Ok(found) => self.node.seeds.extend(found),
                Err(why) => {
                    if !self.quiet {
                        note(&why);
                    }
                    missing = Some(why);
                }
            }
        }
        if let Some(why) = missing
            && self.node.no_multicast
            && self.node.seeds.is_empty()
        {
            return Err(Failure::Refused(why));
        }
        if self.node.seeds.len() > limits::SEEDS {
            let (count, limit) = (self.node.seeds.len(), limits::SEEDS);
            return Err(wrong(
                "--peer",
                format_args!("{count} addresses; at most {limit} are asked"),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
