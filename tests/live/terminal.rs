//! The chat on a terminal: what is typed stays whole, what others send is harmless, and the
//! terminal is left as it was found.

use rexpect::session::{PtySession, spawn_command};

use crate::host::{GROUP, Host};
use crate::lab::lab_or_skip;
use crate::lines::PATIENCE;

/// A chat that is ready to be typed into.
#[track_caller]
fn chat(host: &Host) -> PtySession {
    let patience = PATIENCE.as_millis().try_into().ok();
    let mut command = host.command_line(&["chat"]);
    command.env("TERM", "xterm").env_remove("NO_COLOR");
    let mut chat = spawn_command(command, patience).unwrap();
    chat.exp_string("/help lists the commands").unwrap();
    chat.exp_string("#lobby> ").unwrap();
    chat
}

#[test]
fn a_message_that_comes_while_typing_does_not_garble_the_line() {
    let lab = lab_or_skip!(2);
    let listener = lab.host(2).listen(&[]);
    let mut chat = chat(&lab.host(1));
    listener.wait_event("joined", "host1");
    chat.exp_string("host2").unwrap();
    chat.send("half a sen").unwrap();
    chat.flush().unwrap();
    chat.exp_string("half a sen").unwrap();
    lab.host(2).user("bob").say("an interruption");
    chat.exp_string("an interruption").unwrap();
    // The prompt and what was typed are drawn anew below it.
    chat.exp_string("#lobby> ").unwrap();
    chat.exp_string("half a sen").unwrap();
    chat.send_line("tence").unwrap();
    listener.wait_message("half a sentence");
    chat.send_line("/quit").unwrap();
    chat.exp_eof().unwrap();
    listener.wait_event("left", "host1");
}

#[test]
fn what_others_write_never_acts_on_the_terminal() {
    let lab = lab_or_skip!(2);
    let mut chat = chat(&lab.host(1));
    let attack =
        r#"{"cooee":1,"type":"say","nick":"\u001b[31mred","text":"\u001b[2J\u202eover\u0007"}"#;
    let lobby = lobby_address();
    lab.host(2).throw(&lobby, &[attack.into()]);
    let shown = chat.exp_string("over").unwrap();
    assert!(shown.contains(r"\u{1b}[2J\u{202e}"), "{shown:?}");
    assert!(!shown.contains("\x1b[2J") && !shown.contains('\u{202e}'), "{shown:?}");
    assert!(shown.contains(r"\u{1b}[31mred"), "{shown:?}");
    chat.send_control('d').unwrap();
    chat.exp_eof().unwrap();
}

#[test]
fn ctrl_c_leaves_with_a_goodbye() {
    let lab = lab_or_skip!(2);
    let listener = lab.host(2).listen(&[]);
    let mut chat = chat(&lab.host(1));
    listener.wait_event("joined", "host1");
    chat.send("something that is not said").unwrap();
    chat.send_control('c').unwrap();
    chat.exp_eof().unwrap();
    listener.wait_event("left", "host1");
    assert_eq!(listener.texts(), Vec::<String>::new());
}

/// Where the lobby of the default group is.
fn lobby_address() -> String {
    use cooee::values::{ChannelName, Group};
    let group: Group = GROUP.parse().unwrap();
    group.channel(&ChannelName::lobby()).to_string()
}
