//! Wrong use and an unwilling system: refused with a code, the cause and the remedy.

use std::net::UdpSocket;

use crate::host::Host;
use crate::lab::{Scratch, lab_or_skip};

/// Runs `cooee` on this machine, on loopback only; it must exit with `code` and
/// complain of `cause`.
#[track_caller]
fn refused(code: i32, cause: &str, args: &[&str]) {
    let scratch = Scratch::new();
    let on_loopback = if args.contains(&"--iface") { &[][..] } else { &["--iface", "lo"] };
    let output = Host::here(&scratch).run(&[args, on_loopback].concat()).exits(code);
    assert_eq!(output.stdout, "", "an error goes to standard error");
    assert!(output.stderr.contains(cause), "should name {cause:?}: {output:#?}");
}

#[test]
fn an_address_that_is_not_multicast_is_wrong_usage() {
    for address in ["10.0.0.1", "240.0.0.1", "223.255.255.255"] {
        refused(2, address, &["peers", "--group", address]);
    }
}

#[test]
fn port_zero_is_wrong_usage() {
    refused(2, "239.1.1.1:0", &["peers", "--group", "239.1.1.1:0"]);
}

#[test]
fn an_address_that_is_no_hosts_is_no_peer() {
    for address in ["239.255.26.33", "255.255.255.255", "0.0.0.0:7"] {
        refused(2, "not the address of one host", &["peers", "--peer", address]);
    }
}

#[test]
fn without_multicast_somebody_has_to_be_named() {
    let scratch = Scratch::new();
    let args = ["peers", "--iface", "lo", "--no-multicast", "--wait", "50ms"];
    let output = Host::here(&scratch).run(&args).exits(1);
    assert!(output.stderr.contains("--peer HOST"), "{output:#?}");
}

#[test]
fn an_unknown_interface_is_refused_by_name() {
    refused(3, "nosuch0", &["peers", "--iface", "nosuch0"]);
}

#[test]
fn a_nick_that_is_too_long_or_not_plain_is_wrong_usage() {
    let long = "x".repeat(1_000);
    for nick in [&long, "red\u{1b}[31m", "two\nlines"] {
        refused(2, "nick", &["peers", "--nick", nick]);
    }
}

#[test]
fn a_text_over_64_kib_is_wrong_usage() {
    refused(2, "64 KiB", &["say", &"x".repeat(64 * 1024 + 1)]);
}

#[test]
fn unknown_commands_and_options_are_wrong_usage() {
    refused(2, "shout", &["shout"]);
    refused(2, "--loud", &["peers", "--loud"]);
}

#[test]
fn a_port_that_another_program_does_not_share_is_refused_by_number() {
    let taken = UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    refused(3, &port, &["listen", "--group", &format!("239.255.26.33:{port}")]);
}

#[test]
fn without_any_usable_link_it_says_so() {
    let lab = lab_or_skip!(1);
    lab.lan(&["link", "1", "down"]);
    lab.lan(&["exec", "1", "ip", "link", "set", "lo", "down"]);
    let output = lab.host(1).run(&["peers"]).exits(3);
    assert!(output.stderr.contains("interface"), "{output:#?}");
}
