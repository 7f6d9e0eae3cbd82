//! The fleet's proofs, short; `cargo xtask proof fleet` runs the long forms.

use std::{collections::BTreeMap, path::Path, time::Duration};

use qrtotp_tests::{
    Output, Phone, Sandbox, artefacts, clock,
    fleet::{Fleet, Host},
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
    memory::{forms_of_key, from_base32, search},
    verifiers,
};

/// How often something is tried.
pub(super) fn times(short: usize, long: usize) -> usize {
    if std::env::var_os("QRTOTP_FLEET_LONG").is_some() { long } else { short }
}

pub(super) fn users(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{name}{number}")).collect()
}

/// The lines of a log that contain all of these texts.
fn count(sandbox: &Sandbox, texts: &[&str]) -> usize {
    sandbox.log.lines().iter().filter(|line| texts.iter().all(|text| line.contains(text))).count()
}

/// Revokes a user's devices at the first verifier, and waits for it to be acknowledged.
fn revoke(fleet: &Fleet, user: &str) {
    let revoked = || fleet.administer(&["revoke", user, "--all"], "").status.success().then_some(());
    clock::poll(Duration::from_secs(20), revoked).expect("no revocation is acknowledged");
}

fn answer(host: &Host, (user, phone): &(String, Phone)) -> i32 {
    phone.wait_for_seconds_left(8);
    host.sandbox.answer(user, &phone.code())
}

#[test]
fn a_revocation_acknowledged_at_one_verifier_holds_at_the_next_login_through_the_others() {
    let (rounds, cut) = (times(20, 1000), times(3, 1000));
    let fleet = Fleet::of(3, "");
    let names = users("leaver", rounds + cut + 2);
    let leavers = fleet.import_crowd(&names);
    let (two, three) = (fleet.host_at("web2", "all", &[1]), fleet.host_beside(2, "web3", &[2]));
    [&two, &three].iter().for_each(|host| host.sandbox.add_crowd(&names));
    let refused = |users: &[(String, Phone)]| {
        for user in users {
            revoke(&fleet, &user.0);
            for host in [&two, &three] {
                assert_eq!(answer(host, user), PAM_AUTH_ERR, "{} was revoked", user.0);
            }
        }
    };
    refused(&leavers[..rounds]);
    assert_eq!(answer(&three, &leavers[rounds]), PAM_SUCCESS, "the codes were right");
    let of_revoked =
        |number: usize| count(&fleet.verifiers[number].sandbox, &["result=denied reason=revoked"]);
    let all = || ([of_revoked(1), of_revoked(2)] == [rounds; 2]).then_some(());
    clock::poll(Duration::from_secs(5), all).expect("they were refused for another reason");
    fleet.cut(2, true);
    refused(&leavers[rounds + 1..rounds + 1 + cut]);
    assert_eq!(answer(&two, leavers.last().unwrap()), PAM_SUCCESS);
    assert_eq!(count(&three.sandbox, &["result=accepted"]), 1, "that of before");
}

/// What `stolen_host.py` prints, by name.
fn stolen(host: &Host, arguments: &[&str]) -> BTreeMap<String, String> {
    let script = "/usr/local/bin/stolen_host.py";
    host.sandbox.install(&artefacts::sources().join("python/stolen_host.py"), script, 0o755);
    let printed: Output = host.sandbox.run(&[&["/usr/bin/python3", script], arguments].concat()).success();
    let lines = printed.stdout.lines().filter_map(|line| line.split_once('='));
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The files below a directory of the sandbox, with their content.
fn files(directory: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let content = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => files(&entry.path()),
        Ok(kind) if kind.is_file() => vec![std::fs::read(entry.path()).unwrap()],
        _ => Vec::new(),
    };
    entries.flat_map(content).collect()
}

