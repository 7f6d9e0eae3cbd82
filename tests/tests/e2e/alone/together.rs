//! Many logins at one instant.

use crate::audit::trail::verified;
use qrtotp_tests::{
    Sandbox, artefacts,
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};

const PROCESSES: &str = "16";

fn host() -> Sandbox {
    let sandbox = Sandbox::new();
    // Eleven codes per account to choose from, and no waits: these tests are about neither.
    sandbox
        .configure("[verify]\nwindow_back = 10\n[enroll]\nmax_devices = 1\n[throttle]\nfree_failures = 20\n");
    sandbox.stack("");
    sandbox
}

#[test]
fn of_sixteen_simultaneous_logins_with_one_code_exactly_one_succeeds() {
    let sandbox = host();
    for account in 0..5 {
        let user = format!("user{account}");
        sandbox.add_user(&user);
        let phone = sandbox.import(&user);
        for step in phone.step() - 9..=phone.step() {
            let code = phone.code_of_step(step);
            let report = sandbox.login(&user).answer(&code).arguments(&["--processes", PROCESSES]).run();
            assert_eq!((report.count(PAM_SUCCESS), report.count(PAM_AUTH_ERR)), (1, 15), "{report:?}");
        }
    }
    let accepted = sandbox.log.events().iter().filter(|event| event.contains("result=accepted")).count();
    assert_eq!(accepted, 50);
}

#[test]
fn on_a_slow_disk_a_code_works_once_and_simultaneous_guesses_are_not_evaluated_beyond_the_free_ones() {
    let sandbox = host();
    let library = artefacts::compile("slow_disk.c", "slow_disk.so", &["-shared", "-fPIC"]);
    sandbox.install(&library, "/usr/local/bin/slow_disk.so", 0o755);
    let slow = ["env", "LD_PRELOAD=/usr/local/bin/slow_disk.so"];
    sandbox.add_user("alice");
    let phone = sandbox.import("alice");
    for step in phone.step() - 2..=phone.step() {
        let login = sandbox.login("alice").answer(&phone.code_of_step(step));
        let report = login.arguments(&["--processes", PROCESSES]).under(&slow).run();
        assert_eq!((report.count(PAM_SUCCESS), report.count(PAM_AUTH_ERR)), (1, 15), "{report:?}");
    }
    sandbox.run(&["qrtotp", "unlock", "alice"]).success();
    sandbox.configure("[throttle]\nfree_failures = 3\n");
    let login = sandbox.login("alice").answer(&phone.wrong_code());
    login.arguments(&["--processes", PROCESSES]).under(&slow).run();
    let evaluated = sandbox.log.events().iter().filter(|event| event.contains("reason=wrong_code")).count();
    // The waits begin at one second, which may pass during the test.
    assert!((3..=5).contains(&evaluated), "{evaluated} of 16 simultaneous guesses were evaluated");
}

#[test]
fn the_lines_of_fifty_processes_are_one_chain_that_verifies() {
    let sandbox = host();
    sandbox.add_user("alice");
    let phone = sandbox.import("alice");
    for _ in 0..3 {
        // Twenty are looked at, the others have to wait.
        let login = sandbox.login("alice").answer(&phone.wrong_code());
        assert_eq!(login.arguments(&["--processes", "50"]).run().count(PAM_AUTH_ERR), 50);
        sandbox.run(&["qrtotp", "unlock", "alice"]).success();
    }
    let _ = sandbox.log.wait(&["reason=unlock user=alice"]);
    let whole = verified(&sandbox, &[]).success().stdout;
    let proven = whole.split(" proven").next().unwrap().rsplit(' ').next().unwrap();
    assert!(proven.parse::<u32>().unwrap() >= 50, "{whole}");
}

#[test]
fn of_sixteen_simultaneous_logins_with_one_recovery_code_exactly_one_succeeds() {
    let sandbox = host();
    sandbox.add_user("alice");
    sandbox.import("alice");
    for code in sandbox.new_recovery_codes("alice") {
        let report = sandbox.login("alice").answer(&code).arguments(&["--processes", PROCESSES]).run();
        assert_eq!((report.count(PAM_SUCCESS), report.count(PAM_AUTH_ERR)), (1, 15), "{report:?}");
        sandbox.run(&["qrtotp", "unlock", "alice"]).success();
    }
}

#[test]
fn sixteen_users_together_all_get_in() {
    let sandbox = host();
    let people: Vec<_> = (0..16)
        .map(|number| {
            let user = format!("user{number}");
            sandbox.add_user(&user);
            let phone = sandbox.import(&user);
            (user, phone)
        })
        .collect();
    for back in (0..5).rev() {
        let login = sandbox.login_without_user().arguments(&["--processes", PROCESSES]);
        let login = people.iter().fold(login, |login, (user, phone)| {
            login.arguments(&["--user", user]).answer(&phone.code_of_step(phone.step() - back))
        });
        let report = login.run();
        assert_eq!(report.count(PAM_SUCCESS), 16, "{report:?}");
    }
}

#[test]
fn a_code_used_elsewhere_while_a_session_waits_at_its_prompt_is_refused_there() {
    let sandbox = host();
    sandbox.add_user("alice");
    let phone = sandbox.import("alice");
    let code = phone.code();
    let mut waiting = sandbox.login("alice").answer(&code).hold();
    let mut report = String::new();
    let mut lines = std::io::BufReader::new(waiting.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut lines, &mut report).unwrap();
    assert!(report.starts_with("message style=1"), "{report}");
    assert_eq!(sandbox.answer("alice", &code), PAM_SUCCESS);
    drop(waiting.stdin.take());
    std::io::Read::read_to_string(&mut lines, &mut report).unwrap();
    assert!(waiting.wait().unwrap().success());
    assert!(report.contains("authenticate=7\n"), "{report}");
}
