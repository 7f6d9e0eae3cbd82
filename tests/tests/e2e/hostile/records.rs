//! Bad disks, damaged records, missing stores: denied, named in the log, nothing lost, no other account
//! affected.

use qrtotp_tests::{
    Phone, Sandbox, State,
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};

const STATE: &str = "/var/lib/qrtotp";
const ALICE: &str = "/var/lib/qrtotp/accounts/alice";

/// Alice and Carol enrolled, Bobby not.
fn host(state: State) -> (Sandbox, Phone, Phone) {
    let sandbox = Sandbox::with_state(state);
    sandbox.stack("");
    for user in ["alice", "bobby", "carol"] {
        sandbox.add_user(user);
    }
    let (alice, carol) = (sandbox.import("alice"), sandbox.import("carol"));
    (sandbox, alice, carol)
}

fn host_on_tmpfs() -> (Sandbox, Phone, Phone) {
    host(State::Tmpfs("size=4m"))
}

fn shell(sandbox: &Sandbox, script: &str) {
    sandbox.run(&["bash", "-ec", script]).success();
}

/// The log's reason for the last denial of `user`.
fn last_denial(sandbox: &Sandbox, user: &str) -> String {
    let _ = sandbox.log.wait(&["event=login result=denied", &format!("user={user}")]);
    let events = sandbox.log.events();
    let last = events.iter().rev().find(|event| event.starts_with("event=login")).unwrap();
    let reason = last.split(' ').find_map(|word| word.strip_prefix("reason=")).unwrap();
    reason.to_owned()
}

/// All users are denied, with and without nullok, enrolled or not.
fn everybody_is_denied(sandbox: &Sandbox, people: &[(&str, &Phone)], why: &str) {
    for arguments in ["", "nullok"] {
        sandbox.stack(arguments);
        for (user, phone) in people {
            assert_eq!(sandbox.answer(user, &phone.code()), PAM_AUTH_ERR, "{why}: {user} with '{arguments}'");
        }
    }
    sandbox.stack("");
}

fn on_a_full_disk_codes_work_once_and_enrolment_is_refused(state: State, fill: &str) {
    let (sandbox, alice, _) = host(state);
    shell(&sandbox, fill);
    assert_eq!(sandbox.answer("alice", &alice.previous_code()), PAM_SUCCESS);
    assert_eq!(sandbox.answer("alice", &alice.previous_code()), PAM_AUTH_ERR, "the code was not burnt");
    let before = sandbox.run(&["find", STATE, "-path", "*/fill", "-prune", "-o", "-print"]).stdout;
    let uri = format!("{}\n", Phone::random().uri("bobby"));
    let refused = sandbox.run_with_input(&["qrtotp", "import", "uri", "bobby"], &uri);
    assert!(!refused.status.success() && refused.stderr.len() > 20, "{refused:?}");
    let again = sandbox.run_with_input(&["qrtotp", "import", "uri", "alice"], &uri);
    assert!(!again.status.success(), "{again:?}");
    assert_eq!(sandbox.run(&["find", STATE, "-path", "*/fill", "-prune", "-o", "-print"]).stdout, before);
    assert_eq!(sandbox.answer("alice", &alice.code()), PAM_SUCCESS, "the old record still works");
    shell(&sandbox, &format!("rm -rf {STATE}/fill"));
    let bobby = sandbox.import("bobby");
    assert_eq!(sandbox.answer("bobby", &bobby.code()), PAM_SUCCESS);
}

/// Several times, because ext4 gives freed blocks back only after its next commit.
const FILL_BLOCKS: &str = "mkdir /var/lib/qrtotp/fill
    for size in 1048576 4096 1024 1024 1024; do
        sync
        while head -c $size /dev/zero 2>/dev/null >>/var/lib/qrtotp/fill/zero; do :; done
    done
    ! head -c 1024 /dev/zero 2>/dev/null >/var/lib/qrtotp/fill/more";
const FILL_INODES: &str = "mkdir /var/lib/qrtotp/fill; i=0
    while : 2>/dev/null >/var/lib/qrtotp/fill/$i; do i=$((i + 1)); done
    [ $(stat -fc %d /var/lib/qrtotp) = 0 ]";

#[test]
fn on_a_full_tmpfs_each_code_works_once_and_enrolment_is_refused() {
    on_a_full_disk_codes_work_once_and_enrolment_is_refused(State::Tmpfs("size=1m"), FILL_BLOCKS);
}

#[test]
fn on_a_full_ext4_each_code_works_once_and_enrolment_is_refused() {
    on_a_full_disk_codes_work_once_and_enrolment_is_refused(State::Ext4("8m"), FILL_BLOCKS);
}

#[test]
fn without_a_free_inode_each_code_works_once_and_enrolment_is_refused() {
    on_a_full_disk_codes_work_once_and_enrolment_is_refused(
        State::Tmpfs("size=1m,nr_inodes=64"),
        FILL_INODES,
    );
}

