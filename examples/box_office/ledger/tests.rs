//! What the ledger promises: each seat once, each order once, nothing sold forgotten.

use super::*;
use crate::seating::Seating;

const ADA: NodeId = NodeId([1; 32]);
const BEN: NodeId = NodeId([2; 32]);
const OFFICE: NodeId = NodeId([9; 32]);
const RULES: Rules = Rules { hold: Duration::from_secs(60), most: 3 };

struct Rig {
    ledger: Ledger,
    show: Show,
    orders: u32,
    now: i64,
}

/// A database in a folder of the test's own.
fn file(name: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("box-office-{}-{name}", std::process::id()));
    for ending in ["", "-journal"] {
        let _ = std::fs::remove_file(format!("{}{ending}", path.display()));
    }
    path
}

fn rig() -> Rig {
    let picture = "A oooo".to_owned();
    let seating = Seating::parse(&picture).unwrap();
    let (name, title, dates) = ("hamlet".to_owned(), "Hamlet".to_owned(), vec!["today".to_owned()]);
    let show = Show { name, title, dates, picture, seating };
    Rig {
        ledger: Ledger::open(Path::new(":memory:"), OFFICE, false).unwrap(),
        show,
        orders: 0,
        now: 1_000,
    }
}

impl Rig {
    fn night() -> Night {
        Night { show: "hamlet".into(), date: "today".into() }
    }

    fn order(
        &mut self,
        number: &str,
        buyer: NodeId,
        deed: Deed,
        seats: &[&str],
    ) -> (Outcome, Option<Change>) {
        let seats = seats.iter().map(|&seat| seat.to_owned()).collect();
        let order = Order { deed, night: Self::night(), seats, number: number.to_owned() };
        self.ledger.order(&self.show, &order, buyer, &RULES, self.now).unwrap()
    }

    /// Under a new number.
    fn new_order(&mut self, buyer: NodeId, deed: Deed, seats: &[&str]) -> Result<Vec<String>, No> {
        self.orders += 1;
        let number = self.orders.to_string();
        match self.order(&number, buyer, deed, seats).0 {
            Outcome::Done(done) => Ok(done.seats),
            Outcome::No(no) => Err(no),
        }
    }

    fn taken(&self) -> Vec<(String, State)> {
        let taken = self.ledger.taken(&Self::night()).unwrap();
        taken.into_iter().map(|place| (place.seat, place.state)).collect()
    }
}

