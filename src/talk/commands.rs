//! What a typed line means: one table of commands that reads them and prints their help.

use std::fmt::Write;

use crate::proto::Refusal;
use crate::values::{ChannelName, Escaped, Nick, limits};

/// What a typed line wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Say it in the current channel.
    Say(String),
    /// Appear under another nick.
    Nick(Nick),
    /// Tell one peer: who it is and what, still in one text, since nicks may have blanks in them.
    Msg(String),
    /// Take part in a channel, and speak there.
    Join(ChannelName),
    /// Leave a channel, the current one if none is named.
    Leave(Option<ChannelName>),
    /// List who is here.
    Who,
    /// Be away, or back.
    Away(Option<String>),
    /// List the commands.
    Help,
    /// Go.
    Quit,
}

/// One command.
struct Command {
    /// Its name, then its aliases.
    names: &'static [&'static str],
    /// What follows the name, for the help.
    takes: &'static str,
    /// What it does, for the help.
    does: &'static str,
    /// Reads what follows the name.
    read: fn(&str) -> Result<Action, String>,
}

const COMMANDS: &[Command] = &[
    Command {
        names: &["nick", "rename"],
        takes: "NAME",
        does: "appear under another name",
        read: |rest| rest.parse().map(Action::Nick).map_err(|e| e.to_string()),
    },
    Command {
        names: &["msg", "tell"],
        takes: "NAME TEXT",
        does: "tell one peer alone, by nick or by the beginning of the id",
        read: |rest| match rest.split_once(char::is_whitespace) {
            Some(_) => Ok(Action::Msg(rest.to_owned())),
            None => Err("say to whom and what: /msg NAME TEXT".to_owned()),
        },
    },
    Command {
        names: &["join"],
        takes: "CHANNEL",
        does: "take part in a channel and speak there",
        read: |rest| channel(rest).map(Action::Join),
    },
    Command {
        names: &["leave", "part"],
        takes: "[CHANNEL]",
        does: "leave a channel; the current one if none is named",
        read: |rest| match rest {
            "" => Ok(Action::Leave(None)),
            _ => channel(rest).map(|channel| Action::Leave(Some(channel))),
        },
    },
    Command {
        names: &["who", "peers"],
        takes: "",
        does: "list who is here",
        read: |rest| nothing(rest, Action::Who),
    },
    Command {
        names: &["away"],
        takes: "[TEXT]",
        does: "be away, and say why; alone: be back, or just away",
        read: |rest| match rest.len() {
            0 => Ok(Action::Away(None)),
            1..=limits::SHORT_TEXT => Ok(Action::Away(Some(rest.to_owned()))),
            bytes => Err(format!("the reason has {bytes} bytes; at most {}", limits::SHORT_TEXT)),
        },
    },
    Command { names: &["help"], takes: "", does: "show this list", read: |_| Ok(Action::Help) },
    Command {
        names: &["quit", "close", "exit"],
        takes: "",
        does: "leave the chat",
        read: |rest| nothing(rest, Action::Quit),
    },
];

fn channel(text: &str) -> Result<ChannelName, String> {
    // People write channels as they are shown.
    text.strip_prefix('#').unwrap_or(text).parse::<ChannelName>().map_err(|e| e.to_string())
}

fn nothing(rest: &str, action: Action) -> Result<Action, String> {
    match rest {
        "" => Ok(action),
        _ => Err(format!("nothing may follow here, but '{}' does", Escaped::of(rest))),
    }
}