#[test]
fn a_decision_is_made_under_the_lock_and_on_the_disk_before_the_answer() {
    let (sandbox, alice, _) = host_on_tmpfs();
    for (code, result) in [(alice.wrong_code(), PAM_AUTH_ERR), (alice.code(), PAM_SUCCESS)] {
        let calls = "trace=flock,pread64,pwrite64,fdatasync,write";
        let strace = ["strace", "-y", "-e", calls, "-o", "/tmp/strace"];
        let report = sandbox.login("alice").answer(&code).under(&strace).run();
        assert_eq!(report.authenticate(), result);
        let calls = sandbox.read("/tmp/strace");
        let last = |call: &str, what: &str| {
            let lines: Vec<&str> = calls.lines().collect();
            let found = lines.iter().rposition(|line| line.starts_with(call) && line.contains(what));
            found.unwrap_or_else(|| panic!("no {call} of {what} in:\n{calls}"))
        };
        let order = [
            last("flock", &format!("{ALICE}>, LOCK_EX")),
            last("pread64", &format!("{ALICE}/state>")),
            last("pwrite64", &format!("{ALICE}/state>")),
            last("fdatasync", &format!("{ALICE}/state>)")),
            last("flock", &format!("{ALICE}>, LOCK_UN")),
            last("write", &format!("authenticate={result}")),
        ];
        assert!(order.is_sorted(), "{order:?} in:\n{calls}");
    }
}

/// strace of the calls that make files durable, lock them or send lines.
const COUNTED: [&str; 8] = [
    "strace",
    "-f",
    "-y",
    "-o",
    "/tmp/strace",
    "-e",
    "trace=flock,fcntl,fsync,fdatasync,sync,syncfs,sync_file_range,msync,sendto,sendmsg",
    "-esignal=none",
];

/// Of the last program under [`COUNTED`], the calls that make files durable or take a lock.
fn syncs_and_locks(sandbox: &Sandbox) -> Vec<String> {
    let calls = sandbox.read("/tmp/strace");
    let call = |line: &str| line.split_once(' ').map(|(_, call)| call.trim_start().to_owned());
    let counts = |call: &String| match call.split_once('(') {
        Some(("flock" | "fcntl", how)) => {
            ["LOCK_EX", "LOCK_SH", "SETLK"].iter().any(|lock| how.contains(lock))
        }
        Some((name, _)) => name.contains("sync"),
        None => false,
    };
    calls.lines().filter_map(call).filter(counts).collect()
}

#[test]
fn an_accepted_login_syncs_one_file_once_and_takes_one_lock_with_journald_as_without() {
    let (sandbox, alice, _) = host_on_tmpfs();
    for in_journal in [false, true] {
        let code = if in_journal { alice.code() } else { alice.previous_code() };
        let argv = sandbox.login("alice").answer(&code).under(&COUNTED).argv();
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        sandbox.run(&["touch", "/tmp/lines", "/tmp/forged"]).success();
        let output = if in_journal { sandbox.in_journal(&argv) } else { sandbox.run(&argv) };
        let said = output.success().stdout;
        assert!(said.contains("authenticate=0"), "{said}");
        assert_eq!(sandbox.read("/tmp/strace").contains("/run/systemd/journal/socket"), in_journal);
        let calls = syncs_and_locks(&sandbox);
        let [lock, sync] = &calls[..] else { panic!("{calls:#?}") };
        assert!(lock.starts_with("flock(") && lock.contains(&format!("{ALICE}>, LOCK_EX")), "{calls:#?}");
        assert!(sync.starts_with("fdatasync(") && sync.contains(&format!("{ALICE}/state>)")), "{calls:#?}");
    }
}

#[test]
fn on_a_read_only_disk_a_right_code_is_denied_and_not_burnt() {
    let (sandbox, alice, _) = host(State::Ext4("8m"));
    shell(&sandbox, "mount -o remount,ro /var/lib/qrtotp");
    let report = sandbox.login("alice").answer(&alice.code()).run();
    assert_eq!(report.authenticate(), PAM_AUTH_ERR);
    assert_eq!(last_denial(&sandbox, "alice"), "disk_read_only");
    assert!(report.text().contains("Verification is not possible now"), "{report:?}");
    sandbox.run(&["qrtotp", "status", "alice"]).success();
    let enrolment = sandbox.run(&["qrtotp", "enroll", "root", "--qr", "ascii"]);
    assert!(enrolment.stderr.contains("mount it read-write") && enrolment.stdout.is_empty(), "{enrolment:?}");
    shell(&sandbox, "mount -o remount,rw /var/lib/qrtotp");
    assert_eq!(sandbox.answer("alice", &alice.code()), PAM_SUCCESS);
}

