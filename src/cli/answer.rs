//! `cooee answer`: answers others' questions, by a command for each or line by line from a pipe.
//!
//! Every question is answered, if only with why there is no answer, or passed at once: nobody waits
//! in vain. What runs is bounded in number, time and output.

mod pipe;

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::args;
use super::duration;
use super::exec::must_be_there;
use super::exit::{Exit, Failure};
use super::hub::{Happening, Hub};
use super::options::Settings;
use super::output::text::Style;
use super::output::{Out, json, note};
use super::session::{self, Role};
use crate::agent::Door;
use crate::agent::facts::Facts;
use crate::agent::runner::{Ended, Job, Limits, Outcome, Runner, Sink};
use crate::net::Clock;
use crate::node::{Notice, Notices};
use crate::proto::{Event, Outgoing, Question};
use crate::values::{Escaped, Level, limits};
use pipe::{Given, Turns};

/// How much is run, and how much waits.
const LIMITS: Limits = Limits { at_once: 4, backlog: 1_000 };

/// Exit codes of what was not run to its end, as shells and timeout(1) have them; and the one for
/// "try again later" (`EX_TEMPFAIL` of sysexits.h).
const TIMED_OUT: i32 = 124;
const CANNOT_RUN: i32 = 126;
const NOT_FOUND: i32 = 127;
const BUSY: i32 = 75;

/// Runs the command.
pub(super) fn run(args: args::Answer, mut settings: Settings) -> Result<Exit, Failure> {
    if args.timeout.is_zero() || args.timeout > limits::QUESTION_TIME {
        let most = duration::show(limits::QUESTION_TIME);
        return Err(Failure::Usage(format!(
            "--timeout {}: give at least 1ms and at most {most}; nobody waits longer for an answer",
            duration::show(args.timeout)
        )));
    }
    must_be_there(&args.command)?;
    let hub = Hub::new();
    let runner = Runner::new(LIMITS);
    let killer = runner.killer();
    hub.signals(move || killer.kill_all())?;
    let (node, notices) = open(&mut settings)?;
    hub.notices(notices);
    let node = Arc::new(node);
    let mut answerer = Answerer {
        node: Arc::clone(&node),
        out: Out::new(),
        style: Style::new(false),
        settings: &settings,
        timeout: args.timeout,
        word: args.word,
    };
    let ended = answerer.announce().and_then(|()| {
        if args.pipe {
            hub.input();
            answerer.answer_by_lines(&hub)
        } else {
            answerer.answer_by_command(&hub, &runner, &args.command)
        }
    });
    // What runs is killed; whoever asked hears that there is no answer.
    runner.abort();
    drop((answerer, runner));
    if let Some(node) = Arc::into_inner(node) {
        session::stop(node, &settings);
    }
    ended
}

/// A node that answers: the agent, or one of the command's own.
fn open(settings: &mut Settings) -> Result<(Door, Notices), Failure> {
    let node = match session::agent(settings)? {
        Some(client) => Door::Agent(client),
        None => Door::Own(session::own(settings, Role::Resident)?.0),
    };
    let notices = node.answering()?;
    Ok((node, notices))
}

struct Answerer<'a> {
    node: Arc<Door>,
    out: Out,
    style: Style,
    settings: &'a Settings,
    timeout: Duration,
    word: Option<String>,
}

