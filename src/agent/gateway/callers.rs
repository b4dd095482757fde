//! One caller: its connection from the greeting to the last words.
//!
//! ```text
//!   Naming ──nick──▶ Talking ──▶ Over ──▶ closed
//!      ╰───────────────────────────▲
//! ```
//!
//! A caller has bounded turns. What it costs at most: one chunk and one line of input, [`WAITING`]
//! bytes of output, and a node.
//!
//! [`WAITING`]: super::WAITING

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use mio::net::TcpStream;
use socket2::SockRef;

use super::desk::House;
use super::output::Output;
use super::reader::Typed;
use super::talker::Talker;
use super::typing::{CHUNK, Next, Typing};
use super::{LAST_WORDS, LINE_RATE, NAMING, PARTING, TELL_SLOWED, count};
use crate::talk::commands::{self, Action};
use crate::values::{ChannelName, Escaped, Instant, Nick, duration};

/// Lines of one caller before the others have their turn.
const LINES: usize = 16;

/// A caller.
#[derive(Debug)]
pub(super) struct Caller {
    /// Its place among the callers.
    slot: usize,
    stream: TcpStream,
    addr: SocketAddr,
    typing: Typing,
    output: Output,
    told_slowed: Option<Instant>,
    /// When it came; once it has a nick, when it typed a line last.
    typed: Instant,
    phase: Phase,
}

/// How far it is.
#[derive(Debug)]
enum Phase {
    /// Asked for a nick.
    Naming,
    /// Under a nick.
    Talking(Box<Talker>),
    /// What waits for it still goes out, until then at the latest; what it sends is thrown away.
    /// Nothing is left to be sent once it is `shut`.
    Over { until: Instant, shut: bool },
}

impl Caller {
    pub(super) fn new(slot: usize, stream: TcpStream, addr: SocketAddr, now: Instant) -> Self {
        Self {
            slot,
            stream,
            addr,
            typing: Typing::new(now),
            output: Output::new(),
            told_slowed: None,
            typed: now,
            phase: Phase::Naming,
        }
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(super) fn talker(&self) -> Option<&Talker> {
        match &self.phase {
            Phase::Talking(talker) => Some(talker),
            Phase::Naming | Phase::Over { .. } => None,
        }
    }

    /// Whether only its last words are still to leave.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over { .. })
    }

    /// The connection has something to read, or has ended.
    pub(super) fn is_readable(&mut self) {
        self.typing.is_readable();
    }

    /// Says who answers here, and asks for a nick.
    pub(super) fn greet(&mut self, house: &House) {
        self.tell(
            &format!(
                "* cooee on {}: which nick? Type it, then talk; \\help lists the commands",
                house.host()
            ),
            house.now(),
        );
    }

    /// Does what there is to do; whether the caller is to be forgotten.
    pub(super) fn turn(&mut self, house: &mut House) -> bool {
        if self.is_over() {
            return self.linger(house);
        }
        let vanished = self.read(house).is_err();
        if let Phase::Talking(talker) = &mut self.phase
            && talker.turn(&mut self.output, house.style(), house.now(), house).is_err()
        {
            self.leave(house, "! your node does not work any more; goodbye", "its node failed");
        }
        self.look_at_the_time(house);
        let now = house.now();
        house.counts().missed.fetch_add(self.output.count_missed(), Ordering::Relaxed);
        match self.output.flush(&mut self.stream, now) {
            Ok(()) if vanished => self.vanish(house, "gone without a word"),
            Ok(()) => false,
            Err(e) if e.kind() == io::ErrorKind::TimedOut => {
                count(&house.counts().cut_off);
                self.vanish(house, "cut off: it reads nothing")
            }
            Err(_) => self.vanish(house, "gone without a word"),
        }
    }

