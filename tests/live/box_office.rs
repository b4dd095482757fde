//! The example `box_office`: many buyers for the same seats, an office that is killed in the middle, two
//! offices at once. `scripts/box-office` runs the large ones alone and prints what they take.

mod broken;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::host::Host;
use crate::lab::{Scratch, lab_or_skip};
use crate::running::{Output, Running};

const NIGHT: [&str; 2] = ["hamlet", "2026-12-24"];

/// The built example. Cargo builds it for a test run only if it is asked to.
fn program() -> String {
    let folder = Path::new(env!("CARGO_BIN_EXE_cooee")).parent().unwrap();
    let path = folder.join("examples/box_office");
    assert!(path.exists(), "build it first: cargo build --all-features --example box_office");
    path.display().to_string()
}

#[track_caller]
fn start(host: &Host, args: &[&str]) -> Running {
    let mut command = host.program(&program());
    Running::start(format!("[{}] box_office {}", host.nick(), args.join(" ")), command.args(args))
}

#[track_caller]
fn run(host: &Host, args: &[&str]) -> Output {
    start(host, args).finish()
}

/// A command about the one night of these tests.
#[track_caller]
fn order(host: &Host, command: &str, more: &[&str]) -> Output {
    run(host, &[&[command], &NIGHT[..], more].concat())
}

/// For a test on the loopback, which all tests share.
fn group_of_its_own(test: u8) -> String {
    format!("239.255.91.{test}:{}", 20_000 + std::process::id() % 10_000)
}

/// Writes the file of a show and the office's key; the file, which names the office.
#[track_caller]
fn found(host: &Host, rows: usize, hold: &str, more: &[&str]) -> PathBuf {
    let seats: Vec<String> =
        ('A'..='Z').take(rows).map(|row| format!("{row} oooo oooo oo")).collect();
    let (file, [show, date]) = (host.home().join("hamlet.toml"), NIGHT);
    let text = format!(
        "hold = \"{hold}\"\n[[show]]\nname = \"{show}\"\ntitle = \"Hamlet\"\ndates = [\"{date}\"]\n\
         seats = \"\"\"\n{}\"\"\"\n",
        seats.join("\n")
    );
    fs::write(&file, &text).unwrap();
    let refused = run(host, &[&["serve", file.to_str().unwrap()], more].concat()).exits(2);
    let line = refused.stderr.lines().find(|line| line.starts_with("office = ")).unwrap();
    fs::write(&file, format!("{line}\n{text}")).unwrap();
    file
}

#[track_caller]
fn open(host: &Host, file: &Path, more: &[&str]) -> Running {
    let office = start(host, &[&["serve", "--json", file.to_str().unwrap()], more].concat());
    office.wait_json("that it is open", |v| v["event"] == "open");
    office
}

/// Starts a live map and waits for the first.
#[track_caller]
fn watch(host: &Host, more: &[&str]) -> Running {
    let viewer = start(host, &[&["seats", "--watch", "--json"], &NIGHT[..], more].concat());
    viewer.wait_json("the map", |v| v["event"] == "map");
    viewer
}

fn is_change(v: &Value, seat: &str, state: &str) -> bool {
    v["event"] == "change" && v["seat"] == seat && v["state"] == state
}

/// Waits until a viewer has been shown that so many seats were sold.
#[track_caller]
fn until_sold(viewer: &Running, count: usize) {
    let sold = Cell::new(BTreeSet::new());
    viewer.wait_json(&format!("{count} seats are sold"), |v| {
        let mut seats = sold.take();
        if v["event"] == "map" {
            let all = v["seats"].as_object().unwrap().iter();
            seats.extend(all.filter(|(_, state)| *state == "sold").map(|(seat, _)| seat.clone()));
        } else if v["event"] == "change" && v["state"] == "sold" {
            seats.insert(v["seat"].as_str().unwrap().to_owned());
        }
        let enough = seats.len() >= count;
        sold.set(seats);
        enough
    });
}

/// What a viewer's screen shows in the end.
fn screen(viewer: &Running) -> BTreeMap<String, String> {
    let mut seats = BTreeMap::new();
    for v in viewer.json_so_far(|_| true) {
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        if v["event"] == "map" {
            let all = v["seats"].as_object().unwrap().iter();
            seats = all.map(|(seat, state)| (seat.clone(), text(state))).collect();
        } else if v["event"] == "change" {
            seats.insert(text(&v["seat"]), text(&v["state"]));
        }
    }
    seats
}

/// Who bought which seat, and when: from the database of an office that has ended.
fn ledger(file: &Path) -> BTreeMap<String, (String, i64)> {
    let path = file.with_extension("office").join("ledger.db");
    let db = rusqlite::Connection::open(path).unwrap();
    let mut rows = db.prepare("SELECT seat, buyer, since FROM seats WHERE until IS NULL").unwrap();
    let sold = rows.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))).unwrap();
    sold.map(Result::unwrap).collect()
}

