//! The other end of the control socket: what a command does through the agent.
//!
//! Two connections: one on which a request waits for its reply, and, for those who want to know
//! what happens, one on which a thread reads.

use std::io::{self, BufRead, BufReader, Write};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::objects::asking::{self, Read};
use super::objects::{Clocks, read};
use super::protocol::{About, Line, Reply};
use super::survey::Need;
use crate::net::Clock;
use crate::node::{Feeder, Notice, Notices, feed};
use crate::proto::{Event, Outgoing, PeerInfo, TellError};
use crate::values::{ChannelName, NodeId, limits};
use crate::wire::Profile;

/// How long a reply is waited for. The agent answers within milliseconds unless it is stopped or
/// has much to send.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why the agent did not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ClientError {
    /// It is gone, or does not answer. The command may be tried again.
    #[error("the agent has ended, or does not answer: {0}")]
    Lost(String),
    /// It said no, and why. Nothing was done.
    #[error("the agent refused: {0}")]
    Refused(String),
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        Self::Lost(error.to_string())
    }
}

/// A connection on which each request has its reply.
#[derive(Debug)]
struct Channel {
    stream: BufReader<UnixStream>,
    count: u64,
}

/// Lines that the agent sends.
#[derive(Debug)]
pub(crate) struct Lines(Channel);

impl Lines {
    /// The next one.
    pub(crate) fn next(&mut self) -> Result<String, ClientError> {
        let mut text = String::new();
        if self.0.stream.read_line(&mut text)? == 0 {
            return Err(ClientError::Lost("it closed the connection".to_owned()));
        }
        Ok(text)
    }
}

/// A client of the agent.
#[derive(Debug)]
pub(crate) struct Client {
    path: PathBuf,
    requests: Mutex<Channel>,
    /// The writing half of the other connection, once there is one.
    events: Mutex<Option<UnixStream>>,
    tickets: Mutex<u64>,
    /// How many of a channel's last messages are wanted when it is joined.
    history: AtomicU32,
    /// What the agent says of itself was changed for as long as this client is there.
    renamed: AtomicBool,
    about: About,
    id: NodeId,
    clock: Clock,
}

impl Client {
    /// Connects to the agent, if there is one.
    pub(crate) fn connect(path: &Path) -> Result<Self, ClientError> {
        let mut requests = Channel::open(path)?;
        let reply = requests.ask(&mut Line { verb: "hello".to_owned(), ..Line::default() })?;
        let about = reply.about.ok_or_else(|| ClientError::Lost("no hello".to_owned()))?;
        let id = about.id.parse().map_err(|e| ClientError::Lost(format!("its id: {e}")))?;
        Ok(Self {
            path: path.to_owned(),
            requests: Mutex::new(requests),
            events: Mutex::new(None),
            tickets: Mutex::new(0),
            history: AtomicU32::new(0),
            renamed: AtomicBool::new(false),
            about,
            id,
            clock: Clock::new(),
        })
    }

    /// Who the agent is.
    pub(crate) fn about(&self) -> &About {
        &self.about
    }

    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    pub(crate) fn links(&self) -> Vec<(String, IpAddr)> {
        self.about.links.iter().map(|link| (link.name.clone(), link.addr)).collect()
    }

    pub(crate) fn clocks(&self) -> Clocks {
        Clocks::new(self.clock.now(), Clock::wall())
    }

    /// Asks for something and waits for the reply.
    pub(crate) fn ask(&self, mut line: Line) -> Result<Reply, ClientError> {
        lock(&self.requests).ask(&mut line)
    }

    pub(crate) fn peers(&self) -> Result<Vec<PeerInfo>, ClientError> {
        let reply = self.ask(Line { verb: "peers".to_owned(), ..Line::default() })?;
        let list = reply.peers.and_then(|list| read::peers(&list, self.clocks()));
        list.ok_or_else(|| ClientError::Lost("its list of peers can't be read".to_owned()))
    }

    pub(crate) fn say(
        &self,
        channel: &ChannelName,
        what: Outgoing,
        cast: bool,
    ) -> Result<(), ClientError> {
        let verb = if cast { "cast" } else { "say" };
        let channel = Some(channel.as_str().to_owned());
        let line = Line { channel, ..Line::saying(verb, what) };
        // On the connection of a client that listens, so that it does not hear itself.
        match &mut *lock(&self.events) {
            Some(stream) => Ok(write(stream, &line)?),
            None => Ok(write(lock(&self.requests).stream.get_mut(), &line)?),
        }
    }

    /// Waits until the agent has done everything it was asked for; an error if it refused any.
    /// Returns how many peers it knows.
    pub(crate) fn settle(&self) -> Result<usize, ClientError> {
        let reply = self.ask(Line { verb: "hello".to_owned(), ..Line::default() })?;
        Ok(reply.about.map_or(0, |about| about.peers))
    }

