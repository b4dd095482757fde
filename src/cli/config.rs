//! `config.toml`: the global options and those of the agent as keys, and what this host announces of itself.
//!
//! ```toml
//! nick = "ada"
//! iface = ["eth0"]
//! [tags]
//! role = "web"
//! [services]
//! http = 80
//! [[on]]
//! event = "message"
//! run = ["/usr/local/bin/notify"]
//! ```
//!
//! `packaging/config.toml` shows every key with its default.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::exit::Failure;
use super::hooks::{HookLimits, On};
use super::options::Layer;
use crate::agent::history::Keeping;

/// The file as written. A key that is not here is refused.
#[expect(clippy::struct_field_names, reason = "the keys are the options' names")]
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct File {
    group: Option<String>,
    iface: Option<Vec<String>>,
    peer: Option<Vec<String>>,
    no_multicast: Option<bool>,
    nick: Option<String>,
    ttl: Option<i64>,
    secret_file: Option<PathBuf>,
    no_agent: Option<bool>,
    socket: Option<PathBuf>,
    tcp: Option<String>,
    tcp_public: Option<bool>,
    renew_identity: Option<bool>,
    tcp_idle: Option<String>,
    json: Option<bool>,
    quiet: Option<bool>,
    verbose: Option<bool>,
    /// Labels that this host announces.
    pub(super) tags: BTreeMap<String, String>,
    /// Services that this host announces, with their ports.
    pub(super) services: BTreeMap<String, u16>,
    /// How much the agent keeps of what was said.
    pub(super) history: History,
    /// How much is run for what happens.
    pub(super) hooks: HookLimits,
    /// What is run for what happens.
    pub(super) on: Vec<On>,
}

/// `[history]`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct History {
    days: Option<NonZeroU32>,
    mebibytes: Option<NonZeroU32>,
    /// How many of a channel's last messages are fetched from others when it is joined.
    pub(super) recall: Option<u32>,
}

impl History {
    /// What it comes to.
    pub(super) fn keeping(self) -> Keeping {
        let usual = Keeping::default();
        Keeping {
            days: self.days.map_or(usual.days, NonZeroU32::get),
            mebibytes: self.mebibytes.map_or(usual.mebibytes, NonZeroU32::get),
        }
    }
}

impl File {
    /// Reads the file. One that nobody named need not exist.
    pub(super) fn read(path: &Path, named: bool) -> Result<Self, Failure> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(e) if e.kind() == io::ErrorKind::NotFound && !named => Ok(Self::default()),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => Err(Failure::Usage(format!(
                "the configuration {} is wrong: it is not text in UTF-8",
                path.display()
            ))),
            Err(e) => Err(Failure::Refused(format!(
                "the configuration {} can't be read: {e}",
                path.display()
            ))),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, Failure> {
        toml::from_str(text).map_err(|e| {
            Failure::Usage(format!("the configuration {} is wrong: {e}", path.display()))
        })
    }

    /// The global options in it.
    pub(super) fn layer(&self) -> Layer {
        Layer {
            group: self.group.clone(),
            iface: self.iface.clone(),
            peer: self.peer.clone(),
            no_multicast: self.no_multicast,
            nick: self.nick.clone(),
            ttl: self.ttl.map(|n| n.to_string()),
            secret_file: self.secret_file.clone(),
            no_agent: self.no_agent,
            socket: self.socket.clone(),
            tcp: self.tcp.clone(),
            tcp_public: self.tcp_public,
            renew_identity: self.renew_identity,
            tcp_idle: self.tcp_idle.clone(),
            json: self.json,
            quiet: self.quiet,
            verbose: self.verbose,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_global_option_is_a_key() {
        let text = r#"
            group = "239.1.1.1"
            iface = ["eth0", "10.0.0.1"]
            peer = ["web1", "web2:9"]
            no-multicast = true
            nick = "ada"
            ttl = 4
            secret-file = "/etc/cooee/secret"
            no-agent = true
            socket = "/run/cooee"
            tcp = "127.0.0.1:3000"
            tcp-public = false
            renew-identity = true
            tcp-idle = "1h"
            json = true
            quiet = false
            verbose = true
            [tags]
            role = "web"
            [services]
            http = 80
        "#;
        let file = File::parse(text, Path::new("c.toml")).unwrap();
        let layer = file.layer();
        assert_eq!(layer.group.as_deref(), Some("239.1.1.1"));
        assert_eq!(layer.peer, Some(vec!["web1".to_owned(), "web2:9".to_owned()]));
        assert_eq!((layer.ttl.as_deref(), layer.verbose), (Some("4"), Some(true)));
        assert_eq!(layer.tcp.as_deref(), Some("127.0.0.1:3000"));
        assert_eq!((layer.tcp_public, layer.tcp_idle.as_deref()), (Some(false), Some("1h")));
        assert_eq!(layer.renew_identity, Some(true));
        assert_eq!(file.tags["role"], "web");
        assert_eq!(file.services["http"], 80);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        for bad in ["nick = \"ada\"\nnicks = \"bob\"\n", "\n[services]\nhttp = 80\ndns = 70000\n"] {
            let error = File::parse(bad, Path::new("c.toml")).unwrap_err();
            assert!(matches!(error, Failure::Usage(_)));
            let text = error.to_string();
            assert!(text.contains("c.toml") && text.contains("line "), "{text}");
        }
    }

    #[test]
    fn only_a_file_that_was_named_must_exist() {
        let nowhere = Path::new("/nonexistent/config.toml");
        assert!(File::read(nowhere, false).is_ok());
        assert!(matches!(File::read(nowhere, true), Err(Failure::Refused(_))));
    }
}