/// Everyone wants every seat.
#[derive(Clone, Copy)]
struct Rush {
    hosts: usize,
    /// Of ten seats each.
    rows: usize,
    /// Percent of the datagrams that each host loses.
    loss: u32,
    /// How often the office is killed, and started again, meanwhile.
    kills: usize,
}

impl Rush {
    /// Runs it and checks all that has to hold.
    fn run(self) {
        let lab = lab_or_skip!(self.hosts);
        let (hosts, seats) = (lab.hosts(), self.rows * 10);
        let file = found(&hosts[0], self.rows, "2m", &[]);
        let mut office = open(&hosts[0], &file, &[]);
        for i in 1..=self.hosts {
            lab.lan(&["loss", &i.to_string(), &self.loss.to_string()]);
        }
        let mut viewers: Vec<Running> = hosts.iter().map(|host| watch(host, &[])).collect();

        // Each buyer tries to get every seat, in an order of its own.
        let names: Vec<String> = viewers[0]
            .json_so_far(|v| v["event"] == "map")
            .iter()
            .flat_map(|v| v["seats"].as_object().unwrap().keys().cloned().collect::<Vec<_>>())
            .collect();
        assert_eq!(names.len(), seats);
        let mut buyers: Vec<Running> = hosts
            .iter()
            .map(|host| {
                start(host, &[&["book", "--json", "--wait", "1m"], &NIGHT[..], &["-"]].concat())
            })
            .collect();
        for (i, buyer) in buyers.iter_mut().enumerate() {
            let mut wanted = names.clone();
            shuffle(&mut wanted, i as u64 + 1);
            buyer.type_all(wanted.into_iter());
        }
        // How much was still to be sold at each kill: that is chance, so it is told and not asserted.
        let mut left = Vec::new();
        for kill in 1..=self.kills {
            until_sold(&viewers[0], seats * kill / (self.kills + 1));
            office.kill();
            assert_eq!(office.finish().code, None);
            left.push(seats - ledger(&file).len());
            office = open(&hosts[0], &file, &[]);
            if kill == 1 {
                // Late, and before the loss has been repaired.
                viewers.push(watch(&hosts[self.hosts - 1].user("late"), &[]));
            }
        }

        let mut owners: BTreeMap<String, usize> = BTreeMap::new();
        let mut waits = Vec::new();
        for (i, buyer) in buyers.iter().enumerate() {
            for line in 0..seats {
                let answer = buyer.wait_json_since(line, "an answer", |_| true);
                waits.push(answer["ms"].as_i64().unwrap());
                if answer["done"] == true {
                    let seat = answer["seats"][0].as_str().unwrap().to_owned();
                    assert_eq!(owners.insert(seat, i), None, "sold twice: {answer}");
                } else {
                    assert_eq!(answer["no"]["why"], "taken", "{answer}");
                }
            }
        }
        assert_eq!(owners.len(), seats, "every seat was sold");
        for viewer in &viewers {
            until_sold(viewer, seats);
        }
        office.terminate();
        office.finish().exits(0);

        // Every answer agrees with the database.
        let sold = ledger(&file);
        assert_eq!(sold.keys().collect::<Vec<_>>(), owners.keys().collect::<Vec<_>>());
        let mut ids: BTreeMap<usize, &str> = BTreeMap::new();
        for (seat, owner) in &owners {
            let buyer = sold[seat].0.as_str();
            assert_eq!(*ids.entry(*owner).or_insert(buyer), buyer, "{seat} is another one's");
        }
        assert_eq!(ids.values().collect::<BTreeSet<_>>().len(), ids.len());
        // Every screen shows the same.
        let all_sold: BTreeMap<String, String> =
            names.iter().map(|seat| (seat.clone(), "sold".to_owned())).collect();
        for viewer in &viewers {
            assert_eq!(screen(viewer), all_sold);
        }
        self.report(&viewers[..self.hosts], &sold, &left, waits);
    }