impl Answerer<'_> {
    /// Says that every question from now on is answered.
    fn announce(&mut self) -> Result<(), Failure> {
        if !self.settings.quiet {
            let links = session::links(&self.node)?;
            note(format_args!("answering on {links}, group {}", self.settings.node.group));
        }
        Ok(())
    }

    /// The question, if it is one to be answered; others are passed.
    fn wanted(&self, question: Question) -> Option<Question> {
        let first = question.text.raw().split_whitespace().next();
        if self.word.as_deref().is_none_or(|word| first == Some(word)) {
            return Some(question);
        }
        reply(&self.node, question.number, None);
        None
    }

    fn answer_by_command(
        &mut self,
        hub: &Hub,
        runner: &Runner,
        words: &[OsString],
    ) -> Result<Exit, Failure> {
        loop {
            match hub.next(None) {
                Happening::Notice(Notice::Event(Event::Question(question))) => {
                    if let Some(question) = self.wanted(question) {
                        self.show(&question)?;
                        self.start(runner, words, &question);
                    }
                }
                Happening::Notice(notice) => self.complain(&notice),
                Happening::Signal => return Ok(Exit::Done),
                Happening::Stopped => return Err(Failure::Refused(self.node.why_silent())),
                Happening::Line(_) | Happening::End(_) | Happening::Time => {}
            }
        }
    }

    /// Prints a question that is going to be answered.
    fn show(&mut self, question: &Question) -> Result<(), Failure> {
        let clocks = self.node.clocks();
        if self.settings.quiet {
            Ok(())
        } else if self.settings.json {
            self.out.line(&json::asking::question(question, clocks))
        } else {
            let time = self.style.time(clocks.wall());
            let nick = self.style.nick(&question.nick, Some(&question.from));
            let mut line = format!("{time} {nick} asks: {}", question.text.escaped());
            if let Some(data) = &question.data {
                line = format!("{line} {}", Escaped::of(data.as_str()));
            }
            self.out.line(&line)
        }
    }

    /// Has the command run for a question.
    fn start(&self, runner: &Runner, words: &[OsString], question: &Question) {
        let facts = Facts::of_question(question, self.node.clocks());
        let job = Job {
            words: words.to_vec(),
            input: facts.json,
            env: facts.env,
            timeout: self.timeout,
            // All of an answer and the first byte that is too many for one.
            stdout: Sink::Capture(limits::TEXT + 1),
            stderr: Sink::Inherit,
        };
        let (node, number) = (Arc::clone(&self.node), question.number);
        let program = words.first().map(|word| word.to_string_lossy().into_owned());
        let program = program.unwrap_or_default();
        let taken = runner.add(job, move |outcome| {
            let given = answer(&program, &outcome);
            if let Some(Given { exit: Some(exit), text, .. }) = &given
                && [TIMED_OUT, CANNOT_RUN, NOT_FOUND].contains(exit)
            {
                let why = text.lines().last().unwrap_or_default();
                note(Escaped::of(why.trim_matches(['[', ']'])));
            }
            reply(&node, number, given);
        });
        if !taken {
            let why = format!("too busy: {} questions wait already", LIMITS.backlog);
            reply(&self.node, number, Some(Given::failed(BUSY, &why)));
        }
    }

    fn answer_by_lines(&mut self, hub: &Hub) -> Result<Exit, Failure> {
        let mut turns = Turns::new(LIMITS.backlog);
        loop {
            for number in turns.overdue(Instant::now()) {
                let why = format!("no answer within {}", duration::show(self.timeout));
                reply(&self.node, number, Some(Given::failed(TIMED_OUT, &why)));
            }
            match hub.next(turns.next()) {
                Happening::Notice(Notice::Event(Event::Question(question))) => {
                    let Some(question) = self.wanted(question) else { continue };
                    if turns.ask(question.number, Instant::now() + self.timeout) {
                        self.out.line(&json::asking::question(&question, self.node.clocks()))?;
                    } else {
                        let why = format!("too busy: {} questions wait already", LIMITS.backlog);
                        reply(&self.node, question.number, Some(Given::failed(BUSY, &why)));
                    }
                }
                Happening::Notice(notice) => self.complain(&notice),
                Happening::Line(line) => match turns.answer(line.text()) {
                    Some((number, given)) => reply(&self.node, number, given),
                    None if self.settings.quiet => {}
                    None => note("a line answers no question that waits; it was dropped"),
                },
                Happening::Time => {}
                Happening::End(Some(e)) => return Err(Failure::input(&e)),
                Happening::End(None) => {
                    // Whoever gives the answers has ended; what was answered still has to leave.
                    turns.rest().for_each(|number| reply(&self.node, number, None));
                    return Ok(Exit::Done);
                }
                Happening::Signal => return Ok(Exit::Done),
                Happening::Stopped => return Err(Failure::Refused(self.node.why_silent())),
            }
        }
    }

    fn complain(&self, notice: &Notice) {
        let fault = matches!(
            notice,
            Notice::LinkDown { .. }
                | Notice::Missed(_)
                | Notice::Dropped { .. }
                | Notice::Event(Event::Cloned { .. })
        );
        if fault && !self.settings.quiet || self.settings.verbose {
            self.style.notice(notice).into_iter().for_each(note);
        }
    }
}

/// Answers, or passes.
fn reply(node: &Door, number: u64, given: Option<Given>) {
    // If the node is gone, the command ends, and says so.
    let _ = match given {
        None => node.reply(number, None, None, true),
        Some(Given { text, data, exit, last }) => {
            let (at, level) = (Clock::wall(), Level::default());
            node.reply(number, Some(Outgoing { at, text, data, level }), exit, last)
        }
    };
}

