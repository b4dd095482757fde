//! What the program writes for shells and for `man`.

use std::process::Command;

use crate::host::Host;
use crate::lab::Scratch;
use crate::running::{Output, Running};

#[track_caller]
fn bash(host: &Host, script: &str) -> Output {
    let mut command: Command = host.program("bash");
    command.args(["-c", script, "bash", env!("CARGO_BIN_EXE_cooee")]);
    Running::start("bash".to_owned(), &mut command).finish()
}

#[test]
fn bash_completes_commands_options_and_shells() {
    let scratch = Scratch::new();
    let complete = r#"
        set -u
        source <("$1" completions bash)
        try() {
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
            _cooee cooee "${@: -1}" "${@: -2:1}"
            echo "${COMPREPLY[*]}"
        }
        try cooee pee
        try cooee peers --ser
        try cooee --sec
        try cooee completions fi
        complete -p cooee
    "#;
    let output = bash(&Host::here(&scratch), complete).exits(0);
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines[..4], ["peers", "--service", "--secret-file", "fish"], "{output:#?}");
    assert!(lines[4].contains("-F _cooee"), "{output:#?}");
}

#[test]
fn pages_and_completions_need_no_configuration_and_are_always_the_same() {
    let scratch = Scratch::new();
    let host = Host::here(&scratch);
    let wrong = scratch.path().join("config.toml");
    std::fs::write(&wrong, "this is wrong").unwrap();
    let wrong = wrong.to_str().unwrap();
    for args in [&["man"][..], &["man", "say"], &["completions", "zsh"]] {
        let once = host.run(args).exits(0);
        assert_eq!(once.stderr, "");
        let again = host.run(&[args, &["--config", wrong]].concat()).exits(0);
        assert_eq!(once.stdout, again.stdout);
    }

    let folder = scratch.path().join("man1");
    host.run(&["man", "--out", folder.to_str().unwrap()]).exits(0);
    let main = std::fs::read_to_string(folder.join("cooee.1")).unwrap();
    assert_eq!(main.trim_end(), host.run(&["man"]).stdout);
    for page in ["cooee-agent.1", "cooee-say.1", "cooee-man.1"] {
        assert!(folder.join(page).exists(), "{page}");
    }
    let refused = host.run(&["man", "dance"]).exits(2);
    assert!(refused.stderr.contains("'dance' is not a command"), "{refused:#?}");
}
