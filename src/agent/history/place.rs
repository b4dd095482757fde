//! Where a history is: which file its path names, and what `SQLite` has beside it.
//!
//! A file that is open stays what it is, whatever becomes of its name. So an agent whose history is
//! removed would go on writing what nobody can ever read, if it did not look.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Endings of the names of what is beside the file: what was written last, and who reads it where.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// The files of an open history.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    file: Option<Identity>,
    beside: [Option<Identity>; 2],
}

/// Device and number: which file it is, whatever its name.
type Identity = (u64, u64);

/// What has become of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// There is nothing where it was.
    Removed,
    /// There is another one.
    Replaced,
}

impl Place {
    /// That of a history that is open.
    pub(super) fn of(path: &Path) -> Self {
        let identity = |path: &Path| identity(path).ok();
        Self {
            path: path.to_owned(),
            file: identity(path),
            beside: beside(path).map(|path| identity(&path)),
        }
    }

    /// What has become of the file; `None`: it is there, or nobody can tell.
    pub(super) fn lost(&self) -> Option<Lost> {
        match identity(&self.path) {
            Ok(identity) => (Some(identity) != self.file).then_some(Lost::Replaced),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Some(Lost::Removed),
                _ => None,
            },
        }
    }

    /// Removes what is left beside a file that is not there any more, lest it is taken for a part
    /// of the next one.
    pub(super) fn clear(&self) {
        for (path, ours) in beside(&self.path).iter().zip(self.beside) {
            if ours.is_some() && identity(path).ok() == ours {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// Puts a file aside, without what is beside it. Returns its new name.
pub(super) fn put_aside(path: &Path) -> (PathBuf, io::Result<()>) {
    let aside = path.with_extension("damaged");
    let moved = fs::rename(path, &aside);
    for path in beside(path) {
        let _ = fs::remove_file(path);
    }
    (aside, moved)
}

/// Makes the file, if it is not there, for nobody but its owner.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        crate::node::create_private(folder)?;
    }
    fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

fn beside(path: &Path) -> [PathBuf; 2] {
    BESIDE.map(|ending| {
        let mut name = OsString::from(path);
        name.push(ending);
        name.into()
    })
}

fn identity(path: &Path) -> io::Result<Identity> {
    fs::metadata(path).map(|file| (file.dev(), file.ino()))
}
