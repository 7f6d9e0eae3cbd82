//! A user who freezes their own setuid su at the instant at which it holds an account's lock.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::chown,
    path::PathBuf,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use qrtotp_tests::{
    Phone, Sandbox, State,
    host::{PAM_SUCCESS, value},
};

/// Bobby is enrolled, and Alice may try to become Bobby.
fn host() -> (Sandbox, Phone) {
    // On a disk with a journal the lock is held long enough to be seen.
    let sandbox = Sandbox::with_state(State::Ext4("16m"));
    sandbox.configure("[throttle]\nfree_failures = 20\n");
    sandbox.add_user("alice");
    sandbox.add_user("bobby");
    sandbox.stack("");
    sandbox.key_and_code("su", "");
    let phone = sandbox.import("bobby");
    (sandbox, phone)
}

/// A control group (version 2) that an ordinary user controls. It must outlive its sandbox.
struct Delegated(PathBuf);

impl Delegated {
    /// `None` on a machine whose control groups we can't change.
    fn new() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"))?;
        let group = PathBuf::from(mount.split(' ').nth(1)?).join(format!("qrtotp-{}", std::process::id()));
        fs::create_dir(&group).ok()?;
        let group = Self(group);
        group.0.join("cgroup.freeze").exists().then_some(group)
    }

    fn give_to(&self, uid: u32) {
        for file in ["", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"] {
            chown(self.0.join(file), Some(uid), Some(uid)).unwrap();
        }
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("su/cgroup.freeze"), "0");
        let _ = fs::remove_dir(self.0.join("su"));
        let _ = fs::remove_dir(&self.0);
    }
}

/// Waits until su is frozen with the lock, then logs Bobby in.
fn the_owner_gets_in(sandbox: &Sandbox, phone: &Phone, mut attack: Child) {
    let mut lines = BufReader::new(attack.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert_eq!(line, "frozen=1\n", "su was never frozen with the lock, so this proves nothing");
    let start = Instant::now();
    assert_eq!(sandbox.answer("bobby", &phone.code()), PAM_SUCCESS);
    let took = start.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(5)).contains(&took), "took {took:?}");
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert_eq!(value(&rest, "killed_by"), Some("9"));
    let process = format!("process {} ", value(&rest, "pid").unwrap());
    let _ = sandbox.log.wait(&["event=lock_holder_killed user=bobby service=tests", &process]);
    assert!(attack.wait().unwrap().success());
    assert!(sandbox.log.events().iter().all(|event| !event.contains("reason=store_busy")));
}

#[test]
fn a_user_who_freezes_their_own_su_by_a_control_group_holds_the_owner_up_for_two_seconds() {
    let Some(group) = Delegated::new() else {
        eprintln!("no control group to be had here: only the test with SIGSTOP tells");
        return;
    };
    let (sandbox, phone) = host();
    let uid = sandbox.run(&["id", "-u", "alice"]).success().stdout;
    group.give_to(uid.trim().parse().unwrap());
    let stopper = sandbox.install_c("stopper.c", &[]);
    let script = "echo $$ >$1/cgroup.procs
        exec setpriv --reuid alice --regid alice --init-groups -- $0 freeze bobby $1";
    let attack = sandbox
        .command(None, &["bash", "-ec", script, &stopper, group.0.to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    the_owner_gets_in(&sandbox, &phone, attack);
    drop(sandbox);
}

#[test]
fn a_stopped_process_with_the_lock_holds_the_owner_up_for_two_seconds() {
    let (sandbox, phone) = host();
    let stopper = sandbox.install_c("stopper.c", &[]);
    let attack =
        sandbox.command(None, &[&stopper, "freeze", "bobby"]).stdout(Stdio::piped()).spawn().unwrap();
    the_owner_gets_in(&sandbox, &phone, attack);
}
