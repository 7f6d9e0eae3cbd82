//! This machine's and the newest Debian's OpenSSH and sudo. If the latter can't be unpacked, or is this
//! machine's own, `cargo xtask test` says so.

use qrtotp_tests::{
    artefacts, decoders,
    first_login::INSIDE,
    openssh::{NEWEST, OPTIONS, System, is_older, read},
    screen::Background,
    users::PASSWORD,
};

/// This machine and the newest release, if it could be unpacked; a missing one has been reported.
fn systems() -> Vec<System> {
    let mut systems = vec![System::this_machine()];
    if is_older() && !artefacts::is_missing(NEWEST) {
        systems.push(System::debian(NEWEST));
        assert_ne!(systems[0].version(), systems[1].version(), "these are no two releases");
    }
    systems
}

/// Clients of both releases, without and with `-q`, at the server of one of them.
fn a_user_enrols_from_each(server: usize) {
    let systems = systems();
    let Some(server) = systems.get(server).map(System::server) else { return };
    for system in &systems {
        let client = system.client(&server);
        for options in OPTIONS {
            let login = server.at_the_picture(&client, options);
            let uri = decoders::agreed(&read(&login, Background::Dark)).expect("the picture can be scanned");
            server.enrols(login, &uri);
        }
    }
}

#[test]
fn a_user_enrols_at_this_machines_sshd_from_it_and_the_newest_release() {
    a_user_enrols_from_each(0);
}

#[test]
fn a_user_enrols_at_the_newest_releases_sshd_from_it_and_this_machine() {
    a_user_enrols_from_each(1);
}

#[test]
fn debian_13s_sudo_tells_the_days_of_grace_where_sudoers_lets_pam_modules_speak() {
    if artefacts::is_missing(NEWEST) {
        return;
    }
    let debian_13 = System::debian(NEWEST);
    assert!(debian_13.name.contains(" 13 "), "{}", debian_13.name);
    let sandbox = debian_13.sandbox(None);
    sandbox.add_user("alice");
    sandbox.make_store();
    sandbox.password_and_enrolment("sudo");
    let until = sandbox.run(&["date", "-u", "-d", "6 days", "+%F"]).success().stdout;
    let until = until.trim();
    sandbox.configure(&format!("[defaults]\nfirst_login = \"allow\"\nallow_until = \"{until}\"\n"));
    for (setting, is_shown) in [("", false), ("Defaults !pam_silent\n", true)] {
        sandbox.append("/etc/sudoers.d/tests", setting);
        let mut sudo = sandbox.pty(Some("alice"), &["sudo", "echo", INSIDE]);
        sudo.expect("assword");
        sudo.send(PASSWORD);
        sudo.expect(INSIDE);
        let shown = sudo.success();
        assert_eq!(shown.contains(" days are left"), is_shown, "{setting:?}: {shown}");
    }
}
