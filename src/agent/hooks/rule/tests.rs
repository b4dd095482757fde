use super::*;
use crate::agent::objects::tests::{a_message, a_peer, clocks};
use crate::agent::objects::{self};

/// A hook for every message that anybody has signed.
pub(in crate::agent::hooks) fn a_hook(run: &[&str]) -> Hook {
    Hook {
        name: "test".to_owned(),
        events: [Trigger::Message].into(),
        channels: SmallSet::new(),
        direct: None,
        level: Level::Debug,
        from: SmallSet::new(),
        words: SmallSet::new(),
        verified: true,
        max_age: None,
        own: false,
        run: run.iter().map(|word| word.parse().unwrap()).collect(),
        timeout: TIMEOUT,
        at_once: None,
    }
}

fn said(change: impl FnOnce(&mut Message)) -> Notice {
    let mut message = a_message();
    change(&mut message);
    Notice::Event(Event::Message(message))
}

/// One of everything that can happen.
fn everything() -> Vec<(Trigger, Notice)> {
    let peer = a_peer;
    let event = Notice::Event;
    vec![
        (Trigger::Message, said(|_| ())),
        (Trigger::Joined, event(Event::Joined(peer()))),
        (Trigger::Left, event(Event::Left(peer()))),
        (Trigger::Suspect, event(Event::Suspect(peer()))),
        (Trigger::Alive, event(Event::Alive(peer()))),
        (Trigger::Dead, event(Event::Dead(peer()))),
        (Trigger::Path, event(Event::Path(peer()))),
        (Trigger::Renamed, event(Event::Renamed { peer: peer(), was: "bob".into() })),
        (Trigger::Moved, event(Event::Moved { peer: peer(), was: "10.0.0.9:7".parse().unwrap() })),
        (Trigger::Status, event(Event::Status(peer()))),
        (Trigger::Link, Notice::LinkDown { name: "eth0".into(), why: "no cable".into() }),
        (
            Trigger::Cloned,
            event(Event::Cloned {
                addr: "10.0.0.9:7".parse().unwrap(),
                nick: "ada".into(),
                superseded: false,
            }),
        ),
    ]
}

#[test]
fn events_have_the_names_that_the_objects_have_and_every_placeholder_has_its_variable() {
    let all = everything();
    assert!(Trigger::ALL.iter().all(|trigger| all.iter().any(|(t, _)| t == trigger)));
    for (trigger, notice) in all {
        let object = objects::notice(&notice, clocks()).unwrap();
        assert!(object.starts_with(&format!("{{\"event\":\"{trigger}\"")), "{object}");
        assert_eq!(trigger.as_str().parse(), Ok(trigger));
        let facts = Facts::of_notice(&notice, clocks()).unwrap();
        assert_eq!(facts.get("COOEE_EVENT"), Some(trigger.as_str()));
        let told: SmallSet<&str> = facts.env.iter().map(|(name, _)| *name).collect();
        let known: SmallSet<&str> = trigger.fields().map(|(_, variable)| variable).collect();
        assert_eq!(told, known, "{trigger}");
        let hook = Hook { events: [trigger].into(), ..a_hook(&["x"]) };
        let wants = |hook: &Hook| hook.wants(&Happening::new(&notice, clocks().wall()));
        assert_eq!(wants(&hook), Some(trigger));
        let others = Trigger::ALL.into_iter().filter(|other| *other != trigger).collect();
        assert_eq!(wants(&Hook { events: others, ..hook }), None);
    }
}

#[test]
fn an_argument_stays_one_argument_whatever_is_put_into_it() {
    let evil = "$(reboot) `id`; rm -rf / \"x' {nick}\n--force\0";
    let Notice::Event(Event::Message(message)) = said(|m| m.text = evil.into()) else { panic!() };
    let facts = Facts::of(&message, clocks());
    for (template, filled) in [
        ("{text}", evil.replace('\0', "?")),
        ("<{text}|{nick}>", format!("<{}|ada>", evil.replace('\0', "?"))),
        ("#{channel} {level} {data}", "#ops warn {\"n\":1}".to_owned()),
        ("{{text}}", "{text}".to_owned()),
        ("{\"a\":{\"b\":\"{nick}\"}}", "{\"a\":{\"b\":\"ada\"}}".to_owned()),
        ("{ text } {} {", "{ text } {} {".to_owned()),
        ("", String::new()),
        ("ä{nick}ö", "äadaö".to_owned()),
    ] {
        let parsed: Template = template.parse().unwrap();
        assert_eq!(parsed.fill(&facts), OsString::from(filled), "{template}");
    }
}

