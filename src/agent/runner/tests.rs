use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::mpsc;

use super::*;

/// A runner of shell scripts that write into a folder of their own.
struct Rig {
    folder: PathBuf,
    runner: Runner,
    timeout: Duration,
    outcomes: mpsc::Receiver<Outcome>,
    sender: mpsc::Sender<Outcome>,
}

const LONG: Duration = Duration::from_secs(60);
const LIMITS: Limits = Limits { at_once: 4, backlog: 1_000 };

impl Rig {
    #[track_caller]
    fn new(name: &str) -> Self {
        let name = format!("cooee-{}-runner-{name}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let (sender, outcomes) = mpsc::channel();
        Self { folder, runner: Runner::new(LIMITS), timeout: LONG, outcomes, sender }
    }

    fn job(&self, script: &str) -> Job {
        let script = format!("cd '{}' || exit\n{script}", self.folder.display());
        Job {
            words: ["sh", "-c", &script].map(OsString::from).to_vec(),
            input: String::new(),
            env: Vec::new(),
            timeout: self.timeout,
            stdout: Sink::Capture(1_000),
            stderr: Sink::Discard,
        }
    }

    fn add(&self, job: Job) -> bool {
        let sender = self.sender.clone();
        self.runner.add(job, move |outcome| drop(sender.send(outcome)))
    }

    /// Runs one script to its end.
    #[track_caller]
    fn run(&self, script: &str) -> Outcome {
        assert!(self.add(self.job(script)));
        self.outcome()
    }

    #[track_caller]
    fn outcome(&self) -> Outcome {
        self.outcomes.recv_timeout(LONG).unwrap()
    }

    /// A file that a script wrote.
    #[track_caller]
    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.folder.join(file)).unwrap()
    }

    #[track_caller]
    fn wait_for(&self, file: &str) -> String {
        let deadline = Instant::now() + LONG;
        while !self.folder.join(file).exists() {
            assert!(Instant::now() < deadline, "{file} did not come");
            thread::yield_now();
        }
        self.read(file)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.runner.abort();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Whether a process ends; a zombie that nobody has reaped yet has. It was killed already, so it
/// only takes the system's time.
fn gone(pid: &str) -> bool {
    let path = format!("/proc/{}/stat", pid.trim());
    let deadline = Instant::now() + LONG;
    while Instant::now() < deadline {
        match fs::read_to_string(&path) {
            Ok(stat) if !stat.contains(") Z ") && !stat.contains(") X ") => thread::yield_now(),
            _ => return true,
        }
    }
    false
}

#[test]
fn the_outcome_says_how_it_ended_and_what_it_printed() {
    let rig = Rig::new("outcome");
    let outcome = rig.run("cat; echo \"$WHO\"");
    assert_eq!((outcome.ended.is_success(), &outcome.stdout.bytes[..]), (true, &b"\n"[..]));
    let job = Job {
        input: "in\n".into(),
        env: vec![("WHO", "$(ada)".into())],
        stderr: Sink::Capture(3),
        ..rig.job("cat; echo \"$WHO\"; echo wrong >&2; exit 7")
    };
    assert!(rig.add(job));
    let outcome = rig.outcome();
    assert_eq!(outcome.ended.to_string(), "ended with exit status: 7");
    assert_eq!(outcome.stdout, Captured { bytes: b"in\n$(ada)\n".to_vec(), cut: false });
    assert_eq!(outcome.stderr, Captured { bytes: b"wro".to_vec(), cut: true });
    let counts = rig.runner.counts();
    assert_eq!((counts.started, counts.failed, counts.running), (2, 1, 0));
}

#[test]
fn every_job_has_its_command_and_what_it_does_not_read_harms_nobody() {
    let rig = Rig::new("each");
    for _ in 0..20 {
        rig.add(Job { input: "\n".repeat(1 << 20), ..rig.job("echo x >> all") });
    }
    // Those that did not fit into what may wait were refused.
    rig.runner.finish(|| false);
    let counts = rig.runner.counts();
    assert_eq!(rig.read("all").lines().count() as u64, counts.started);
    assert_eq!(counts.started + counts.dropped, 20);
    assert!(counts.started >= 15, "{counts:?}");
}

#[test]
fn a_long_input_is_read_whole() {
    let rig = Rig::new("input");
    let job = Job { input: "0123456789".repeat(100_000), ..rig.job("sleep 0; wc -c") };
    assert!(rig.add(job));
    assert_eq!(String::from_utf8_lossy(&rig.outcome().stdout.bytes).trim(), "1000000");
}

#[test]
fn of_endless_output_the_beginning_is_kept_and_the_command_goes_on_to_its_end() {
    let rig = Rig::new("endless");
    let outcome = rig.run("head -c 300000000 /dev/zero; echo done > done");
    assert!(outcome.ended.is_success());
    assert_eq!((outcome.stdout.bytes.len(), outcome.stdout.cut), (1_000, true));
    assert!(outcome.stdout.bytes.capacity() < 10_000);
    assert_eq!(rig.read("done"), "done\n");
}

#[test]
fn a_command_whose_time_is_up_ends_with_all_that_it_started() {
    let mut rig = Rig::new("slow");
    rig.timeout = Duration::from_millis(200);
    let outcome = rig.run("sleep 1000 & echo $! > pid; wait; echo late > late");
    assert_eq!(outcome.ended.to_string(), "was killed: it ran for more than 200ms");
    assert!(!rig.folder.join("late").exists());
    assert!(gone(&rig.read("pid")));
    assert_eq!(rig.runner.counts().timed_out, 1);
}

#[test]
fn a_command_that_prints_without_end_or_ignores_every_signal_ends_in_time_too() {
    let mut rig = Rig::new("stubborn");
    rig.timeout = Duration::from_millis(200);
    for script in ["exec yes", "trap '' TERM INT HUP QUIT PIPE; while :; do :; done"] {
        assert!(matches!(rig.run(script).ended, Ended::TimedOut(_)), "{script}");
    }
}

#[test]
fn what_a_command_leaves_running_ends_with_it_and_is_not_waited_for() {
    let rig = Rig::new("left");
    assert!(rig.run("sleep 1000 & echo $! > pid").ended.is_success());
    assert!(gone(&rig.read("pid")));
    // Somebody who has left the group keeps the pipes open: that is no reason to wait.
    let outcome = rig.run("echo before; setsid sleep 1000 & echo $! > pid");
    assert!(outcome.ended.is_success());
    assert_eq!(outcome.stdout.bytes, b"before\n");
    if let Some(pid) = rig.read("pid").trim().parse().ok().and_then(rustix::process::Pid::from_raw)
    {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

#[test]
fn whoever_is_cut_short_leaves_nothing_behind() {
    let rig = Rig::new("cut");
    rig.add(rig.job("echo $$ > $$; mv $$ pid; exec sleep 1000"));
    rig.add(rig.job("echo $$ > $$; mv $$ pid; exec sleep 1000"));
    let pid = rig.folder.join("pid");
    rig.runner.finish(|| pid.exists());
    assert!(gone(&rig.read("pid")));
    assert!(matches!(rig.outcome().ended, Ended::Stopped));
    assert!(!rig.add(rig.job("true")), "nothing is started any more");
}

#[test]
fn whoever_waits_when_all_is_cut_short_hears_of_it() {
    let rig = Rig::new("waiting");
    let count = LIMITS.at_once + 3;
    for _ in 0..count {
        assert!(rig.add(rig.job("echo $$ > $$; mv $$ pid; exec sleep 1000")));
    }
    let pid = rig.folder.join("pid");
    rig.runner.finish(|| pid.exists());
    for _ in 0..count {
        assert!(matches!(rig.outcome().ended, Ended::Stopped));
    }
}

#[test]
fn who_drops_the_runner_ends_the_commands() {
    let mut rig = Rig::new("drop");
    rig.add(rig.job("echo $$ > new; mv new pid; exec sleep 1000"));
    let pid = rig.wait_for("pid");
    rig.runner = Runner::new(LIMITS);
    assert!(gone(&pid));
}

#[test]
fn a_command_that_does_not_exist_is_reported_and_the_next_job_tried() {
    let rig = Rig::new("nowhere");
    for _ in 0..2 {
        assert!(rig.add(Job { words: vec!["/nonexistent/command".into()], ..rig.job("") }));
        let why = rig.outcome().ended.to_string();
        assert!(why.starts_with("can't be started: No such file"), "{why}");
    }
    assert!(rig.add(Job { words: vec!["a\0b".into()], ..rig.job("") }));
    assert!(rig.outcome().ended.to_string().starts_with("can't be started"));
    assert!(rig.run("true").ended.is_success());
    assert_eq!(rig.runner.counts().not_started, 3);
}

#[test]
fn jobs_beyond_the_backlog_are_counted_and_refused_and_so_many_run_at_a_time() {
    let rig = Rig::new("full");
    let taken = (0..LIMITS.backlog + 10).filter(|_| rig.add(rig.job("exec sleep 1000"))).count();
    let counts = rig.runner.counts();
    assert!((LIMITS.backlog..=LIMITS.backlog + LIMITS.at_once).contains(&taken), "{taken}");
    assert_eq!(counts.dropped as usize, LIMITS.backlog + 10 - taken);
    let deadline = Instant::now() + LONG;
    while rig.runner.counts().running < LIMITS.at_once {
        assert!(Instant::now() < deadline);
    }
    rig.runner.abort();
    let counts = rig.runner.counts();
    assert_eq!((counts.running, counts.waiting, counts.started), (0, 0, LIMITS.at_once as u64));
}

#[test]
fn jobs_of_one_lane_wait_for_each_other_and_others_overtake_them() {
    let rig = Rig::new("lanes");
    let add = |lane, script: &str| {
        let sender = rig.sender.clone();
        rig.runner.add_to(lane, 1, rig.job(script), move |outcome| drop(sender.send(outcome)))
    };
    let wait = "while ! [ -e go ]; do sleep 0.01; done; echo first >> order";
    assert!(add(1, wait) && add(1, "echo second >> order") && add(2, "echo other > go"));
    for _ in 0..3 {
        assert!(rig.outcome().ended.is_success());
    }
    assert_eq!(rig.read("order"), "first\nsecond\n");
    assert!(rig.state().lanes.is_empty());
}

#[test]
fn a_runner_with_nothing_to_do_has_no_thread() {
    let rig = Rig::new("idle");
    assert!(rig.state().waker.is_none());
    rig.run("true");
    let deadline = Instant::now() + LONG;
    while rig.state().waker.is_some() {
        assert!(Instant::now() < deadline);
    }
    assert!(rig.run("true").ended.is_success(), "and can begin anew");
}

impl Rig {
    fn state(&self) -> MutexGuard<'_, State> {
        self.runner.0.lock()
    }
}
