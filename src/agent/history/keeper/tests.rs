use std::fs;
use std::time::Instant;

use rusqlite::Connection;

use super::super::tests::{Folder, all, said, texts};
use super::*;
use crate::agent::objects::tests::a_message;
use crate::values::ChannelName;

#[test]
fn a_damaged_file_is_put_aside_and_a_new_one_begun() {
    let folder = Folder::new("damaged");
    fs::write(folder.db(), b"this is no database, though it is long enough to be one".repeat(99))
        .unwrap();
    let mut warnings = Vec::new();
    let mut keeper =
        Keeper::open(folder.db(), Keeping::default(), &mut |warning| warnings.push(warning));
    let new = keeper.add(&[(&a_message(), None)], &[], WallTime(1), 1, &mut |_| {});
    assert_eq!((new, keeper.count()), (vec![true], Some(1)));
    assert!(warnings[0].contains("damaged") && folder.db().with_extension("damaged").exists());
}

#[test]
fn a_damage_that_shows_only_when_it_is_written_is_told_and_costs_no_new_message() {
    let folder = Folder::new("pages");
    let mut history = History::open(&folder.db()).unwrap();
    let many: Vec<Message> = (0..2_000).map(|n| said(n, &"many words ".repeat(20))).collect();
    let many: Vec<_> = many.iter().map(|message| (message, None)).collect();
    history.add(&many, &[], Keeping::default(), WallTime(1)).unwrap();
    drop(history);
    // All but the first page, by which the file is known for a database.
    let mut bytes = fs::read(folder.db()).unwrap();
    bytes[4_096..].fill(0xa5);
    fs::write(folder.db(), bytes).unwrap();
    let mut warnings = Vec::new();
    let mut keeper =
        Keeper::open(folder.db(), Keeping::default(), &mut |warning| warnings.push(warning));
    let late = said(9_999, "late");
    let new =
        keeper.add(&[(&late, None)], &[], WallTime(2), 1, &mut |warning| warnings.push(warning));
    assert_eq!((new, keeper.has_kept(), keeper.count()), (vec![true], true, Some(1)));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("put aside"), "{warnings:?}");
    assert_eq!(texts(&folder.db(), &all()), ["late"]);
}

#[test]
fn without_a_place_for_it_messages_are_passed_on_and_the_user_is_told_once() {
    let folder = Folder::new("nowhere");
    fs::create_dir(folder.db()).unwrap();
    let mut warnings = Vec::new();
    let mut keeper =
        Keeper::open(folder.db(), Keeping::default(), &mut |warning| warnings.push(warning));
    for second in 1..100 {
        let warn = &mut |warning| warnings.push(warning);
        assert_eq!(keeper.add(&[(&a_message(), None)], &[], WallTime(1), second, warn), [true]);
    }
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(keeper.trouble().is_some() && keeper.count().is_none());
    let lobby = ChannelName::lobby();
    assert!(keeper.entries(&lobby, NodeId([1; 32]), 1, 1, 9, 9).is_empty());
    assert!(keeper.logs(&lobby, 9).is_empty() && keeper.resumes(&lobby, 9).is_empty());
    assert!(keeper.latest(&lobby, 9).is_empty());
    fs::remove_dir(folder.db()).unwrap();
    keeper
        .add(&[(&a_message(), None)], &[], WallTime(1), 200, &mut |warning| warnings.push(warning));
    assert_eq!((warnings.len(), keeper.count()), (2, Some(1)));
}

/// A history under a running agent, with one message in it.
struct Rig {
    keeper: Keeper,
    warnings: Vec<String>,
    folder: Folder,
}

impl Rig {
    #[track_caller]
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        let keeper = Keeper::open(folder.db(), Keeping::default(), &mut |_| {});
        let mut rig = Self { keeper, warnings: Vec::new(), folder };
        assert_eq!(rig.add(&said(1, "before"), 1), (true, true));
        rig
    }

    /// Adds a message at this second: whether it is said to be new, and whether it is kept.
    fn add(&mut self, message: &Message, now: u64) -> (bool, bool) {
        let mut warn = |warning| self.warnings.push(warning);
        let new = self.keeper.add(&[(message, None)], &[], WallTime(1), now, &mut warn);
        (new == [true], self.keeper.has_kept())
    }

    /// Gives it the time to catch up at this second: the texts of what is new.
    fn catch_up(&mut self, now: u64) -> Vec<String> {
        let mut warn = |warning| self.warnings.push(warning);
        let new = self.keeper.catch_up(WallTime(now), now, &mut warn);
        new.iter().map(|message| message.text.raw().to_owned()).collect()
    }

    /// Another program that is about to write.
    #[track_caller]
    fn locked(&self) -> Connection {
        let other = Connection::open(self.folder.db()).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        other
    }

    #[track_caller]
    fn texts(&self) -> Vec<String> {
        texts(&self.folder.db(), &all())
    }
}

