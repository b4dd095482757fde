use super::super::entries::tests::{entry, ops};
use super::super::tests::{Folder, all, said, texts};
use super::super::{History, Query, query};
use super::*;
use crate::proto::{Kept, Message};
use crate::values::NodeId;

/// One look at the limits.
#[track_caller]
fn look(history: &mut History, keeping: Keeping, now: WallTime) {
    history.added = PRUNE_EVERY;
    history.add(&[], &[], keeping, now).unwrap();
}

#[track_caller]
fn number(history: &History, what: &str) -> i64 {
    history.db.query_row(&format!("SELECT {what}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn what_is_too_old_goes_with_its_words() {
    let folder = Folder::new("old");
    let mut history = History::open(&folder.db()).unwrap();
    history.add(&[(&said(1, "ancient"), None)], &[], Keeping::default(), WallTime(1)).unwrap();
    history
        .add(&[(&said(2, "new"), None)], &[], Keeping::default(), WallTime(92 * 86_400_000))
        .unwrap();
    look(&mut history, Keeping::default(), WallTime(92 * 86_400_000));
    assert_eq!(texts(&folder.db(), &all()), ["new"]);
    assert!(texts(&folder.db(), &Query { words: Some("ancient".into()), ..all() }).is_empty());
}

#[test]
fn the_oldest_go_while_the_file_is_too_large_and_their_room_is_used_again() {
    let keeping = Keeping { mebibytes: 1, ..Keeping::default() };
    let folder = Folder::new("large");
    let mut history = History::open(&folder.db()).unwrap();
    let mut sizes = Vec::new();
    for round in 0..20_u64 {
        let messages: Vec<Message> =
            (0..PRUNE_EVERY as u64).map(|i| said(round * 1_000 + i, &"x".repeat(200))).collect();
        let messages: Vec<_> = messages.iter().map(|message| (message, None)).collect();
        history.add(&messages, &[], keeping, WallTime(round)).unwrap();
        look(&mut history, keeping, WallTime(round));
        let pages: i64 = history.db.pragma_query_value(None, "page_count", |r| r.get(0)).unwrap();
        sizes.push(pages * 4_096);
    }
    assert!(sizes[19] < 3 << 20, "{sizes:?}");
    let left = texts(&folder.db(), &Query { limit: 100_000, ..Query::default() }).len();
    assert!((1_000..5_000).contains(&left), "{left} are left");
    let mut last = 0;
    query(&folder.db(), &Query { limit: 1, ..Query::default() }, |message, _| {
        last = message.seq;
        true
    })
    .unwrap();
    assert_eq!(last, 19_999);
}

#[test]
fn entries_go_with_the_messages_that_came_when_they_came() {
    let keeping = Keeping { mebibytes: 1, ..Keeping::default() };
    let folder = Folder::new("in-step");
    let mut history = History::open(&folder.db()).unwrap();
    for round in 0..100_u64 {
        let messages: Vec<Message> =
            (0..10).map(|i| said(round * 10 + i, &"x".repeat(2_000))).collect();
        let messages: Vec<_> = messages.iter().map(|message| (message, None)).collect();
        let entries: Vec<Kept> = (1..=100)
            .map(|i| round * 100 + i)
            .map(|n| Kept { bytes: vec![b'x'; 300].into(), ..entry(1, n % 3, n..=n) })
            .collect();
        let entries: Vec<&Kept> = entries.iter().collect();
        history.add(&messages, &entries, keeping, WallTime(round)).unwrap();
    }
    look(&mut history, keeping, WallTime(100));
    let oldest = |table| number(&history, &format!("min(arrived) FROM {table}"));
    let (message, entry) = (oldest("messages"), oldest("entries"));
    assert!(message > 80 && (message..=message + 1).contains(&entry), "{message}, {entry}");
    for (author, epoch, first, last) in history.logs(&ops(), 9).unwrap() {
        let of_log = history.entries(&ops(), author, epoch, 1, u64::MAX, 100_000).unwrap();
        assert_eq!((of_log[0].from, of_log[of_log.len() - 1].to), (first, last));
    }
}

#[test]
fn a_log_of_which_nothing_is_left_is_not_told_of() {
    let folder = Folder::new("gone-logs");
    let mut history = History::open(&folder.db()).unwrap();
    let day = WallTime(92 * 86_400_000);
    let mut add = |entry: Kept, now| {
        history.add(&[], &[&entry], Keeping::default(), now).unwrap();
    };
    add(entry(1, 1, 1..=3), WallTime(1));
    add(entry(2, 1, 4..=5), WallTime(1)); // its beginning is heard of later
    add(entry(2, 1, 1..=3), day);
    look(&mut history, Keeping::default(), day);
    assert_eq!(history.logs(&ops(), 9).unwrap(), [(NodeId([2; 32]), 1, 1, 3)]);
}

#[test]
fn no_step_takes_more_than_it_may_nor_more_than_it_must() {
    let folder = Folder::new("steps");
    let mut history = History::open(&folder.db()).unwrap();
    let keeping = |mebibytes| Keeping { mebibytes, ..Keeping::default() };
    let short: Vec<Kept> = (1..=5_000).map(|n| entry(1, 1, n..=n)).collect();
    history.add(&[], &short.iter().collect::<Vec<_>>(), keeping(9), WallTime(1)).unwrap();
    look(&mut history, keeping(0), WallTime(1));
    assert_eq!(number(&history, "count(*) FROM entries"), 3_000);
    // Few and long: the last of them stay.
    let long: Vec<Message> = (1..=100).map(|seq| said(seq, &"x".repeat(60_000))).collect();
    let long: Vec<_> = long.iter().map(|message| (message, None)).collect();
    history.add(&long, &[], keeping(9), WallTime(1)).unwrap();
    look(&mut history, keeping(3), WallTime(1));
    look(&mut history, keeping(3), WallTime(1));
    let left = history.count().unwrap();
    assert!((20..50).contains(&left), "{left}");
}