#[test]
fn a_damaged_record_denies_its_account_is_named_and_harms_nobody_else() {
    for damage in [
        // In the seal, which is random: it may have that letter already.
        "c=$(head -c 41 account.toml | tail -c 1); [ $c != X ] && c=X || c=Y; \
         printf $c | dd of=account.toml bs=1 seek=40 conv=notrunc status=none",
        ": >account.toml",
        "truncate -s 20 account.toml",
        "printf '\\n' >>account.toml",
        "cat ../carol/account.toml >account.toml",
        "head -c 8192 /dev/urandom >state",
        "head -c 8192 /dev/zero >state",
        ": >state",
    ] {
        let (sandbox, alice, carol) = host_on_tmpfs();
        shell(&sandbox, &format!("cd {ALICE}; {damage}"));
        everybody_is_denied(&sandbox, &[("alice", &alice)], damage);
        let _ = sandbox.log.wait(&["event=record_damaged", "user=alice"]);
        assert_eq!(sandbox.answer("carol", &carol.code()), PAM_SUCCESS, "{damage}");
    }
}

#[test]
fn half_a_record_is_damage_and_not_an_unenrolled_account() {
    for damage in ["rm account.toml", "rm state", "rm account.toml state"] {
        let (sandbox, alice, carol) = host_on_tmpfs();
        shell(&sandbox, &format!("cd {ALICE}; {damage}"));
        everybody_is_denied(&sandbox, &[("alice", &alice)], damage);
        assert_eq!(last_denial(&sandbox, "alice"), "record_incomplete", "{damage}");
        assert_eq!(sandbox.answer("carol", &carol.code()), PAM_SUCCESS);
    }
}

#[test]
fn a_torn_slot_of_the_state_locks_nobody_out() {
    for block in [0, 1] {
        let (sandbox, alice, _) = host_on_tmpfs();
        assert_eq!(sandbox.answer("alice", &alice.previous_code()), PAM_SUCCESS);
        shell(
            &sandbox,
            &format!(
                "cd {ALICE}; dd if=/dev/urandom of=state bs=2048 seek={} count=1 conv=notrunc status=none",
                2 * block
            ),
        );
        assert_eq!(sandbox.answer("alice", &alice.code()), PAM_SUCCESS, "block {block}");
        assert_eq!(sandbox.answer("alice", &alice.code()), PAM_AUTH_ERR, "block {block}");
    }
}

#[test]
fn a_missing_store_is_not_an_empty_one() {
    for damage in [
        "umount /var/lib/qrtotp",
        "rm -rf /var/lib/qrtotp/*",
        "umount /var/lib/qrtotp; mkdir -m 700 /var/lib/qrtotp/accounts",
        "rm -rf /var/lib/qrtotp/accounts/*; rm /var/lib/qrtotp/store.toml",
        "rm -rf /var/lib/qrtotp/accounts/*",
        "mount -t tmpfs -o mode=700 accounts /var/lib/qrtotp/accounts",
        "rm /etc/qrtotp/seal.key",
        "echo garbage >/etc/qrtotp/seal.key",
        "chmod 644 /etc/qrtotp/seal.key",
        "rm /etc/qrtotp/qrtotp.toml.applied",
        "echo 'surprise = 1' >>/etc/qrtotp/qrtotp.toml.applied",
        "cp /etc/qrtotp/qrtotp.toml /etc/qrtotp/qrtotp.toml.applied",
        "chmod 666 /etc/qrtotp/qrtotp.toml.applied",
        "chown 3000 /etc/qrtotp/qrtotp.toml.applied",
        "chmod 777 /etc/qrtotp",
        "chmod 770 /var/lib/qrtotp; chgrp 3000 /var/lib/qrtotp",
        "sed -i s,/var/lib/qrtotp,/var/lib/elsewhere, /etc/qrtotp/qrtotp.toml; rm /etc/qrtotp/qrtotp.toml.applied; qrtotp list || true",
        "mv /etc/qrtotp/qrtotp.toml.applied /root/; ln -s /root/qrtotp.toml.applied /etc/qrtotp/",
    ] {
        let (sandbox, alice, _) = host_on_tmpfs();
        shell(&sandbox, damage);
        everybody_is_denied(&sandbox, &[("alice", &alice), ("bobby", &alice)], damage);
        let lines = sandbox.log.events();
        assert!(
            lines.iter().any(|line| line.contains("detail=")),
            "{damage}: the log says nothing useful: {lines:?}"
        );
    }
}

#[test]
fn a_record_copied_to_another_name_does_not_open() {
    let (sandbox, alice, _) = host_on_tmpfs();
    shell(&sandbox, "cp -a /var/lib/qrtotp/accounts/alice /var/lib/qrtotp/accounts/bobby");
    everybody_is_denied(&sandbox, &[("bobby", &alice)], "a copied record");
    assert_eq!(sandbox.answer("alice", &alice.code()), PAM_SUCCESS);
}

#[test]
fn a_link_in_place_of_a_record_is_not_followed() {
    let (sandbox, alice, _) = host_on_tmpfs();
    shell(&sandbox, &format!("mv {ALICE} {STATE}/aside; ln -s {STATE}/aside {ALICE}"));
    everybody_is_denied(&sandbox, &[("alice", &alice)], "a linked directory");
    shell(
        &sandbox,
        &format!("rm {ALICE}; mv {STATE}/aside {ALICE}; cd {ALICE}; mv state real; ln -s real state"),
    );
    everybody_is_denied(&sandbox, &[("alice", &alice)], "a linked file");
}
