//! Imports from hostile homes: root follows none of their links, neither now nor later, and never shows a
//! name that they chose unescaped.

use qrtotp_tests::{
    Sandbox,
    foreign::{TIME_BASED, devices, google, google_authenticator, import},
};
use std::time::{Duration, Instant};

const FILE: &str = "/home/alice/.google_authenticator";

#[test]
fn what_is_no_plain_file_of_the_user_is_refused_and_nothing_waits_for_it() {
    let sandbox = Sandbox::with_alice_and_bobby();
    sandbox.make_store();
    let (_, _) = google_authenticator(&sandbox, "alice", &TIME_BASED);
    let (good, home) = (sandbox.read(FILE), "/home/alice");
    sandbox.overwrite("/root/secret", &good);
    sandbox.run(&["chmod", "600", "/root/secret"]).success();
    for (what, script, why) in [
        (
            "a pipe",
            format!("rm -f {FILE}; setpriv --reuid alice mkfifo -m 600 {FILE}"),
            "is a FIFO, not a file",
        ),
        ("a link to root's file", format!("rm -f {FILE}; ln -s /root/secret {FILE}"), "link"),
        (
            "a link to a good file",
            format!("rm -f {FILE}; cp /root/secret {home}/x; chown alice {home}/x; ln -s x {FILE}"),
            "link",
        ),
        ("a directory", format!("rm -f {FILE}; mkdir {FILE}"), "is a directory, not a file"),
        (
            "somebody else's",
            format!("rmdir {FILE}; install -m 600 -o bobby /root/secret {FILE}"),
            "only files of alice",
        ),
        (
            "one that others may read",
            format!("rm -f {FILE}; install -m 644 -o alice /root/secret {FILE}"),
            "read by others",
        ),
        (
            "too large",
            format!(
                "rm -f {FILE}; head -c 65537 /dev/zero | tr '\\0' '\\n' >{FILE}; chmod 600 {FILE}; chown alice {FILE}"
            ),
            "64 KiB",
        ),
        (
            "in a home that others may write to",
            format!("install -m 600 -o alice /root/secret {FILE}; chmod 777 {home}"),
            "others may write",
        ),
    ] {
        sandbox.run(&["sh", "-c", &script]).success();
        let refused = google(&sandbox, &["alice"]);
        assert!(
            matches!(refused.status.code(), Some(1 | 2)) && refused.stderr.contains(why),
            "{what}: {refused:?}"
        );
        assert_eq!(devices(&sandbox, "alice"), 0, "{what}");
    }
    sandbox.run(&["chmod", "700", home]).success();
    google(&sandbox, &["alice"]).success();
}

#[test]
fn no_component_below_the_home_may_be_a_link() {
    let sandbox = Sandbox::with_alice_and_bobby();
    let (_, _) = google_authenticator(&sandbox, "alice", &TIME_BASED);
    let script = format!(
        "mkdir -p /home/alice/real && mv {FILE} /home/alice/real/ga && ln -s real /home/alice/link && chown -h alice: /home/alice/*"
    );
    sandbox.run(&["sh", "-c", &script]).success();
    let refused = google(&sandbox, &["alice", "--path", "~/link/ga"]).exited(1);
    assert!(refused.stderr.contains("/home/alice/link is a symbolic link"), "{refused:?}");
    let refused = google(&sandbox, &["alice", "--path", "~/real/../real/ga"]).exited(1);
    assert!(refused.stderr.contains("plain absolute path"), "{refused:?}");
    google(&sandbox, &["alice", "--path", "${HOME}/real/ga"]).success();
}

#[test]
fn root_is_told_no_command_that_a_link_in_a_home_could_lead_elsewhere() {
    let sandbox = Sandbox::with_alice_and_bobby();
    google_authenticator(&sandbox, "alice", &TIME_BASED);
    let said = google(&sandbox, &["alice"]).success().stdout;
    // A user who follows the message does it later, when alice has had the time to put a link there.
    sandbox.overwrite("/etc/precious", "precious");
    sandbox.run(&["ln", "-sf", "/etc/precious", FILE]).success();
    assert!(said.contains("give this command again with --shred") && !said.contains("shred -u"), "{said}");
    google(&sandbox, &["alice", "--shred"]).exited(1);
    assert_eq!(sandbox.read("/etc/precious"), "precious", "{said}");

    let refused = google(&sandbox, &["alice"]).exited(1).stderr;
    assert!(!refused.contains("chmod") && !refused.contains("chown"), "{refused}");
    sandbox.run(&["chmod", "770", "/home/alice"]).success();
    let refused = google(&sandbox, &["alice"]).exited(1).stderr;
    assert!(refused.contains("others may write") && !refused.contains("chmod"), "{refused}");
}

#[test]
fn names_that_users_gave_to_directories_move_no_cursor_and_forge_no_line() {
    let sandbox = Sandbox::with_alice_and_bobby();
    google_authenticator(&sandbox, "alice", &TIME_BASED);
    let dir = "/home/alice/x\u{1b}[31m\nbobby: imported as c-FORGED";
    let file = format!("{dir}/ga");
    sandbox.run(&["install", "-d", "-m", "700", "-o", "alice", "-g", "alice", dir]).success();
    let missing = google(&sandbox, &["alice", &file]).exited(1);
    sandbox.run(&["mv", FILE, &file]).success();
    sandbox.run(&["chmod", "644", &file]).success();
    let open = google(&sandbox, &["alice", &file]).exited(1);
    sandbox.run(&["chmod", "600", &file]).success();
    let foreign = google(&sandbox, &["bobby", &file]);
    let oath = import(&sandbox, &["oath", &file]);
    let good = google(&sandbox, &["alice", &file]).success();
    sandbox.append(&file, "x\n");
    let bad = google(&sandbox, &["alice", &file]).exited(1);
    for said in [missing, open, foreign, oath, good, bad] {
        let text = format!("{}{}", said.stdout, said.stderr);
        assert!(!text.contains('\u{1b}') && !text.contains("\nbobby: imported"), "{text:?}");
    }
}

