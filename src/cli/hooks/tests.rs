use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    hooks: HookLimits,
    #[serde(default)]
    on: Vec<On>,
}

fn read(text: &str) -> Result<HookOptions, String> {
    let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
    options(file.hooks, &file.on, Some(Path::new("/home/ada")))
}

fn hook(text: &str) -> Hook {
    let text = format!("[[on]]\n{text}");
    read(&text).unwrap().hooks.remove(0)
}

#[test]
fn what_is_left_out_is_the_safe_choice() {
    let hook = hook("event = \"message\"\nrun = [\"/usr/local/bin/notify\"]");
    assert_eq!(hook.name, "notify");
    assert!(hook.verified && !hook.own && hook.channels.is_empty() && hook.from.is_empty());
    assert_eq!((hook.timeout, hook.at_once, hook.level), (TIMEOUT, None, Level::Debug));
    assert_eq!(read("").unwrap(), HookOptions::default());
}

#[test]
fn every_key_is_taken() {
    let hook = hook(
        r#"
        name = "tell me"
        event = ["message", "left"]
        channel = ["deploys", "ops"]
        direct = false
        level = "warn"
        from = "ada"
        match = "Failed, again"
        verified = false
        own = true
        run = ["~/bin/notify", "--text={text}"]
        timeout = "2m"
        at-once = 1
        "#
        .replace("{text}", "{nick}")
        .as_str(),
    );
    assert_eq!(hook.events, [Trigger::Message, Trigger::Left].into());
    assert_eq!(hook.words, ["again".to_owned(), "failed".to_owned()].into());
    assert_eq!(hook.run[0].plain(), Some("/home/ada/bin/notify"));
    assert_eq!((hook.timeout, hook.at_once), (Duration::from_secs(120), Some(1)));
    let limits = read("[hooks]\nat-once = 8\nbacklog = 0\n").unwrap().limits;
    assert_eq!(limits, Limits { at_once: 8, backlog: 0 });
}

#[test]
fn what_is_wrong_is_refused_with_its_line_and_the_reason() {
    let on = "[[on]]\nevent = \"message\"\n";
    for (text, why) in [
        ("[[on]]\nrun = [\"x\"]", "missing field `event`"),
        ("[[on]]\nevent = \"message\"", "missing field `run`"),
        ("[[on]]\nevent = \"messages\"\nrun = [\"x\"]", "there is no event 'messages'"),
        ("[[on]]\nevent = []\nrun = [\"x\"]", "none is named"),
        ("[[on]]\nevent = \"left\"\nlevel = \"warn\"\nrun = [\"x\"]", "level is for event"),
        ("[[on]]\nevent = \"link\"\nfrom = \"ada\"\nrun = [\"x\"]", "from is for"),
        ("[[on]]\nevent = \"joined\"\nrun = [\"x\", \"{text}\"]", "{text} has no value"),
        (&format!("{on}run = []"), "there is no program"),
        (&format!("{on}run = \"x\""), "expected a sequence"),
        (&format!("{on}run = [\"{{text}}\"]"), "can't have a placeholder"),
        (&format!("{on}run = [\"x{{nick}}\"]"), "can't have a placeholder"),
        (&format!("{on}run = [\"./x\"]"), "write the whole path"),
        (&format!("{on}run = [\"x\", \"${{HOME}}\"]"), "no placeholder {HOME}"),
        (&format!("{on}run = [\"x\"]\nlevel = \"loud\""), "not a level"),
        (&format!("{on}run = [\"x\"]\nchannel = \"a b\""), "not allowed"),
        (&format!("{on}run = [\"x\"]\ntimeout = \"0s\""), "at least 1ms"),
        (&format!("{on}run = [\"x\"]\ntimeout = 5"), "expected a string"),
        (&format!("{on}run = [\"x\"]\nat-once = 0"), "0 is not from 1 to 256"),
        (&format!("{on}run = [\"x\"]\nmatch = \"!\""), "no word in it"),
        (&format!("{on}run = [\"x\"]\nshell = true"), "unknown field `shell`"),
        (&format!("{on}run = [\"x\"]\ndirect = true\nchannel = \"a\""), "leave out"),
        ("[hooks]\nbacklog = -1", "-1 is not from 0"),
        ("[hooks]\nat_once = 1", "unknown field `at_once`"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(why) && error.contains("line "), "{text}\n{error}");
    }
}
