//! What the agent opens before it serves: the control socket, for its own user only, and the signals
//! as something to read; what it is told, and why it can't.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::net::UnixListener;
use rustix::process::{Resource, getrlimit, getuid, setrlimit};

use super::gateway::{GatewayError, GatewayOptions};
use super::log::Log;
use super::reload::{Configuration, Source};
use crate::node::{Options, StartError, Stopped};

/// What an agent is told when it starts.
#[derive(Debug)]
pub(crate) struct AgentOptions {
    /// The node's.
    pub(crate) node: Options,
    /// Where to listen.
    pub(crate) socket: PathBuf,
    /// Where history and memberships are kept; `None`: nowhere.
    pub(crate) folder: Option<PathBuf>,
    /// Notes on standard error: as little as possible, or as much.
    pub(crate) log: Log,
    /// What the user has configured.
    pub(crate) configuration: Configuration,
    /// For reading it again.
    pub(crate) source: Source,
    /// For those who have no program of ours.
    pub(crate) gateway: Option<GatewayOptions>,
}

/// Why an agent can't start, or has ended. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    /// See [`StartError`].
    #[error(transparent)]
    Start(#[from] StartError),
    /// Another agent serves that socket.
    #[error("an agent is running already, at {0}; `cooee stop` ends it")]
    Running(String),
    /// The socket can't be made.
    #[error("the socket {path} can't be opened: {error}; name another with --socket")]
    Socket {
        /// Where.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// The gateway can't listen.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The system refused something else.
    #[error("the system refused: {0}")]
    System(#[from] io::Error),
    /// The node does not work any more.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Opens the control socket. One that an agent left behind when it was killed is replaced.
pub(super) fn listen(path: &Path) -> Result<UnixListener, AgentError> {
    let failed = |error| AgentError::Socket { path: path.display().to_string(), error };
    if let Some(folder) = path.parent() {
        crate::node::create_private(folder).map_err(failed)?;
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