    /// Prints how long it took from a booking, as it stands in the database, to the screens: both are
    /// of the same clock.
    fn report(
        self,
        viewers: &[Running],
        sold: &BTreeMap<String, (String, i64)>,
        left: &[usize],
        waits: Vec<i64>,
    ) {
        let mut each = Vec::new();
        let mut last: BTreeMap<&str, i64> = BTreeMap::new();
        let changes: Vec<Vec<Value>> = viewers
            .iter()
            .map(|viewer| viewer.json_so_far(|v| v["event"] == "change" && v["state"] == "sold"))
            .collect();
        for change in changes.iter().flatten() {
            let seat = change["seat"].as_str().unwrap();
            let took = change["at"].as_i64().unwrap() - sold[seat].1;
            each.push(took);
            let last = last.entry(seat).or_default();
            *last = took.max(*last);
        }
        let Self { hosts, loss, kills, .. } = self;
        assert_eq!(each.len(), viewers.len() * sold.len(), "each change on each screen");
        let left =
            if left.is_empty() { String::new() } else { format!(" with {left:?} seats left") };
        let begun = sold.values().map(|(_, at)| at).min().unwrap();
        let took = sold.values().map(|(_, at)| at).max().unwrap() - begun;
        println!(
            "{hosts} hosts, {} seats, {loss} % loss, office killed {kills} times{left}: sold out in {took} ms",
            sold.len()
        );
        print("  from a booking to one screen", each);
        print("  from a booking to all screens", last.into_values().collect());
        print("  from an order to its answer", waits);
    }
}

fn print(what: &str, mut ms: Vec<i64>) {
    ms.sort_unstable();
    let at = |part: usize| ms[(ms.len() * part / 100).min(ms.len() - 1)];
    let (median, most, worst) = (at(50), at(99), at(100));
    println!("{what}: median {median} ms, 99 % within {most} ms, worst {worst} ms ({})", ms.len());
}

/// An order that is the same in each run of the test.
fn shuffle(seats: &mut [String], seed: u64) {
    let mut rng = cooee::values::Rng::from_number(seed);
    for i in (1..seats.len()).rev() {
        seats.swap(i, (rng.u64() % (i as u64 + 1)) as usize);
    }
}

#[test]
fn everyone_wants_every_seat_and_the_office_is_killed_twice_and_each_is_sold_once() {
    Rush { hosts: 5, rows: 4, loss: 10, kills: 2 }.run();
}

#[test]
fn of_twenty_hosts_that_want_two_hundred_seats_each_gets_what_it_is_told_it_has() {
    Rush { hosts: 20, rows: 20, loss: 10, kills: 0 }.run();
}

#[test]
fn of_twenty_hosts_each_gets_what_it_is_told_it_has_though_the_office_is_killed_five_times() {
    Rush { hosts: 20, rows: 20, loss: 10, kills: 5 }.run();
}

#[test]
fn of_two_buyers_for_one_seat_exactly_one_gets_it_and_a_hold_ends_by_itself() {
    let scratch = Scratch::new();
    let host = Host::here(&scratch);
    let group = group_of_its_own(1);
    let here = ["--iface", "127.0.0.1", "--group", &group];
    let file = found(&host, 1, "500ms", &here);
    let _office = open(&host, &file, &here);
    let viewer = watch(&host, &here);

    for seat in ["A1", "A2", "A3"] {
        let race = ["ada", "ben"].map(|buyer| {
            let words = [&["book", "--json", "--as", buyer], &NIGHT[..], &[seat], &here[..]];
            start(&host, &words.concat())
        });
        let mut codes = race.map(|buyer| buyer.finish().code);
        codes.sort_unstable();
        assert_eq!(codes, [Some(0), Some(1)], "{seat}");
        viewer.wait_json("that it is sold", |v| is_change(v, seat, "sold"));
    }

    order(&host, "hold", &[&["--as", "ada", "A4"], &here[..]].concat()).exits(0);
    let held = viewer.wait_json("that it is held", |v| is_change(v, "A4", "held"));
    assert_eq!(held["mine"], false);
    viewer.wait_json("that the hold has ended", |v| is_change(v, "A4", "free"));
    order(&host, "book", &[&["A4"], &here[..]].concat()).exits(0);
    let sold = viewer.wait_json("that it is sold", |v| is_change(v, "A4", "sold"));
    assert_eq!(sold["mine"], true, "the same user looks and buys");
    order(&host, "cancel", &[&["--as", "ada", "A4"], &here[..]].concat()).exits(1);
    order(&host, "cancel", &[&["A4"], &here[..]].concat()).exits(0);
    viewer.wait_json("that it is free again", |v| is_change(v, "A4", "free"));
    let none = order(&host, "book", &[&["B1"], &here[..]].concat()).exits(1);
    assert!(none.stderr.contains("there is no seat B1"), "{none:#?}");
    viewer.interrupt();
    viewer.finish().exits(0);
}

