//! One command that runs: its pipes, its time, its end.
//!
//! Nothing here waits. [`Child::turn`] does what can be done now and says when to look again at the
//! latest; the poll in which the pipes and the process are registered says when to look before.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mio::unix::pipe::{Receiver, Sender};
use mio::{Interest, Poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};

use super::{COMMAND, Captured, Ended, Job, Outcome, Sink};

/// How often to look whether a command has ended where the system does not tell.
const TICK: Duration = Duration::from_millis(20);

/// Reads of one output in one turn: a bounded part of what a command prints without end.
const READS: usize = 16;

/// A command that runs.
#[derive(Debug)]
pub(super) struct Child {
    process: std::process::Child,
    leader: i32,
    input: Option<(Sender, Vec<u8>, usize)>,
    stdout: Stream,
    stderr: Stream,
    /// Becomes readable when the process ends.
    watch: Option<watch::Watch>,
    timeout: Duration,
    until: Instant,
    timed_out: bool,
}

/// An output that is read.
#[derive(Debug)]
struct Stream {
    pipe: Option<Receiver>,
    limit: usize,
    captured: Captured,
}

/// Ends a group of processes, its leader in any case.
pub(super) fn kill(leader: i32) {
    if let Some(leader) = Pid::from_raw(leader) {
        // The only way for these to fail is that nobody of the group is left.
        let _ = kill_process_group(leader, Signal::KILL);
        let _ = kill_process(leader, Signal::KILL);
    }
}

impl Child {
    /// Starts the command.
    pub(super) fn start(job: Job, poll: &Poll) -> io::Result<Self> {
        let mut words = job.words.iter();
        let mut command = Command::new(words.next().ok_or(io::ErrorKind::InvalidInput)?);
        command.args(words).envs(job.env).process_group(0);
        command.stdin(Stdio::piped()).stdout(job.stdout.stdio()).stderr(job.stderr.stdio());
        let mut process = command.spawn()?;
        let leader = i32::try_from(process.id()).unwrap_or(0);
        let input = process.stdin.take().map(Sender::from);
        let stdout = Stream::new(process.stdout.take().map(Receiver::from), job.stdout);
        let stderr = Stream::new(process.stderr.take().map(Receiver::from), job.stderr);
        let mut child = Self {
            input: input.map(|pipe| (pipe, job.input.into_bytes(), 0)),
            watch: watch::of(leader, poll),
            process,
            leader,
            stdout,
            stderr,
            timeout: job.timeout,
            until: Instant::now() + job.timeout,
            timed_out: false,
        };
        if let Err(error) = child.register(poll) {
            kill(leader);
            let _ = child.process.wait();
            return Err(error);
        }
        Ok(child)
    }

    fn register(&mut self, poll: &Poll) -> io::Result<()> {
        if let Some((pipe, ..)) = &mut self.input {
            pipe.set_nonblocking(true)?;
            poll.registry().register(pipe, COMMAND, Interest::WRITABLE)?;
        }
        for stream in [&mut self.stdout, &mut self.stderr] {
            if let Some(pipe) = &mut stream.pipe {
                pipe.set_nonblocking(true)?;
                poll.registry().register(pipe, COMMAND, Interest::READABLE)?;
            }
        }
        Ok(())
    }

    pub(super) fn leader(&self) -> i32 {
        self.leader
    }

    /// Does what can be done, and tells when to look again; `None`: only when the poll says so.
    pub(super) fn turn(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Duration> {
        self.write();
        let more = [&mut self.stdout, &mut self.stderr].map(|stream| stream.read(buffer));
        if !self.timed_out && now >= self.until {
            self.timed_out = true;
            kill(self.leader);
        }
        if more.contains(&true) {
            return Some(Duration::ZERO);
        }
        let left = (!self.timed_out).then(|| self.until.saturating_duration_since(now));
        let tick = self.watch.is_none().then_some(TICK);
        [left, tick].into_iter().flatten().min()
    }

    fn write(&mut self) {
        while let Some((pipe, bytes, written)) = &mut self.input {
            if *written == bytes.len() {
                self.input = None;
                return;
            }
            match pipe.write(&bytes[*written..]) {
                Ok(count) => *written += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                // A command need not read what it is given.
                Err(_) => self.input = None,
            }
        }
    }

    /// Whether the leader has ended. It is not reaped by asking.
    pub(super) fn has_ended(&self) -> bool {
        let Some(leader) = Pid::from_raw(self.leader) else { return true };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        match waitid(WaitId::Pid(leader), options) {
            Ok(ended) => ended.is_some(),
            Err(Errno::INTR) => false,
            // There is no such child.
            Err(_) => true,
        }
    }

    /// Reads what was printed before the end.
    pub(super) fn read_rest(&mut self, buffer: &mut [u8]) {
        for stream in [&mut self.stdout, &mut self.stderr] {
            stream.read(buffer);
        }
    }

    /// Takes the leader, which has ended, from the system's table.
    pub(super) fn reap(mut self) -> Outcome {
        let ended = match self.process.wait() {
            Ok(_) if self.timed_out => Ended::TimedOut(self.timeout),
            Ok(status) => Ended::Exited(status),
            Err(error) => Ended::NotStarted(error),
        };
        Outcome { ended, stdout: self.stdout.captured, stderr: self.stderr.captured }
    }
}

impl Sink {
    fn stdio(self) -> Stdio {
        match self {
            Self::Inherit => Stdio::inherit(),
            Self::Discard => Stdio::null(),
            Self::Capture(_) => Stdio::piped(),
        }
    }
}

impl Stream {
    fn new(pipe: Option<Receiver>, sink: Sink) -> Self {
        let limit = if let Sink::Capture(limit) = sink { limit } else { 0 };
        Self { pipe, limit, captured: Captured::default() }
    }

    /// Reads what is there, so much of it at most; whether there may be more.
    fn read(&mut self, buffer: &mut [u8]) -> bool {
        for _ in 0..READS {
            let Some(pipe) = &mut self.pipe else { return false };
            match pipe.read(buffer) {
                Ok(0) => self.pipe = None,
                Ok(count) => {
                    let room = self.limit - self.captured.bytes.len();
                    self.captured.bytes.extend_from_slice(&buffer[..count.min(room)]);
                    self.captured.cut |= count > room;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => self.pipe = None,
            }
        }
        self.pipe.is_some()
    }
}

/// How the system tells that a process has ended.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod watch {
    use std::os::fd::{AsRawFd, OwnedFd};

    use mio::unix::SourceFd;
    use mio::{Interest, Poll};
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    /// Stays registered for as long as it is open.
    pub(super) type Watch = OwnedFd;

    /// `None` where the kernel is too old for it.
    pub(super) fn of(leader: i32, poll: &Poll) -> Option<Watch> {
        let watch = pidfd_open(Pid::from_raw(leader)?, PidfdFlags::empty()).ok()?;
        let mut source = SourceFd(&watch.as_raw_fd());
        poll.registry().register(&mut source, super::COMMAND, Interest::READABLE).ok()?;
        Some(watch)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod watch {
    #[derive(Debug)]
    pub(super) enum Watch {}

    pub(super) fn of(_leader: i32, _poll: &mio::Poll) -> Option<Watch> {
        None
    }
}
