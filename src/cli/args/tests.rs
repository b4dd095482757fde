use clap::CommandFactory;

use super::*;
use crate::cli::exit::Exit;

fn parse(line: &[&str]) -> Result<Args, String> {
    Args::try_parse_from(std::iter::once(&"cooee").chain(line)).map_err(|e| e.to_string())
}

/// Splits as a shell would, as far as the examples need it: quotes, and the end of a command.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(q), _) if q == c => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '|' | '>' | '&') => break,
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[test]
fn the_commands_are_consistent() {
    Args::command().debug_assert();
}

#[test]
fn every_example_of_every_help_page_can_be_pasted() {
    let mut program = Args::command();
    program.build();
    let pages: Vec<String> = std::iter::once(program.clone())
        .chain(program.get_subcommands().cloned())
        .map(|mut page| page.render_long_help().to_string())
        .collect();
    let mut examples = 0;
    for line in pages.iter().flat_map(|page| page.lines()) {
        let Some(line) = line.strip_prefix("  ").filter(|l| !l.starts_with(' ')) else { continue };
        let Some(at) = line.find("cooee ") else { continue };
        // What stands behind several blanks explains the example.
        let line = line[at..].split("   ").next().unwrap_or_default();
        let words = words(line);
        assert!(Args::try_parse_from(&words).is_ok(), "{line}: {words:?}");
        examples += 1;
    }
    assert!(examples >= 20, "{examples}");
}

#[test]
fn the_help_shows_every_exit_code() {
    let help = Args::command().render_long_help().to_string();
    for (exit, says) in Exit::ALL {
        assert!(help.contains(&format!("  {}  {says}", exit.code())), "{help}");
    }
}

#[test]
fn global_options_stand_before_or_after_the_command() {
    for line in [["--json", "--ttl", "2", "peers"], ["peers", "--json", "--ttl", "2"]] {
        let args = parse(&line).unwrap();
        assert!(args.globals.json);
        assert_eq!(args.globals.ttl.as_deref(), Some("2"));
    }
}

#[test]
fn whatever_follows_exec_belongs_to_its_command() {
    let args = parse(&["listen", "--count", "2", "--exec", "sh", "-c", "--json", "--", "x"]);
    let Ok(Args { command: Command::Listen(listen), globals }) = args else { panic!() };
    assert_eq!(listen.exec.unwrap(), ["sh", "-c", "--json", "--", "x"]);
    assert!(!globals.json);
}

#[test]
fn whatever_follows_the_command_that_answers_is_its_own() {
    let args = parse(&["answer", "--match", "disk", "df", "-h", "--json", "--", "/"]).unwrap();
    let Command::Answer(answer) = args.command else { panic!() };
    assert_eq!(answer.command, ["df", "-h", "--json", "--", "/"]);
    assert_eq!((answer.word.as_deref(), args.globals.json), (Some("disk"), false));
    let args = parse(&["answer", "--json", "--", "--odd"]).unwrap();
    let Command::Answer(answer) = args.command else { panic!() };
    assert_eq!((answer.command, args.globals.json), (vec!["--odd".into()], true));
    assert!(parse(&["answer", "--pipe"]).is_ok());
}

#[test]
fn what_is_to_be_said_is_words_or_data() {
    let args = parse(&["say", "--level", "warn", "two", "words"]).unwrap();
    let Command::Say(say) = args.command else { panic!() };
    assert_eq!((say.words.text.len(), say.words.level), (2, Level::Warn));
    assert_eq!(say.words.channel, ChannelName::lobby());
    assert!(parse(&["cast", "--data", "[1]"]).is_ok());
    assert!(parse(&["say", "-"]).is_ok());
    assert!(parse(&["say", "--to", "ada", "-"]).is_ok());
    let args = parse(&["say", "--confirm", "--need", "80%", "--wait", "10s", "-"]).unwrap();
    let Command::Say(say) = args.command else { panic!() };
    assert_eq!((say.confirm, say.need), (true, Some(Need::Percent(80))));
    assert_eq!(say.wait, Some(Duration::from_secs(10)));
}

#[test]
fn what_makes_no_sense_is_refused_with_cause_and_remedy() {
    for (line, says) in [
        (&["say"][..], "TEXT"),
        (&["say", "--level", "loud", "x"], "the levels are debug, info, warn and error"),
        (&["say", "--channel", "a b", "x"], "use letters, digits"),
        (&["say", "--data", "{", "x"], "not valid JSON"),
        (&["say", "--to", "ada", "--channel", "ops", "x"], "cannot be used with"),
        (&["say", "--need", "2", "x"], "--confirm"),
        (&["say", "--confirm", "--need", "some", "x"], "write a number, such as 3"),
        (&["cast", "--to", "ada", "x"], "unexpected argument"),
        (&["peers", "--wait", "5"], "has no unit"),
        (&["listen", "--count", "0"], "0 is not in"),
        (&["listen", "--for", "soon"], "is not a duration"),
        (&["ask"], "TEXT"),
        (&["ask", "--need", "0", "x"], "write a number, such as 3"),
        (&["ask", "--to", "ada", "--tag", "role", "x"], "cannot be used with"),
        (&["answer"], "CMD"),
        (&["answer", "--pipe", "date"], "cannot be used with"),
        (&["peers", "-q", "-v"], "cannot be used with"),
        (&["dance"], "unrecognized subcommand"),
    ] {
        let error = parse(line).unwrap_err();
        assert!(error.contains(says), "{line:?}: {error}");
    }
}

#[test]
fn of_an_option_that_is_given_twice_the_last_one_counts_and_lists_grow() {
    let parsed = parse(&["--nick", "a", "peers", "--peer", "x", "--nick", "b", "--peer", "y"]);
    let globals = parsed.unwrap().globals;
    assert_eq!(globals.nick.as_deref(), Some("b"));
    assert_eq!(globals.peer, ["x", "y"]);
}
