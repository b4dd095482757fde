//! Where a node's key is kept, so that it is the same node after a restart.
//!
//! The state folder holds one key file for each node of this user that ever ran at the same time
//! as others: `key.0` is taken by the first, `key.1` by a second beside it, and so on. Whoever
//! holds the lock on a file is that node; so no two nodes share an identity. A node that is to be the
//! same for ever, whatever runs beside it, has a key with a name (`key.agent`). Beside each key stands the epoch of its last run, so that epochs
//! grow even when the clock was set back.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;

use super::StartError;
use crate::net::{Clock, entropy};
use crate::values::{Epoch, NodeId};
use crate::wire::Identity;

/// Nodes of one user on one host that keep their identities.
const SLOTS: usize = 1_024;

/// An identity and the lock that makes it this node's alone.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) identity: Identity,
    pub(super) epoch: Epoch,
    /// What the user should know, a sentence each.
    pub(super) warnings: Vec<String>,
    /// Locked for as long as it is open.
    pub(super) lock: Option<File>,
    /// Where to keep what it has said last.
    pub(super) spoken: Option<PathBuf>,
}

/// The identity of that `name`, or the first of `folder`, that no other node uses; one only in memory where there is no
/// folder or it can't be written.
///
/// # Errors
/// The system gives no entropy.
pub(super) fn load(folder: Option<&Path>, name: Option<&str>) -> io::Result<Kept> {
    let Some(folder) = folder else { return in_memory(Vec::new()) };
    match from_folder(folder, name) {
        Ok(kept) => Ok(kept),
        Err(error) => in_memory(vec![format!(
            "the state folder {} can't be used ({error}): this node's id lasts only as long as \
             it runs; make the folder writable, or name another in COOEE_STATE_DIR",
            folder.display()
        )]),
    }
}

fn in_memory(warnings: Vec<String>) -> io::Result<Kept> {
    let identity = Identity::from_secret(entropy()?);
    Ok(Kept { identity, epoch: Clock::wall().0, warnings, lock: None, spoken: None })
}

fn from_folder(folder: &Path, name: Option<&str>) -> io::Result<Kept> {
    create_private(folder)?;
    let numbers = (0..SLOTS).map(|number| number.to_string());
    for slot in name.map(str::to_owned).into_iter().chain(numbers) {
        if let Some(kept) = take(folder, &slot, true)? {
            return Ok(kept);
        }
    }
    Err(io::Error::other(format!("all of its {SLOTS} keys are in use")))
}

/// The identity in one key file; `None` if another node has it. A damaged one is replaced if `renew`.
fn take(folder: &Path, slot: &str, renew: bool) -> io::Result<Option<Kept>> {
    let path = folder.join(format!("key.{slot}"));
    must_be_a_file(&path)?;
    let mut file = private().create(true).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let mut warnings = Vec::new();
    let secret = read_or_make(&mut file, slot, renew, &mut warnings)?;
    let epoch = next_epoch(&folder.join(format!("epoch.{slot}")))?;
    let identity = Identity::from_secret(secret);
    let spoken = Some(folder.join(format!("spoken.{slot}")));
    Ok(Some(Kept { identity, epoch, warnings, lock: Some(file), spoken }))
}

/// The identity of that `name` in `folder`, and no other.
pub(super) fn load_same(folder: Option<&Path>, name: Option<&str>) -> Result<Kept, StartError> {
    let (folder, key) = whose(folder, name)?;
    let taken = create_private(folder).and_then(|()| take(folder, key, false));
    let (key, folder) = (key.to_owned(), folder.to_owned());
    match taken {
        Ok(Some(kept)) => Ok(kept),
        Ok(None) => Err(StartError::KeyInUse { key, folder }),
        Err(error) => Err(StartError::Key { key, folder, error }),
    }
}

