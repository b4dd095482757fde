//! The lines that a process prints, as they come.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How long a test waits for something before it gives up. Never a figure that a test asserts: a
/// slow machine is no failure, so this is far longer than anything that a test waits for takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// One stream of a process, read to its end by a thread.
#[derive(Clone)]
pub(crate) struct Lines(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    /// Reads `stream` to its end.
    pub(crate) fn of(stream: impl Read + Send + 'static) -> Self {
        let lines = Self(Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() }));
        let reader = lines.clone();
        std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = match std::str::from_utf8(&line) {
                    Ok(text) => text.trim_end_matches('\n').to_owned(),
                    Err(_) => format!("NOT UTF-8: {}", line.escape_ascii()),
                };
                reader.change(|state| state.lines.push(text));
                line.clear();
            }
            reader.change(|state| state.ended = true);
        });
        lines
    }

    fn change(&self, f: impl FnOnce(&mut State)) {
        f(&mut self.state());
        self.0.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// All lines up to now.
    pub(crate) fn so_far(&self) -> Vec<String> {
        self.state().lines.clone()
    }

    /// The first line from number `from` on of which `find` makes something, or why there is none.
    pub(crate) fn find<T>(
        &self,
        from: usize,
        patience: Duration,
        find: impl Fn(&str) -> Option<T>,
    ) -> Result<T, &'static str> {
        let mut next = from;
        self.until(patience, |state| {
            let found = state.lines.iter().skip(next).find_map(|line| find(line));
            next = next.max(state.lines.len());
            found.map(Ok).or_else(|| state.ended.then_some(Err("the process had ended")))
        })
        .unwrap_or(Err("it didn't come in time"))
    }

    /// Waits for the end of the stream; whether it came.
    pub(crate) fn end(&self) -> bool {
        self.until(PATIENCE, |state| state.ended.then_some(())).is_some()
    }

    fn until<T>(&self, patience: Duration, mut f: impl FnMut(&State) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + patience;
        let mut state = self.state();
        loop {
            if let Some(result) = f(&state) {
                return Some(result);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            state = self.0.changed.wait_timeout(state, left).unwrap().0;
        }
    }
}

/// Asks `f` again and again until it makes something; for what tells nobody when it changes, such
/// as the kernel's tables. `f` runs a process, which paces this.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut f: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(result) = f() {
            return result;
        }
    }
    panic!("{what}: it didn't come in time");
}
