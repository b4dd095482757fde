//! Commands that the agent runs when something happens, and a configuration that changes under it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use cooee::values::{ChannelName, Level, WallTime};
use cooee::wire::{Body, Content, Entry, Identity, Payload, Sender};
use serde_json::Value;

use crate::host::Host;
use crate::lab::lab_or_skip;
use crate::lines::{Lines, PATIENCE, eventually};
use crate::running::Running;

/// What the hooks of a host report, as it comes: lines that they write to a named pipe.
struct Reports {
    path: String,
    lines: Lines,
}

impl Reports {
    #[track_caller]
    fn of(host: &Host) -> Self {
        let path = host.home().join("reports");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        // Open for writing as well, so that it does not end when no hook has it open.
        let pipe = File::options().read(true).write(true).open(&path).unwrap();
        Self { path: path.display().to_string(), lines: Lines::of(pipe) }
    }

    /// The end of a hook's table: a shell script that reports what `print` prints.
    fn script(&self, print: &str) -> String {
        format!("run = ['sh', '-c', '{{ {print} ;}} > {}']\n", self.path)
    }

    #[track_caller]
    fn wait_for(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let found = self.lines.find(0, PATIENCE, |line| is(line).then(|| line.to_owned()));
        found.unwrap_or_else(|why| panic!("{what}: {why}; {:?}", self.lines.so_far()))
    }

    #[track_caller]
    fn wait(&self, line: &str) {
        self.wait_for(line, |l| l == line);
    }
}

/// Where the lobby of the default group is.
const LOBBY: &str = "239.255.75.93:26633";

const ON_MESSAGE: &str = "[[on]]\nevent = 'message'\n";

/// What `cooee status --json` says of the hooks.
#[track_caller]
fn counts(host: &Host) -> Value {
    let status = host.run(&["status", "--json"]).exits(0).json();
    status[0]["status"]["hooks"].clone()
}

