//! A box office in which something is wrong: what it says, how commands end, and that nothing sold is
//! forgotten.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cooee::{Event, Json, Node, Notice, Options, Outgoing};
use rexpect::session::spawn_command;
use serde_json::json;

use super::*;
use crate::lines::PATIENCE;

/// A host on the loopback with a group of the test's own.
struct Here {
    host: Host,
    group: String,
    _scratch: Scratch,
}

impl Here {
    fn new(test: u8) -> Self {
        let scratch = Scratch::new();
        Self { host: Host::here(&scratch), group: group_of_its_own(test), _scratch: scratch }
    }

    fn options(&self) -> [&str; 4] {
        ["--iface", "127.0.0.1", "--group", &self.group]
    }

    #[track_caller]
    fn found(&self) -> PathBuf {
        found(&self.host, 1, "2m", &self.options())
    }

    #[track_caller]
    fn open(&self, file: &Path) -> Running {
        open(&self.host, file, &self.options())
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> Output {
        run(&self.host, &[args, &self.options()].concat())
    }

    #[track_caller]
    fn order(&self, command: &str, more: &[&str]) -> Output {
        order(&self.host, command, &[&["--json"], more, &self.options()].concat())
    }

    /// Somebody else has it.
    #[track_caller]
    fn refuses_a1_as_taken(&self) {
        let taken = self.order("book", &["A1", "--as", "ben"]).exits(1);
        assert_eq!(taken.json()[0]["no"]["why"], "taken", "{taken:#?}");
    }
}

/// What an office has written down before it ended.
#[track_caller]
fn the_saved_one(folder: &Path) -> PathBuf {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_saved = |path: &PathBuf| path.display().to_string().contains("ledger.rescued-");
    let mut saved: Vec<PathBuf> = names.filter(is_saved).collect();
    assert_eq!(saved.len(), 1, "{saved:?}");
    saved.remove(0)
}

#[test]
fn every_failure_is_an_object_too_and_each_line_of_orders_gets_its_result() {
    let here = Here::new(3);
    for (args, code, kind) in [
        (&["shows", "--json", "--wait", "10ms"][..], 1, "no"),
        (&["seats", "hamlet", "today", "--json", "--wait", "10ms"], 1, "no"),
        (&["seats", "the tempest", "today", "--json"], 2, "usage"),
        (&["book", "hamlet", "--json"], 2, "usage"),
        (&["book", "hamlet", "today", "A\x1b[2J", "--json"], 2, "usage"),
        (&["serve", "no-such.toml", "--json"], 2, "usage"),
        (&["shows", "--json", "--iface", "no-such"], 3, "refused"),
    ] {
        let failed = here.run(args).exits(code);
        let said = failed.json();
        assert_eq!(said.len(), 1, "{failed:#?}");
        assert_eq!((&said[0]["event"], &said[0]["kind"]), (&json!("failed"), &json!(kind)));
        assert_eq!(said[0]["exit"], code);
        assert!(!said[0]["error"].as_str().unwrap().is_empty() && !failed.stderr.is_empty());
        assert!(!failed.stderr.contains("\x1b[2J"), "{failed:#?}");
    }
    let date = here.run(&["book", "hamlet", "--json"]).exits(2).json();
    assert!(date[0]["error"].as_str().unwrap().contains("<DATE>"), "{date:?}");
    let nobody = here.order("book", &["A1", "--wait", "10ms"]).exits(1);
    assert_eq!(nobody.json()[0]["kind"], "no", "{nobody:#?}");

    let file = here.found();
    let _office = here.open(&file);
    let words = [&["book", "--json"], &NIGHT[..], &["-"], &here.options()[..]].concat();
    let mut buyer = start(&here.host, &words);
    buyer.type_bytes(b"a1\n\nB1\nA2 \xff\nA1 A2\na3");
    let results = buyer.finish().exits(2);
    let kinds: Vec<_> = results.json().iter().map(|v| v["kind"].clone()).collect();
    assert_eq!(kinds, ["done", "no", "usage", "done", "done"], "{results:#?}");
}

/// Runs a buyer where a node says that it sells Hamlet, and until the buyer has ended answers each
/// question with `answer`, or not at all.
#[track_caller]
fn beside_a_stranger(here: &Here, answer: Option<&str>, buyer: &[&str]) -> Output {
    let mut options = Options::named("stranger").on_loopback();
    options.group = here.group.parse().unwrap();
    options.profile.services.insert("box-office".into(), 1);
    options.profile.services.insert("show-hamlet".into(), 1);
    let (node, notices) = Node::start(options).unwrap();
    node.set_answering(true).unwrap();
    let buyer = start(&here.host, &[buyer, &here.options()].concat());
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                let notice = notices.next(Duration::from_millis(50)).unwrap();
                let Some(Notice::Event(Event::Question(question))) = notice else { continue };
                if let Some(answer) = answer {
                    let answer = Outgoing::new("done").with_data(Json::parse(answer).unwrap());
                    node.reply(question.number, answer).unwrap();
                }
            }
        });
        let output = buyer.finish();
        ended.store(true, Ordering::Relaxed);
        output
    })
}