/// Reads a typed line; `None` if there is nothing in it.
pub(crate) fn read(line: &str) -> Result<Option<Action>, String> {
    let begins = |c: char| c == '/' || c == '\\';
    let Some(rest) = line.strip_prefix(begins) else {
        return say(line);
    };
    // Twice the same sign is the sign itself.
    if rest.starts_with(begins) && line[..1] == rest[..1] {
        return say(rest);
    }
    let (name, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let name = name.to_ascii_lowercase();
    if let Some(command) = COMMANDS.iter().find(|command| command.names.contains(&name.as_str())) {
        return (command.read)(rest.trim()).map(Some);
    }
    let (sign, name) = (&line[..1], Escaped::of(&name));
    Err(format!(
        "there is no command {sign}{name}; /help lists them, and {sign}{sign} says a line that \
         begins with {sign}"
    ))
}

fn say(text: &str) -> Result<Option<Action>, String> {
    match text.len() {
        _ if text.trim().is_empty() => Ok(None),
        0..=limits::TEXT => Ok(Some(Action::Say(text.to_owned()))),
        bytes => Err(Refusal::TextTooLong(bytes).to_string()),
    }
}

/// The list of commands, one a line.
pub(crate) fn help() -> String {
    let mut text = String::new();
    for command in COMMANDS {
        let call = format!("/{} {}", command.names[0], command.takes);
        let _ = write!(text, "{call:19}{}", command.does);
        for alias in &command.names[1..] {
            let _ = write!(text, "; also /{alias}");
        }
        text.push('\n');
    }
    text.push_str("Each works with \\ too. // says a line that begins with a slash.");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ops() -> ChannelName {
        "ops".parse().unwrap()
    }

    #[test]
    fn every_command_works_under_each_name_with_either_sign() {
        for (names, rest, action) in [
            (&["nick", "rename"][..], " ada b ", Action::Nick("ada b".parse().unwrap())),
            (&["msg", "tell"], " ada  hi there", Action::Msg("ada  hi there".to_owned())),
            (&["join"], " ops", Action::Join(ops())),
            (&["join"], " #ops", Action::Join(ops())),
            (&["leave", "part"], "", Action::Leave(None)),
            (&["leave", "part"], " ops", Action::Leave(Some(ops()))),
            (&["who", "peers"], "", Action::Who),
            (&["away"], "", Action::Away(None)),
            (&["away"], " at lunch", Action::Away(Some("at lunch".to_owned()))),
            (&["help"], " me", Action::Help),
            (&["quit", "close", "exit", "QUIT"], " ", Action::Quit),
        ] {
            for name in names {
                for sign in ['/', '\\'] {
                    let line = format!("{sign}{name}{rest}");
                    assert_eq!(read(&line), Ok(Some(action.clone())), "{line}");
                }
            }
        }
    }

    #[test]
    fn the_help_names_every_command_and_every_alias() {
        let help = help();
        for command in COMMANDS {
            for name in command.names {
                assert!(help.contains(&format!("/{name}")), "{name}");
            }
        }
        insta::assert_snapshot!(help, @r#"
        /nick NAME         appear under another name; also /rename
        /msg NAME TEXT     tell one peer alone, by nick or by the beginning of the id; also /tell
        /join CHANNEL      take part in a channel and speak there
        /leave [CHANNEL]   leave a channel; the current one if none is named; also /part
        /who               list who is here; also /peers
        /away [TEXT]       be away, and say why; alone: be back, or just away
        /help              show this list
        /quit              leave the chat; also /close; also /exit
        Each works with \ too. // says a line that begins with a slash.
        "#);
    }

    #[test]
    fn other_lines_are_said_as_they_are() {
        let says = |line: &str| match read(line) {
            Ok(Some(Action::Say(text))) => text,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(says("hi there "), "hi there ");
        assert_eq!(says("//etc is full"), "/etc is full");
        assert_eq!(says(r"\\o/"), r"\o/");
        assert_eq!(read(" "), Ok(None));
        assert_eq!(read(""), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_said_with_the_remedy() {
        for (line, says) in [
            ("/dance", "there is no command /dance; /help lists them"),
            (r"\o/", r"and \\ says a line that begins with \"),
            ("/", "there is no command /;"),
            ("/\x1b[2J", "/\\u{1b}[2j"),
            ("/nick", "the nick is empty"),
            ("/nick a\u{202e}b", "which is not allowed"),
            ("/join a b", "use letters, digits"),
            ("/msg ada", "/msg NAME TEXT"),
            ("/quit now", "'now' does"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(says) && !error.contains('\x1b'), "{line}: {error}");
        }
        assert!(read(&"x".repeat(limits::TEXT)).is_ok());
        assert!(read(&"x".repeat(limits::TEXT + 1)).is_err());
        assert!(read(&format!("/away {}", "x".repeat(limits::SHORT_TEXT + 1))).is_err());
    }
}