/// Waits until a process is gone. (A zombie that nobody has reaped yet is.)
#[track_caller]
fn gone(pid: &str) {
    eventually(&format!("process {pid} ends"), || {
        let stat = Command::new("cat").arg(format!("/proc/{pid}/stat")).output().unwrap().stdout;
        let stat = String::from_utf8(stat).unwrap();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
}

#[test]
fn a_hook_runs_for_the_messages_it_waits_for_in_a_channel_that_it_makes_the_agent_join() {
    let lab = lab_or_skip!(2);
    let (host, other) = (lab.host(1), lab.host(2));
    let reports = Reports::of(&host);
    host.configure(&format!(
        "{ON_MESSAGE}channel = 'deploys'\nlevel = 'warn'\n{}",
        reports.script("cat; echo \"$COOEE_FROM_NICK: $COOEE_TEXT\"")
    ));
    let _agent = host.configured_agent();
    let channels = host.run(&["channels"]).exits(0).stdout;
    assert!(channels.contains("#deploys  (for a hook)"), "{channels}");
    let say = |channel: &str, level: &str, text: &str| {
        other.run(&["say", "--channel", channel, "--level", level, text]).exits(0);
    };
    say("deploys", "info", "not urgent");
    say("lobby", "error", "elsewhere");
    say("deploys", "warn", "look");
    say("deploys", "error", "done");
    reports.wait("host2: done");
    let texts: Vec<String> =
        reports.lines.so_far().into_iter().filter(|line| line.starts_with("host2")).collect();
    // They run in parallel, so in any order.
    assert_eq!(texts.into_iter().collect::<BTreeSet<_>>().len(), 2);
    let object = reports.wait_for("the object", |line| line.contains("\"look\""));
    let object: Value = serde_json::from_str(&object).unwrap();
    assert_eq!((&object["event"], &object["channel"]), (&"message".into(), &"deploys".into()));
    let counts = counts(&host);
    assert_eq!((&counts["run"], &counts["failed"]), (&2.into(), &0.into()), "{counts}");
}

#[test]
fn a_text_that_looks_like_a_command_is_only_text() {
    let lab = lab_or_skip!(2);
    let (host, other) = (lab.host(1), lab.host(2));
    let reports = Reports::of(&host);
    let touched = host.home().join("touched").display().to_string();
    host.configure(&format!(
        "{ON_MESSAGE}run = ['sh', '-c', 'printf \"%s|\" \"$@\" > {0}; echo > {0}', 'sh', '{{text}}', \
         '<{{nick}}>', '{{{{text}}}}']\n",
        reports.path
    ));
    let _agent = host.configured_agent();
    for text in [
        format!("$(touch {touched})"),
        format!("; touch {touched}"),
        format!("`touch {touched}`"),
        format!("' \" && touch {touched} #"),
        "--help {nick} $COOEE_FROM".to_owned(),
    ] {
        other.run(&["say", "--", &text]).exits(0);
        reports.wait(&format!("{text}|<host2>|{{text}}|"));
    }
    assert!(!fs::exists(touched).unwrap());
}

#[test]
fn who_comes_and_goes_starts_hooks_and_who_was_there_before_does_not() {
    let lab = lab_or_skip!(3);
    let host = lab.host(1);
    let reports = Reports::of(&host);
    host.configure(&format!(
        "verbose = true\n[[on]]\nevent = ['joined', 'left']\n{}",
        reports.script("echo \"$COOEE_EVENT $COOEE_FROM_NICK\"")
    ));
    let before = lab.host(2).listen(&[]);
    let agent = host.configured_agent();
    before.wait_event("joined", &machine_name());
    agent.wait_for_complaint("that it knows who is here", |line| line.contains("is known"));
    for (listener, left) in [(lab.host(3).listen(&[]), "left host3"), (before, "left host2")] {
        listener.interrupt();
        listener.finish().exits(0);
        reports.wait(left);
    }
    let reported = reports.lines.so_far();
    assert!(reported.contains(&"joined host3".to_owned()), "{reported:?}");
    assert!(!reported.contains(&"joined host2".to_owned()), "{reported:?}");
}

/// The nick of an agent that is given none.
fn machine_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned()
}

#[test]
fn a_hook_that_never_ends_is_killed_at_its_limit_with_its_children() {
    let lab = lab_or_skip!(2);
    let (host, other) = (lab.host(1), lab.host(2));
    let reports = Reports::of(&host);
    host.configure(&format!(
        "{ON_MESSAGE}timeout = '500ms'\nrun = ['sh', '-c', 'sleep 1000 & echo \"$! $$\" > {}; wait']\n",
        reports.path
    ));
    let agent = host.configured_agent();
    other.say("go");
    let pids = reports.wait_for("two processes", |line| line.contains(' '));
    pids.split(' ').for_each(gone);
    agent.wait_for_complaint("why", |line| {
        line.ends_with("hook sh was killed: it ran for more than 500ms")
    });
    let counts = counts(&host);
    assert_eq!((&counts["timed_out"], &counts["running"]), (&1.into(), &0.into()), "{counts}");
}

#[test]
fn a_hook_that_runs_when_the_agent_ends_ends_with_it() {
    let lab = lab_or_skip!(2);
    let (host, other) = (lab.host(1), lab.host(2));
    let reports = Reports::of(&host);
    host.configure(&format!(
        "{ON_MESSAGE}run = ['sh', '-c', 'sleep 1000 & echo \"$! $$\" > {}; wait']\n",
        reports.path
    ));
    let agent = host.configured_agent();
    other.say("go");
    let pids = reports.wait_for("two processes", |line| line.contains(' '));
    agent.interrupt();
    let output = agent.finish().exits(0);
    assert!(output.stderr.contains("hooks: 1 are killed"), "{output:#?}");
    pids.split(' ').for_each(gone);
}

#[test]
fn a_hook_that_prints_a_gigabyte_costs_the_agent_nothing() {
    let lab = lab_or_skip!(2);
    let (host, other) = (lab.host(1), lab.host(2));
    let reports = Reports::of(&host);
    host.configure(&format!(
        "verbose = true\n{ON_MESSAGE}run = ['sh', '-c', 'head -c 1G /dev/zero; head -c 1M /dev/zero >&2; \
         echo done > {}']\n",
        reports.path
    ));
    let agent = host.configured_agent();
    let before = peak(&agent);
    other.say("go");
    reports.wait("done");
    let after = peak(&agent);
    assert!(after < before + 16_384, "{before} KiB before, {after} KiB after");
}

/// The most memory that a process has ever had, in KiB.
#[track_caller]
fn peak(process: &Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_thousand_messages_and_a_slow_hook_are_few_processes() {
    let lab = lab_or_skip!(2);
    let (host, other) = (lab.host(1), lab.host(2));
    host.configure(&format!(
        "[hooks]\nat-once = 3\nbacklog = 50\n{ON_MESSAGE}run = ['sleep', '1000']\n"
    ));
    let agent = host.configured_agent();
    let mut speaker = other.cooee(&["say", "-"]);
    for i in 0..1_000 {
        speaker.type_line(&format!("message {i}"));
    }
    speaker.finish().exits(0);
    let counts = eventually("three run and most are dropped", || {
        let counts = counts(&host);
        let many = counts["dropped"].as_u64().unwrap() > 800;
        (many && counts["running"] == 3 && counts["run"] == 3).then_some(counts)
    });
    assert!(counts["waiting"].as_u64().unwrap() <= 50, "{counts}");
    assert_eq!(children(&agent), 3);
    agent.wait_for_complaint("that they are dropped", |line| line.contains("hook sleep: dropped"));
    let dropped = agent.complaints().iter().filter(|line| line.contains("dropped")).count();
    assert!(dropped < 10, "{dropped} lines about it");
}

/// How many children a process has.
fn children(process: &Running) -> usize {
    let parent = format!("PPid:\t{}", process.pid());
    let is_child = |entry: fs::DirEntry| {
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        status.lines().any(|line| line == parent)
    };
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(Result::ok)
        .filter_map(|e| is_child(e).then_some(()))
        .count()
}

/// What somebody called eve says in the lobby: signed datagrams, as they can be sent again by
/// whoever has heard them.
fn signed(seqs: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    let eve = Identity::from_secret([7; 32]);
    let content = |seq| Content {
        at: WallTime(1_795_383_241_000),
        text: format!("message {seq}").as_str().into(),
        data: None,
        level: Level::Info,
    };
    let entry = |seq| Entry {
        body: Body::Say,
        from: Some(Sender { id: eve.id(), epoch: 1_795_383_240_123 }),
        nick: "eve".into(),
        channel: ChannelName::lobby(),
        seq: Some(seq),
        confirm: false,
        again: None,
        follows: None,
        payload: Payload::Whole(vec![content(seq)]),
    };
    seqs.map(|seq| entry(seq).encode(&eve)).collect()
}

#[test]
fn an_agent_that_is_killed_again_and_again_runs_no_hook_twice() {
    let lab = lab_or_skip!(2);
    let (host, other) = (lab.host(1), lab.host(2));
    let reports = Reports::of(&host);
    host.configure(&format!("{ON_MESSAGE}{}", reports.script("echo \"$COOEE_TEXT\"")));
    let mut said = 1;
    for round in 0..20 {
        let agent = host.configured_agent();
        let from = reports.lines.so_far().len();
        let is_new = |line: &str| {
            let seq = line.rsplit(' ').next().and_then(|seq| seq.parse::<u64>().ok());
            seq.is_some_and(|seq| seq >= said).then_some(())
        };
        // Everything that was ever said, and ten more; it is killed while hooks run.
        other.throw(LOBBY, &signed(1..said + 10));
        reports.lines.find(from, PATIENCE, is_new).unwrap_or_else(|why| panic!("{round}: {why}"));
        agent.kill();
        agent.finish();
        said += 10;
    }
    let _agent = host.configured_agent();
    other.throw(LOBBY, &signed(1..said + 1));
    reports.wait(&format!("message {said}"));
    let reported = reports.lines.so_far();
    let once: BTreeSet<&String> = reported.iter().collect();
    assert_eq!(once.len(), reported.len(), "a hook ran twice for a message");
    assert!(reported.len() > 20, "{reported:?}");
}

#[test]
fn a_changed_configuration_is_taken_up_and_a_wrong_one_changes_nothing() {
    let lab = lab_or_skip!(2);
    let (host, other) = (lab.host(1), lab.host(2));
    let reports = Reports::of(&host);
    let hook = |channel: &str| {
        format!("{ON_MESSAGE}channel = '{channel}'\n{}", reports.script("echo \"$COOEE_TEXT\""))
    };
    host.configure(&format!("nick = 'ada'\n{}", hook("first")));
    let agent = host.configured_agent();
    let listener = other.listen(&[]);
    listener.wait_event("joined", "ada");

    host.configure("nick = 'eve'\nsecret-fil = 'password'\n");
    agent.hang_up();
    let why = agent.wait_for_complaint("what is wrong", |line| line.contains("stays as it was"));
    assert!(why.contains("config.toml") && why.contains("line 2") && !why.contains("password"));

    host.configure(&format!("nick = 'bob'\nttl = 3\n[tags]\nrole = 'web'\n{}", hook("second")));
    agent.hang_up();
    listener.wait_event("renamed", "bob");
    agent.wait_for_complaint("what changed", |line| {
        line.ends_with("changed: nick, tags.role, on (1 before, 1 now)")
    });
    agent.wait_for_complaint("what did not", |line| line.ends_with("takes it up: ttl"));
    let channels = host.run(&["channels"]).exits(0).stdout;
    assert!(channels.contains("#second") && !channels.contains("#first"), "{channels}");
    other.run(&["say", "--channel", "first", "nobody listens"]).exits(0);
    other.run(&["say", "--channel", "second", "somebody listens"]).exits(0);
    reports.wait("somebody listens");
    assert_eq!(reports.lines.so_far(), ["somebody listens"]);

    // A nick given at run time stays.
    host.run(&["nick", "carl"]).exits(0);
    host.configure("nick = 'dora'\n");
    agent.hang_up();
    agent.wait_for_complaint("that it stays", |line| line.contains("the nick stays carl"));
    agent.interrupt();
    let output = agent.finish().exits(0);
    assert!(!output.stderr.contains("eve"), "{output:#?}");
}

#[test]
fn systemd_hears_when_the_configuration_is_read_again() {
    let lab = lab_or_skip!(1);
    let host = lab.host(1);
    let path = host.home().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let told = || {
        let mut bytes = [0; 1_000];
        let length = socket.recv(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        text.lines()
            .map(str::to_owned)
            .filter(|line| !line.starts_with("STATUS="))
            .collect::<Vec<_>>()
    };
    let mut command = host.command_line(&["agent"]);
    let agent = Running::start("agent".into(), command.env("NOTIFY_SOCKET", &path));
    assert_eq!(told(), ["READY=1"]);
    agent.hang_up();
    let reloading = told();
    assert_eq!(reloading[0], "RELOADING=1");
    let since = reloading[1].strip_prefix("MONOTONIC_USEC=").unwrap();
    assert!(since.parse::<u64>().unwrap() > 0);
    assert_eq!(told(), ["READY=1"]);
}

#[test]
fn a_history_that_can_not_be_written_keeps_hooks_from_running_twice_and_says_so() {
    let lab = lab_or_skip!(2);
    let (host, other) = (lab.host(1), lab.host(2));
    let reports = Reports::of(&host);
    host.configure(&format!(
        "{ON_MESSAGE}verified = false\n{}",
        reports.script("echo \"$COOEE_TEXT\"")
    ));
    // A folder in the place of the file.
    fs::create_dir_all(host.home().join("state/cooee/history.db")).unwrap();
    let agent = host.configured_agent();
    other.say("signed");
    agent.wait_for_complaint("why it does not run", |line| line.contains("could run twice"));
    eventually("what is unsigned arrives", || {
        other.run(&["cast", "unsigned"]).exits(0);
        (!reports.lines.so_far().is_empty()).then_some(())
    });
    assert!(reports.lines.so_far().iter().all(|line| line == "unsigned"));
    assert_eq!(counts(&host)["not_kept"], 1);
}

#[test]
fn a_hook_waits_for_a_history_that_another_program_has_locked_and_runs_once() {
    let lab = lab_or_skip!(2);
    let (host, other) = (lab.host(1), lab.host(2));
    let reports = Reports::of(&host);
    host.configure(&format!("{ON_MESSAGE}{}", reports.script("echo \"$COOEE_TEXT\"")));
    let _agent = host.configured_agent();
    other.say("before");
    reports.wait("before");
    let listener = host.start_program(&[env!("CARGO_BIN_EXE_cooee"), "listen", "--json"]);
    listener.wait_for_complaint("that it listens", |line| line.contains("listening"));
    let db = rusqlite::Connection::open(host.state("history.db")).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    other.say("during");
    listener.wait_message("during");
    drop(db);
    reports.wait("during");
    other.say("after");
    reports.wait("after");
    assert_eq!(reports.lines.so_far(), ["before", "during", "after"]);
    assert_eq!(counts(&host)["not_kept"], 0);
}