#[test]
fn an_order_without_an_answer_is_neither_done_nor_refused() {
    let here = Here::new(4);
    let book = [&["book", "--json", "--wait", "2s"], &NIGHT[..], &["A1"]].concat();
    let unknown = beside_a_stranger(&here, None, &book).exits(4);
    let said = &unknown.json()[0];
    assert_eq!((&said["kind"], &said["done"]), (&json!("unknown"), &json!(null)), "{unknown:#?}");
    assert!(unknown.stderr.contains("not known"), "{unknown:#?}");
    // Who only asks has changed nothing, so that is a plain no.
    let seats = [&["seats", "--json", "--wait", "2s"], &NIGHT[..]].concat();
    let unanswered = beside_a_stranger(&here, None, &seats).exits(1);
    assert_eq!(unanswered.json()[0]["kind"], "no", "{unanswered:#?}");
}

#[test]
fn an_order_that_is_interrupted_after_it_was_sent_is_said_to_be_unknown() {
    let here = Here::new(18);
    let mut options = Options::named("stranger").on_loopback();
    options.group = here.group.parse().unwrap();
    options.profile.services.insert("show-hamlet".into(), 1);
    let (node, notices) = Node::start(options).unwrap();
    node.set_answering(true).unwrap();
    let words = [&["book", "--json"], &NIGHT[..], &["A1"], &here.options()[..]].concat();
    let buyer = start(&here.host, &words);
    let is_question = |notice| matches!(notice, Some(Notice::Event(Event::Question(_))));
    let until = std::time::Instant::now() + PATIENCE;
    while !is_question(notices.next(Duration::from_millis(50)).unwrap()) {
        assert!(std::time::Instant::now() < until, "no order has come");
    }
    buyer.interrupt();
    let unknown = buyer.finish().exits(4);
    let said = &unknown.json()[0];
    assert_eq!((&said["kind"], &said["done"]), (&json!("unknown"), &json!(null)), "{unknown:#?}");
    assert!(unknown.stderr.contains("interrupted"), "{unknown:#?}");
}

#[test]
fn an_answer_about_other_seats_than_were_asked_for_is_not_taken_for_done() {
    let here = Here::new(5);
    let book = [&["book", "--json"], &NIGHT[..], &["A1"]].concat();
    for answer in [r#"{"done":{"seats":["A2"],"until":null}}"#, r#""what?""#] {
        let other = beside_a_stranger(&here, Some(answer), &book).exits(4);
        assert!(other.json()[0]["done"].is_null(), "{other:#?}");
    }
}

#[test]
fn sold_seats_that_the_file_lists_no_more_keep_the_office_closed_until_somebody_says_so() {
    let here = Here::new(6);
    let file = here.found();
    let office = here.open(&file);
    here.order("book", &["A1", "A2"]).exits(0);
    office.terminate();
    office.finish().exits(0);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("A oooo", "B oooo")).unwrap();
    let serve = ["serve", "--json", file.to_str().unwrap()];
    let refused = here.run(&serve).exits(2);
    let names = "hamlet on 2026-12-24: A1 (sold), hamlet on 2026-12-24: A2 (sold)";
    assert!(refused.stderr.contains(names) && refused.stderr.contains("--retire"), "{refused:#?}");

    let office = open(&here.host, &file, &[&["--retire"], &here.options()[..]].concat());
    office.wait_json("that they stay taken", |v| {
        v["event"] == "warning" && v["text"].as_str().unwrap().contains(names)
    });
    office.terminate();
    office.finish().exits(0);
    // Once is enough; and listed again they are still sold.
    let office = here.open(&file);
    office.terminate();
    office.finish().exits(0);
    fs::write(&file, text).unwrap();
    let _office = here.open(&file);
    here.refuses_a1_as_taken();
}