#[test]
fn a_file_that_its_owner_holds_a_lease_on_is_not_waited_for_and_to_be_tried_again() {
    let sandbox = Sandbox::with_alice_and_bobby();
    google_authenticator(&sandbox, "alice", &TIME_BASED);
    // F_SETLEASE with F_WRLCK: opening the file in the meantime fails with EWOULDBLOCK.
    let lease = format!(
        "use POSIX; $SIG{{IO}} = 'IGNORE'; open my $file, '<', '{FILE}' or die; fcntl($file, 1024, 1) or die $!; \
         exit 0 if fork; close STDOUT; close STDERR; sleep 20"
    );
    sandbox.run_as("alice", &["perl", "-e", &lease]).success();
    let refused = google(&sandbox, &["alice"]).exited(2);
    assert!(refused.stderr.contains("(a lease)") && refused.stderr.contains("try again"), "{refused:?}");
    assert!(!refused.stderr.contains("root"), "{refused:?}");
}

#[test]
fn a_file_of_roots_in_a_home_is_taken_as_roots_and_another_users_is_to_be_given_on_standard_input() {
    let sandbox = Sandbox::with_alice_and_bobby();
    sandbox.add_user("carol");
    for user in ["alice", "bobby", "carol"] {
        google_authenticator(&sandbox, user, &TIME_BASED);
    }
    // The settings user=root and user=SERVICE of google-authenticator; bobby made a second link to one of
    // root's files.
    let script = "chown root: /home/alice/.google_authenticator && chown nobody /home/carol/.google_authenticator &&
                  chmod 600 /home/carol/.google_authenticator && mv /home/bobby/.google_authenticator /home/key &&
                  chown root: /home/key && ln /home/key /home/bobby/.google_authenticator";
    sandbox.run(&["sh", "-c", script]).success();
    google(&sandbox, &["alice"]).success();
    for user in ["bobby", "carol"] {
        let refused = google(&sandbox, &[user]).exited(2);
        assert!(refused.stderr.contains("on standard input: - <FILE"), "{refused:?}");
    }
    google(&sandbox, &["alice", "--shred"]).success();
    assert!(!sandbox.exists(FILE));
    let all = google(&sandbox, &["--all-homes"]).exited(1);
    assert!(
        all.stdout.contains("0 imported, 2 refused") && all.stdout.contains("`getent passwd` does not list"),
        "{all:?}"
    );
    let script = "qrtotp import google-authenticator carol - </home/carol/.google_authenticator";
    sandbox.run(&["sh", "-c", script]).success();
    assert_eq!(["alice", "bobby", "carol"].map(|user| devices(&sandbox, user)), [1, 0, 1]);
}

#[test]
fn a_home_that_never_answers_is_named_and_stops_nobody_else() {
    let sandbox = Sandbox::with_alice_and_bobby();
    google_authenticator(&sandbox, "alice", &TIME_BASED);
    // A FUSE file system whose server never answers, as a user may mount it on their own home.
    let hanging = |command: &str| {
        format!(
            "mknod /tmp/fuse c 10 229 && exec 3<>/tmp/fuse && cd / || exit 9
             mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0,allow_other none /home/bobby || exit 9
             {command} 3<&-; status=$?; umount -l /home/bobby; rm /tmp/fuse; exit $status"
        )
    };
    let begin = Instant::now();
    let all =
        sandbox.run(&["sh", "-c", &hanging("qrtotp import google-authenticator --all-homes")]).exited(1);
    assert!(all.stdout.contains("1 imported, 1 refused"), "{all:?}");
    assert!(
        all.stderr.contains("bobby: /home/bobby/.google_authenticator did not answer for 5 s"),
        "{all:?}"
    );
    let one = sandbox.run(&["sh", "-c", &hanging("qrtotp import google-authenticator bobby")]).exited(2);
    assert!(one.stderr.contains("did not answer"), "{one:?}");
    assert!(begin.elapsed() < Duration::from_secs(60));
    assert_eq!([devices(&sandbox, "alice"), devices(&sandbox, "bobby")], [1, 0]);
}

#[test]
fn a_users_oath_that_is_no_file_or_that_others_could_have_written_is_refused() {
    let sandbox = Sandbox::with_alice_and_bobby();
    sandbox.make_store();
    let line = "HOTP/T30/6 alice - 3132333435363738393031323334353637383930\n";
    sandbox.overwrite("/root/good", line);
    sandbox.run(&["chmod", "600", "/root/good"]).success();
    for (script, why) in [
        ("mkfifo -m 600 users.oath", "is a FIFO, not a file"),
        ("ln -s good users.oath", "link"),
        ("mkdir users.oath", "is a directory, not a file"),
        ("install -m 600 -o bobby good users.oath", "does not belong to root"),
        ("install -m 620 good users.oath", "others may write"),
    ] {
        sandbox.run(&["sh", "-c", &format!("cd /root; rm -rf users.oath; {script}")]).success();
        let refused = import(&sandbox, &["oath", "/root/users.oath"]);
        assert!(!refused.status.success() && refused.stderr.contains(why), "{script}: {refused:?}");
        assert_eq!(devices(&sandbox, "alice"), 0, "{script}");
    }
    import(&sandbox, &["oath", "/root/good"]).success();
    assert_eq!(devices(&sandbox, "alice"), 1);
}
