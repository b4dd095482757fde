use super::super::tests::{Folder, all, said, texts};
use super::super::{History, Keeping};
use super::*;
use crate::agent::objects::tests::a_message;
use crate::values::{ChannelName, NodeId};

/// An entry of this log in #ops.
pub(in super::super) fn entry(
    author: u8,
    epoch: u64,
    numbers: std::ops::RangeInclusive<u64>,
) -> Kept {
    let (from, to) = numbers.into_inner();
    Kept {
        channel: ops(),
        author: NodeId([author; 32]),
        epoch,
        from,
        to,
        bytes: format!("datagram of {author} in {epoch}: {from} to {to}").into_bytes().into(),
    }
}

pub(in super::super) fn ops() -> ChannelName {
    "ops".parse().unwrap()
}

/// A history in a folder of its own.
struct Rig {
    history: History,
    folder: Folder,
}

impl Rig {
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        Self { history: History::open(&folder.db()).unwrap(), folder }
    }

    #[track_caller]
    fn add(&mut self, entries: &[Kept]) {
        let entries: Vec<&Kept> = entries.iter().collect();
        self.history.add(&[], &entries, Keeping::default(), WallTime(5)).unwrap();
    }

    #[track_caller]
    fn ids(&self, table: &str) -> Vec<i64> {
        let mut select =
            self.history.db.prepare(&format!("SELECT id FROM {table} ORDER BY id")).unwrap();
        select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }
}

#[test]
fn entries_come_with_messages_or_alone_and_each_is_kept_once() {
    let mut rig = Rig::new("with-messages");
    let message = a_message();
    let first = entry(1, 1, 1..=3);
    let new =
        rig.history.add(&[(&message, None)], &[&first], Keeping::default(), WallTime(5)).unwrap();
    assert_eq!(new, [true]);
    rig.add(&[first, entry(1, 1, 4..=4)]);
    let other = said(10, "one more");
    let new =
        rig.history.add(&[(&message, None), (&other, None)], &[], Keeping::default(), WallTime(6));
    assert_eq!(new.unwrap(), [false, true]);
    assert_eq!(texts(&rig.folder.db(), &all()).len(), 2);
    assert_eq!((rig.ids("entries"), rig.ids("messages")), (vec![1, 3], vec![2, 4]));
}

#[test]
fn numbers_that_no_datagram_can_have_are_not_kept() {
    let mut rig = Rig::new("mischief");
    let span = SPAN as u64;
    rig.add(&[
        entry(1, u64::MAX, 1..=1),
        entry(1, 1, u64::MAX / 2..=u64::MAX / 2 + 1),
        entry(1, 1, 1..=span + 1),
        Kept { to: 1, ..entry(1, 1, 2..=2) },
    ]);
    assert!(rig.ids("entries").is_empty());
    rig.add(&[entry(1, u64::MAX / 2, 1..=span), entry(1, 1, u64::MAX / 2..=u64::MAX / 2)]);
    assert_eq!(rig.ids("entries").len(), 2);
}

#[test]
fn the_entries_that_carry_any_of_the_numbers_are_found_as_they_came() {
    let mut rig = Rig::new("of-log");
    let log = [entry(1, 1, 1..=3), entry(1, 1, 4..=4), entry(1, 1, 5..=9), entry(1, 1, 12..=12)];
    let others = [
        entry(2, 1, 1..=9),
        entry(1, 2, 1..=9),
        Kept { channel: ChannelName::lobby(), ..entry(1, 1, 2..=9) },
    ];
    // What was lost comes last.
    rig.add(&[log[3].clone(), log[0].clone(), log[2].clone()]);
    rig.add(&others);
    rig.add(&log[1..2]);
    let history = &rig.history;
    let find =
        |from, to, most| history.entries(&ops(), NodeId([1; 32]), 1, from, to, most).unwrap();
    assert_eq!(find(1, u64::MAX, 9), log);
    assert_eq!(find(3, 5, 9), log[..3]);
    assert_eq!(find(3, 12, 2), log[..2]);
    assert_eq!(find(9, 9, 9), log[2..3]);
    assert!(find(10, 11, 9).is_empty() && find(13, u64::MAX, 9).is_empty());
    assert!(find(5, 4, 9).is_empty() && find(1, 9, 0).is_empty());
    assert!(history.entries(&ops(), NodeId([1; 32]), u64::MAX, 1, 9, 9).unwrap().is_empty());
    assert!(
        history.entries(&"web".parse().unwrap(), NodeId([1; 32]), 1, 1, 9, 9).unwrap().is_empty()
    );
}