#[test]
fn an_office_whose_database_is_removed_sells_nothing_more_and_saves_what_it_has_sold() {
    let here = Here::new(7);
    let file = here.found();
    let office = here.open(&file);
    here.order("book", &["A1"]).exits(0);
    let folder = file.with_extension("office");
    for name in ["ledger.db", "ledger.db-journal"] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    let closed = office.finish().exits(3);
    assert!(closed.stderr.contains("was removed, replaced or written by another"), "{closed:#?}");
    let saved = the_saved_one(&folder);
    assert!(closed.stderr.contains(saved.to_str().unwrap()), "{closed:#?}");
    // What it says helps.
    fs::rename(&saved, folder.join("ledger.db")).unwrap();
    let _office = here.open(&file);
    here.refuses_a1_as_taken();
}

#[test]
fn an_office_whose_database_is_emptied_in_place_sells_nothing_more_and_saves_what_it_has_sold() {
    let here = Here::new(12);
    let file = here.found();
    let office = here.open(&file);
    here.order("book", &["A1"]).exits(0);
    let folder = file.with_extension("office");
    fs::write(folder.join("ledger.db"), "").unwrap();
    let closed = office.finish().exits(3);
    assert!(closed.stderr.contains("written by another"), "{closed:#?}");
    let saved = the_saved_one(&folder);
    // It is not taken for a new one, and what was saved has all that was sold.
    let refused = here.run(&["serve", file.to_str().unwrap()]).exits(3);
    assert!(refused.stderr.contains("ledger.db is empty"), "{refused:#?}");
    fs::rename(&saved, folder.join("ledger.db")).unwrap();
    let _office = here.open(&file);
    here.refuses_a1_as_taken();
}

#[test]
fn an_office_sells_though_nobody_reads_what_it_prints() {
    let here = Here::new(13);
    let file = here.found();
    let mut program = here.host.program(&program());
    let args = [&["serve", file.to_str().unwrap()], &here.options()[..]].concat();
    let (unread, output) = std::io::pipe().unwrap();
    drop(unread);
    let mut office = program.args(args).stdout(output).spawn().unwrap();
    here.order("book", &["A1"]).exits(0);
    assert_eq!(office.try_wait().unwrap(), None);
    office.kill().unwrap();
    office.wait().unwrap();
}

#[test]
fn a_night_that_is_not_on_is_a_no_whoever_asks_and_ends_a_live_map_once_it_is_taken_off() {
    let here = Here::new(14);
    let file = here.found();
    let office = here.open(&file);
    let other = [NIGHT[0], "2026-12-25"];
    for words in [&["seats"][..], &["seats", "--watch"], &["book"], &["cancel"]] {
        let no = here.run(&[words, &other, &["--json"]].concat()).exits(1);
        assert_eq!(no.json()[0]["kind"], "no", "{no:#?}");
    }
    let viewer = watch(&here.host, &here.options());
    office.terminate();
    office.finish().exits(0);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace(NIGHT[1], other[1])).unwrap();
    let _office = here.open(&file);
    let off = viewer.finish().exits(1);
    assert!(off.stderr.contains("no such show or date"), "{off:#?}");
}

#[test]
fn a_live_map_is_drawn_anew_where_the_house_is_another_one() {
    let here = Here::new(15);
    let file = here.found();
    let office = here.open(&file);
    let viewer = watch(&here.host, &here.options());
    office.terminate();
    office.finish().exits(0);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        text.replace("A oooo oooo oo", "A ooo\nB ooo").replace("\"Hamlet\"", "\"Lear\""),
    )
    .unwrap();
    let _office = here.open(&file);
    let seats = ["A1", "A2", "A3", "B1", "B2", "B3"];
    viewer.wait_json("the other house", |v| {
        v["event"] == "map"
            && v["title"] == "Lear"
            && v["seats"].as_object().is_some_and(|all| all.keys().eq(seats))
    });
}

#[test]
fn shows_lists_the_office_that_is_named_and_no_other() {
    let here = Here::new(16);
    let file = here.found();
    let _office = here.open(&file);
    let shown = here.run(&["shows", "--json"]).exits(0).json();
    let id = shown[0]["office"].as_str().unwrap().to_owned();
    assert_eq!(here.run(&["shows", "--json", "--office", &id]).exits(0).json(), shown);
    let key = here.host.home().join("nobody.toml");
    fs::copy(&file, &key).unwrap();
    let text = fs::read_to_string(&key).unwrap();
    fs::write(&key, text.lines().skip(1).collect::<Vec<_>>().join("\n")).unwrap();
    let other = here.run(&["serve", key.to_str().unwrap()]).exits(2);
    let other = other.stderr.split('"').nth(1).unwrap().to_owned();
    let none = here.run(&["shows", "--office", &other, "--wait", "1s"]).exits(1);
    assert!(none.stderr.contains(&other), "{none:#?}");
}

