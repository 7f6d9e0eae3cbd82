//! `qrtotp setup` and power cuts: at each step the disk keeps old or new files, and the undoing.

use super::setup::{CHANGES, host, killed, setup, texts, whole};
use qrtotp_tests::Sandbox;

const IMAGE: &str = "/run/sandbox/etc.img";
const DISK: &str = "/mnt/disk";
const DIRECTORIES: [&str; 4] = ["/etc/pam.d", "/etc/ssh", "/etc/qrtotp", "/var/lib/qrtotp-setup"];

/// Mounts the disk with the files that `setup` changes, as at a boot.
fn mount(sandbox: &Sandbox) {
    let binds = DIRECTORIES.map(|directory| format!("mount --bind {DISK}{directory} {directory}\n")).concat();
    sandbox.run(&["sh", "-ec", &format!("mount -o loop {IMAGE} {DISK}\n{binds}")]).success();
}

/// Makes the disk from the files that are there.
fn make_disk(sandbox: &Sandbox) {
    let nodes = "cd /dev; [ -e loop-control ] || { mknod loop-control c 10 237; for n in $(seq 0 63); do mknod loop$n b 7 $n; done; }";
    let copies = DIRECTORIES
        .map(|from| format!("mkdir -p {from} {DISK}{from}; cp -a {from}/. {DISK}{from}\n"))
        .concat();
    let make = format!(
        "truncate -s 16M {IMAGE}; mkfs.ext4 -q -F {IMAGE}; mkdir -p {DISK}; mount -o loop {IMAGE} {DISK}\n{copies}umount {DISK}"
    );
    sandbox.run(&["sh", "-ec", &format!("{nodes}\n{make}")]).success();
    mount(sandbox);
}

fn cut_power(sandbox: &Sandbox) {
    let cut = sandbox.install_c("power_cut.c", &[]);
    sandbox.run(&[&cut, DISK]).success();
    sandbox.run(&[&["umount"], &DIRECTORIES[..], &[DISK]].concat()).success();
    mount(sandbox);
}

#[test]
fn after_a_power_cut_at_some_of_its_changes_every_file_is_old_or_new_and_all_can_be_undone() {
    assert!(cut_at_every(5) > 8);
}

#[test]
#[ignore = "takes minutes: `cargo xtask proof kills`"]
fn after_a_power_cut_at_each_of_its_changes_every_file_is_old_or_new_and_all_can_be_undone() {
    assert!(cut_at_every(1) > 20);
}

/// Cuts the power at the first change of each kind and at every so many more; the number of cuts.
fn cut_at_every(step: usize) -> usize {
    let (sandbox, _) = host();
    make_disk(&sandbox);
    let arguments = ["sshd", "sudo", "--first-login", "token", "--apply", "--no-timer"];
    let before = (whole(&sandbox), texts(&sandbox));
    setup(&sandbox, &arguments).success();
    cut_power(&sandbox);
    let after = texts(&sandbox);
    assert_ne!(after, before.1, "what was reported as done stays");
    let mut cuts = 0;
    for call in CHANGES {
        for nth in (1..).step_by(step) {
            setup(&sandbox, &["--undo"]);
            assert_eq!(whole(&sandbox), before.0, "{call} {nth}");
            let was_killed = killed(&sandbox, call, nth, &arguments);
            cut_power(&sandbox);
            let is_mixed = |text: &String| !before.1.contains(text) && !after.contains(text);
            assert_eq!(texts(&sandbox).into_iter().find(is_mixed), None, "{call} {nth}");
            if !was_killed {
                break;
            }
            cuts += 1;
        }
    }
    cuts
}
