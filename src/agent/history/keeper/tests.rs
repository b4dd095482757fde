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