#[test]
fn a_buyer_that_another_command_of_its_own_keeps_waiting_is_told_so() {
    let here = Here::new(17);
    let file = here.found();
    let _office = here.open(&file);
    let words = [&["book", "--json"], &NIGHT[..], &["-"], &here.options()[..]].concat();
    let mut first = start(&here.host, &words);
    first.type_bytes(b"A1\n");
    first.wait_json("that it buys", |v| v["done"] == true);
    let second = here.order("book", &["A2", "--wait", "100ms"]).exits(3);
    assert!(second.stderr.contains("another command of yours"), "{second:#?}");
    here.order("book", &["A2", "--as", "ben"]).exits(0);
    // Ctrl-C while no order is on its way ends it as it ends any other command.
    first.interrupt();
    assert_eq!(first.finish().code, None);
}

#[test]
fn a_folder_that_cannot_be_written_and_a_database_that_is_none_are_told_with_the_remedy() {
    let here = Here::new(8);
    let file = here.found();
    let file = file.to_str().unwrap();
    let refused = here.run(&["serve", file, "--office-dir", "/proc/box-office"]).exits(3);
    assert!(refused.stderr.contains("or name another one with --office-dir"), "{refused:#?}");
    let folder = Path::new(file).with_extension("office");
    fs::write(folder.join("ledger.db"), "this is no database, whatever it is called").unwrap();
    let refused = here.run(&["serve", file]).exits(3);
    assert!(refused.stderr.contains("put a copy of the database in its place"), "{refused:#?}");
}

#[test]
fn what_came_of_an_order_is_told_though_its_output_can_not_be_written() {
    let here = Here::new(10);
    let file = here.found();
    let _office = here.open(&file);
    let [show, date] = NIGHT;
    let more = here.options().join(" ");
    let line = format!("{} book {show} {date} A1 --json {more} >/dev/full", program());
    let mut shell = here.host.program("sh");
    let untold = Running::start("book".to_owned(), shell.args(["-c", &line])).finish().exits(3);
    assert!(untold.stderr.contains("what came of the order is: done"), "{untold:#?}");
    let read = here.order("cancel", &[]).exits(0).json();
    assert_eq!(read[0]["seats"], json!(["A1"]));
}

#[test]
fn a_live_map_says_on_a_small_terminal_too_how_true_it_is_and_follows_its_size() {
    let here = Here::new(11);
    let file = here.found();
    let _office = here.open(&file);
    let ([show, date], more) = (NIGHT, here.options().join(" "));
    let line =
        format!("stty cols 12 rows 3; tty; exec {} seats {show} {date} --watch {more}", program());
    let mut shell = here.host.program("sh");
    shell.args(["-c", &line]).env("TERM", "xterm").env("NO_COLOR", "1");
    let mut viewer = spawn_command(shell, PATIENCE.as_millis().try_into().ok()).unwrap();
    let terminal = viewer.read_line().unwrap();
    // The words for which there is room, in the last line.
    viewer.exp_string("Hamlet  (ha").unwrap();
    viewer.exp_string("\nlive\x1b[K\x1b[J").unwrap();
    let larger = ["-F", terminal.trim(), "cols", "80", "rows", "24"];
    assert!(Command::new("stty").args(larger).status().unwrap().success());
    viewer.exp_string("A     1  2  3  4     5  6  7  8     9 10").unwrap();
    viewer.exp_string("live, at change 0").unwrap();
    viewer.send_control('c').unwrap();
    viewer.exp_eof().unwrap();
}

#[test]
fn a_live_map_that_nobody_reads_any_more_ends_though_nothing_happens() {
    let here = Here::new(9);
    let file = here.found();
    let _office = here.open(&file);
    let [show, date] = NIGHT;
    let line = format!(
        "{} seats {show} {date} --watch --json {} | head -n 1",
        program(),
        here.options().join(" ")
    );
    let mut shell = here.host.program("sh");
    let pipe = Running::start("seats --watch | head".to_owned(), shell.args(["-c", &line]));
    assert_eq!(pipe.finish().exits(0).json()[0]["event"], "map");
}
