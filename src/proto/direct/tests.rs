//! What becomes of messages on their way.

use super::*;

const PEER: NodeId = NodeId([1; 32]);
const FROM: Sender = Sender { id: PEER, epoch: 5 };
const TOLD: Parcel = Parcel::Told(7);

const fn at(ms: u64) -> Instant {
    Instant::from_micros(ms * 1_000)
}

/// Takes up one more datagram; its number, and whether it is sent at once.
fn add(direct: &mut Direct) -> (u64, bool) {
    let n = direct.number();
    let bytes = Arc::from(*b"x");
    let going = Going { to: PEER, at: None, bytes, parcel: TOLD, tries: 0 };
    (n, direct.add(n, going, None, Instant::ZERO).is_some())
}

/// A message of so many datagrams, numbered from 1.
fn message(count: u64) -> Direct {
    let mut direct = Direct::default();
    for n in 1..=count {
        assert_eq!(add(&mut direct).0, n);
    }
    direct
}

/// How many are sent when this one is acknowledged.
fn ack(direct: &mut Direct, n: u64, now: Instant) -> usize {
    direct.acked(n, FROM, now).1.len()
}

#[test]
fn a_message_has_arrived_when_all_its_datagrams_have() {
    let mut direct = message(2);
    let stranger = Sender { id: NodeId([2; 32]), epoch: 5 };
    assert!(direct.acked(1, stranger, at(3)).0.is_none());
    assert!(direct.acked(1, FROM, at(3)).0.is_none());
    assert!(direct.acked(1, FROM, at(3)).0.is_none());
    let arrived = Outcome::Arrived(TOLD, Duration::from_millis(3));
    assert_eq!(direct.acked(2, FROM, at(3)).0, Some(arrived));
    assert!(direct.is_empty());
}

#[test]
fn an_unanswered_message_is_repeated_at_doubling_intervals_and_then_given_up_once() {
    let mut direct = message(2);
    let (mut repeated, mut failed, mut times) = (0, Vec::new(), Vec::new());
    while direct.next() != Instant::NEVER {
        let now = direct.next();
        let (again, outcomes) = direct.due(now);
        repeated += again.len();
        failed.extend(outcomes);
        times.push(now);
    }
    assert_eq!(times[..6], [50, 150, 350, 750, 1_250, 1_750].map(at));
    assert_eq!(times.last(), Some(&at(6_750)));
    assert_eq!(repeated, 2 * usize::from(timing::TELL_TRIES - 1));
    assert_eq!(failed, [Outcome::Failed(TOLD, TellError::Unanswered)]);
}

#[test]
fn a_part_is_not_given_up_while_others_are_acknowledged() {
    let mut direct = message(1_000);
    let mut lost = 0;
    for n in 2..=900 {
        let now = direct.next();
        ack(&mut direct, n, now);
        let (again, failed) = direct.due(direct.next());
        assert!(failed.is_empty());
        lost += again.iter().filter(|going| going.tries > u32::from(timing::TELL_TRIES)).count();
    }
    assert!(lost > 0, "the first is sent more often than a silent peer is asked");
}

#[test]
fn of_a_long_message_only_some_is_on_its_way_and_each_acknowledgement_lets_more_go() {
    let mut direct = Direct::default();
    let all: Vec<(u64, bool)> = (0..100).map(|_| add(&mut direct)).collect();
    assert_eq!(all.iter().filter(|(_, sent)| *sent).count(), LEAST_WINDOW);
    // One that was never sent is acknowledged all the same.
    assert_eq!(ack(&mut direct, all[50].0, Instant::ZERO), 0);
    let (mut sent, mut on_their_way, mut most, mut arrived) =
        (LEAST_WINDOW, LEAST_WINDOW, 0, false);
    for (n, _) in all {
        let (outcome, next) = direct.acked(n, FROM, Instant::ZERO);
        sent += next.len();
        on_their_way = (on_their_way + next.len()).saturating_sub(1);
        most = most.max(on_their_way);
        arrived |= outcome.is_some();
    }
    assert!(arrived && direct.is_empty());
    assert_eq!((sent, most), (99, limits::IN_FLIGHT));
}

#[test]
fn where_all_is_lost_half_as_many_go_and_the_rest_waits_for_its_turn() {
    let mut direct = message(100);
    for n in 1..=20 {
        ack(&mut direct, n, Instant::ZERO);
    }
    assert_eq!(direct.messages[&TOLD].flying.len(), limits::IN_FLIGHT);
    let numbers = |direct: &Direct| direct.messages[&TOLD].flying.clone();
    let again = direct.due(direct.next()).0;
    assert_eq!(again.len(), 8, "halved once for all of them");
    assert!(numbers(&direct).into_iter().eq(21..=28));
    let queue = direct.messages[&TOLD].queue.iter().copied();
    assert!(queue.take(8).eq(29..=36));
    for _ in 0..5 {
        let again = direct.due(direct.next()).0;
        assert_eq!(again.len(), LEAST_WINDOW);
    }
    // Their turn comes when others are acknowledged.
    assert_eq!(ack(&mut direct, 21, at(3_000)), 1);
    assert_eq!(numbers(&direct), [22, 23, 24, 25]);
}

#[test]
fn what_three_later_ones_have_overtaken_is_sent_again_at_once() {
    let mut direct = message(100);
    assert_eq!(ack(&mut direct, 2, at(1)), 2);
    assert_eq!(ack(&mut direct, 3, at(1)), 2);
    let again = direct.acked(4, FROM, at(1)).1;
    let first: Vec<u32> = again.iter().map(|going| going.tries).collect();
    assert_eq!(first[0], 2);
    assert_eq!(direct.messages[&TOLD].window, LEAST_WINDOW);
    // Of the second copy nothing is known before later ones than that are acknowledged.
    for n in 5..=8 {
        assert!(direct.acked(n, FROM, at(1)).1.iter().all(|going| going.tries == 1));
    }
    let mut again = Vec::new();
    for n in 9..=11 {
        again.extend(direct.acked(n, FROM, at(1)).1);
    }
    assert_eq!(again.iter().filter(|going| going.tries == 3).count(), 1);
}

#[test]
fn what_was_acknowledged_by_a_run_that_is_over_does_not_count() {
    let mut direct = message(3);
    assert!(direct.acked(1, FROM, at(1)).0.is_none());
    let earlier = Sender { epoch: 4, ..FROM };
    assert!(direct.acked(2, earlier, at(1)).0.is_none());
    assert_eq!(direct.messages[&TOLD].unacked, 2);
    let later = Sender { epoch: 6, ..FROM };
    let failed = Outcome::Failed(TOLD, TellError::Unanswered);
    assert_eq!(direct.acked(2, later, at(1)).0, Some(failed));
    assert!(direct.is_empty() && direct.next() == Instant::NEVER);
}

#[test]
fn what_is_forgotten_is_repeated_no_more() {
    let mut direct = message(100);
    direct.forget(TOLD);
    assert!(direct.is_empty() && direct.next() == Instant::NEVER);
}
