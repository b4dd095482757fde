use super::super::tests::{Folder, all, said, texts};
use super::super::{History, Keeping};
use super::*;
use crate::agent::objects::tests::a_message;
use crate::values::{ChannelName, NodeId};

/// An entry of this log in #ops.
fn entry(author: u8, epoch: u64, numbers: std::ops::RangeInclusive<u64>) -> Kept {
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

fn ops() -> ChannelName {
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