    /// When it wants a turn even if nothing happens before.
    pub(super) fn wait(&self, house: &House) -> Duration {
        let now = house.now();
        let rest = match &self.phase {
            Phase::Naming => (self.typed + NAMING).since(now),
            Phase::Talking(talker) => {
                let idle =
                    house.idle().map_or(Duration::MAX, |idle| (self.typed + idle).since(now));
                talker.wait(now).min(idle)
            }
            Phase::Over { until, .. } => until.since(now),
        };
        let input = if self.hears() { self.typing.wait() } else { Duration::MAX };
        // One that does not read is looked at again, to be cut off.
        let output = if self.output.is_empty() { Duration::MAX } else { Duration::from_secs(1) };
        rest.min(input).min(output)
    }

    /// Whether what it types is to be read.
    fn hears(&self) -> bool {
        let hears = match &self.phase {
            Phase::Naming => true,
            Phase::Talking(talker) => talker.hears(),
            Phase::Over { .. } => false,
        };
        hears && !self.output.is_full()
    }

    /// Reads and does what was typed. An error means that the connection is broken.
    fn read(&mut self, house: &mut House) -> io::Result<()> {
        for _ in 0..LINES {
            if !self.hears() {
                return Ok(());
            }
            match self.typing.next(&mut self.stream, &mut self.output, house.now())? {
                Next::Typed(typed) => self.take(typed, house),
                Next::Slowed => {
                    self.tell_slowed(house);
                    return Ok(());
                }
                Next::Nothing => return Ok(()),
            }
        }
        Ok(())
    }

    fn take(&mut self, typed: Typed, house: &mut House) {
        let now = house.now();
        if matches!(self.phase, Phase::Talking(_)) {
            self.typed = now;
        }
        let line = match typed {
            Typed::Line(line) => line,
            Typed::Leave => {
                self.typing.answer_the_rest(&mut self.output);
                return self.go(house);
            }
            Typed::TooLong => {
                count(&house.counts().too_long);
                let why =
                    format!("! a line has at most {} bytes; this one was not said", super::LINE);
                return self.tell(&why, now);
            }
            Typed::NotText => {
                count(&house.counts().not_text);
                return self.tell("! the line is not UTF-8 text; it was not said", now);
            }
        };
        let action = commands::read(&line);
        match &mut self.phase {
            Phase::Naming => self.name(&line, action, house),
            Phase::Talking(talker) => match action {
                Ok(None) => {}
                Ok(Some(Action::Quit)) => self.go(house),
                Ok(Some(Action::Nick(nick))) if !house.claim(self.slot, &nick) => {
                    self.tell(&taken(&nick), now);
                }
                Ok(Some(action)) => {
                    if let Action::Nick(nick) = &action {
                        house.note(&format!("{} is now {nick}", self.addr));
                    }
                    talker.act(action, &mut self.output, house.style(), now);
                }
                Err(why) => self.tell(&format!("! {why}"), now),
            },
            Phase::Over { .. } => {}
        }
    }

    /// Takes a line for the nick that was asked for.
    fn name(&mut self, line: &str, action: Result<Option<Action>, String>, house: &mut House) {
        // A page in a browser can make it send lines to this host's own ports.
        if line.contains(" HTTP/") {
            return self.leave(house, "! this is no web server", "it speaks HTTP");
        }
        let nick = match action {
            Ok(None) => return self.greet(house),
            Ok(Some(Action::Say(text))) => text.parse::<Nick>().map_err(|e| e.to_string()),
            Ok(Some(Action::Nick(nick))) => Ok(nick),
            Ok(Some(Action::Quit)) => return self.go(house),
            Ok(Some(Action::Help)) => return self.tell(&help(), house.now()),
            Ok(Some(_)) => Err("first a nick: type the name to appear under".to_owned()),
            Err(why) => Err(why),
        };
        if let Err(why) = nick.and_then(|nick| self.enter(&nick, house)) {
            self.tell(&format!("! {why}"), house.now());
        }
    }

    /// Becomes a node under that nick.
    fn enter(&mut self, nick: &Nick, house: &mut House) -> Result<(), String> {
        if !house.claim(self.slot, nick) {
            return Err(taken(nick).split_off(2));
        }
        let talker = match house.welcome(self.slot, nick) {
            Ok(talker) => talker,
            Err(why) => {
                house.release(self.slot);
                return Err(why);
            }
        };
        let (number, lobby) = (house.connected(), ChannelName::LOBBY);
        self.typed = house.now();
        self.tell(&format!("* you are {nick} in #{lobby}; {number} connected here"), self.typed);
        house.note(&format!("{nick} came from {}; {number} connected", self.addr));
        self.phase = Phase::Talking(Box::new(talker));
        Ok(())
    }