    /// Takes part in a channel for as long as this client is there.
    pub(crate) fn membership(&self, verb: &str, channel: &ChannelName) -> Result<(), ClientError> {
        let channel = Some(channel.as_str().to_owned());
        let history = Some(self.history.load(Ordering::Relaxed)).filter(|last| *last > 0);
        self.send(&Line { verb: verb.to_owned(), channel, history, ..Line::default() })
    }

    /// Tells a peer. The outcome is a notice with the returned ticket.
    pub(crate) fn tell(&self, to: NodeId, what: Outgoing) -> Result<u64, ClientError> {
        let ticket = {
            let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
            *tickets += 1;
            *tickets
        };
        self.send(&Line {
            n: Some(ticket),
            to: Some(to.to_string()),
            ..Line::saying("tell", what)
        })?;
        Ok(ticket)
    }

    /// Makes the agent's nick and absence those of `profile`, until [`Client::restore`].
    pub(crate) fn set_profile(&self, profile: &Profile) -> Result<(), ClientError> {
        self.renamed.store(true, Ordering::Relaxed);
        let nick = Some(profile.nick.raw().to_owned());
        self.ask(Line { verb: "nick".to_owned(), nick, ..Line::default() })?;
        let text = profile.away.as_ref().map(|away| away.raw().to_owned());
        self.ask(Line { verb: "away".to_owned(), text, ..Line::default() }).map(drop)
    }

    /// Gives the agent back the nick it had, and its user's presence: what is said in a chat goes
    /// with the chat.
    pub(crate) fn restore(&self) -> Result<(), ClientError> {
        if !self.renamed.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let nick = Some(self.about.nick.clone());
        self.ask(Line { verb: "nick".to_owned(), nick, ..Line::default() })?;
        self.ask(Line { verb: "away".to_owned(), ..Line::default() }).map(drop)
    }

    /// What happens from now on, in these channels and around; before that the last messages of each
    /// channel, so many of it, and of each that is joined later.
    pub(crate) fn subscribe(
        &self,
        channels: &[ChannelName],
        events: bool,
        history: u32,
    ) -> Result<Notices, ClientError> {
        self.history.store(history, Ordering::Relaxed);
        let channels = channels.iter().map(|channel| channel.as_str().to_owned()).collect();
        self.open(Line {
            verb: "listen".to_owned(),
            channels: Some(channels),
            events: Some(events),
            history: Some(history).filter(|last| *last > 0),
            ..Line::default()
        })
    }

    /// Has others' questions sent here from now on; they come as notices.
    pub(crate) fn answering(&self) -> Result<Notices, ClientError> {
        self.open(Line { verb: "answer".to_owned(), ..Line::default() })
    }

    /// Answers a question; without `what`, gives no answer, or no more.
    pub(crate) fn reply(
        &self,
        question: u64,
        what: Option<Outgoing>,
        exit: Option<i32>,
        last: bool,
    ) -> Result<(), ClientError> {
        let line = match what {
            Some(what) => Line { exit, last: Some(last), ..Line::saying("reply", what) },
            None => Line { verb: "reply".to_owned(), pass: Some(true), ..Line::default() },
        };
        self.send(&Line { question: Some(question), ..line })
    }

    /// Asks for something on a connection of its own, on which the agent then sends lines for `wait`
    /// at most.
    pub(crate) fn stream(&self, line: &Line, wait: Duration) -> Result<Lines, ClientError> {
        let mut channel = Channel::open(&self.path)?;
        channel.stream.get_ref().set_read_timeout(Some(wait + PATIENCE))?;
        write(channel.stream.get_mut(), line)?;
        Ok(Lines(channel))
    }

    /// Has everyone in a channel confirm what was said there. It goes on the connection on which it was
    /// said, so behind it; whatever is asked for afterwards has another one.
    pub(crate) fn confirm(
        &self,
        channel: &ChannelName,
        need: Need,
        wait: Duration,
    ) -> Result<Lines, ClientError> {
        let line = Line {
            verb: "confirm".to_owned(),
            channel: Some(channel.as_str().to_owned()),
            need: Some(need.to_string()).filter(|need| !need.is_empty()),
            wait_ms: Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            ..Line::default()
        };
        let next = Channel::open(&self.path)?;
        let mut channel = std::mem::replace(&mut *lock(&self.requests), next);
        channel.stream.get_ref().set_read_timeout(Some(wait + PATIENCE))?;
        write(channel.stream.get_mut(), &line)?;
        Ok(Lines(channel))
    }

