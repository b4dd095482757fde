//! What the agent opens before it serves: the control socket, for its own user only, and the signals
//! as something to read.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::net::UnixListener;
use rustix::process::{Resource, getrlimit, getuid, setrlimit};

use super::server::AgentError;

/// Opens the control socket. One that an agent left behind when it was killed is replaced.
pub(super) fn listen(path: &Path) -> Result<UnixListener, AgentError> {
    let failed = |error| AgentError::Socket { path: path.display().to_string(), error };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let listener = match UnixListener::bind(path) {
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
            let is_socket = fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
            if !is_socket {
                return Err(failed(io::Error::other("it is there, and no socket")));
            }
            match std::os::unix::net::UnixStream::connect(path) {
                Ok(_) => return Err(AgentError::Running(path.display().to_string())),
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
                    fs::remove_file(path).map_err(failed)?;
                    UnixListener::bind(path).map_err(failed)?
                }
                Err(e) => return Err(failed(e)),
            }
        }
        bound => bound.map_err(failed)?,
    };
    // Whoever came in before this is turned away by his credentials.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

/// Whether the client belongs to the agent's user, or to root.
pub(super) fn is_ours(stream: &mio::net::UnixStream) -> bool {
    rustix::net::sockopt::socket_peercred(stream)
        .is_ok_and(|credentials| credentials.uid == getuid() || credentials.uid.is_root())
}

/// The signals that an agent listens to.
#[derive(Debug)]
pub(super) struct Signals {
    /// Readable when there was one.
    pub(super) stream: mio::net::UnixStream,
    /// It is to end.
    stop: Arc<AtomicBool>,
    /// It is to read its configuration again.
    reload: Arc<AtomicBool>,
}

impl Signals {
    /// Catches them from now on.
    pub(super) fn catch() -> io::Result<Self> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let (stop, reload) = (Arc::default(), Arc::default());
        for (signal, flag) in [(SIGINT, &stop), (SIGTERM, &stop), (SIGHUP, &reload)] {
            // First the flag: who is woken finds it.
            signal_hook::flag::register(signal, Arc::clone(flag))?;
            signal_hook::low_level::pipe::register(signal, theirs.try_clone()?)?;
        }
        Ok(Self { stream: mio::net::UnixStream::from_std(ours), stop, reload })
    }

    /// Which there were since the last call: whether to end, and whether to read the configuration
    /// again.
    pub(super) fn take(&mut self) -> (bool, bool) {
        let mut bytes = [0; 64];
        // What matters is that there was one; more of them come as another.
        while matches!(self.stream.read(&mut bytes), Ok(count) if count == bytes.len()) {}
        let [stop, reload] = [&self.stop, &self.reload];
        (stop.swap(false, Ordering::AcqRel), reload.swap(false, Ordering::AcqRel))
    }
}

/// As many open files as the system allows: each client is one.
pub(super) fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // With fewer, fewer clients are let in.
    let _ = setrlimit(Resource::Nofile, limit);
}
