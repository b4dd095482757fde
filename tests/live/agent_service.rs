//! The agent as a service: what systemd hears of it, what journald reads, and how it ends.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::time::Instant;

use crate::host::Host;
use crate::lab::{Scratch, lab_or_skip};
use crate::lines::PATIENCE;
use crate::running::Running;

/// What a service manager would hear.
struct Manager(UnixDatagram);

impl Manager {
    /// Waits until it hears `what`, whatever else it hears before.
    #[track_caller]
    fn hears(&self, what: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut bytes = [0; 4_096];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what} did not come");
            self.0.set_read_timeout(Some(left)).unwrap();
            let Ok(count) = self.0.recv(&mut bytes) else { continue };
            let text = String::from_utf8(bytes[..count].to_vec()).unwrap();
            if text.lines().any(|line| line == what) {
                return text;
            }
        }
    }
}

/// Starts an agent that a service manager looks after.
#[track_caller]
fn start(host: &Host, args: &[&str], notify: &str) -> Running {
    let mut command = host.command_line(&[&["agent"], args].concat());
    command.env("NOTIFY_SOCKET", notify).env("WATCHDOG_USEC", "300000");
    Running::start(format!("[{}] cooee agent", host.nick()), &mut command)
}

#[test]
fn the_service_manager_hears_that_it_is_ready_alive_and_stopping() {
    let lab = lab_or_skip!(2);
    let scratch = Scratch::new();
    let path = scratch.path().join("notify");
    let manager = Manager(UnixDatagram::bind(&path).unwrap());
    let listener = lab.host(2).listen(&[]);

    let agent = start(&lab.host(1), &[], path.to_str().unwrap());
    let ready = manager.hears("READY=1");
    assert!(ready.contains("STATUS=host1 is "), "{ready}");
    lab.host(1).run(&["status", "--json"]).exits(0);
    for _ in 0..3 {
        manager.hears("WATCHDOG=1");
    }
    listener.wait_event("joined", "host1");

    agent.terminate();
    manager.hears("STOPPING=1");
    let output = agent.finish().exits(0);
    assert!(output.stderr.contains("cooee agent: stopping"), "{output:#?}");
    listener.wait_event("left", "host1");
    assert!(listener.json_so_far(|v| v["event"] == "dead").is_empty());
    assert!(!lab.host(1).socket().exists());
}

#[test]
fn a_service_manager_with_an_abstract_socket_hears_it_too() {
    let scratch = Scratch::new();
    let name = format!("cooee-test-{}", std::process::id());
    let addr = SocketAddr::from_abstract_name(&name).unwrap();
    let manager = Manager(UnixDatagram::bind_addr(&addr).unwrap());
    let args = ["--iface", "lo", "--group", "239.255.88.1:26688"];
    let agent = start(&Host::here(&scratch), &args, &format!("@{name}"));
    manager.hears("READY=1");
    manager.hears("WATCHDOG=1");
    agent.terminate();
    manager.hears("STOPPING=1");
    agent.finish().exits(0);
}

/// What an agent writes to standard error that warns, and fails to start.
#[track_caller]
fn complaints(is_journal: bool) -> String {
    let scratch = Scratch::new();
    let host = Host::here(&scratch);
    let mut command: Command = host.command_line(&["agent", "--iface", "nosuch0"]);
    let kept = host.state("agent.json");
    std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
    std::fs::write(kept, "damaged").unwrap();

    let (mut reader, writer) = std::io::pipe().unwrap();
    let writer = std::fs::File::from(OwnedFd::from(writer));
    let (dev, ino) = (writer.metadata().unwrap().dev(), writer.metadata().unwrap().ino());
    let stream = if is_journal { format!("{dev}:{ino}") } else { format!("{dev}:{}", ino + 1) };
    let mut child = command.env("JOURNAL_STREAM", stream).stderr(writer).spawn().unwrap();
    drop(command); // it holds the pipe's other end open
    let mut complaints = String::new();
    reader.read_to_string(&mut complaints).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3), "{complaints}");
    complaints
}

#[test]
fn journald_gets_priorities_and_nobody_else_does() {
    let journal = complaints(true);
    assert!(journal.contains("<4>what the agent had kept can't be read"), "{journal}");
    assert!(journal.contains("<3>") && journal.contains("nosuch0"), "{journal}");
    assert!(journal.lines().all(|line| line.starts_with('<')), "{journal}");

    let plain = complaints(false);
    assert!(plain.contains("cooee agent: what the agent had kept"), "{plain}");
    assert!(plain.lines().all(|line| line.starts_with("cooee")), "{plain}");
}
