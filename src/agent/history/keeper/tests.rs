use std::fs;

use super::super::tests::{Folder, all, said, texts};
use super::*;
use crate::agent::objects::tests::a_message;

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
