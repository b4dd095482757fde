//! A channel is a multicast group of its own, really joined and really left.

use crate::lab::lab_or_skip;
use crate::lines::eventually;

#[test]
fn leaving_a_channel_drops_its_group_at_the_kernel_and_at_the_switch() {
    let lab = lab_or_skip!(3);
    let witness = lab.host(2).listen(&["--channel", "lobby", "--channel", "ops"]);
    let mut chat = lab.host(1).cooee(&["chat"]);
    witness.wait_event("joined", "host1");
    lab.snooping();
    let before = lab.memberships(1);

    chat.type_line("/join ops");
    let ops = eventually("a group joined for ops", || {
        let joined = lab.memberships(1);
        let new = joined.iter().find(|line| !before.contains(*line) && line.starts_with("eth0 "));
        new.map(|line| line.trim_start_matches("eth0 ").to_owned())
    });
    eventually("the switch passes it", || lab.switch_passes(&ops, 1).then_some(()));
    assert_eq!(lab.frames(&ops, 1), 0);
    lab.host(3).run(&["say", "--channel", "ops", "while joined"]).exits(0);
    chat.wait_for_line("while joined", |line| line.contains("while joined"));
    assert!(lab.frames(&ops, 1) > 0, "it came as multicast");

    chat.type_line("/leave ops");
    eventually("the kernel's membership is gone", || (lab.memberships(1) == before).then_some(()));
    eventually("the switch's entry is gone", || (!lab.switch_passes(&ops, 1)).then_some(()));
    let frames = lab.frames(&ops, 1);
    for text in ["after one", "after two", "after three"] {
        lab.host(3).run(&["say", "--channel", "ops", text]).exits(0);
        witness.wait_message(text);
    }
    lab.host(3).say("still in the lobby");
    chat.wait_for_line("the lobby's message", |line| line.contains("still in the lobby"));
    assert_eq!(lab.frames(&ops, 1), frames, "frames of a channel that was left");
    assert!(!chat.lines_so_far().iter().any(|line| line.contains("after ")));
}

#[test]
fn forty_channels_at_once() {
    let lab = lab_or_skip!(2);
    let channels: Vec<_> = (1..=40).map(|i| format!("c{i}")).collect();
    let options: Vec<_> = channels.iter().flat_map(|c| ["--channel", c]).collect();
    let listener = lab.host(1).listen(&options);
    let groups = lab.memberships(1).iter().filter(|line| line.starts_with("eth0 239.")).count();
    assert!(groups >= 40, "{groups} memberships, the kernel's limit for a socket is 20");

    for channel in &channels {
        let text = format!("in {channel}");
        lab.host(2).run(&["say", "--channel", channel, &text]).exits(0);
    }
    for channel in &channels {
        let message = listener.wait_message(&format!("in {channel}"));
        assert_eq!(message["channel"], **channel);
    }
    assert_eq!(listener.texts().len(), 40);
}

#[test]
fn who_is_not_in_a_channel_hears_nothing_of_it() {
    let lab = lab_or_skip!(2);
    let listener = lab.host(1).listen(&["--channel", "ops"]);
    lab.host(2).run(&["say", "--channel", "dev", "for developers"]).exits(0);
    lab.host(2).run(&["say", "--channel", "ops", "for operators"]).exits(0);
    listener.wait_message("for operators");
    assert_eq!(listener.texts(), ["for operators"]);
}
