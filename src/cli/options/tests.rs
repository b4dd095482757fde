use std::path::Path;

use super::*;
use crate::values::Group;

/// A folder of its own that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    #[track_caller]
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("cooee-{}-{name}", std::process::id()));
        fs::create_dir_all(path.join("cooee")).unwrap();
        Self(path)
    }

    #[track_caller]
    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

type Env = &'static [(&'static str, &'static str)];

fn with(typed: &Globals, env: Env, dir: &Path) -> Result<Settings, Failure> {
    let env = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).into());
    let around = Surroundings {
        env: Box::new(env),
        config_dir: Some(dir.to_owned()),
        state_dir: Some("/state".into()),
        runtime_dir: Some("/run/user/7".into()),
        host: "web1".to_owned(),
    };
    resolve(typed, &around)
}

fn typed(typed: &Globals) -> Result<Settings, Failure> {
    with(typed, &[], Path::new("/nonexistent"))
}

#[track_caller]
fn refused(globals: &Globals) -> String {
    match typed(globals) {
        Err(Failure::Usage(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_any_option_the_host_speaks_under_its_name_in_the_usual_group() {
    let settings = typed(&Globals::default()).unwrap();
    assert_eq!(settings.node.group, Group::DEFAULT);
    assert_eq!(settings.node.profile.nick.raw(), "web1");
    assert_eq!(settings.node.profile.host.raw(), "web1");
    assert_eq!(settings.node.profile.version.raw(), env!("CARGO_PKG_VERSION"));
    assert_eq!(settings.node.state_dir, Some("/state/cooee".into()));
    assert!(!settings.json && !settings.quiet && !settings.node.no_multicast);
}

#[test]
fn what_is_typed_goes_before_the_environment_and_that_before_the_file() {
    let folder = Folder::new("layers");
    folder.file(
        "cooee/config.toml",
        "nick = 'file'\ngroup = '239.3.3.3'\nttl = 3\njson = true\n[tags]\nrole = 'web'\n",
    );
    let env: Env =
        &[("COOEE_NICK", "env"), ("COOEE_GROUP", "239.2.2.2"), ("COOEE_IFACE", "eth0, eth1,")];
    let globals = Globals { nick: Some("flag".to_owned()), ..Globals::default() };
    let settings = with(&globals, env, &folder.0).unwrap();
    assert_eq!(settings.node.profile.nick.raw(), "flag");
    assert_eq!(settings.node.group.to_string(), "239.2.2.2:26633");
    assert_eq!(settings.node.interfaces, ["eth0", "eth1"]);
    assert_eq!((settings.node.ttl, settings.json), (3, true));
    assert_eq!(settings.node.profile.tags[&"role".into()].raw(), "web");
}

#[test]
fn the_environment_can_switch_off_what_the_file_switches_on() {
    let folder = Folder::new("off");
    folder.file("cooee/config.toml", "json = true\n");
    assert!(!with(&Globals::default(), &[("COOEE_JSON", "0")], &folder.0).unwrap().json);
    let error = with(&Globals::default(), &[("COOEE_JSON", "maybe")], &folder.0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "COOEE_JSON: 'maybe' is neither 1 nor 0; write 1 for yes, 0 for no"
    );
}

#[test]
fn every_global_option_has_its_variable() {
    let env: Env = &[
        ("COOEE_GROUP", "239.2.2.2:99"),
        ("COOEE_PEER", "web2,web3:7"),
        ("COOEE_NO_MULTICAST", "yes"),
        ("COOEE_TTL", "9"),
        ("COOEE_QUIET", "1"),
        ("COOEE_STATE_DIR", "/elsewhere"),
    ];
    let settings = with(&Globals::default(), env, Path::new("/nonexistent")).unwrap();
    assert_eq!((settings.node.ttl, settings.quiet, settings.node.no_multicast), (9, true, true));
    assert_eq!((settings.seeds[0].port, settings.seeds[1].port), (99, 7));
    assert_eq!(settings.node.state_dir, Some("/elsewhere".into()));
}

#[test]
fn wrong_values_are_refused_with_the_place_the_cause_and_the_remedy() {
    let group = |text: &str| Globals { group: Some(text.to_owned()), ..Globals::default() };
    assert!(
        refused(&group("10.0.0.1")).starts_with("--group 10.0.0.1: 10.0.0.1 is not a multicast")
    );
    assert!(refused(&group("240.0.0.1")).contains("a group is 224.0.0.0 to 239.255.255.255"));
    assert!(refused(&group("239.1.1.1:0")).contains("give 1 to 65535"));
    for ttl in ["0", "256", "-1", "x"] {
        let globals = Globals { ttl: Some(ttl.to_owned()), ..Globals::default() };
        assert!(refused(&globals).contains("give 1 to 255"));
    }
    for nick in ["x".repeat(1_000), "a\x1bb".to_owned(), " ".to_owned()] {
        let text = refused(&Globals { nick: Some(nick), ..Globals::default() });
        assert!(text.starts_with("--nick: the nick ") && !text.contains('\x1b'), "{text}");
    }
    for peer in [
        "web1:",
        "web1:0",
        "web1:70000",
        "",
        "[::1]:5",
        "::1",
        "239.255.26.33",
        "0.0.0.0",
        "255.255.255.255:9",
    ] {
        let text = refused(&Globals { peer: vec![peer.to_owned()], ..Globals::default() });
        assert!(text.starts_with("--peer: "), "{text}");
    }
    let env: Env = &[("COOEE_TTL", "0")];
    let error = with(&Globals::default(), env, Path::new("/nonexistent")).unwrap_err();
    assert!(error.to_string().starts_with("COOEE_TTL: "));
}

#[test]
fn an_address_needs_no_resolver_and_the_group_gives_the_port() {
    let peer = vec!["10.9.8.7".to_owned(), "10.9.8.8:4".to_owned()];
    let mut settings = typed(&Globals { peer, ..Globals::default() }).unwrap();
    settings.look_up().unwrap();
    let seeds: Vec<String> = settings.node.seeds.iter().map(ToString::to_string).collect();
    assert_eq!(seeds, ["10.9.8.7:26633", "10.9.8.8:4"]);
}

#[test]
fn a_secret_is_the_files_content_without_the_last_line_end() {
    let folder = Folder::new("secret");
    let of = |content: &[u8]| {
        let path = folder.file("secret", content);
        typed(&Globals { secret_file: Some(path), ..Globals::default() })
    };
    assert_eq!(of(b"open sesame\n").unwrap().node.secret.as_deref(), Some(&b"open sesame"[..]));
    assert_eq!(of(b"a\r\n").unwrap().node.secret.as_deref(), Some(&b"a"[..]));
    assert_eq!(of(b"a\n\n").unwrap().node.secret.as_deref(), Some(&b"a\n"[..]));
    assert!(of(b"\n").unwrap_err().to_string().contains("is empty"));
    assert!(of(&[7; SECRET + 1]).unwrap_err().to_string().contains("longer than"));
    let missing = Globals { secret_file: Some(folder.0.join("nothing")), ..Globals::default() };
    assert!(matches!(typed(&missing), Err(Failure::Refused(_))));
}

#[test]
fn a_secret_that_others_can_read_is_worth_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("modes");
    let path = folder.file("secret", "s");
    let globals = Globals { secret_file: Some(path.clone()), ..Globals::default() };
    for (mode, warnings) in [(0o600, 0), (0o644, 1), (0o640, 1)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(typed(&globals).unwrap().warnings.len(), warnings, "{mode:o}");
    }
}

#[test]
fn no_more_of_the_past_is_brought_back_than_others_give() {
    let folder = Folder::new("recall");
    let of = |recall: &str| {
        folder.file("cooee/config.toml", format!("[history]\n{recall}\n"));
        with(&Globals::default(), &[], &folder.0).map(|settings| settings.recall)
    };
    assert_eq!((of("").unwrap(), of("recall = 0").unwrap()), (RECALL, 0));
    assert_eq!(of("recall = 1000").unwrap(), limits::RECALL);
    let error = of("recall = 1001").unwrap_err().to_string();
    assert!(error.contains("[history] recall") && error.contains("at most 1000"), "{error}");
}

#[test]
fn more_tags_than_can_be_announced_are_refused() {
    let folder = Folder::new("tags");
    let many: Vec<String> = (0..17).map(|n| format!("t{n} = ''\n")).collect();
    folder.file("cooee/config.toml", format!("[tags]\n{}", many.concat()));
    let error = with(&Globals::default(), &[], &folder.0).unwrap_err().to_string();
    assert!(error.contains("at most 16"), "{error}");
    folder.file("cooee/config.toml", format!("[tags]\na = '{}'\n", "x".repeat(300)));
    let error = with(&Globals::default(), &[], &folder.0).unwrap_err().to_string();
    assert!(error.contains("at most 256"), "{error}");
}

#[test]
fn every_global_option_is_a_variable_and_a_key_of_the_file() {
    use std::cell::RefCell;
    use std::rc::Rc;

    use clap::CommandFactory;

    let asked = Rc::new(RefCell::new(Vec::new()));
    let record = Rc::clone(&asked);
    let around = Surroundings {
        env: Box::new(move |name| {
            record.borrow_mut().push(name.to_owned());
            None
        }),
        config_dir: None,
        state_dir: None,
        runtime_dir: None,
        host: "web1".to_owned(),
    };
    resolve(&Globals::default(), &around).unwrap();
    let folder = Folder::new("keys");
    let program = crate::cli::args::Args::command();
    // Help and version have no identifier that is global.
    for option in program.get_arguments().filter(|arg| arg.is_global_set()) {
        let long = option.get_long().unwrap();
        if long != "config" {
            folder.file("cooee/config.toml", format!("{long} = [[]]\n"));
            let error = with(&Globals::default(), &[], &folder.0).unwrap_err().to_string();
            assert!(!error.contains("unknown field"), "{error}");
        }
        // There is no agent yet, so nobody asks how to reach it.
        if long != "no-agent" && long != "socket" {
            let name = format!("COOEE_{}", long.replace('-', "_").to_uppercase());
            assert!(asked.borrow().contains(&name), "{name}");
        }
    }
}

/// What of the sample configuration begins so, without it.
fn sample(mark: impl Fn(&str) -> Option<&str>) -> String {
    let lines = include_str!("../../../packaging/config.toml").lines();
    lines.filter_map(mark).fold(String::new(), |text, line| text + line + "\n")
}

/// A line that shows a default.
fn default_of(line: &str) -> Option<&str> {
    line.strip_prefix('#').filter(|line| line.starts_with(|c: char| c == '[' || c.is_alphabetic()))
}

/// The same, or an example.
fn shown(line: &str) -> Option<&str> {
    default_of(line).or_else(|| line.strip_prefix("#  "))
}

#[test]
fn the_sample_configuration_shows_the_defaults_and_its_examples_are_right() {
    let folder = Folder::new("sample");
    let comes_to = |text: String| {
        folder.file("cooee/config.toml", text);
        with(&Globals::default(), &[("HOME", "/home/ada")], &folder.0).unwrap()
    };
    let none = format!("{:?}", comes_to(String::new()));
    assert_eq!(format!("{:?}", comes_to(sample(|line| Some(line)))), none, "nothing is set in it");
    let defaults = sample(default_of);
    assert!(defaults.lines().count() > 12, "{defaults}");
    assert_eq!(format!("{:?}", comes_to(defaults)), none);

    let all = comes_to(sample(|line| shown(line).filter(|l| !l.starts_with("secret-file"))));
    assert_eq!(all.socket.path(), Some(Path::new("/run/cooee/cooee.sock")));
    assert_eq!(all.hooks.hooks.len(), 1);
    assert_eq!(all.keeping, Keeping::default());
    // These have a default, and it is what is shown.
    let optional = ["secret-file", "name", "verified", "own", "timeout"];
    let short = |line: &&str| !optional.iter().any(|key| line.starts_with(key));
    assert_eq!(comes_to(sample(|line| shown(line).filter(short))).hooks, all.hooks);
}

#[test]
fn no_key_is_missing_in_the_sample_configuration() {
    let text = sample(shown);
    let tables = ["[history]\n", "[hooks]\n", "[[on]]\n"].map(|header| (header.trim(), header));
    for (table, header) in [("", "")].into_iter().chain(tables) {
        let folder = Folder::new("sample-keys");
        folder.file("cooee/config.toml", format!("{header}no-such-key = 1\n"));
        let error = with(&Globals::default(), &[], &folder.0).unwrap_err().to_string();
        let known = error.split("expected ").nth(1).unwrap_or_default();
        let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        assert!(known.len() >= 2, "{error}");
        let part = text.split_once(table).unwrap().1;
        let part = if table.is_empty() { part } else { part.split("\n[").next().unwrap() };
        for key in known {
            let has = |line: &str| {
                let line = line.trim_start_matches('[').trim_end_matches(']');
                line.split('=').next().is_some_and(|start| start.trim() == key)
            };
            assert!(part.lines().any(has), "{key} of {table}");
        }
    }
}

#[test]
fn a_file_that_everybody_can_write_does_not_say_what_runs() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("writable");
    let text = "[[on]]\nevent = \"left\"\nrun = [\"true\"]\n";
    let path = folder.file("cooee/config.toml", text);
    assert_eq!(with(&Globals::default(), &[], &folder.0).unwrap().hooks.hooks.len(), 1);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o646)).unwrap();
    let error = with(&Globals::default(), &[], &folder.0).unwrap_err().to_string();
    assert!(error.contains("chmod o-w"), "{error}");
    fs::write(&path, "nick = \"ada\"\n").unwrap();
    assert!(with(&Globals::default(), &[], &folder.0).is_ok(), "nothing is run");
}
