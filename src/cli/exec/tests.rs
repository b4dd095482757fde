use std::fs;
use std::path::PathBuf;

use super::*;
use crate::agent::objects::tests::a_message;
use crate::values::limits;

/// A runner of a shell script that writes into a folder of its own.
struct Rig {
    folder: PathBuf,
    runner: Runner,
}

impl Rig {
    #[track_caller]
    fn new(name: &str, script: &str, timeout: Duration) -> Self {
        let folder = std::env::temp_dir().join(format!("cooee-{}-exec-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let script = format!("cd '{}' || exit\n{script}", folder.display());
        let words = ["sh", "-c", &script].map(OsString::from).to_vec();
        Self { folder, runner: Runner::start(words, timeout).unwrap() }
    }

    fn add(&self, text: &str) {
        let mut message = a_message();
        message.text = text.into();
        self.runner.add(Job::of(&message, Clocks::zero()));
    }

    /// Lets everything run to its end, and reads a file that the script wrote.
    #[track_caller]
    fn finish(self, file: &str) -> String {
        self.runner.finish(|| false);
        let text = fs::read_to_string(self.folder.join(file)).unwrap_or_default();
        fs::remove_dir_all(&self.folder).unwrap();
        text
    }
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_command_gets_the_message_as_json_and_in_its_environment() {
    let script = "cat > json; echo \"$COOEE_CHANNEL|$COOEE_FROM_NICK|$COOEE_LEVEL|$COOEE_AT|\
                  $COOEE_VERIFIED|$COOEE_TEXT\" > env";
    let rig = Rig::new("both", script, LONG);
    rig.add("$(reboot) `x` \0 \"q\"");
    let folder = rig.folder.clone();
    rig.runner.finish(|| false);
    let env = fs::read_to_string(folder.join("env")).unwrap();
    assert_eq!(env, "ops|ada|warn|2026-11-22T21:34:00.123Z|true|$(reboot) `x` ? \"q\"\n");
    let json = fs::read_to_string(folder.join("json")).unwrap();
    assert!(json.starts_with("{\"event\":\"message\"") && json.ends_with("}\n"), "{json}");
    assert!(json.contains("\\u0000"), "{json}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn every_message_has_its_command_and_what_it_does_not_read_harms_nobody() {
    let rig = Rig::new("each", "echo x >> all", LONG);
    let long = "\n".repeat(limits::TEXT);
    for _ in 0..20 {
        rig.add(&long);
    }
    assert_eq!(rig.finish("all").lines().count(), 20);
}

#[test]
fn a_command_whose_time_is_up_ends_with_all_that_it_started() {
    let rig = Rig::new(
        "slow",
        "sleep 1000 & echo $! > pid; wait; echo late > late",
        Duration::from_millis(200),
    );
    let folder = rig.folder.clone();
    rig.add("x");
    rig.runner.finish(|| false);
    assert!(!folder.join("late").exists());
    assert!(gone(&fs::read_to_string(folder.join("pid")).unwrap()));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_a_command_leaves_running_ends_with_it() {
    let rig = Rig::new("left", "sleep 1000 & echo $! > pid", LONG);
    rig.add("x");
    assert!(gone(&rig.finish("pid")));
}

#[test]
fn whoever_is_cut_short_leaves_nothing_behind() {
    let rig = Rig::new("cut", "echo $$ > $$; mv $$ pid; exec sleep 1000", LONG);
    let folder = rig.folder.clone();
    rig.add("x");
    rig.add("x");
    let pid = folder.join("pid");
    rig.runner.finish(|| pid.exists());
    assert!(gone(&fs::read_to_string(pid).unwrap()));
    fs::remove_dir_all(folder).unwrap();
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
fn a_command_that_does_not_exist_is_reported_and_the_next_message_tried() {
    let runner = Runner::start(vec!["/nonexistent/command".into()], LONG).unwrap();
    let job = Job::of(&a_message(), Clocks::zero());
    runner.add(job.clone());
    runner.add(job);
    runner.finish(|| false);
}

#[test]
fn messages_beyond_the_backlog_are_counted_and_dropped() {
    let rig = Rig::new("full", "exec sleep 1000", LONG);
    for _ in 0..BACKLOG + 2 * AT_ONCE {
        rig.add("x");
    }
    let shared = Arc::clone(&rig.runner.shared);
    assert!(shared.lock().backlog.len() <= BACKLOG);
    assert!(shared.lock().dropped >= AT_ONCE as u64);
    rig.runner.abort();
    assert!(shared.lock().running.is_empty());
    fs::remove_dir_all(rig.folder).unwrap();
}
