//! A process of a test: what it prints, what it is told, how it ends.

use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::lines::{Lines, PATIENCE};

/// A process that runs. A test that fails prints the end of what it had printed; it is killed when
/// the test drops it.
pub(crate) struct Running {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines,
    stderr: Lines,
}

/// What came of a process.
#[derive(Debug)]
pub(crate) struct Output {
    /// The exit code; none if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Running {
    /// Starts `command`; `name` is what failures call it.
    #[track_caller]
    pub(crate) fn start(name: String, command: &mut Command) -> Self {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let stdin = child.stdin.take();
        let stdout = Lines::of(child.stdout.take().unwrap());
        let stderr = Lines::of(child.stderr.take().unwrap());
        Self { name, child, stdin, stdout, stderr }
    }

    // What it prints.

    /// Waits for a line of standard output for which `is` holds, past ones included.
    #[track_caller]
    pub(crate) fn wait_for_line(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        self.expect(what, self.stdout.find(0, PATIENCE, |line| is(line).then(|| line.to_owned())))
    }

    /// The same, of standard error.
    #[track_caller]
    pub(crate) fn wait_for_complaint(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        self.expect(what, self.stderr.find(0, PATIENCE, |line| is(line).then(|| line.to_owned())))
    }

    /// Waits for an object on standard output for which `is` holds, past ones included.
    #[track_caller]
    pub(crate) fn wait_json(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        self.wait_json_since(0, what, is)
    }

    /// The same, not looking at what was printed before [`Running::mark`] gave `mark`.
    #[track_caller]
    pub(crate) fn wait_json_since(
        &self,
        mark: usize,
        what: &str,
        is: impl Fn(&Value) -> bool,
    ) -> Value {
        let found = self.stdout.find(mark, PATIENCE, |line| json(line).filter(|v| is(v)));
        self.expect(what, found)
    }

    /// Waits for the event `event` about the peer called `nick`.
    #[track_caller]
    pub(crate) fn wait_event(&self, event: &str, nick: &str) -> Value {
        self.wait_json(&format!("{event} {nick}"), |v| is_event(v, event, nick))
    }

    /// Waits for a message with just this text.
    #[track_caller]
    pub(crate) fn wait_message(&self, text: &str) -> Value {
        self.wait_json(&format!("message {text:?}"), |v| {
            v["event"] == "message" && v["text"] == text
        })
    }

    /// Waits until `time` has passed in which the event `event` about `nick` must not come: for
    /// stories that have a duration ("the cable was out for three seconds").
    #[track_caller]
    pub(crate) fn no_event_for(&self, time: Duration, event: &str, nick: &str) {
        let from = self.mark();
        let come = |line: &str| json(line).filter(|v| is_event(v, event, nick));
        if let Ok(line) = self.stdout.find(from, time, come) {
            panic!("{}: unexpected: {line}", self.name);
        }
    }

    /// How many lines it has printed.
    pub(crate) fn mark(&self) -> usize {
        self.stdout.so_far().len()
    }

    pub(crate) fn lines_so_far(&self) -> Vec<String> {
        self.stdout.so_far()
    }

    /// The objects printed so far for which `is` holds.
    pub(crate) fn json_so_far(&self, is: impl Fn(&Value) -> bool) -> Vec<Value> {
        self.lines_so_far().iter().filter_map(|line| json(line)).filter(is).collect()
    }

    /// The texts of all messages so far.
    pub(crate) fn texts(&self) -> Vec<String> {
        let messages = self.json_so_far(|v| v["event"] == "message");
        messages.iter().map(|v| v["text"].as_str().unwrap_or_default().to_owned()).collect()
    }

    // What it is told.

    /// Types a line.
    #[track_caller]
    pub(crate) fn type_line(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub(crate) fn type_bytes(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(&self) {
        self.signal("-INT");
    }

    /// `kill -9`: it can't say goodbye.
    pub(crate) fn kill(&self) {
        self.signal("-KILL");
    }

    /// Has it do nothing any more, though it is there.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Has it go on.
    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    /// `kill`: whoever looks after services does this.
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// The terminal is gone; for a daemon: read your configuration again.
    pub(crate) fn hang_up(&self) {
        self.signal("-HUP");
    }

    /// What it has complained about so far.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.stderr.so_far()
    }

    fn signal(&self, signal: &str) {
        // The shell's own kill: the program of that name is not everywhere.
        let kill = format!("kill {signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits until it has ended by itself, or closed its output; all that it has printed.
    #[track_caller]
    pub(crate) fn wait_for_end(&self) -> Vec<String> {
        assert!(self.stdout.end(), "{} did not end in time", self.name);
        self.stdout.so_far()
    }

    /// Types many lines from a thread, so that a process that takes them slowly holds nobody up, and
    /// closes its standard input behind them.
    pub(crate) fn type_all(&mut self, lines: impl Iterator<Item = String> + Send + 'static) {
        let Some(mut stdin) = self.stdin.take() else { return };
        std::thread::spawn(move || {
            for line in lines {
                if writeln!(stdin, "{line}").is_err() {
                    return; // it has ended
                }
            }
        });
    }

    /// The process's number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Closes its standard input and waits for its end.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Output {
        self.stdin = None;
        assert!(self.stdout.end() && self.stderr.end(), "{} did not end in time", self.name);
        let code = self.child.wait().unwrap().code();
        let [stdout, stderr] = [&self.stdout, &self.stderr].map(|lines| lines.so_far().join("\n"));
        Output { code, stdout, stderr }
    }

    #[track_caller]
    fn expect<T>(&self, what: &str, found: Result<T, &str>) -> T {
        found.unwrap_or_else(|why| panic!("{} should have printed: {what}, but {why}", self.name))
    }
}

impl Output {
    /// Demands an exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// The objects printed on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<Value> {
        let parse = |line: &str| json(line).unwrap_or_else(|| panic!("not JSON: {line}"));
        self.stdout.lines().map(parse).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, which is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            for (stream, lines) in [("out", &self.stdout), ("err", &self.stderr)] {
                let lines = lines.so_far();
                for line in &lines[lines.len().saturating_sub(15)..] {
                    eprintln!("{} {stream}| {line:.300}", self.name);
                }
            }
        }
    }
}

fn json(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok()
}

fn is_event(v: &Value, event: &str, nick: &str) -> bool {
    v["event"] == event && v["peer"]["nick"] == nick
}
