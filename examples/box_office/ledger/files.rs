//! Whether the files of an open database are still where they were opened, and as they were left. What is written to a file that
//! somebody has removed or replaced is lost with the process, so nothing may be sold there.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The files, and which they were.
#[derive(Debug)]
pub(super) struct Files {
    files: Vec<(PathBuf, Identity)>,
    /// How the database itself was after this process had written it last.
    left: Option<Stamp>,
}

/// What a file is whatever it is called: its device and its number there.
type Identity = (u64, u64);

/// Differs once somebody has written the file, or cut it: its size and when it was written.
type Stamp = (u64, SystemTime);

impl Files {
    /// Those that belong to the database at `path`: itself, and the journal that undoes what was cut short.
    pub(super) fn of(path: &Path) -> Self {
        let journal = PathBuf::from(format!("{}-journal", path.display()));
        let there = [path.to_owned(), journal].into_iter().filter_map(|path| {
            let identity = identity(&path)?;
            Some((path, identity))
        });
        let mut files = Self { files: there.collect(), left: None };
        files.written();
        files
    }

    /// To be called after each transaction: this process has written the database, and nobody else has.
    pub(super) fn written(&mut self) {
        self.left = self.files.first().and_then(|(path, _)| stamp(path));
    }

    /// The first that is not there any more, or is another one; or the database, where somebody else
    /// has written it.
    pub(super) fn missing(&self) -> Option<&Path> {
        let gone = |(path, was): &&(PathBuf, Identity)| identity(path) != Some(*was);
        if let Some((path, _)) = self.files.iter().find(gone) {
            return Some(path);
        }
        let (database, _) = self.files.first()?;
        (stamp(database) != self.left).then_some(database)
    }
}

// Asked by its name and never opened: to close a file ends all locks that this process has on it.
fn stamp(path: &Path) -> Option<Stamp> {
    let file = fs::metadata(path).ok()?;
    Some((file.len(), file.modified().ok()?))
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
