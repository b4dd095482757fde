//! A network of its own for each test, made by `scripts/lan`.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::host::Host;
use crate::lines::eventually;

/// The script that makes networks.
pub(crate) const LAN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/lan");

/// A LAN with hosts `1..=n`. It goes, with all that runs in it, when the test drops it.
pub(crate) struct Lab {
    name: String,
    size: usize,
    scratch: Scratch,
}

/// A folder of a test's own, gone with it.
pub(crate) struct Scratch(PathBuf);

impl Lab {
    /// A switch and `size` hosts, or why there can be none here.
    #[track_caller]
    pub(crate) fn up(size: usize) -> Result<Self, String> {
        let scratch = Scratch::new();
        let name = format!("t{}", scratch.path().file_name().unwrap().display());
        let check = Command::new(LAN).env("LAN", &name).arg("check").output().unwrap();
        if !check.status.success() {
            return Err(String::from_utf8_lossy(&check.stderr).trim().to_owned());
        }
        let lab = Self { name, size, scratch };
        lab.lan(&["up", &size.to_string()]);
        Ok(lab)
    }

    /// Host `number`, from 1.
    #[track_caller]
    pub(crate) fn host(&self, number: usize) -> Host {
        assert!((1..=self.size).contains(&number));
        Host::in_lab(&self.name, number, self.scratch.path())
    }

    /// All hosts.
    pub(crate) fn hosts(&self) -> Vec<Host> {
        (1..=self.size).map(|i| self.host(i)).collect()
    }

    /// Runs a verb of `scripts/lan` on this network; what it printed.
    #[track_caller]
    pub(crate) fn lan(&self, args: &[&str]) -> String {
        let output = Command::new(LAN).env("LAN", &self.name).args(args).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "lan {args:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The groups that host `number` has joined, from its kernel: lines `IFACE GROUP`.
    #[track_caller]
    pub(crate) fn memberships(&self, number: usize) -> BTreeSet<String> {
        self.lan(&["igmp", &number.to_string()]).lines().map(str::to_owned).collect()
    }

    /// Whether the switch passes `group` to host `number`.
    #[track_caller]
    pub(crate) fn switch_passes(&self, group: &str, number: usize) -> bool {
        self.lan(&["mdb"]).lines().any(|line| line == format!("p{number} {group}"))
    }

    /// How many frames to `group` came in at host `number` since the first such question.
    #[track_caller]
    pub(crate) fn frames(&self, group: &str, number: usize) -> u64 {
        self.lan(&["count", &number.to_string(), group]).trim().parse().unwrap()
    }

    /// Waits until the switch sends multicast only to those who joined (in the first second it
    /// sends it to everybody).
    #[track_caller]
    pub(crate) fn snooping(&self) {
        const UNUSED: &str = "239.0.0.9";
        self.frames(UNUSED, 1);
        eventually("the switch snoops", || {
            let before = self.frames(UNUSED, 1);
            self.host(2).throw(&format!("{UNUSED}:9"), &[b"who hears this?".to_vec()]);
            (self.frames(UNUSED, 1) == before).then_some(())
        });
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // A panic here would hide the test's own.
        let _ = Command::new(LAN).env("LAN", &self.name).arg("down").status();
    }
}

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Short: the path of a Unix socket has 108 bytes at most.
        let path = std::env::temp_dir().join(format!("cooee-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path); // of an earlier process with this number
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A network with so many hosts; where there can be none, the test says so and ends.
macro_rules! lab_or_skip {
    ($size:expr) => {
        match $crate::lab::Lab::up($size) {
            Ok(lab) => lab,
            Err(why) => return $crate::lab::skipped(&why),
        }
    };
}
pub(crate) use lab_or_skip;

/// Says that the calling test can't run and why. Under `CI` this is a failure.
#[track_caller]
pub(crate) fn skipped(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    assert!(std::env::var_os("CI").is_none(), "{test} may not be skipped under CI: {why}");
    // Past the capture of a passing test's output, and in one write.
    let line = format!("SKIPPED {test}: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