#[test]
fn an_unknown_placeholder_is_refused_with_those_that_there_are() {
    for bad in ["{txt}", "${HOME}", "a{Text}", "{a-b}"] {
        let why = bad.parse::<Template>().unwrap_err();
        assert!(why.contains("{text}") && why.contains("{{"), "{why}");
    }
    let was: Template = "{was}".parse().unwrap();
    assert_eq!((was.lacks(Trigger::Renamed), was.lacks(Trigger::Joined)), (None, Some("was")));
    assert!("a\0".parse::<Template>().is_err());
}

#[test]
fn a_hook_runs_for_what_it_waits_for_and_for_nothing_else() {
    let id = a_message().from.unwrap().to_string();
    let happens =
        |hook: &Hook, notice| hook.wants(&Happening::new(&notice, clocks().wall())).is_some();
    let wants = |hook: &Hook, change: fn(&mut Message)| happens(hook, said(change));
    let hook = |change: &dyn Fn(&mut Hook)| {
        let mut hook = a_hook(&["x"]);
        change(&mut hook);
        hook
    };
    let channel = hook(&|h| h.channels = ["ops".parse().unwrap()].into());
    assert!(wants(&channel, |_| ()));
    assert!(!wants(&channel, |m| m.channel = None));
    assert!(!wants(&channel, |m| m.channel = Some(ChannelName::lobby())));
    let direct = hook(&|h| h.direct = Some(true));
    assert!(!wants(&direct, |_| ()) && wants(&direct, |m| m.channel = None));
    let level = hook(&|h| h.level = Level::Warn);
    assert!(wants(&level, |m| m.level = Level::Error));
    assert!(!wants(&level, |m| m.level = Level::Info));
    let word = hook(&|h| h.words = words("Deploy FAILED").collect());
    assert!(wants(&word, |m| m.text = "deploy: it has failed!".into()));
    assert!(!wants(&word, |m| m.text = "deployed, not failed".into()));
    let signed = a_hook(&["x"]);
    assert!(!wants(&signed, |m| m.verified = false), "only what is signed, unless said otherwise");
    let anyone = hook(&|h| h.verified = false);
    assert!(wants(&anyone, |m| m.verified = false));
    let from = hook(&|h| h.from = ["bob".to_owned(), id.clone()].into());
    assert!(wants(&from, |_| ()) && wants(&from, |m| (m.nick, m.from) = ("bob".into(), None)));
    assert!(!wants(&from, |m| m.from = None));
    let claimed = hook(&|h| (h.from, h.verified) = ([id.clone()].into(), false));
    assert!(!wants(&claimed, |m| m.verified = false), "an id that nobody has proven");
    let young = hook(&|h| h.max_age = Some(Duration::from_secs(60)));
    assert!(wants(&young, |_| ()) && wants(&young, |m| m.at = None));
    assert!(wants(&young, |m| m.at = Some(WallTime(u64::MAX))), "a clock that is ahead");
    assert!(!wants(&young, |m| m.at = Some(WallTime(clocks().wall().0 - 60_001))));
    let own = || Notice::Event(Event::Said(a_message()));
    assert!(!happens(&a_hook(&["x"]), own()) && happens(&hook(&|h| h.own = true), own()));
}

#[test]
fn the_page_describes_every_event_and_every_placeholder_with_its_variable() {
    let page = include_str!("../../../../docs/config.md");
    for trigger in Trigger::ALL {
        assert!(page.contains(&format!("`{trigger}`")), "{trigger}");
    }
    for (name, variable) in FIELDS {
        assert!(page.contains(&format!("`{{{name}}}`")), "{name}");
        assert!(page.contains(&format!("`{variable}`")), "{variable}");
    }
}