#[test]
fn with_all_that_a_stolen_host_has_nothing_is_read_enrolled_or_lowered() {
    let fleet = Fleet::new("web = [\"user*\"]\n");
    let (phones, alices) = (fleet.import_crowd(&users("user", 1)), fleet.import("alice"));
    let phone = &phones[0].1;
    let (stolen_one, other) = (fleet.host("web1", "web"), fleet.host("db1", "all"));
    other.sandbox.add_crowd(&users("user", 1));
    phone.wait_for_seconds_left(60);
    let used = phone.code_of_step(phone.step() - 1);
    assert_eq!(other.sandbox.answer("user0", &used), PAM_SUCCESS);
    let code = phone.code();
    let printed = stolen(&stolen_one, &["attack", "127.0.0.1", "alice", "10000", &code, &used, "user0"]);
    let expected = [
        ("kinds", ""),
        ("other_group", "denied"),
        ("other_group_nullok", "denied"),
        ("used_code", "denied"),
        ("used_code_elsewhere", "denied"),
        ("other_uid", "denied"),
        ("other_key", "refused"),
        ("uninvited", "refused"),
        ("renewed_name", "own"),
        ("no_certificate", "refused"),
        ("own_certificate", "closed"),
        ("etcd", "closed"),
    ];
    assert_eq!(printed, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert_eq!(other.sandbox.answer("user0", &code), PAM_SUCCESS, "no watermark, no count was changed");
    assert_eq!(other.answer(&alices.code()), PAM_SUCCESS, "nor alice's");
}

#[test]
fn a_login_host_has_no_secret_of_any_account_on_its_disk_or_in_its_relay() {
    let fleet = Fleet::new("");
    let phone = fleet.import("alice");
    let host = fleet.host("web1", "all");
    assert_eq!(host.answer(&phone.code()), PAM_SUCCESS);
    let secret = from_base32(&phone.key);
    let patterns = forms_of_key("alice's key", &secret);
    let found = search(&host.relay_in_proc(), &patterns);
    assert!(found.found.is_empty() && found.bytes > 100_000, "{:?} in {} bytes", found.found, found.bytes);
    for directory in ["/etc/qrtotp", "/var/lib", "/run/relay", "/tmp"] {
        for content in files(&host.sandbox.path(directory)) {
            let holds = |(_, form): &(String, Vec<u8>)| content.windows(form.len()).any(|part| part == form);
            assert!(!patterns.iter().any(holds), "a key is in a file of {directory}");
        }
    }
}

#[test]
fn a_stolen_host_that_guesses_is_told_of_at_the_20th_account_and_disables_none() {
    let fleet = Fleet::new("");
    let victims = users("user", 100);
    let phones = fleet.import_crowd(&victims);
    let (stolen_one, other) = (fleet.host("web1", "all"), fleet.host("db1", "all"));
    [&stolen_one, &other].iter().for_each(|host| host.sandbox.add_crowd(&victims));
    let guess = |count: usize, users: &[String]| {
        let count = count.to_string();
        let users = users.iter().map(String::as_str);
        stolen(&stolen_one, &["guess", &count, "300"].into_iter().chain(users).collect::<Vec<_>>())
    };
    let log_in = |(user, phone): &(String, Phone), step: u64| {
        let login = other.sandbox.login(user).arguments(&["--rhost", "192.0.2.1"]);
        login.answer(&phone.code_of_step(step)).run().authenticate()
    };
    let owners = &phones[100 - times(10, 100)..];
    owners[0].1.wait_for_seconds_left(60);
    let step = owners[0].1.step();
    assert!(owners.iter().all(|owner| log_in(owner, step - 1) == PAM_SUCCESS), "their usual place");
    assert_eq!(guess(19, &victims[..19])["denied"], "19");
    assert_eq!(count(fleet.verifier(), &["event=host_noisy"]), 0);
    guess(1, &victims[19..20]);
    let _ = fleet.verifier().log.wait(&["event=host_noisy", "20 accounts in ten minutes", "by=web1"]);
    assert_eq!(guess(times(1000, 12_000), &victims).get("accepted"), None);
    assert_eq!(count(fleet.verifier(), &["event=login", "reason=disabled"]), 0);
    let step = owners[0].1.step();
    assert!(owners.iter().all(|owner| log_in(owner, step) == PAM_SUCCESS), "as before");
}

#[test]
fn at_a_host_with_a_hundred_failures_a_second_right_logins_are_accepted() {
    let (logins, seconds) = (times(20, 50), times(8, 30));
    let fleet = Fleet::of(3, "");
    let (bots, owners) = (users("bot", 200), users("owner", logins));
    let everybody = [owners, bots.clone()].concat();
    let phones = fleet.import_crowd(&everybody);
    let host = fleet.host("web1", "all");
    host.sandbox.add_crowd(&everybody);
    let failures = (100 * seconds).to_string();
    let argv = ["guess", &failures, "100"].into_iter().chain(bots.iter().map(String::as_str));
    let argv: Vec<&str> = argv.collect();
    let (right, wrong) = std::thread::scope(|scope| {
        let noise = scope.spawn(|| stolen(&host, &argv));
        let pause = Duration::from_secs(seconds as u64) / (logins as u32 + 4);
        let accepted = phones[..logins].iter().filter(|owner| {
            clock::pause(pause);
            answer(&host, owner) == PAM_SUCCESS
        });
        (accepted.count(), noise.join().unwrap())
    });
    println!("{right} of {logins} right logins accepted beside {wrong:?}");
    assert!(right * 100 >= logins * 99, "{right} of {logins} beside {wrong:?}");
    assert!(wrong["rate"].parse::<usize>().unwrap() >= times(50, 90), "{wrong:?}");
    assert_eq!(wrong["denied"], failures, "{wrong:?}");
}

#[test]
fn without_any_verifier_a_login_is_denied_in_time_and_a_break_glass_code_works_once() {
    let mut fleet = Fleet::of(3, "");
    let phone = fleet.import("alice");
    let (one, two) = (fleet.host("web1", "all"), fleet.host("web2", "all"));
    let made = one.sandbox.command(None, &["qrtotp", "fleet", "offline-codes", "alice"]).output().unwrap();
    let printed = String::from_utf8(made.stdout).unwrap();
    let code = printed.lines().map(str::trim).find(|line| line.len() == 19).unwrap();
    (0..3).for_each(|number| fleet.stop(number));
    for _ in 0..3 {
        let report = one.sandbox.login("alice").answer(&phone.code()).run();
        // The module waits for 3 s; a busy machine takes a little until it runs again.
        let took = report.value("took_us").parse::<u64>().unwrap();
        assert!(took < 3_100_000, "{took}");
        assert_eq!(report.authenticate(), PAM_AUTH_ERR);
        assert!(report.text().contains("Use a break-glass code"), "{}", report.text());
    }
    assert_eq!(two.answer(code), PAM_AUTH_ERR, "it is web1's");
    assert_eq!(one.answer(code), PAM_SUCCESS);
    assert_eq!(one.answer(code), PAM_AUTH_ERR, "it was used");
}

#[test]
fn a_verifier_that_joined_has_an_applied_configuration_to_start_with() {
    for verifier in verifiers::fleet(3) {
        let applied = "/etc/qrtotp/verifier/qrtotp.toml.applied";
        assert!(verifier.sandbox.exists(applied), "{}", verifier.name);
    }
}

#[test]
fn setup_at_a_login_host_needs_a_verifier_that_answers_and_no_store() {
    let mut fleet = Fleet::new("");
    let phone = fleet.import("alice");
    let host = fleet.host("web1", "all");
    let setup = ["qrtotp", "setup", "su", "--apply", "--no-timer", "--no-trial"];
    fleet.daemons[0].signal(rustix::process::Signal::KILL);
    let refused = host.sandbox.run(&setup);
    assert!(refused.status.code() == Some(1) && refused.stderr.contains("no verifier"), "{refused:?}");
    fleet.restart();
    host.sandbox.run(&setup).success();
    assert!(host.sandbox.read("/etc/pam.d/su").contains("pam_qrtotp.so"));
    assert_eq!(host.answer(&phone.code()), PAM_SUCCESS);
}

/// These run while no other test does (`alone::`).
mod alone {
    use super::*;

    const KINDS: [&str; 4] = ["unknown", "un-enrolled", "throttled", "wrong"];
    /// Wrong codes of an account before it must wait.
    const FREE: usize = 4;

    /// One of the 24 orders of the kinds, so that each comes after each other one.
    fn order(round: usize) -> Vec<usize> {
        let (mut left, mut number) = ((0..KINDS.len()).collect::<Vec<_>>(), round * 7 % 24);
        let mut next = |count| {
            let kind = left.remove(number % count);
            number /= count;
            kind
        };
        (1..=KINDS.len()).rev().map(&mut next).collect()
    }

    /// The median times of a refusal of each kind at the host, in microseconds.
    fn medians(host: &Host, rounds: usize) -> [u64; 4] {
        let mut all = [const { Vec::new() }; 4];
        for round in 0..rounds {
            for kind in order(round) {
                let wrong = format!("wrong{}", round / FREE);
                let user = ["nosuchuser", "bobby", "slow", &wrong][kind];
                let report = host.sandbox.login(user).arguments(&["--answer", "000000"]).run();
                assert_eq!(report.authenticate(), PAM_AUTH_ERR, "{user}");
                all[kind].push(report.value("took_us").parse::<u64>().unwrap());
            }
        }
        all.map(|mut times| {
            times.sort_unstable();
            times[times.len() / 2]
        })
    }

    #[test]
    fn the_time_of_a_refusal_at_a_host_of_the_fleet_tells_nothing() {
        let (rounds, percent) = (times(60, 1000), times(30, 5) as u64);
        let fleet = Fleet::of(3, "");
        let mut accounts = users("wrong", rounds.div_ceil(FREE));
        accounts.push("slow".to_owned());
        let _ = fleet.import_crowd(&accounts);
        let host = fleet.host("web1", "all");
        host.sandbox.add_crowd(&accounts);
        host.sandbox.overwrite("/etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\n");
        stolen(&host, &["guess", "60", "60", "slow"]);
        let medians = medians(&host, rounds);
        println!("medians in µs of {KINDS:?}: {medians:?}");
        let (fastest, slowest) = (medians.iter().min().unwrap(), medians.iter().max().unwrap());
        assert!(slowest * 100 <= fastest * (100 + percent), "{KINDS:?}: {medians:?}");
        for reason in ["unknown_user", "not_enrolled", "throttled", "wrong_code"] {
            let printed =
                (0..3).map(|number| count(&fleet.verifiers[number].sandbox, &[&format!("reason={reason} ")]));
            assert!(printed.sum::<usize>() >= rounds, "{reason}");
        }
    }
}