    fn tell_slowed(&mut self, house: &House) {
        let now = house.now();
        if self.told_slowed.is_some_and(|last| now.since(last) < TELL_SLOWED) {
            return;
        }
        self.told_slowed = Some(now);
        count(&house.counts().slowed);
        self.tell(&format!("! {LINE_RATE} lines a second are taken; the others wait"), now);
    }

    fn look_at_the_time(&mut self, house: &mut House) {
        let now = house.now();
        match &self.phase {
            Phase::Naming if now.since(self.typed) >= NAMING => {
                count(&house.counts().unnamed);
                self.leave(house, "! no nick was given; goodbye", "it gave no nick");
            }
            Phase::Talking(talker) if talker.is_done(now) => {
                self.leave(house, "* goodbye", "it left");
            }
            Phase::Talking(_) => {
                let Some(idle) = house.idle().filter(|idle| now.since(self.typed) >= *idle) else {
                    return;
                };
                count(&house.counts().idle);
                let why = format!("! nothing was typed for {}; goodbye", duration::show(idle));
                self.leave(house, &why, "it was idle");
            }
            Phase::Naming | Phase::Over { .. } => {}
        }
    }

    /// Goes, of its own will.
    fn go(&mut self, house: &mut House) {
        match &mut self.phase {
            Phase::Talking(talker) => talker.go(house.now()),
            Phase::Naming => self.leave(house, "* goodbye", "it left"),
            Phase::Over { .. } => {}
        }
    }

    /// Ends with last words. Its node says goodbye, and its nick is free.
    pub(super) fn leave(&mut self, house: &mut House, last: &str, why: &str) {
        self.tell(last, house.now());
        self.end(house, why);
    }

    /// Is told why it is not let in.
    pub(super) fn turn_away(&mut self, house: &House, why: &str) {
        self.tell(why, house.now());
        self.phase = Phase::Over { until: house.now() + LAST_WORDS, shut: false };
    }

    fn end(&mut self, house: &mut House, why: &str) {
        let nick = house.release(self.slot);
        if let Some(talker) = self.talker() {
            house.farewell(talker.node().id());
            let (nick, left) = (nick.unwrap_or_default(), house.connected());
            let nick = Escaped::of(&nick);
            house.note(&format!("{nick} from {} is gone: {why}; {left} connected", self.addr));
        } else if !self.is_over() {
            house.note_now_and_then(&format!("{} is gone without a nick: {why}", self.addr));
        }
        self.phase = Phase::Over { until: house.now() + LAST_WORDS, shut: false };
    }

    /// Ends at once; always `true`.
    fn vanish(&mut self, house: &mut House, why: &str) -> bool {
        self.end(house, why);
        true
    }

    /// Gives the last words their time; whether it is over.
    fn linger(&mut self, house: &House) -> bool {
        let Phase::Over { until, shut } = &mut self.phase else { return false };
        let now = house.now();
        if now >= *until {
            // `nc` waits for its user to type something, unless the connection is reset.
            let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
            return true;
        }
        if self.output.flush(&mut self.stream, now).is_err() {
            return true;
        }
        if self.output.is_empty() && !*shut {
            (*shut, *until) = (true, now + PARTING);
            if self.stream.shutdown(Shutdown::Write).is_err() {
                return true;
            }
        }
        let mut nowhere = [0; CHUNK];
        for _ in 0..LINES {
            match self.stream.read(&mut nowhere) {
                Ok(0) => return *shut,
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => return true,
            }
        }
        false
    }

    pub(super) fn tell(&mut self, what: &str, now: Instant) {
        self.output.line(what, now);
    }
}

fn taken(nick: &Nick) -> String {
    format!("! somebody here is called {nick} already; choose another name")
}

fn help() -> String {
    let lines: Vec<String> = commands::help().lines().map(|line| format!("* {line}")).collect();
    lines.join("\n")
}