#[test]
fn an_office_whose_database_has_gone_does_not_start_as_if_it_had_sold_nothing() {
    let scratch = Scratch::new();
    let host = Host::here(&scratch);
    let group = group_of_its_own(2);
    let here = ["--iface", "127.0.0.1", "--group", &group];
    let file = found(&host, 1, "2m", &here);
    let office = open(&host, &file, &here);
    order(&host, "book", &[&["A1"], &here[..]].concat()).exits(0);
    office.terminate();
    office.finish().exits(0);
    let folder = file.with_extension("office");
    fs::remove_file(folder.join("ledger.db")).unwrap();
    let serve = [&["serve", file.to_str().unwrap()], &here[..]].concat();
    let refused = run(&host, &serve).exits(3);
    assert!(refused.stderr.contains("ledger.db is missing"), "{refused:#?}");
    // Nor is an empty file in its place a new one.
    fs::write(folder.join("ledger.db"), "").unwrap();
    let refused = run(&host, &serve).exits(3);
    assert!(refused.stderr.contains("ledger.db is empty"), "{refused:#?}");
    fs::remove_file(folder.join("ledger.made")).unwrap();
    let _anew = open(&host, &file, &here);
}

#[test]
fn a_viewer_whose_cable_was_out_sees_what_was_sold_meanwhile() {
    let lab = lab_or_skip!(3);
    let [one, two, three] = [1, 2, 3].map(|i| lab.host(i));
    let file = found(&one, 1, "2m", &[]);
    let _office = open(&one, &file, &[]);
    let viewer = watch(&two, &[]);
    lab.lan(&["link", "2", "unplug"]);
    viewer.wait_json("that the office is away", |v| v["event"] == "office" && v["here"] == false);
    order(&three, "book", &["A1", "A2"]).exits(0);
    lab.lan(&["link", "2", "up"]);
    viewer.wait_json("that the office is back", |v| v["event"] == "office" && v["here"] == true);
    viewer.wait_json("what was sold", |v| is_change(v, "A2", "sold"));
    let looked = run(&two, &[&["seats", "--json"], &NIGHT[..]].concat()).exits(0).json();
    assert_eq!(looked[0]["seats"]["A1"], "sold", "{looked:#?}");
}

#[test]
fn of_two_offices_that_start_at_the_same_moment_one_goes_on() {
    let lab = lab_or_skip!(2);
    let files = [1, 2].map(|i| found(&lab.host(i), 1, "2m", &[]));
    let serve =
        |i: usize| start(&lab.host(i), &["serve", "--json", files[i - 1].to_str().unwrap()]);
    let is_over = |v: &Value| v["event"] == "open" || v["event"] == "failed";
    let offices = [serve(1), serve(2)];
    let came = offices.each_ref().map(|office| office.wait_json("how it went", is_over));
    let open = came.iter().filter(|v| v["event"] == "open").count();
    assert_eq!(open, 1, "{came:?}");
    for (office, came) in offices.into_iter().zip(came) {
        if came["event"] == "failed" {
            office.finish().exits(1);
        }
    }
}

#[test]
fn a_second_office_refuses_to_start_and_copies_that_meet_close() {
    let lab = lab_or_skip!(3);
    let [one, two, three] = [1, 2, 3].map(|i| lab.host(i));
    let file = found(&one, 1, "2m", &[]);
    let office = open(&one, &file, &[]);
    let serve = |host: &Host, file: &Path| run(host, &["serve", file.to_str().unwrap()]);
    let second = serve(&one, &file).exits(1);
    assert!(second.stderr.contains("another office has the database open"), "{second:#?}");
    // The same show, by a key and a database of its own.
    let other = found(&three, 1, "2m", &[]);
    let second = serve(&three, &other).exits(1);
    assert!(second.stderr.contains("sells 'hamlet' already"), "{second:#?}");
    // Whoever starts it all the same has buyers choose.
    let beside = open(&three, &other, &["--anyway"]);
    let told = order(&two, "book", &["A1"]).exits(1);
    assert!(told.stderr.contains("several offices"), "{told:#?}");
    beside.terminate();
    beside.finish().exits(0);
    // The file alone, without the key that it names.
    let alone = two.home().join("hamlet.toml");
    fs::copy(&file, &alone).unwrap();
    let second = serve(&two, &alone).exits(2);
    assert!(second.stderr.contains("is sold by the office"), "{second:#?}");
    // The file with key and database: nothing but the network can tell.
    let (from, to) = (file.with_extension("office"), alone.with_extension("office"));
    fs::remove_dir_all(&to).unwrap();
    fs::create_dir(&to).unwrap();
    for name in ["key.office", "ledger.db"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
    let second = serve(&two, &alone).exits(1);
    assert!(second.stderr.contains("this very office runs at 10.77.0.1"), "{second:#?}");
    order(&three, "book", &["A1"]).exits(0);

    // With the cable out even that is not seen; when they meet, both close.
    lab.lan(&["link", "2", "unplug"]);
    let copy = open(&two, &alone, &[]);
    lab.lan(&["link", "2", "up"]);
    for office in [office, copy] {
        let closed = office.finish().exits(3);
        assert!(closed.stderr.contains("closed, so that nothing is sold twice"), "{closed:#?}");
    }
}
