//! `listen --exec`: a command run for each message, without a shell.
//!
//! [`Runner`] bounds it in every direction; this file says so to the user.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::exit::Failure;
use super::output::note;
use crate::agent::facts::Facts;
use crate::agent::objects::Clocks;
use crate::agent::runner::{Ended, Job, Killer, Limits, Runner, Sink};
use crate::proto::Message;
use crate::values::Escaped;

/// How much is run, and how much waits.
const LIMITS: Limits = Limits { at_once: 4, backlog: 1_000 };

/// Runs the commands.
#[derive(Debug)]
pub(super) struct Exec {
    words: Vec<OsString>,
    timeout: Duration,
    runner: Runner,
    /// That messages are dropped was said.
    complained: AtomicBool,
}

/// Refuses a command whose program is nowhere, before the first message would find out.
pub(super) fn must_be_there(words: &[OsString]) -> Result<(), Failure> {
    let Some(program) = words.first().map(Path::new) else { return Ok(()) };
    let here = |path: &Path| fs::metadata(path).is_ok_and(|meta| meta.is_file());
    let found = if program.components().count() > 1 || program.has_root() {
        here(program)
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| here(&folder.join(program)))
    };
    if found {
        return Ok(());
    }
    let program = program.display().to_string();
    Err(Failure::Refused(format!(
        "{}: there is no such program; give its path, or see PATH",
        Escaped::of(&program)
    )))
}

impl Exec {
    /// `words` is the command and its arguments.
    pub(super) fn new(words: Vec<OsString>, timeout: Duration) -> Result<Self, Failure> {
        if timeout.is_zero() {
            let cause = "--exec-timeout: no command ends in no time; give at least 1ms";
            return Err(Failure::Usage(cause.to_owned()));
        }
        must_be_there(&words)?;
        let runner = Runner::new(LIMITS);
        Ok(Self { words, timeout, runner, complained: AtomicBool::new(false) })
    }

    /// For ending everything from another thread.
    pub(super) fn killer(&self) -> Killer {
        self.runner.killer()
    }

    /// Has the command run for one more message, or drops it when too many wait.
    pub(super) fn add(&self, message: &Message, clocks: Clocks) {
        let facts = Facts::of(message, clocks);
        let job = Job {
            words: self.words.clone(),
            input: facts.json,
            env: facts.env,
            timeout: self.timeout,
            stdout: Sink::Inherit,
            stderr: Sink::Inherit,
        };
        let program = self.program();
        let taken = self.runner.add(job, move |outcome| match outcome.ended {
            Ended::Stopped => {}
            ended if ended.is_success() => {}
            ended => note(format_args!("{program} {ended}")),
        });
        if !taken && !self.complained.swap(true, Ordering::Relaxed) {
            let (program, backlog) = (self.program(), LIMITS.backlog);
            note(format_args!("{program} is too slow: {backlog} messages wait, more are dropped"));
        }
    }

    /// Runs what still waits, unless `cut_short` says to stop.
    pub(super) fn finish(self, cut_short: impl FnMut() -> bool) {
        self.runner.finish(cut_short);
        self.report();
    }

    /// Kills what runs and forgets what waits.
    pub(super) fn abort(self) {
        self.runner.abort();
        self.report();
    }

    fn report(&self) {
        let dropped = self.runner.counts().dropped;
        if dropped > 0 {
            let program = self.program();
            note(format_args!("{program} was too slow: {dropped} messages were dropped"));
        }
    }

    fn program(&self) -> String {
        let program = self.words.first().map(|word| word.to_string_lossy()).unwrap_or_default();
        Escaped::of(&program).to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::agent::objects::tests::a_message;

    #[test]
    fn a_command_gets_the_message_as_json_and_in_its_environment() {
        let folder = std::env::temp_dir().join(format!("cooee-exec-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let script = format!(
            "cd '{}' && cat > json; echo \"$COOEE_CHANNEL|$COOEE_FROM_NICK|$COOEE_LEVEL|\
             $COOEE_AT|$COOEE_VERIFIED|$COOEE_TEXT\" > env",
            folder.display()
        );
        let words = ["sh", "-c", &script].map(OsString::from).to_vec();
        let exec = Exec::new(words, Duration::from_secs(60)).unwrap();
        let mut message = a_message();
        message.text = "$(reboot) `x` \0 \"q\"".into();
        exec.add(&message, Clocks::zero());
        exec.finish(|| false);
        let env = fs::read_to_string(folder.join("env")).unwrap();
        assert_eq!(env, "ops|ada|warn|2026-11-22T21:34:00.123Z|true|$(reboot) `x` ? \"q\"\n");
        let json = fs::read_to_string(folder.join("json")).unwrap();
        assert_eq!(json, Facts::of(&message, Clocks::zero()).json);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn no_time_at_all_is_refused() {
        assert!(matches!(Exec::new(vec!["true".into()], Duration::ZERO), Err(Failure::Usage(_))));
    }
}