/// The id that belongs to the key of that name, which is made if there is none.
pub(super) fn id_of(folder: Option<&Path>, name: Option<&str>) -> Result<NodeId, StartError> {
    let (folder, key) = whose(folder, name)?;
    // Read as it stands, since the node whose key it is may hold the lock.
    let text = fs::read(folder.join(format!("key.{key}"))).unwrap_or_default();
    match secret_in(&text) {
        Some(secret) => Ok(Identity::from_secret(secret).id()),
        None => Ok(load_same(Some(folder), Some(key))?.identity.id()),
    }
}

fn whose<'a>(
    folder: Option<&'a Path>,
    name: Option<&'a str>,
) -> Result<(&'a Path, &'a str), StartError> {
    let (key, path) = (name.unwrap_or_default(), folder.unwrap_or(Path::new("")));
    if let (Some(folder), Some(name)) = (folder, name) {
        return Ok((folder, name));
    }
    let error = io::Error::other("who is to be the same needs a folder and a key with a name");
    Err(StartError::Key { key: key.to_owned(), folder: path.to_owned(), error })
}

/// The secret that a key file's bytes are.
fn secret_in(text: &[u8]) -> Option<[u8; 32]> {
    HEXLOWER.decode(text.trim_ascii_end()).ok()?.try_into().ok()
}

/// Gives the node of that name another identity, from its next start on.
///
/// # Errors
/// The key can't be written, or the system gives no entropy.
#[cfg(feature = "cli")]
pub(crate) fn renew(folder: &Path, name: &str) -> io::Result<()> {
    let secret = HEXLOWER.encode(&entropy()?);
    replace(&folder.join(format!("key.{name}")), |file| {
        writeln!(file, "{secret}")?;
        file.get_ref().sync_all()
    })
}

/// Writes a file of the state folder anew, all or nothing: whoever reads it sees it whole.
pub(super) fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut part = path.to_owned().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    must_be_a_file(&part)?;
    let mut file = BufWriter::new(private().create(true).truncate(true).open(&part)?);
    write(&mut file)?;
    file.flush()?;
    fs::rename(part, path)
}

/// Opening a pipe would wait for its other end.
fn must_be_a_file(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(meta) if !meta.is_file() => Err(io::Error::other(format!(
            "{} is no ordinary file; remove it",
            path.file_name().unwrap_or_default().display()
        ))),
        _ => Ok(()),
    }
}

fn private() -> OpenOptions {
    let mut options = File::options();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes a folder that is for its owner alone, and those above it that are missing.
pub(crate) fn create_private(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// The secret in a key file that this process has locked; a new one if there is none.
fn read_or_make(
    file: &mut File,
    slot: &str,
    renew: bool,
    warnings: &mut Vec<String>,
) -> io::Result<[u8; 32]> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = file.metadata()?.permissions().mode();
        if mode & 0o077 != 0 {
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            warnings.push(format!(
                "key.{slot} in the state folder could be read by other users; now it can't, but \
                 if one of them may have read it, delete it to get a new identity"
            ));
        }
    }
    let mut text = Vec::new();
    // A file that can't be read is as good as one with the wrong text.
    let readable = file.read_to_end(&mut text).is_ok();
    if let Some(secret) = secret_in(&text) {
        return Ok(secret);
    }
    if !readable || !text.is_empty() {
        if !renew {
            return Err(io::Error::other("it is damaged; put a copy of it back"));
        }
        warnings.push(format!(
            "key.{slot} in the state folder was damaged: this node has a new identity"
        ));
    }
    let secret = entropy()?;
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", HEXLOWER.encode(&secret))?;
    file.sync_all()?;
    Ok(secret)
}

