//! `cooee completions` and `cooee man`: what shells and `man` want to know of the command line, made
//! from the same description as `--help`.
//!
//! Neither reads a configuration, an environment or a clock: the same program always writes the
//! same bytes, so a package can make them when it is built.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

use super::args::{self, Args};
use super::exit::{Exit, Failure};
use crate::values::Escaped;

/// Prints the script that completes command lines in a shell.
pub(super) fn completions(args: &args::Completions) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    let mut program = Args::command();
    clap_complete::generate(args.shell, &mut program, "cooee", &mut script);
    print(&script)
}

/// Prints one manual page, or writes all of them.
pub(super) fn manual(args: &args::Manual) -> Result<Exit, Failure> {
    let program = program();
    if let Some(folder) = &args.out {
        return write_all(&program, folder);
    }
    let Some(name) = &args.command else { return print(&page(&program)) };
    let command = commands(&program).find(|command| command.get_name() == name);
    let command = command.ok_or_else(|| {
        let name = Escaped::of(name);
        Failure::Usage(format!("'{name}' is not a command; `cooee --help` lists them"))
    })?;
    print(&page(command))
}

fn print(bytes: &[u8]) -> Result<Exit, Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    written.map(|()| Exit::Done).map_err(|e| Failure::output(&e))
}

/// The whole command line, its commands with the global options and names such as `cooee-say`.
fn program() -> clap::Command {
    let mut program = Args::command();
    program.build();
    program
}

fn write_all(program: &clap::Command, folder: &Path) -> Result<Exit, Failure> {
    let shown = |path: &Path| Escaped::of(&path.display().to_string()).to_string();
    let refused = |path: &Path, e| Failure::Refused(format!("{}: {e}", shown(path)));
    fs::create_dir_all(folder).map_err(|e| refused(folder, e))?;
    for command in std::iter::once(program).chain(commands(program)) {
        let path = folder.join(format!("{}.1", display_name(command)));
        fs::write(&path, page(command)).map_err(|e| refused(&path, e))?;
    }
    Ok(Exit::Done)
}

fn display_name(command: &clap::Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// A manual page in roff.
fn page(command: &clap::Command) -> Vec<u8> {
    let mut command = command.clone();
    // One line, where clap_mangen would list all the global options once more.
    let usage = command.render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).to_owned();
    let after = command.get_after_long_help().or_else(|| command.get_after_help());
    let after = after.map(ToString::to_string).unwrap_or_default();
    let has_commands = command.has_subcommands();
    let name = display_name(&command).to_owned();
    let is_main = name == "cooee";
    let version = env!("CARGO_PKG_VERSION");
    let man = Man::new(command.override_usage(usage));
    // Not clap_mangen's: that drops the empty date, and with it the places of what follows.
    let mut page = format!(".TH {name} 1 \"\" \"cooee {version}\" \"cooee\"\n").into_bytes();
    let written = man
        .render_name_section(&mut page)
        .and_then(|()| man.render_synopsis_section(&mut page))
        .and_then(|()| man.render_description_section(&mut page))
        .and_then(|()| man.render_options_section(&mut page))
        .and_then(
            |()| {
                if has_commands { man.render_subcommands_section(&mut page) } else { Ok(()) }
            },
        )
        .and_then(|()| ending(&after, is_main).to_writer(&mut page));
    debug_assert!(written.is_ok(), "a vector takes everything");
    page
}

/// What follows the options: notes and examples from the help page, exit codes, files, other pages.
fn ending(after: &str, is_main: bool) -> Roff {
    let mut roff = Roff::new();
    for block in after.split("\n\n") {
        match block.split_once('\n') {
            Some(("Examples:", examples)) => {
                roff.control("SH", ["EXAMPLES"]);
                roff.control("EX", []);
                for example in examples.lines() {
                    roff.text([roman(example)]);
                }
                roff.control("EE", []);
            }
            // Every page has these, whether its help page shows them or not.
            Some(("Exit codes:", _)) => {}
            _ if block.is_empty() => {}
            _ => {
                roff.control("SH", ["NOTES"]);
                roff.text([roman(block)]);
            }
        }
    }
    roff.control("SH", ["EXIT STATUS"]);
    for (exit, says) in Exit::ALL {
        roff.control("TP", []);
        roff.text([bold(exit.code().to_string())]);
        roff.text([roman(says)]);
    }
    if is_main {
        roff.control("SH", ["FILES"]);
        for (path, what) in FILES {
            roff.control("TP", []);
            roff.text([italic(path)]);
            roff.text([roman(what)]);
        }
    } else {
        roff.control("SH", ["SEE ALSO"]);
        roff.text([bold("cooee"), roman("(1)")]);
    }
    roff
}

/// What the main page says of files.
const FILES: [(&str, &str); 4] = [
    ("~/.config/cooee/config.toml", "the configuration; see --config"),
    ("$XDG_RUNTIME_DIR/cooee.sock", "where the agent listens; see --socket"),
    ("~/.local/state/cooee/", "who this node is, and what the agent keeps; see COOEE_STATE_DIR"),
    ("~/.local/state/cooee/history.db", "what was said while the agent ran"),
];

/// The commands that have a page: not `help`, which only shows the others'.
fn commands(program: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    program.get_subcommands().filter(|command| command.get_name() != "help")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(command: &clap::Command) -> String {
        String::from_utf8(page(command)).unwrap().replace("\\-", "-")
    }

    fn script(shell: clap_complete::Shell) -> String {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Args::command(), "cooee", &mut script);
        String::from_utf8(script).unwrap()
    }

    #[test]
    fn the_main_page_names_every_command_and_exit_code() {
        let program = program();
        let main = text(&program);
        assert!(main.starts_with(".TH cooee 1 \"\" \"cooee "), "{main}");
        for command in commands(&program) {
            assert!(main.contains(&format!("\ncooee-{}(1)\n", command.get_name())), "{main}");
        }
        for (_, says) in Exit::ALL {
            assert!(main.contains(says), "{says}");
        }
    }

    #[test]
    fn every_page_has_its_options_the_global_ones_and_its_examples() {
        let program = program();
        let globals = program.get_arguments().filter(|arg| arg.is_global_set());
        let globals: Vec<_> = globals.filter_map(|arg| arg.get_long()).collect();
        assert!(globals.len() >= 12, "{globals:?}");
        for command in commands(&program) {
            let page = text(command);
            for option in command.get_arguments().filter_map(|arg| arg.get_long()) {
                assert!(page.contains(&format!("--{option}")), "{}: {option}", command.get_name());
            }
            for global in &globals {
                assert!(page.contains(&format!("--{global}")), "{}: {global}", command.get_name());
            }
            assert!(page.starts_with(&format!(".TH cooee-{} 1 ", command.get_name())), "{page}");
            for section in ["EXIT STATUS", "SEE ALSO"] {
                assert!(page.contains(&format!("\n.SH \"{section}\"\n")), "{section}: {page}");
            }
            let has_examples = command.get_after_long_help().is_some();
            assert_eq!(page.contains("\n.SH EXAMPLES\n"), has_examples, "{page}");
        }
    }

    #[test]
    fn every_shell_completes_every_command_and_global_option() {
        use clap::ValueEnum;
        let program = program();
        for shell in clap_complete::Shell::value_variants() {
            let script = script(*shell);
            for command in program.get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
            for global in program.get_arguments().filter_map(|arg| arg.get_long()) {
                assert!(script.contains(global), "{shell}: --{global}");
            }
            assert_eq!(script, self::script(*shell), "the same again");
        }
    }
}
