//! `cooee ask`: puts a question to many, and prints their answers as they come.

use std::fmt::Write;
use std::time::Instant;

use super::args;
use super::duration;
use super::exit::{Exit, Failure};
use super::lines;
use super::options::Settings;
use super::output::text::Style;
use super::output::{Out, json, names, note};
use super::session::{self, Role};
use crate::agent::{Door, Filter, Heard, Inquiry, Need, Summary, Wanted};
use crate::net::Clock;
use crate::node::Notice;
use crate::proto::{Answer, Outgoing};
use crate::values::{Escaped, Level, limits};

/// Runs the command.
pub(super) fn run(args: &args::Ask, mut settings: Settings) -> Result<Exit, Failure> {
    let until = Instant::now() + args.wait.min(limits::QUESTION_TIME);
    let filter = Filter::parse(&args.tag, &[]).map_err(Failure::Usage)?;
    let question = question(args)?;
    // The agent knows who is here; a node of one's own has to look first.
    let (node, looked) = if let Some(client) = session::agent(&settings)? {
        (Door::Agent(client), Ok(()))
    } else {
        let (node, notices) = session::own(&mut settings, Role::Visitor)?;
        (Door::Own(node), session::settle(|left| notices.next(left), until))
    };
    let ended = looked.and_then(|()| {
        let to = args.to.as_deref().map(|name| session::addressee(&node, name)).transpose()?;
        let (to, need) = (to.map(|peer| peer.id), args.need);
        let inquiry = Inquiry::put(&node, Wanted { to, filter, what: question, need, until })?;
        answers(&node, inquiry, args, &settings)
    });
    session::stop(node, &settings);
    ended
}

/// What is asked.
fn question(args: &args::Ask) -> Result<Outgoing, Failure> {
    let text = args.text.join(" ");
    if text.len() > limits::TEXT {
        return Err(Failure::Usage(format!("the question {}", lines::too_long(text.len()))));
    }
    if text.is_empty() && args.data.is_none() {
        return Err(Failure::Usage("the question is empty".to_owned()));
    }
    Ok(Outgoing { at: Clock::wall(), text, data: args.data.clone(), level: Level::default() })
}

/// Prints the answers as they come.
fn answers(
    node: &Door,
    mut inquiry: Inquiry<'_>,
    args: &args::Ask,
    settings: &Settings,
) -> Result<Exit, Failure> {
    let (mut out, style) = (Out::new(), Style::new(false));
    let summary = loop {
        match inquiry.next()? {
            Heard::Answer(answer) if settings.json => {
                out.line(&json::asking::answer(&answer, None, node.clocks()))?;
            }
            Heard::Answer(answer) => out.line(&show(&answer, &style))?,
            Heard::Missed(_) if settings.quiet => {}
            Heard::Missed(count) => {
                style.notice(&Notice::Missed(count)).into_iter().for_each(note);
            }
            Heard::Over(summary) => break summary,
        }
    };
    if settings.json {
        out.line(&json::asking::answered(&summary, None))?;
    }
    let met = summary.is_met();
    if !settings.quiet && (!met || settings.verbose) {
        note(report(&summary, args));
    }
    Ok(if met { Exit::Done } else { Exit::No })
}

/// `web1: up 3 days`, or with lines of its own below the nick where there are several. They are
/// indented, so none of them can pass for another peer's answer.
fn show(answer: &Answer, style: &Style) -> String {
    let mut shown = style.nick(&answer.nick, Some(&answer.from));
    match answer.exit {
        None | Some(0) => {}
        Some(exit) => {
            let _ = write!(shown, " (exit code {exit})");
        }
    }
    shown.push(':');
    let text = answer.text.raw().trim_end_matches(['\n', '\r']);
    let data = answer.data.as_ref().map(|data| Escaped::of(data.as_str()).to_string());
    if !text.contains('\n') {
        for part in [Some(printable(text.trim_start())), data]
            .into_iter()
            .flatten()
            .filter(|p| !p.is_empty())
        {
            let _ = write!(shown, " {part}");
        }
        return shown;
    }
    for line in text.split('\n').map(printable).chain(data) {
        let _ = write!(shown, "\n  {line}");
    }
    shown
}

