//! What a file may say.

use super::*;
use crate::words::{Reply, Snapshot};

const FILE: &str = r#"hold = "30s"
most = 4
[[show]]
name = "hamlet"
title = "Hamlet"
dates = ["2026-12-01"]
seats = "A ooo"
"#;

#[test]
fn a_plan_says_what_is_on() {
    let plan = Plan::parse(FILE).unwrap();
    assert_eq!((plan.office, plan.rules.hold), (None, Duration::from_secs(30)));
    let night = |date: &str| Night { show: "hamlet".into(), date: date.into() };
    assert!(plan.find(&night("2026-12-01")).is_some());
    assert!(plan.find(&night("2026-12-02")).is_none());
    assert_eq!(plan.shows[0].billing().seats, 3);
}

#[test]
fn a_plan_that_cannot_be_sold_is_refused_with_the_line_and_the_remedy() {
    let dates = "[\"2026-12-01\"]";
    for (from, to, says) in [
        ("hold", "held", "unknown field"),
        ("\"30s\"", "\"30\"", "line 1: hold: '30' has no unit"),
        ("\"30s\"", "\"0s\"", "line 1: hold: nobody could use a hold of that length"),
        ("\"30s\"", "\"0.1ms\"", "line 1: hold: nobody"),
        ("\"30s\"", "\"25h\"", "write something from 1ms to 24h"),
        ("most = 4", "most = 0", "line 2: most: nobody could hold a seat; write 1 or more"),
        ("most = 4", "most = -1", "invalid value"),
        ("hold", "office = \"x\"\nhold", "line 1: office: not a node id"),
        ("\"hamlet\"", "\"the tempest\"", "line 4: show 'the tempest': its name"),
        ("\"hamlet\"", "\"\"", "line 4: show '': its name"),
        ("\"hamlet\"", "\"-h\"", "begin with no '-'"),
        ("\"Hamlet\"", "\" \"", "line 5: show 'hamlet': title: it is empty"),
        ("\"Hamlet\"", r#""Ham\u001b[2Jlet""#, "title: it has characters that can't be seen"),
        ("\"Hamlet\"", r#""Ham\u202elet""#, "title: it has characters that can't be seen"),
        (dates, "[]", "line 6: show 'hamlet': dates: write 1 to 100"),
        (dates, "[\"\"]", "line 6: show 'hamlet': date '': it is empty"),
        (dates, "[\"a\",\n\"b\",\n\"a\"]", "line 8: show 'hamlet': date 'a' stands there twice"),
        (dates, r#"["a\tb"]"#, "date 'a\\tb': it has characters"),
        (dates, "[\"tonight \"]", "remove the blanks around it"),
        (dates, "[\"-1\"]", "date '-1': begin it with no '-'"),
        (dates, "[\"the second of December\"]", "longer than 16 bytes"),
        ("ooo", "xyz", "line 7: show 'hamlet': seats: row 'A xyz'"),
    ] {
        let error = Plan::parse(&FILE.replacen(from, to, 1)).unwrap_err();
        assert!(error.contains(says), "{from} -> {to}: {error}");
    }
    let show = &FILE[FILE.find("[[").unwrap()..];
    let twice = Plan::parse(&format!("{FILE}{show}")).unwrap_err();
    assert!(twice.starts_with("line 9: two shows are called 'hamlet'"), "{twice}");
    let nothing = Plan::parse("most = 4").unwrap_err();
    assert!(nothing.contains("add a [[show]]"), "{nothing}");
    let many: Vec<String> =
        (0..20).map(|n| show.replace("\"hamlet\"", &format!("\"h{n}\""))).collect();
    assert!(Plan::parse(&many.concat()).unwrap_err().contains("too many shows"));
}

#[test]
fn the_sample_file_is_a_plan() {
    assert_eq!(Plan::parse(include_str!("../hamlet.toml")).unwrap().shows[0].billing().seats, 82);
}

#[test]
fn the_map_of_the_largest_house_fits_into_one_answer_with_every_seat_sold() {
    use crate::seating::{MOST_BYTES, MOST_SEATS};
    let row = |at: usize| {
        let name: String = [at / 26, at % 26].map(|c| char::from(b'A' + c as u8)).iter().collect();
        format!("{name}Z {}", "o".repeat(80))
    };
    let picture: Vec<String> = (0..MOST_SEATS / 80).map(row).collect();
    let seating = Seating::parse(&picture.join("\n")).unwrap();
    let sold = seating.seats().map(|seat| (seat.to_owned(), "0123456789".to_owned())).collect();
    let snapshot = Snapshot {
        title: "\"".repeat(200),
        seating: "\n".repeat(MOST_BYTES),
        version: i64::MAX,
        held: std::collections::BTreeMap::new(),
        sold,
    };
    assert_eq!(snapshot.sold.len(), MOST_SEATS);
    cooee::Json::of(&Reply::Seats(snapshot)).unwrap();
}
