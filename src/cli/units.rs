//! The systemd units in `packaging/`, held against the command line: what they start exists, and
//! what they set is read.

use clap::{CommandFactory, Parser};

use super::args::{Args, Command};
use super::exit::Exit;

const UNITS: [(&str, &str); 2] = [
    ("system", include_str!("../../packaging/systemd/system/cooee.service")),
    ("user", include_str!("../../packaging/systemd/user/cooee.service")),
];

/// All values that the unit gives the key.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines.filter(|(name, _)| *name == key).map(|(_, value)| value).collect()
}

#[test]
fn the_units_start_an_agent_that_tells_when_it_is_ready() {
    for (name, unit) in UNITS {
        for key in ["ExecStart", "Type", "NotifyAccess", "WatchdogSec", "ExecReload"] {
            assert_eq!(values(unit, key).len(), 1, "{name}: {key}");
        }
        let words = values(unit, "ExecStart")[0].split(' ');
        let args = Args::try_parse_from(words);
        assert!(matches!(args.map(|args| args.command), Ok(Command::Agent(_))), "{name}");
        assert_eq!(values(unit, "Type"), ["notify"]);
        assert_eq!(values(unit, "NotifyAccess"), ["main"]);
        assert!(values(unit, "ExecReload")[0].contains("-HUP"));
        let usage = Exit::Usage.code().to_string();
        assert_eq!(values(unit, "RestartPreventExitStatus"), [usage], "{name}");
    }
}

#[test]
fn the_units_set_only_what_is_read() {
    let options = Args::command();
    let options = options.get_arguments().filter(|arg| arg.is_global_set());
    let mut known: Vec<String> = options
        .filter_map(|arg| arg.get_long())
        .map(|name| format!("COOEE_{}", name.replace('-', "_").to_uppercase()))
        .collect();
    known.push("COOEE_STATE_DIR".to_owned());
    for (name, unit) in UNITS {
        // What is commented out is a proposal, and has to be right as well.
        let unit = unit.replace("\n#Environment=", "\nEnvironment=");
        for set in values(&unit, "Environment") {
            let (variable, _) = set.split_once('=').unwrap();
            assert!(known.iter().any(|known| known == variable), "{name}: {variable}");
        }
    }
}
