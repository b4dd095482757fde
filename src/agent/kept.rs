//! What of an agent's state survives its restart: memberships, nick, tags and services, in one
//! file that is replaced as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What is kept.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Kept {
    /// Channels that the agent takes part in whoever is connected.
    #[serde(default)]
    pub(crate) channels: BTreeSet<String>,
    /// The nick, if it was ever changed.
    #[serde(default)]
    pub(crate) nick: Option<String>,
    /// Tags set and removed since the configuration was read; `None`: removed.
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, Option<String>>,
    /// Services, the same way.
    #[serde(default)]
    pub(crate) services: BTreeMap<String, Option<u16>>,
}

/// The file.
#[derive(Debug)]
pub(crate) struct Store(Option<PathBuf>);

impl Store {
    /// Reads the file; `None` where there is none yet. A damaged one is told by `warn`, and
    /// replaced with the next change.
    pub(crate) fn open(
        path: Option<PathBuf>,
        warn: &mut dyn FnMut(String),
    ) -> (Self, Option<Kept>) {
        let text = path.as_deref().map(fs::read_to_string);
        let kept = match text {
            Some(Ok(text)) => match serde_json::from_slice(text.as_bytes()) {
                Ok(kept) => Some(kept),
                Err(error) => {
                    warn(format!(
                        "what the agent had kept can't be read ({error}); it begins anew"
                    ));
                    None
                }
            },
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => {
                warn(format!("what the agent had kept can't be read ({error}); it begins anew"));
                None
            }
            _ => None,
        };
        (Self(path), kept)
    }

    /// Writes the file anew. After a crash there is the old one or the new one.
    pub(crate) fn write(&self, kept: &Kept) -> io::Result<()> {
        let Some(path) = &self.0 else { return Ok(()) };
        let new = path.with_extension("new");
        let text = serde_json::to_string_pretty(kept).map_err(io::Error::other)? + "\n";
        replace(path, &new, text.as_bytes())
    }
}

fn replace(path: &Path, new: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        crate::node::create_private(folder)?;
    }
    let mut options = fs::OpenOptions::new();
    let mut file = options.create(true).write(true).truncate(true).mode(0o600).open(new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_there_again_and_what_is_damaged_is_told() {
        let name = format!("cooee-kept-{}.json", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_file(&path);
        let mut warnings = Vec::new();
        let (store, kept) = Store::open(Some(path.clone()), &mut |w| warnings.push(w));
        assert_eq!((kept, warnings.len()), (None, 0));
        let kept = Kept {
            channels: ["ops".to_owned()].into(),
            nick: Some("ada".into()),
            tags: [("role".to_owned(), None)].into(),
            services: [("web".to_owned(), Some(80))].into(),
        };
        store.write(&kept).unwrap();
        assert_eq!(Store::open(Some(path.clone()), &mut |_| {}).1, Some(kept));
        fs::write(&path, "{\"channels\":7}").unwrap();
        let (_, kept) = Store::open(Some(path.clone()), &mut |w| warnings.push(w));
        assert_eq!((kept, warnings.len()), (None, 1));
        fs::remove_file(path).unwrap();
    }
}
