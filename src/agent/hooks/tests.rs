use std::fs;
use std::path::PathBuf;

use super::rule::tests::a_hook;
use super::*;
use crate::agent::objects::tests::{a_message, a_peer};

/// Hooks whose scripts write into a folder of their own.
struct Rig {
    folder: PathBuf,
    hooks: Hooks,
}

impl Rig {
    #[track_caller]
    fn new(name: &str, hooks: impl FnOnce(&str) -> Vec<Hook>) -> Self {
        let folder = std::env::temp_dir().join(format!("cooee-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let hooks = hooks(&folder.display().to_string());
        let options = HookOptions { hooks, ..HookOptions::default() };
        let hooks = Hooks::new(&options, Path::new("/run/cooee.sock"), Group::DEFAULT);
        Self { folder, hooks }
    }

    fn happens(&mut self, event: Event) {
        let log = Log::from_environment(true, false);
        self.hooks.on(&Notice::Event(event), true, Clocks::zero(), log);
    }

    /// Lets everything run to its end, and reads what was written to `file`.
    #[track_caller]
    fn finish(&self, file: &str) -> String {
        self.hooks.runner.finish(|| false);
        fs::read_to_string(self.folder.join(file)).unwrap_or_default()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_hook_gets_its_arguments_the_object_and_the_way_back_to_the_agent() {
    let mut rig = Rig::new("hook-args", |folder| {
        let script =
            format!("cd '{folder}'; cat > in; echo \"$1|$COOEE_TEXT|$COOEE_SOCKET\" > out");
        vec![a_hook(&["sh", "-c", &script, "sh", "{text} in #{channel}"])]
    });
    let mut message = a_message();
    message.text = "$(reboot); rm 'x\"".into();
    rig.happens(Event::Message(message.clone()));
    let text = message.text.raw();
    assert_eq!(rig.finish("out"), format!("{text} in #ops|{text}|/run/cooee.sock\n"));
    assert_eq!(rig.finish("in"), Facts::of(&message, Clocks::zero()).json);
}

#[test]
fn what_was_said_before_the_agent_came_starts_nothing() {
    let mut rig = Rig::new("hook-history", |folder| {
        let script = format!("echo \"$COOEE_TEXT\" >> '{folder}/out'");
        vec![a_hook(&["sh", "-c", &script])]
    });
    for (text, history) in [("old", true), ("new", false)] {
        rig.happens(Event::Message(crate::proto::Message {
            text: text.into(),
            history,
            ..a_message()
        }));
    }
    assert_eq!(rig.finish("out"), "new\n");
}

#[test]
fn what_is_signed_and_can_not_be_kept_starts_nothing_because_it_could_run_twice() {
    let mut rig = Rig::new("hook-kept", |folder| {
        let script = format!("echo \"$COOEE_VERIFIED\" >> '{folder}/out'");
        vec![Hook { verified: false, ..a_hook(&["sh", "-c", &script]) }]
    });
    let log = Log::from_environment(true, false);
    let mut message = a_message();
    rig.hooks.on(&Notice::Event(Event::Message(message.clone())), false, Clocks::zero(), log);
    message.verified = false;
    rig.hooks.on(&Notice::Event(Event::Message(message)), false, Clocks::zero(), log);
    assert_eq!(rig.finish("out"), "false\n");
    assert_eq!((rig.hooks.counts().not_kept, rig.hooks.counts().run), (1, 1));
}

#[test]
fn who_is_here_when_the_agent_starts_does_not_come() {
    let mut rig = Rig::new("hook-joined", |folder| {
        let script = format!("echo \"$COOEE_FROM_NICK\" >> '{folder}/out'");
        vec![Hook { events: [Trigger::Joined].into(), ..a_hook(&["sh", "-c", &script]) }]
    });
    rig.happens(Event::Joined(a_peer()));
    rig.happens(Event::Settled { complete: false });
    rig.happens(Event::Joined(a_peer()));
    assert_eq!(rig.finish("out"), "ada\n");
}

#[test]
fn a_flood_is_bounded_and_what_is_dropped_is_counted() {
    let mut rig = Rig::new("hook-flood", |_| vec![a_hook(&["sleep", "1000"])]);
    let flood = LIMITS.backlog as u64 + 500;
    for seq in 0..flood {
        rig.happens(Event::Message(crate::proto::Message { seq, ..a_message() }));
    }
    let counts = rig.hooks.counts();
    assert!(counts.running <= LIMITS.at_once && counts.waiting <= LIMITS.backlog, "{counts:?}");
    assert!(counts.dropped >= flood - (LIMITS.backlog + LIMITS.at_once) as u64, "{counts:?}");
    rig.hooks.stop(Log::from_environment(true, false));
    assert_eq!(rig.hooks.counts().running, 0);
}

#[test]
fn a_hook_that_stays_as_it_is_keeps_its_place_when_others_change() {
    let mut rig = Rig::new("hook-change", |_| vec![a_hook(&["one"]), a_hook(&["two"])]);
    let lane = |rig: &Rig, at: usize| rig.hooks.entries[at].lane;
    let two = lane(&rig, 1);
    let hooks = vec![a_hook(&["three"]), a_hook(&["two"]), a_hook(&["two"])];
    rig.hooks.change(&HookOptions { hooks, ..HookOptions::default() });
    assert_eq!(lane(&rig, 1), two);
    assert!(lane(&rig, 0) > two && lane(&rig, 2) > two);
}

#[test]
fn the_same_trouble_is_said_once_in_a_while_with_how_often_it_was_not() {
    let trouble = Rarely::default();
    assert_eq!(trouble.say(), Some(String::new()));
    assert!(trouble.say().is_none() && trouble.say().is_none());
    trouble.0.lock().unwrap().0 = Instant::now().checked_sub(QUIET);
    let said = trouble.say();
    assert_eq!(said.as_deref(), Some(" (2 more of these since the last such line)"));
}
