//! What a process finds around it, as far as options depend on it: the environment, the user's folders
//! and the host's name.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use etcetera::BaseStrategy;

use super::exit::Failure;
use crate::values::Escaped;

/// Looks up an environment variable.
type Lookup = Box<dyn Fn(&str) -> Option<OsString>>;

/// The process's surroundings, as far as options depend on them.
pub(super) struct Surroundings {
    /// Looks up an environment variable.
    pub(super) env: Lookup,
    /// Where users keep configurations.
    pub(super) config_dir: Option<PathBuf>,
    /// Where users keep state.
    pub(super) state_dir: Option<PathBuf>,
    /// Where users keep sockets.
    pub(super) runtime_dir: Option<PathBuf>,
    /// The host's name.
    pub(super) host: String,
}

/// The folder, if it is there and this user's: where an agent listens, and what runs without a
/// session, such as a cron job, has no variable for it.
fn own(folder: String) -> Option<PathBuf> {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::symlink_metadata(&folder).ok()?;
    (meta.is_dir() && meta.uid() == rustix::process::getuid().as_raw()).then(|| folder.into())
}

impl Surroundings {
    /// The real ones.
    pub(super) fn real() -> Self {
        let dirs = etcetera::choose_base_strategy().ok();
        let host = fs::read_to_string("/proc/sys/kernel/hostname")
            .or_else(|_| fs::read_to_string("/etc/hostname"))
            .ok()
            .or_else(|| std::env::var("HOSTNAME").ok())
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "host".to_owned());
        Self {
            env: Box::new(|name| std::env::var_os(name)),
            config_dir: dirs.as_ref().map(BaseStrategy::config_dir),
            state_dir: dirs.as_ref().and_then(BaseStrategy::state_dir),
            runtime_dir: dirs
                .as_ref()
                .and_then(BaseStrategy::runtime_dir)
                .or_else(|| own(format!("/run/user/{}", rustix::process::getuid().as_raw()))),
            host,
        }
    }

    /// A variable that is set to something.
    pub(super) fn var(&self, name: &str) -> Option<OsString> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.var(name).map(|value| value.to_string_lossy().into_owned())
    }

    pub(super) fn list(&self, name: &str) -> Option<Vec<String>> {
        let text = self.text(name)?;
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        Some(items.map(str::to_owned).collect())
    }

    pub(super) fn switch(&self, name: &str) -> Result<Option<bool>, Failure> {
        match self.text(name).as_deref() {
            None => Ok(None),
            Some("1" | "true" | "yes" | "on") => Ok(Some(true)),
            Some("0" | "false" | "no" | "off") => Ok(Some(false)),
            Some(other) => Err(Failure::Usage(format!(
                "{name}: '{}' is neither 1 nor 0; write 1 for yes, 0 for no",
                Escaped::of(other)
            ))),
        }
    }
}