#[test]
fn a_history_that_is_removed_is_begun_anew() {
    for endings in [&[""][..], &["", "-wal", "-shm"]] {
        let mut rig = Rig::new("removed");
        for ending in endings {
            fs::remove_file(format!("{}{ending}", rig.folder.db().display())).unwrap();
        }
        assert_eq!(rig.add(&said(2, "after"), 1 + LOOK), (true, true));
        assert_eq!(rig.add(&said(3, "later"), 1 + 2 * LOOK), (true, true));
        assert_eq!(rig.texts(), ["after", "later"]);
        assert_eq!(rig.warnings.len(), 1, "{:?}", rig.warnings);
        assert!(rig.warnings[0].contains("removed"), "{:?}", rig.warnings);
    }
}

#[test]
fn a_history_that_is_replaced_leaves_nothing_in_the_one_that_goes_on() {
    let mut rig = Rig::new("replaced");
    let other = rig.folder.db().with_file_name("other.db");
    History::open(&other)
        .unwrap()
        .add(&[(&said(7, "restored"), None)], &[], Keeping::default(), WallTime(1))
        .unwrap();
    fs::rename(&other, rig.folder.db()).unwrap();
    assert_eq!(rig.add(&said(7, "restored"), 1 + LOOK), (false, true), "it is known");
    assert_eq!(rig.add(&said(2, "after"), 1 + LOOK), (true, true));
    assert_eq!(rig.texts(), ["restored", "after"]);
    assert!(rig.warnings[0].contains("replaced"), "{:?}", rig.warnings);
}

#[test]
fn a_history_that_is_moved_away_is_whole_where_it_is_then() {
    let mut rig = Rig::new("moved");
    let away = rig.folder.db().with_file_name("away.db");
    fs::rename(rig.folder.db(), &away).unwrap();
    assert_eq!(rig.add(&said(2, "after"), 1 + LOOK), (true, true));
    assert_eq!(rig.texts(), ["after"]);
    History::open(&away).unwrap();
    assert_eq!(texts(&away, &all()), ["before"]);
}

#[test]
fn a_folder_that_is_removed_with_the_history_is_made_again() {
    let mut rig = Rig::new("folder");
    fs::remove_dir_all(rig.folder.db().parent().unwrap()).unwrap();
    assert_eq!(rig.add(&said(2, "after"), 1 + LOOK), (true, true));
    assert_eq!(rig.texts(), ["after"]);
}

const LATE: (bool, bool) = (true, false);

#[test]
fn what_is_said_while_another_program_has_the_file_waits_and_is_kept_when_it_is_free() {
    let mut rig = Rig::new("locked");
    let other = rig.locked();
    let start = Instant::now();
    for seq in 2..100 {
        assert_eq!(rig.add(&said(seq, &format!("{seq}")), 1), LATE);
        assert!(rig.keeper.has_to_wait());
    }
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(rig.catch_up(2).is_empty(), "it is locked still");
    drop(other);
    assert!(rig.catch_up(2).is_empty(), "one attempt a second is enough");
    assert_eq!(rig.add(&said(100, "100"), 2), LATE, "it has to queue");
    let waited: Vec<String> = (2..=100).map(|seq| seq.to_string()).collect();
    assert_eq!(rig.catch_up(3), waited);
    assert_eq!(rig.texts()[1..], waited);
    assert!(rig.catch_up(4).is_empty(), "nothing is told twice");
    assert_eq!(rig.add(&said(101, "after"), 4), (true, true));
    assert!(!rig.keeper.has_to_wait() && rig.keeper.lost() == 0);
    assert!(rig.warnings.is_empty(), "a moment is not worth a word: {:?}", rig.warnings);
}

#[test]
fn of_what_waited_only_what_is_new_is_told_and_only_once() {
    let mut rig = Rig::new("new");
    let other = rig.locked();
    for message in [said(1, "before"), said(2, "twice"), said(2, "twice")] {
        assert_eq!(rig.add(&message, 1), LATE, "as far as can be told");
    }
    drop(other);
    assert_eq!(rig.catch_up(2), ["twice"]);
    assert_eq!(rig.add(&said(2, "twice"), 3), (false, true));
    assert_eq!(rig.texts(), ["before", "twice"]);
}

#[test]
fn entries_wait_as_well_and_what_waited_is_as_old_as_it_is() {
    let mut rig = Rig::new("entries");
    let other = rig.locked();
    let entry = Kept {
        channel: ChannelName::lobby(),
        author: NodeId([1; 32]),
        epoch: 7,
        from: 1,
        to: 3,
        bytes: (*b"datagram").into(),
    };
    rig.keeper.add(&[], &[&entry], WallTime(77), 1, &mut |_| {});
    assert!(rig.keeper.has_to_wait());
    drop(other);
    assert!(rig.catch_up(1_000).is_empty());
    let find = || rig.keeper.entries(&ChannelName::lobby(), NodeId([1; 32]), 7, 1, 9, 9);
    assert_eq!(find(), [entry]);
    let db = Connection::open(rig.folder.db()).unwrap();
    let arrived = db.query_row("SELECT arrived FROM entries", [], |row| row.get::<_, i64>(0));
    assert_eq!(arrived, Ok(77));
}