fn seats(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn of_two_buyers_for_one_seat_the_first_gets_it() {
    let mut rig = rig();
    assert_eq!(rig.new_order(ADA, Deed::Book, &["A1"]), Ok(seats(&["A1"])));
    assert_eq!(rig.new_order(BEN, Deed::Book, &["A1"]), Err(No::Taken { seats: seats(&["A1"]) }));
    assert_eq!(rig.new_order(BEN, Deed::Hold, &["A1"]), Err(No::Taken { seats: seats(&["A1"]) }));
    assert_eq!(
        rig.new_order(BEN, Deed::Cancel, &["A1"]),
        Err(No::NotYours { seats: seats(&["A1"]) })
    );
    assert_eq!(rig.taken(), [("A1".to_owned(), State::Sold)]);
}

#[test]
fn who_holds_books_and_nobody_else_until_the_hold_ends_by_itself() {
    let mut rig = rig();
    assert!(rig.new_order(ADA, Deed::Hold, &["A1", "A2"]).is_ok());
    rig.now += 59_999;
    assert!(rig.new_order(BEN, Deed::Book, &["A2"]).is_err());
    assert_eq!(rig.new_order(ADA, Deed::Book, &["A1"]), Ok(seats(&["A1"])));
    rig.now += 1;
    let news = rig.ledger.expire(&rig.show, rig.now).unwrap().unwrap();
    assert_eq!(news.places, [free("today".into(), "A2".into())]);
    assert_eq!(rig.ledger.expire(&rig.show, rig.now).unwrap(), None);
    assert_eq!(rig.new_order(BEN, Deed::Book, &["A2"]), Ok(seats(&["A2"])));
    assert_eq!(rig.taken().len(), 2, "what is sold does not end");
}

#[test]
fn a_hold_that_is_over_is_free_for_the_next_order_though_nobody_has_looked() {
    let mut rig = rig();
    assert!(rig.new_order(ADA, Deed::Hold, &["A1", "A2"]).is_ok());
    rig.now += 60_000;
    let (outcome, change) = rig.order("x", BEN, Deed::Book, &["A1"]);
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    let told: Vec<_> = change.unwrap().places.into_iter().map(|p| (p.seat, p.state)).collect();
    let a1 = |state| ("A1".to_owned(), state);
    assert!(told.starts_with(&[a1(State::Free)]) && told.ends_with(&[a1(State::Sold)]), "{told:?}");
}

#[test]
fn who_has_bought_a_seat_can_not_hold_it_and_is_told_so() {
    let mut rig = rig();
    rig.new_order(ADA, Deed::Book, &["A1"]).unwrap();
    let bought = Err(No::Bought { seats: seats(&["A1"]) });
    assert_eq!(rig.new_order(ADA, Deed::Hold, &["A1", "A2"]), bought);
    assert_eq!(rig.new_order(ADA, Deed::Hold, &[]), Err(No::Nothing));
    assert_eq!(rig.taken(), [("A1".to_owned(), State::Sold)]);
}

#[test]
fn an_order_is_all_or_nothing() {
    let mut rig = rig();
    assert!(rig.new_order(ADA, Deed::Book, &["A2"]).is_ok());
    let no = rig.new_order(BEN, Deed::Book, &["A1", "A2", "A3"]);
    assert_eq!(no, Err(No::Taken { seats: seats(&["A2"]) }));
    assert_eq!(rig.taken().len(), 1);
    let no = rig.new_order(BEN, Deed::Book, &["A1", "Z1"]);
    assert_eq!(no, Err(No::UnknownSeat { seats: seats(&["Z1"]) }));
    assert_eq!(rig.taken().len(), 1);
}

#[test]
fn the_same_number_is_told_the_same_and_nothing_is_done_twice() {
    let mut rig = rig();
    let first = rig.order("7", ADA, Deed::Book, &["A1"]);
    assert_eq!(first.1.as_ref().map(|change| change.version), Some(1));
    assert!(rig.new_order(ADA, Deed::Cancel, &["A1"]).is_ok());
    // It comes again, late: the seat was given back since, and is not bought anew.
    let again = rig.order("7", ADA, Deed::Book, &["A1"]);
    assert_eq!(again, (first.0, None));
    assert_eq!(rig.taken(), []);
    // The number is the buyer's own: another one may have the same.
    assert!(rig.order("7", BEN, Deed::Book, &["A1"]).1.is_some());
    rig.ledger.forget(rig.now).unwrap();
    assert_eq!(rig.order("7", BEN, Deed::Book, &["A1"]).1, None);
}

#[test]
fn without_seats_an_order_is_about_all_of_the_buyers_own() {
    let mut rig = rig();
    assert_eq!(rig.new_order(ADA, Deed::Book, &[]), Err(No::Nothing));
    assert!(rig.new_order(ADA, Deed::Hold, &["A1", "A2"]).is_ok());
    assert!(rig.new_order(BEN, Deed::Book, &["A3"]).is_ok());
    assert_eq!(rig.new_order(ADA, Deed::Book, &[]), Ok(seats(&["A1", "A2"])));
    assert_eq!(rig.new_order(ADA, Deed::Cancel, &[]), Ok(seats(&["A1", "A2"])));
    assert_eq!(rig.taken(), [("A3".to_owned(), State::Sold)]);
}

#[test]
fn nobody_holds_the_whole_house_and_holding_again_is_no_more_seats() {
    let mut rig = rig();
    assert!(rig.new_order(ADA, Deed::Hold, &["A1", "A2", "A3"]).is_ok());
    assert!(rig.new_order(ADA, Deed::Hold, &["A3", "A1"]).is_ok());
    assert_eq!(rig.new_order(ADA, Deed::Hold, &["A4"]), Err(No::TooMany { most: 3 }));
    assert_eq!(rig.new_order(ADA, Deed::Book, &["A3"]), Ok(seats(&["A3"])));
    assert!(rig.new_order(ADA, Deed::Hold, &["A4"]).is_ok());
}

#[test]
fn each_change_has_the_next_number_and_a_refusal_has_none() {
    let mut rig = rig();
    let mut version = |buyer, deed, seat| {
        rig.orders += 1;
        let number = rig.orders.to_string();
        rig.order(&number, buyer, deed, &[seat]).1.map(|change| change.version)
    };
    assert_eq!(version(ADA, Deed::Hold, "A1"), Some(1));
    assert_eq!(version(BEN, Deed::Book, "A1"), None);
    assert_eq!(version(ADA, Deed::Book, "A1"), Some(2));
    assert_eq!(version(ADA, Deed::Book, "A1"), None, "it was hers");
    assert_eq!(version(ADA, Deed::Cancel, "A1"), Some(3));
    assert_eq!(rig.ledger.version("hamlet"), Ok(3));
}

#[test]
fn what_was_sold_is_there_after_a_restart_and_only_one_office_has_it() {
    let (path, mut rig) = (file("restart"), rig());
    rig.ledger = Ledger::open(&path, OFFICE, false).unwrap();
    assert!(rig.new_order(ADA, Deed::Book, &["A1"]).is_ok());
    assert!(matches!(Ledger::open(&path, OFFICE, false), Err(OpenError::InUse)));
    rig.ledger = Ledger::open(Path::new(":memory:"), OFFICE, false).unwrap();
    assert!(matches!(Ledger::open(&path, BEN, false), Err(OpenError::OfAnother(_))));
    rig.ledger = Ledger::open(&path, OFFICE, false).unwrap();
    assert_eq!(rig.taken(), [("A1".to_owned(), State::Sold)]);
    assert_eq!(rig.order("1", ADA, Deed::Book, &["A1"]).1, None, "its answer is remembered");
    assert_eq!(rig.ledger.version("hamlet"), Ok(1));
}

#[test]
fn sold_seats_that_the_file_lists_no_more_are_told_of_until_that_is_known_and_stay_sold() {
    let mut rig = rig();
    assert!(rig.new_order(ADA, Deed::Book, &["A4"]).is_ok());
    assert!(rig.new_order(BEN, Deed::Hold, &["A3"]).is_ok());
    assert!(rig.new_order(BEN, Deed::Book, &["A1"]).is_ok());
    // The house is built anew.
    rig.show.seating = Seating::parse("A oo").unwrap();
    let unlisted = |rig: &Rig| {
        let is_listed = |_: &Night, seat: &str| rig.show.has(seat);
        let found = rig.ledger.unlisted(rig.now, is_listed).unwrap();
        found.into_iter().map(|one| (one.seat, one.state)).collect::<Vec<_>>()
    };
    let both = [("A3".to_owned(), State::Held), ("A4".to_owned(), State::Sold)];
    assert_eq!(unlisted(&rig), both);
    rig.now += 60_000;
    assert_eq!(unlisted(&rig), both[1..], "the hold is over");
    let night = Rig::night();
    let (seat, state) = both[1].clone();
    rig.ledger.retire(&[Unlisted { night, seat, state }]).unwrap();
    assert_eq!(unlisted(&rig), []);
    // Nobody else can have it, nor buy it; its owner can give it back.
    assert!(matches!(rig.new_order(BEN, Deed::Book, &["A4"]), Err(No::UnknownSeat { .. })));
    assert!(rig.taken().contains(&both[1]));
    rig.show.seating = Seating::parse("A oooo").unwrap();
    assert!(matches!(rig.new_order(BEN, Deed::Book, &["A4"]), Err(No::Taken { .. })));
    rig.show.seating = Seating::parse("A oo").unwrap();
    assert_eq!(rig.new_order(ADA, Deed::Cancel, &["A4"]), Ok(seats(&["A4"])));
}

#[test]
fn a_held_seat_that_the_file_lists_no_more_is_not_sold() {
    let mut rig = rig();
    assert!(rig.new_order(ADA, Deed::Hold, &["A1", "A4"]).is_ok());
    rig.show.seating = Seating::parse("A oo").unwrap();
    assert_eq!(rig.new_order(ADA, Deed::Book, &[]), Ok(seats(&["A1"])));
    assert!(matches!(rig.new_order(ADA, Deed::Book, &["A4"]), Err(No::UnknownSeat { .. })));
}

#[test]
fn a_database_that_is_removed_or_replaced_is_missed_and_what_it_held_can_be_saved() {
    for replaced in [false, true] {
        let (path, mut rig) = (file(&format!("missing-{replaced}")), rig());
        rig.ledger = Ledger::open(&path, OFFICE, false).unwrap();
        assert!(rig.new_order(ADA, Deed::Book, &["A1"]).is_ok());
        assert_eq!(rig.ledger.missing(), None);
        std::fs::rename(&path, path.with_extension("moved")).unwrap();
        if replaced {
            std::fs::write(&path, "").unwrap();
        }
        assert_eq!(rig.ledger.missing(), Some(path.as_path()));
        let copy = rig.ledger.rescue(&path, rig.now).unwrap();
        rig.ledger = Ledger::open(&copy, OFFICE, false).unwrap();
        assert_eq!(rig.taken(), [("A1".to_owned(), State::Sold)]);
        drop(rig);
        for path in [&path, &path.with_extension("moved"), &copy] {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[test]
fn the_journal_is_missed_as_well() {
    let (path, mut rig) = (file("log"), rig());
    rig.ledger = Ledger::open(&path, OFFICE, false).unwrap();
    assert!(rig.new_order(ADA, Deed::Book, &["A1"]).is_ok());
    std::fs::remove_file(format!("{}-journal", path.display())).unwrap();
    assert!(rig.ledger.missing().is_some());
}

#[test]
fn where_the_folder_has_gone_as_well_what_was_sold_is_saved_above_it() {
    let (folder, mut rig) = (file("folder"), rig());
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("ledger.db");
    rig.ledger = Ledger::open(&path, OFFICE, false).unwrap();
    assert!(rig.new_order(ADA, Deed::Book, &["A1"]).is_ok());
    std::fs::remove_dir_all(&folder).unwrap();
    rig.now += i64::from(std::process::id()); // a name of the test's own
    let copy = rig.ledger.rescue(&path, rig.now).unwrap();
    assert_eq!(copy.parent(), folder.parent());
    rig.ledger = Ledger::open(&copy, OFFICE, false).unwrap();
    assert_eq!(rig.taken(), [("A1".to_owned(), State::Sold)]);
    drop(rig);
    std::fs::remove_file(copy).unwrap();
}

#[test]
fn the_database_file_alone_has_all_that_was_sold() {
    let (path, copy, mut rig) = (file("alone"), file("alone-copy"), rig());
    rig.ledger = Ledger::open(&path, OFFICE, false).unwrap();
    assert!(rig.new_order(ADA, Deed::Book, &["A1"]).is_ok());
    // As a kill would leave it, and without whatever lies beside it.
    std::fs::copy(&path, &copy).unwrap();
    rig.ledger = Ledger::open(&copy, OFFICE, true).unwrap();
    assert_eq!(rig.taken(), [("A1".to_owned(), State::Sold)]);
    for path in [path, copy] {
        let _ = std::fs::remove_file(path);
    }
}

#[test]
fn a_database_that_was_emptied_is_not_taken_for_a_new_one() {
    let path = file("emptied");
    drop(Ledger::open(&path, OFFICE, false).unwrap());
    std::fs::write(&path, "").unwrap();
    assert!(matches!(Ledger::open(&path, OFFICE, true), Err(OpenError::Emptied)));
    // Nor one in which some other program has begun something, nor one that has lost whose it is.
    let db = Connection::open(&path).unwrap();
    db.execute_batch("CREATE TABLE other (x)").unwrap();
    drop(db);
    assert!(matches!(Ledger::open(&path, OFFICE, true), Err(OpenError::Emptied)));
    drop(Ledger::open(&path, OFFICE, false).unwrap());
    Connection::open(&path).unwrap().execute_batch("DELETE FROM office").unwrap();
    assert!(matches!(Ledger::open(&path, OFFICE, true), Err(OpenError::Emptied)));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_database_that_somebody_cuts_or_overwrites_in_place_is_missed_and_what_it_held_can_be_saved() {
    for text in ["", "overwritten"] {
        let (path, mut rig) = (file(&format!("in-place-{text}")), rig());
        rig.ledger = Ledger::open(&path, OFFICE, false).unwrap();
        assert!(rig.new_order(ADA, Deed::Book, &["A1"]).is_ok());
        assert!(rig.new_order(ADA, Deed::Hold, &["A2"]).is_ok());
        rig.now += 60_000;
        assert!(rig.ledger.expire(&rig.show, rig.now).unwrap().is_some());
        rig.ledger.forget(rig.now).unwrap();
        assert_eq!(rig.ledger.missing(), None, "it was the ledger itself that wrote");
        // The same file, with something else in it.
        std::fs::write(&path, text).unwrap();
        assert_eq!(rig.ledger.missing(), Some(path.as_path()));
        let length = i64::try_from(text.len()).unwrap();
        rig.now += i64::from(std::process::id()) + length; // a name of the test's own
        let copy = rig.ledger.rescue(&path, rig.now).unwrap();
        rig.ledger = Ledger::open(&copy, OFFICE, true).unwrap();
        assert_eq!(rig.taken(), [("A1".to_owned(), State::Sold)]);
        drop(rig);
        for path in [&path, &copy] {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[test]
fn another_order_under_the_same_number_is_refused_and_an_outcome_that_can_not_be_read_is_an_error()
{
    let mut rig = rig();
    assert!(matches!(rig.order("7", ADA, Deed::Hold, &["A1"]).0, Outcome::Done(_)));
    let other = (Outcome::No(No::OtherOrder), None);
    assert_eq!(rig.order("7", ADA, Deed::Book, &["A1"]), other);
    assert_eq!(rig.order("7", ADA, Deed::Hold, &["A2"]), other);
    let night = Night { date: "tomorrow".into(), ..Rig::night() };
    let mut order = Order { deed: Deed::Hold, night, seats: seats(&["A1"]), number: "7".into() };
    let came = rig.ledger.order(&rig.show, &order, ADA, &RULES, rig.now).unwrap();
    assert_eq!(came, other);
    assert_eq!(rig.taken(), [("A1".to_owned(), State::Held)]);
    order.night = Rig::night();
    rig.ledger.db.execute("UPDATE orders SET done = 'what?'", []).unwrap();
    assert!(rig.ledger.order(&rig.show, &order, ADA, &RULES, rig.now).is_err());
}

#[test]
fn what_was_sold_in_earlier_runs_is_saved_as_well_though_its_file_was_cut() {
    let (path, mut rig) = (file("earlier"), rig());
    let rows = ('A'..='J').map(|row| format!("{row} {}", "o".repeat(90)));
    rig.show.seating = Seating::parse(&rows.collect::<Vec<_>>().join("\n")).unwrap();
    let all: Vec<String> = rig.show.seating.seats().map(str::to_owned).collect();
    let names: Vec<&str> = all.iter().map(String::as_str).collect();
    rig.ledger = Ledger::open(&path, OFFICE, false).unwrap();
    assert!(rig.new_order(ADA, Deed::Book, &names).is_ok());
    // Opened anew, it has read nothing but what it reads by itself.
    rig.ledger = Ledger::open(Path::new(":memory:"), OFFICE, false).unwrap();
    rig.ledger = Ledger::open(&path, OFFICE, true).unwrap();
    std::fs::write(&path, "").unwrap();
    rig.now += 2 * i64::from(std::process::id()); // a name of the test's own
    let copy = rig.ledger.rescue(&path, rig.now).unwrap();
    rig.ledger = Ledger::open(&copy, OFFICE, true).unwrap();
    assert_eq!(rig.taken().len(), 900);
    drop(rig);
    for path in [&path, &copy] {
        let _ = std::fs::remove_file(path);
    }
}