/// The answer that a command has given; none if it was only stopped.
fn answer(program: &str, outcome: &Outcome) -> Option<Given> {
    let printed = String::from_utf8_lossy(&outcome.stdout.bytes);
    let mut notes = Vec::new();
    let exit = match &outcome.ended {
        Ended::Stopped => return None,
        Ended::Exited(status) => {
            if !status.success() && printed.trim_end().is_empty() {
                notes.push(format!("{program} {}", outcome.ended));
            }
            // Of one that was killed as shells have it.
            status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
        }
        Ended::TimedOut(_) => {
            notes.push(format!("{program} {}", outcome.ended));
            TIMED_OUT
        }
        Ended::NotStarted(error) => {
            notes.push(format!("{program} {}", outcome.ended));
            if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { CANNOT_RUN }
        }
    };
    let text = printed.trim_end_matches(['\n', '\r']);
    if text.len() > limits::TEXT || outcome.stdout.cut {
        let most = limits::TEXT / 1_024;
        notes.insert(0, format!("cut: {program} printed more than {most} KiB"));
    }
    let notes: Vec<String> = notes.iter().map(|note| format!("[{note:.200}]")).collect();
    let notes = notes.join("\n");
    let text = match (text, notes.as_str()) {
        (text, "") => text.to_owned(),
        ("", notes) => notes.to_owned(),
        (text, notes) => {
            let mut end = limits::TEXT.saturating_sub(notes.len() + 1).min(text.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            format!("{}\n{notes}", &text[..end])
        }
    };
    Some(Given { text, data: None, exit: Some(exit), last: true })
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use super::*;
    use crate::agent::runner::Captured;

    fn given(ended: Ended, bytes: &[u8], cut: bool) -> Given {
        let stdout = Captured { bytes: bytes.to_vec(), cut };
        answer("cmd", &Outcome { ended, stdout, stderr: Captured::default() }).unwrap()
    }

    fn exited(code: i32) -> Ended {
        Ended::Exited(ExitStatus::from_raw(code << 8))
    }

    #[test]
    fn an_answer_is_what_was_printed_and_the_exit_code() {
        let given = given(exited(0), b"one\ntwo\n\n", false);
        assert_eq!((given.text.as_str(), given.exit), ("one\ntwo", Some(0)));
        let given = super::tests::given(exited(3), b"no such disk\xff\n", false);
        assert_eq!((given.text.as_str(), given.exit), ("no such disk\u{fffd}", Some(3)));
    }

    #[test]
    fn why_there_is_no_answer_is_said() {
        let silent = given(exited(3), b"\n", false);
        assert_eq!(
            (silent.text.as_str(), silent.exit),
            ("[cmd ended with exit status: 3]", Some(3))
        );
        let killed = given(Ended::Exited(ExitStatus::from_raw(9)), b"", false);
        assert_eq!(killed.exit, Some(137));
        let slow = given(Ended::TimedOut(Duration::from_secs(1)), b"so far\n", false);
        assert_eq!(slow.text, "so far\n[cmd was killed: it ran for more than 1s]");
        assert_eq!(slow.exit, Some(TIMED_OUT));
        let none = given(Ended::NotStarted(io::ErrorKind::NotFound.into()), b"", false);
        assert!(none.text.starts_with("[cmd can't be started:") && none.exit == Some(NOT_FOUND));
        let outcome = Outcome {
            ended: Ended::Stopped,
            stdout: Captured::default(),
            stderr: Captured::default(),
        };
        assert!(answer("cmd", &outcome).is_none());
    }

    #[test]
    fn too_much_is_cut_and_marked_whatever_it_is() {
        for byte in [b'x', 0xff, b'\n'] {
            let mut bytes = vec![byte; limits::TEXT + 1];
            bytes[limits::TEXT] = b'x';
            for cut in [false, true] {
                let text = given(exited(0), &bytes, cut).text;
                assert!(text.len() <= limits::TEXT, "{}", text.len());
                assert!(text.ends_with("\n[cut: cmd printed more than 64 KiB]"));
            }
        }
        let whole = given(exited(0), &vec![b'x'; limits::TEXT], false).text;
        assert_eq!(whole.len(), limits::TEXT);
    }
}
