//! `docs/agent.md`, held against the code: each line that it shows is read by what reads such lines,
//! and it leaves out no request, no member and no limit.

use serde_json::Value;

use super::clients::CLIENTS;
use super::objects::{Clocks, asking, confirming, read};
use super::protocol::{self, LINE, Reply};
use crate::values::{Instant, WallTime, limits};

const PAGE: &str = include_str!("../../docs/agent.md");
const CODE: &str = include_str!("protocol.rs");

/// The code between two of its lines.
fn part(from: &str, to: &str) -> &'static str {
    let at = CODE.find(from).unwrap();
    let rest = &CODE[at + from.len()..];
    &rest[..rest.find(to).unwrap()]
}

/// The members of a struct there.
fn members(name: &str) -> Vec<&'static str> {
    let fields = part(&format!("struct {name} {{\n"), "\n}").lines();
    let names = fields.filter_map(|line| line.trim().strip_prefix("pub(crate) "));
    names.filter_map(|line| line.split(':').next()).collect()
}

#[test]
fn every_request_and_every_member_is_on_the_page() {
    let verbs: Vec<&str> = part("fn request(", "\n}\n")
        .lines()
        .filter_map(|line| line.trim().strip_prefix('"')?.split_once("\" => "))
        .chain([("say", "two in one arm")])
        .map(|(verbs, _)| verbs)
        .flat_map(|verbs| verbs.split("\" | \""))
        .collect();
    assert!(verbs.len() >= 15, "{verbs:?}");
    for verb in verbs {
        assert!(PAGE.contains(&format!("| `{verb}` |")), "no row for {verb}");
        assert!(PAGE.contains(&format!("\"do\":\"{verb}\"")), "no example of {verb}");
    }
    for name in members("Line").into_iter().filter(|name| *name != "verb") {
        assert!(PAGE.contains(&format!("`{name}`")), "no word about {name}");
    }
    for name in ["Reply", "About", "LinkAbout", "LinkRow", "Status", "HookCounts", "GatewayStatus"]
        .map(members)
        .concat()
    {
        assert!(PAGE.contains(&format!("\"{name}\":")), "no example of {name}");
    }
}

#[test]
fn the_lines_that_clients_write_are_read_as_the_page_says() {
    let lines: Vec<&str> = PAGE.lines().collect();
    let mut count = 0;
    for (at, line) in lines.iter().enumerate() {
        let Some(request) = line.strip_prefix("→ ") else { continue };
        count += 1;
        let reply = lines[at + 1].strip_prefix("← ").map(|reply| reply.parse::<Value>().unwrap());
        match protocol::read(request.as_bytes()) {
            Ok((n, _)) => {
                // Without a number there is no reply to a request that is carried out.
                let answered = reply.and_then(|reply| reply["n"].as_u64());
                assert_eq!(answered, n, "{request}");
            }
            Err((n, why)) => {
                let shown = Reply::refused(n, why).line();
                assert_eq!(reply, Some(shown.parse().unwrap()), "{request}");
            }
        }
    }
    assert!(count >= 20, "{count}");
}

#[test]
fn the_lines_that_the_agent_writes_are_read_by_its_own_client() {
    let clocks = Clocks::new(Instant::ZERO, WallTime(1_795_502_400_000));
    for line in PAGE.lines().filter_map(|line| line.strip_prefix("← ")) {
        let value: Value = line.parse().unwrap();
        if value["event"].is_string() {
            let read = read::notice(line, clocks).is_some()
                || asking::read(line).is_some()
                || confirming::read(line).is_some();
            assert!(read, "{line}");
            continue;
        }
        let reply: Reply = serde_json::from_str(line).unwrap();
        // Nothing in it that the code does not write, and in its order.
        assert_eq!(reply.line(), format!("{line}\n"));
    }
}

#[test]
fn the_limits_on_the_page_are_those_of_the_code() {
    assert_eq!(LINE, 1 << 20);
    for said in [
        "has at most 1 MiB".to_owned(),
        format!("At most {} MiB of the past", super::looking_back::PAST >> 20),
        format!("last messages, at most {},000 |", limits::RECALL / 1_000),
        format!("At most {},{:03} clients", CLIENTS / 1_000, CLIENTS % 1_000),
        format!("a list of names, at most {};", limits::CHANNELS),
        format!("| `text` | up to {} KiB", limits::TEXT / 1_024),
        format!("any JSON, up to {} KiB", limits::DATA / 1_024),
        format!("At most {} such requests", limits::CONFIRMS),
        format!("has gone out: 5,000 if missing, at most {},000 |", limits::CONFIRM_TIME.as_secs()),
        format!("at most {} of each, and {} bytes", limits::TAGS, limits::TAG_BYTES),
    ] {
        assert!(PAGE.contains(&said), "{said}");
    }
}
