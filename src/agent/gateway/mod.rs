//! The line gateway: whoever has `nc` or `telnet` takes part, with no program of ours.
//!
//! ```text
//!   nc ──TCP──▶ caller: reader, output, LocalNode ◀──UDP──▶ the LAN
//!   nc ──TCP──▶ caller: reader, output, LocalNode ◀──UDP──▶
//!                  ╰────────── one poll, one thread: desk ──▶ count ──▶ the agent's tag
//! ```
//!
//! Each client, here a *caller*, is a node of its own, so to everybody else it is a peer like any
//! other: it joins, leaves, is renamed, is told things. The gateway has a thread of its own, so no
//! caller holds the agent up; nothing waits for a caller, and what waits to be read by one is bounded.
//! What is typed and what is shown is plain text; `docs/gateway.md` is the page for users.

mod callers;
mod desk;
mod listener;
mod output;
mod reader;
mod shown;
mod talker;
mod typing;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::net::TcpListener;
use mio::{Poll, Waker};

use self::desk::{Desk, WAKER};
pub(super) use self::listener::listen;
pub(crate) use self::listener::{GatewayError, is_private};
use super::log::Log;
use crate::node;

/// Callers at a time; further ones are told so and let go.
const CALLERS: usize = 64;

/// Callers from one address at a time, unless it is this host's own: one host does not take all
/// places. Further ones are told so and let go.
const CALLERS_OF_ONE: usize = 16;

/// Connections that are over but for their last words; with more, those without are cut.
const LINGERING: usize = 64;

/// Newcomers a second, each of whom the whole LAN hears of; [`NEWCOMER_BURST`] at once. Further ones
/// are asked to try again.
const NEWCOMER_RATE: u32 = 4;

/// See [`NEWCOMER_RATE`].
const NEWCOMER_BURST: u32 = 64;

/// Channels in which one caller takes part: each is a group that the host joins. More are refused.
const CHANNELS: usize = 16;

/// Bytes of the longest line, as long as a terminal sends one. A longer one is not said, and the
/// caller is told.
const LINE: usize = 4_096;

/// Lines a second that are taken from one caller; [`LINE_BURST`] at once. The rest waits, in the end
/// at the sender, who is told so.
const LINE_RATE: u32 = 10;

/// See [`LINE_RATE`].
const LINE_BURST: u32 = 20;

/// How often a caller is told that its lines wait.
const TELL_SLOWED: Duration = Duration::from_secs(60);

/// Bytes that wait for one caller at most: a text of 64 KiB of which every character is escaped has
/// room. More is missed, counted, and told of later.
const WAITING: usize = 512 * 1024;

/// Bytes that wait for one caller in the kernel, before more waits here.
const KERNEL_WAITING: usize = 64 * 1024;

/// How long a caller for whom so much waits may read nothing before it is cut off.
const STALLED: Duration = Duration::from_secs(10);

/// How long a caller may take to give a nick.
const NAMING: Duration = Duration::from_secs(60);

/// How long the last words to a caller may take to leave.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long is read after them, for nothing, what it still sends: a connection that is closed with
/// something unread loses what was written to it.
const PARTING: Duration = Duration::from_millis(500);

/// How long a newcomer looks who is there before its lines are said: where multicast does not reach
/// all, the others have to be known.
const LOOK: Duration = Duration::from_secs(1);

/// How long a caller's node stays when it goes, so that what it has said last arrives.
const CHANCE: Duration = Duration::from_secs(1);

/// How long the outcome of direct messages is waited for when a caller goes.
const OUTCOME: Duration = Duration::from_secs(5);

/// A connection on which nothing arrives is asked after this time whether anybody is there,
const KEEPALIVE: Duration = Duration::from_secs(15);

/// and then this often,
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// and is over when nothing has been acknowledged for so long.
const UNANSWERED: Duration = Duration::from_secs(25);

/// Peers that `\who` lists at most; the others are counted.
const LISTED: usize = 200;

const _: () = assert!(LISTED * 512 < WAITING);
const _: () = assert!(LINE < crate::values::limits::TEXT);
const _: () = assert!(CHANNELS < crate::values::limits::CHANNELS);

/// What the gateway is told when it starts.
#[derive(Clone, Debug)]
pub(crate) struct GatewayOptions {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// How long a caller may type nothing; `None`: for ever.
    pub(crate) idle: Option<Duration>,
}

/// What the gateway's thread and the agent both see.
#[derive(Debug, Default)]
struct Shared {
    stopping: AtomicBool,
    /// Callers with a nick.
    connected: AtomicUsize,
    counts: Counts,
}

/// How often each limit was met.
#[derive(Debug, Default)]
struct Counts {
    refused: AtomicU64,
    too_long: AtomicU64,
    not_text: AtomicU64,
    slowed: AtomicU64,
    missed: AtomicU64,
    cut_off: AtomicU64,
    idle: AtomicU64,
    unnamed: AtomicU64,
}

impl Counts {
    fn rows(&self) -> [(&'static str, u64); 8] {
        [
            ("gateway_refused", &self.refused),
            ("gateway_too_long", &self.too_long),
            ("gateway_not_text", &self.not_text),
            ("gateway_slowed", &self.slowed),
            ("gateway_missed", &self.missed),
            ("gateway_cut_off", &self.cut_off),
            ("gateway_idle", &self.idle),
            ("gateway_unnamed", &self.unnamed),
        ]
        .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }
}

/// One more of those.
fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// The gateway of an agent. Dropping it sends every caller away, with a goodbye.
#[derive(Debug)]
pub(crate) struct Gateway {
    addr: SocketAddr,
    shared: Arc<Shared>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Gateway {
    /// Serves whoever comes to `listener`. A caller's node is started as `node` says, under the
    /// caller's nick.
    pub(super) fn start(
        listener: TcpListener,
        options: GatewayOptions,
        node: node::Options,
        log: Log,
    ) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let shared = Arc::new(Shared::default());
        let mut desk = Desk::open(poll, listener, options, node, log, Arc::clone(&shared))?;
        let thread = std::thread::Builder::new().name("gateway".to_owned());
        let seen = Arc::clone(&shared);
        let thread = thread.spawn(move || {
            if let Err(error) = desk.serve() {
                log.warn(&format!("the gateway does not work any more: {error}"));
            }
            seen.connected.store(0, Ordering::Relaxed);
        })?;
        log.info(&format!("the gateway listens: nc {} {} takes part", addr.ip(), addr.port()));
        Ok(Self { addr, shared, waker, thread: Some(thread) })
    }

    /// Callers with a nick.
    pub(super) fn connected(&self) -> usize {
        self.shared.connected.load(Ordering::Relaxed)
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(super) fn counters(&self) -> [(&'static str, u64); 8] {
        self.shared.counts.rows()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        // Without a wake-up it looks within a second.
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            // If it has panicked it has said so.
            let _ = thread.join();
        }
    }
}