    /// Opens the other connection with this request.
    fn open(&self, mut line: Line) -> Result<Notices, ClientError> {
        let mut channel = Channel::open(&self.path)?;
        channel.ask(&mut line)?;
        channel.stream.get_ref().set_read_timeout(None)?;
        *lock(&self.events) = Some(channel.stream.get_ref().try_clone()?);
        let (feeder, notices) = feed();
        let clock = self.clock;
        thread::spawn(move || channel.listen(&feeder, clock));
        Ok(notices)
    }

    fn send(&self, line: &Line) -> Result<(), ClientError> {
        match &mut *lock(&self.events) {
            Some(stream) => Ok(write(stream, line)?),
            None => Err(ClientError::Lost("nothing is listened to".to_owned())),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    /// A request that says something.
    pub(super) fn saying(verb: &str, what: Outgoing) -> Self {
        Self {
            verb: verb.to_owned(),
            text: Some(what.text),
            data: what.data.and_then(|data| serde_json::from_slice(data.as_str().as_bytes()).ok()),
            level: Some(what.level.to_string()),
            ..Self::default()
        }
    }
}

fn write(stream: &mut UnixStream, line: &Line) -> io::Result<()> {
    let text = serde_json::to_string(line).map_err(io::Error::other)? + "\n";
    stream.write_all(text.as_bytes())
}

impl Channel {
    fn open(path: &Path) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream), count: 0 })
    }

    fn ask(&mut self, line: &mut Line) -> Result<Reply, ClientError> {
        self.count += 1;
        line.n = Some(self.count);
        // One that turns us away has said why before it closed.
        let written = write(self.stream.get_mut(), line);
        let mut refused = None;
        loop {
            let mut text = String::new();
            let read = self.stream.read_line(&mut text);
            if !matches!(read, Ok(bytes) if bytes > 0) {
                let why = match (&written, &read) {
                    (Err(e), _) | (_, Err(e)) => e.to_string(),
                    _ => "it closed the connection".to_owned(),
                };
                return Err(refused.unwrap_or(ClientError::Lost(why)));
            }
            let reply: Reply = serde_json::from_slice(text.as_bytes())
                .map_err(|e| ClientError::Lost(e.to_string()))?;
            let last = reply.n == line.n;
            if !reply.ok && refused.is_none() {
                let why = reply.error.clone();
                let why = why.unwrap_or_else(|| "it gives no reason".to_owned());
                refused = Some(ClientError::Refused(why));
            }
            if last {
                return refused.map_or(Ok(reply), Err);
            }
        }
    }

    /// Hands on what happens until one of the two ends is gone.
    fn listen(mut self, feeder: &Feeder, clock: Clock) {
        let mut text = String::new();
        loop {
            text.clear();
            if !matches!(self.stream.read_line(&mut text), Ok(bytes) if bytes > 0) {
                return;
            }
            let clocks = Clocks::new(clock.now(), Clock::wall());
            let notice =
                read::notice(&text, clocks).or_else(|| question(&text)).or_else(|| outcome(&text));
            if let Some(notice) = notice
                && !feeder.tell(notice)
            {
                return;
            }
        }
    }
}

/// A question for a client that answers.
fn question(text: &str) -> Option<Notice> {
    match asking::read(text)? {
        Read::Question(question) => Some(Notice::Event(Event::Question(question))),
        Read::Answer(_) | Read::Answered(_) => None,
    }
}

/// The reply to `tell`.
fn outcome(text: &str) -> Option<Notice> {
    let reply: Reply = serde_json::from_slice(text.as_bytes()).ok()?;
    let ticket = reply.n?;
    Some(Notice::Event(match reply.took_ms {
        Some(took) if reply.ok => {
            let took = Duration::try_from_secs_f64(took / 1_000.0).unwrap_or_default();
            Event::Told { ticket, took }
        }
        _ if reply.ok => return None,
        _ => Event::NotTold { ticket, why: why(reply.error.as_deref()) },
    }))
}

fn why(text: Option<&str>) -> TellError {
    let all = [TellError::Unknown, TellError::BadKey, TellError::Busy];
    let said = all.into_iter().find(|error| text == Some(error.to_string().as_str()));
    said.unwrap_or(TellError::Unanswered)
}

/// Where the agent of this user listens, unless said otherwise.
pub(crate) fn usual_socket(runtime: Option<&Path>, state: Option<&Path>) -> Option<PathBuf> {
    // In the state folder a socket's path may be too long; the kernel says so then.
    runtime.map(|dir| dir.join("cooee.sock")).or_else(|| state.map(|dir| dir.join("agent.sock")))
}

const _: () = assert!(super::protocol::LINE > 6 * (limits::TEXT + limits::DATA));