#[test]
fn a_long_lock_is_told_of_once_and_so_is_its_end() {
    let mut rig = Rig::new("long");
    let other = rig.locked();
    assert_eq!(rig.keeper.patience(1), Duration::MAX);
    rig.add(&said(2, "waits"), 1);
    assert_eq!(rig.keeper.patience(1), Duration::from_secs(LOCKED));
    for second in 2..20 {
        assert_eq!(rig.keeper.trouble().is_some(), second > 1 + LONG);
        rig.catch_up(second);
    }
    assert_eq!(rig.warnings.len(), 1, "{:?}", rig.warnings);
    assert!(rig.keeper.trouble().unwrap().ends_with("wait in memory: 1"));
    drop(other);
    assert_eq!(rig.catch_up(30), ["waits"]);
    assert_eq!(rig.warnings.len(), 2, "{:?}", rig.warnings);
    assert!(rig.keeper.trouble().is_none());
    assert_eq!(rig.keeper.patience(30), Duration::MAX);
}

#[test]
fn no_more_waits_than_may_and_what_is_lost_is_counted_and_told() {
    let mut rig = Rig::new("full");
    let other = rig.locked();
    let much = "x".repeat(63 << 10);
    let mut kept = 1;
    for seq in 2..400 {
        assert_eq!(rig.add(&said(seq, &much), 1), LATE);
        kept += u64::from(rig.keeper.has_to_wait());
    }
    assert!((200..300).contains(&kept), "{kept}");
    assert_eq!(rig.keeper.lost(), 399 - kept);
    assert_eq!(rig.warnings.len(), 1, "{:?}", rig.warnings);
    assert!(rig.warnings[0].contains("NOT kept"), "{:?}", rig.warnings);
    drop(other);
    while rig.keeper.patience(2).is_zero() {
        rig.catch_up(2);
    }
    assert_eq!(rig.keeper.count(), Some(kept));
}

#[test]
fn what_has_waited_is_written_in_steps() {
    let mut rig = Rig::new("steps");
    let other = rig.locked();
    for seq in 2..=400 {
        rig.add(&said(seq, "short"), 1);
    }
    drop(other);
    let step = rig.catch_up(2).len();
    assert!((200..300).contains(&step), "{step}");
    assert_eq!(rig.keeper.patience(2), Duration::ZERO);
    assert_eq!(rig.add(&said(9_999, "last"), 2), LATE, "it has to queue");
    assert_eq!(rig.catch_up(2).len(), 400 - step);
    assert_eq!(rig.keeper.count(), Some(401));
    assert_eq!(rig.texts()[99], "last");
    assert_eq!(rig.keeper.patience(2), Duration::MAX);
}

#[test]
fn a_history_that_can_not_even_be_opened_because_of_a_lock_is_opened_when_it_is_free() {
    let folder = Folder::new("exclusive");
    let other = {
        drop(History::open(&folder.db()).unwrap());
        let other = Connection::open(folder.db()).unwrap();
        other.execute_batch("PRAGMA locking_mode = exclusive; BEGIN EXCLUSIVE").unwrap();
        other
    };
    let mut keeper = Keeper::open(folder.db(), Keeping::default(), &mut |_| {});
    keeper.add(&[(&said(1, "waits"), None)], &[], WallTime(1), 1, &mut |_| {});
    assert!(keeper.has_to_wait() && keeper.count().is_none());
    drop(other);
    assert_eq!(keeper.catch_up(WallTime(1), 9, &mut |_| {}).len(), 1);
    assert_eq!(texts(&folder.db(), &all()), ["waits"]);
}

#[test]
fn what_still_waits_when_the_agent_ends_is_written_or_told_to_be_lost() {
    let mut rig = Rig::new("end");
    let other = rig.locked();
    rig.add(&said(2, "waits"), 1);
    drop(other);
    rig.keeper.close(WallTime(1), &mut |warning| panic!("{warning}"));
    assert_eq!(rig.texts(), ["before", "waits"]);
    let _other = rig.locked();
    rig.add(&said(3, "lost"), 1);
    let mut warnings = Vec::new();
    rig.keeper.close(WallTime(1), &mut |warning| warnings.push(warning));
    assert!(warnings.iter().any(|warning| warning.ends_with("end: 1")), "{warnings:?}");
}

#[test]
fn what_waits_for_a_file_that_is_removed_meanwhile_comes_into_the_new_one() {
    let mut rig = Rig::new("locked-removed");
    let other = rig.locked();
    rig.add(&said(2, "waits"), 1);
    fs::remove_file(rig.folder.db()).unwrap();
    assert_eq!(rig.catch_up(1 + LOOK), ["waits"]);
    assert_eq!(rig.texts(), ["waits"]);
    drop(other);
}
