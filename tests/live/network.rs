//! The lab itself: that its networks do what the other stories rely on.

use crate::lab::{Lab, lab_or_skip};
use crate::lines::eventually;

/// In the block of local control (RFC 5771 §4), which every switch passes to everybody.
const FLOODED: &str = "224.0.0.77";

/// Host `from` sends a datagram to [`FLOODED`]; every host of `hear` must get it, and no other.
#[track_caller]
fn reaches(lab: &Lab, from: usize, hear: &[usize]) {
    let count = |i| lab.frames(FLOODED, i);
    let before: Vec<_> = (1..=4).map(count).collect();
    lab.host(from).throw(&format!("{FLOODED}:9"), &[b"anyone?".to_vec()]);
    for &i in hear {
        eventually(&format!("host {i} hears host {from}"), || {
            (count(i) == before[i - 1] + 1).then_some(())
        });
    }
    for i in (1..=4).filter(|i| !hear.contains(i)) {
        assert_eq!(count(i), before[i - 1], "host {i} must not hear host {from}");
    }
}

#[test]
fn hosts_hear_each_other_and_a_blocked_host_neither_hears_nor_is_heard() {
    let lab = lab_or_skip!(4);
    reaches(&lab, 1, &[2, 3, 4]);
    lab.lan(&["block-multicast", "2"]);
    reaches(&lab, 1, &[3, 4]);
    reaches(&lab, 2, &[]);
    lab.lan(&["unblock", "2"]);
    reaches(&lab, 2, &[1, 3, 4]);
}

#[test]
fn a_partition_holds_until_it_is_healed() {
    let lab = lab_or_skip!(4);
    lab.lan(&["partition", "1 2|3"]);
    reaches(&lab, 1, &[2]);
    reaches(&lab, 3, &[]);
    lab.lan(&["heal"]);
    reaches(&lab, 3, &[1, 2, 4]);
}

#[test]
fn a_pulled_cable_carries_nothing_until_it_is_back() {
    let lab = lab_or_skip!(4);
    for way in ["unplug", "down"] {
        lab.lan(&["link", "2", way]);
        reaches(&lab, 1, &[3, 4]);
        lab.lan(&["link", "2", "up"]);
        reaches(&lab, 1, &[2, 3, 4]);
    }
}

#[test]
fn the_switch_keeps_from_a_host_what_it_did_not_join() {
    let lab = lab_or_skip!(2);
    lab.snooping();
}

#[test]
fn a_large_network_fits_into_the_kernels_table_of_neighbours() {
    let lab = lab_or_skip!(31);
    let neighbours = lab.lan(&["exec", "31", "ip", "-4", "neighbour", "show", "nud", "permanent"]);
    assert_eq!(neighbours.lines().count(), 30);
}
