//! Whether the files of an open database are still where they were opened. What is written to a file that
//! somebody has removed or replaced is lost with the process, so nothing may be sold there.

use std::fs;
use std::path::{Path, PathBuf};

/// The files, and which they were.
#[derive(Debug)]
pub(super) struct Files(Vec<(PathBuf, Identity)>);

/// What a file is whatever it is called: its device and its number there.
type Identity = (u64, u64);

impl Files {
    /// Those that belong to the database at `path`: itself, and the journal that undoes what was cut short.
    pub(super) fn of(path: &Path) -> Self {
        let journal = PathBuf::from(format!("{}-journal", path.display()));
        let there = [path.to_owned(), journal].into_iter().filter_map(|path| {
            let identity = identity(&path)?;
            Some((path, identity))
        });
        Self(there.collect())
    }

    /// The first that is not there any more, or is another one.
    pub(super) fn missing(&self) -> Option<&Path> {
        let gone = |(path, was): &&(PathBuf, Identity)| identity(path) != Some(*was);
        self.0.iter().find(gone).map(|(path, _)| path.as_path())
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Elsewhere a file that is open can't be removed.
#[cfg(not(unix))]
fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|_| (0, 0))
}