#[test]
fn the_longest_entry_is_found_by_its_last_number() {
    let mut rig = Rig::new("longest");
    let span = SPAN as u64;
    let longest = entry(1, 1, 101..=100 + span);
    rig.add(&[entry(1, 1, 1..=100), longest.clone()]);
    let last = 100 + span;
    let found = rig.history.entries(&ops(), NodeId([1; 32]), 1, last, last, 9).unwrap();
    assert_eq!(found, [longest]);
}

#[test]
fn logs_are_told_with_what_there_is_of_them_the_liveliest_first() {
    let mut rig = Rig::new("logs");
    rig.add(&[entry(1, 1, 7..=9), entry(2, 5, 1..=2), entry(1, 4, 3..=3)]);
    rig.add(&[Kept { channel: ChannelName::lobby(), ..entry(9, 9, 1..=1) }]);
    // Old ones that are heard only now, and one that is heard again, which is no news.
    rig.add(&[entry(1, 1, 2..=4), entry(1, 4, 3..=3)]);
    let [one, two] = [1, 2].map(|author| NodeId([author; 32]));
    let logs = [(one, 1, 2, 9), (one, 4, 3, 3), (two, 5, 1, 2)];
    assert_eq!(rig.history.logs(&ops(), 9).unwrap(), logs);
    assert_eq!(rig.history.logs(&ops(), 2).unwrap(), logs[..2]);
    assert_eq!(rig.history.resumes(&ops(), 2).unwrap(), [(one, 1, 9), (one, 4, 3)]);
    assert!(rig.history.logs(&"web".parse().unwrap(), 9).unwrap().is_empty());
}

#[test]
fn what_was_said_last_is_a_stretch_of_each_log_that_has_some_of_it() {
    let mut rig = Rig::new("latest");
    let [one, two] = [1, 2].map(|author| NodeId([author; 32]));
    rig.add(&[entry(1, 1, 1..=5), entry(2, 7, 1..=1), entry(1, 1, 6..=8), entry(2, 7, 2..=2)]);
    rig.add(&[Kept { channel: ChannelName::lobby(), ..entry(9, 9, 1..=50) }]);
    let latest = |messages| rig.history.latest(&ops(), messages).unwrap();
    assert!(latest(0).is_empty());
    assert_eq!(latest(1), [(two, 7, 2, 2)]);
    for messages in [2, 3, 4] {
        assert_eq!(latest(messages), [(two, 7, 2, 2), (one, 1, 6, 8)]);
    }
    assert_eq!(latest(5), [(two, 7, 1, 2), (one, 1, 6, 8)]);
    for messages in [6, 10, usize::MAX] {
        assert_eq!(latest(messages), [(two, 7, 1, 2), (one, 1, 1, 8)]);
    }
}

#[test]
fn no_question_is_answered_by_looking_at_everything() {
    let rig = Rig::new("plans");
    for question in [OF_LOG, NEWEST, RECENT] {
        let mut select = rig.history.db.prepare(&format!("EXPLAIN QUERY PLAN {question}")).unwrap();
        // The values are of no matter to the plan.
        let none = rusqlite::params_from_iter(vec![1; select.parameter_count()]);
        let steps = select.query_map(none, |row| row.get::<_, String>("detail")).unwrap();
        for step in steps.map(Result::unwrap) {
            assert!(step.starts_with("SEARCH ") && step.contains(" USING INDEX "), "{step}");
        }
    }
}