fn next_epoch(path: &Path) -> io::Result<Epoch> {
    must_be_a_file(path)?;
    let last = fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<Epoch>().ok());
    let now = Clock::wall().0;
    // A number beyond any clock was not written by this program.
    let last = last.filter(|&last| last < u64::MAX / 2).unwrap_or_default();
    let epoch = now.max(last + 1);
    let mut file = private().create(true).truncate(true).open(path)?;
    writeln!(file, "{epoch}")?;
    Ok(epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> std::path::PathBuf {
        let name = format!("cooee-identity-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn a_node_keeps_its_identity_and_two_at_once_have_two() {
        let folder = folder("keeps");
        let first = load(Some(&folder), None).unwrap();
        let second = load(Some(&folder), None).unwrap();
        assert_eq!(first.warnings, [""; 0]);
        assert_ne!(first.identity.id(), second.identity.id());
        let (id, epoch) = (first.identity.id(), first.epoch);
        drop(first);
        let again = load(Some(&folder), None).unwrap();
        assert_eq!(again.identity.id(), id);
        assert!(again.epoch > epoch);
        fs::remove_dir_all(folder).unwrap();
    }

    #[cfg(feature = "cli")]
    #[test]
    fn a_renewed_identity_is_another_and_stays() {
        let folder = folder("renewed");
        let named = || load(Some(&folder), Some("agent")).unwrap();
        let (before, other) = (named(), load(Some(&folder), None).unwrap());
        renew(&folder, "agent").unwrap();
        let after = named();
        assert!(after.identity.id() != before.identity.id() && after.epoch > before.epoch);
        assert_ne!(after.identity.id(), other.identity.id());
        let id = after.identity.id();
        drop((before, after));
        assert_eq!(named().identity.id(), id);
        fs::remove_dir_all(folder).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_named_key_is_the_same_whatever_runs_beside_it() {
        let folder = folder("named");
        let named = || load(Some(&folder), Some("agent")).unwrap();
        let id = named().identity.id();
        let first = load(Some(&folder), None).unwrap();
        assert_eq!(named().identity.id(), id);
        assert_ne!(first.identity.id(), id);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_key_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder("private");
        drop(load(Some(&folder), None).unwrap());
        let key = folder.join("key.0");
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        let kept = load(Some(&folder), None).unwrap();
        assert!(kept.warnings[0].contains("could be read by other users"));
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn who_is_to_be_the_same_is_nobody_else_though_its_key_is_in_use_or_damaged() {
        let folder = folder("same");
        let same = || load_same(Some(&folder), Some("office"));
        let id = || id_of(Some(&folder), Some("office")).unwrap();
        let first_seen = id();
        let running = same().unwrap();
        assert_eq!(running.identity.id(), first_seen);
        assert_eq!(id(), first_seen, "it can be told while the node runs");
        assert!(matches!(same(), Err(StartError::KeyInUse { .. })));
        drop(running);
        assert_eq!(same().unwrap().identity.id(), first_seen);
        fs::write(folder.join("key.office"), "rubbish").unwrap();
        assert!(matches!(same(), Err(StartError::Key { .. })));
        assert_eq!(fs::read_to_string(folder.join("key.office")).unwrap(), "rubbish");
        for (folder, name) in [(None, Some("office")), (Some(&*folder), None)] {
            assert!(matches!(load_same(folder, name), Err(StartError::Key { .. })));
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_in_place_of_the_key_holds_nobody_up() {
        let folder = folder("pipe");
        fs::create_dir_all(&folder).unwrap();
        let made = std::process::Command::new("mkfifo").arg(folder.join("key.0")).status();
        assert!(made.unwrap().success());
        let kept = load(Some(&folder), None).unwrap();
        assert!(kept.warnings[0].contains("key.0 is no ordinary file"), "{:?}", kept.warnings);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_damaged_key_or_folder_costs_the_identity_and_not_the_node() {
        let folder = folder("damaged");
        drop(load(Some(&folder), None).unwrap());
        fs::write(folder.join("key.0"), b"\xff\xfe").unwrap();
        fs::write(folder.join("epoch.0"), b"18446744073709551615").unwrap();
        let kept = load(Some(&folder), None).unwrap();
        assert!(kept.warnings[0].contains("damaged"), "{:?}", kept.warnings);
        assert!(kept.epoch < u64::MAX / 2);
        let kept = load(Some(Path::new("/dev/null/x")), None).unwrap();
        assert!(kept.warnings[0].contains("can't be used"), "{:?}", kept.warnings);
        fs::remove_dir_all(folder).unwrap();
    }
}