/// A line of what a command has printed: with its columns, and safe.
fn printable(line: &str) -> String {
    const STOPS: usize = 8;
    let mut plain = String::with_capacity(line.len());
    let mut column = 0;
    for c in line.trim_end_matches('\r').chars() {
        if c == '\t' {
            let blanks = STOPS - column % STOPS;
            plain.extend(std::iter::repeat_n(' ', blanks));
            column += blanks;
        } else {
            plain.push(c);
            column += 1;
        }
    }
    Escaped::of(&plain).to_string()
}

/// Says who has not answered, and what to try.
fn report(summary: &Summary, args: &args::Ask) -> String {
    let Summary { answers, expected, missing, without } = summary;
    if *answers == 0 && missing.is_empty() {
        let fits = if args.tag.is_empty() { "" } else { " that fits" };
        return if without.is_empty() {
            format!("nobody{fits} is here to be asked; `cooee peers` tells more")
        } else {
            let who = names(without);
            format!("nobody answers at {who}; on a host that is to answer, run `cooee answer`")
        };
    }
    let mut report = format!("{answers} of {expected} answered");
    if !summary.is_met() {
        let _ = write!(report, " within {}", duration::show(args.wait));
    }
    if !missing.is_empty() {
        let _ = write!(report, "; no answer from {}", names(missing));
    }
    if !without.is_empty() && args.need != Need::Answerers {
        let _ = write!(report, "; nobody answers at {}", names(without));
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::objects::asking::tests::an_answer;
    use crate::values::{NodeId, PeerText};

    fn shown(text: &str, exit: Option<i32>) -> String {
        show(&Answer { text: text.into(), exit, ..an_answer() }, &Style::new(false))
    }

    #[test]
    fn an_answer_of_one_line_is_one_line_and_of_several_is_a_block() {
        assert_eq!(shown("up 3 days\n", Some(0)), "web1: up 3 days");
        assert_eq!(shown("up 3 days", None), "web1: up 3 days");
        assert_eq!(shown("", Some(3)), "web1 (exit code 3):");
        assert_eq!(shown("a\tb\r\n\nc\n\n", Some(0)), "web1:\n  a       b\n  \n  c");
    }

    #[test]
    fn no_answer_steers_the_terminal_or_passes_for_another_ones() {
        let text = shown("\x1b[2J\nweb2: fine\r\x07\n\u{202e}", Some(0));
        assert_eq!(text, "web1:\n  \\u{1b}[2J\n  web2: fine\\r\\u{7}\n  \\u{202e}");
    }

    #[test]
    fn who_did_not_answer_is_named() {
        let who = |n: u8| (NodeId([n; 32]), PeerText::from(format!("n{n}").as_str()));
        let args = |need: &str| args::Ask {
            to: None,
            tag: Vec::new(),
            need: need.parse().unwrap_or_default(),
            wait: std::time::Duration::from_secs(5),
            data: None,
            text: vec!["x".to_owned()],
        };
        let mut summary = Summary {
            answers: 2,
            expected: 4,
            missing: vec![who(1), who(2)],
            without: vec![who(3)],
        };
        assert_eq!(report(&summary, &args("")), "2 of 4 answered within 5s; no answer from n1, n2");
        assert!(report(&summary, &args("all")).ends_with("nobody answers at n3"));
        summary.missing = (0..100).map(who).collect();
        assert!(report(&summary, &args("")).ends_with(", n19 and 80 more"));
        let none = Summary { answers: 0, expected: 0, missing: vec![], without: vec![] };
        assert!(report(&none, &args("")).starts_with("nobody is here"));
        let none = Summary { without: vec![who(3)], ..none };
        assert!(report(&none, &args("")).starts_with("nobody answers at n3"));
    }
}
