//! Debian 12's and 13's OpenSSH and sudo. Where one of the two can't be unpacked, `cargo xtask test` says so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use qrtotp_tests::{
    artefacts, decoders,
    first_login::INSIDE,
    openssh::{OPTIONS, System, other_release, read},
    screen::Background,
    users::PASSWORD,
};

/// Both systems, or none of them: then it is known that the other one is lacking.
fn systems() -> Option<[System; 2]> {
    let release = other_release();
    (!artefacts::lacks(release)).then(|| [System::this_machine(), System::debian(release)])
}

/// Clients of both releases, without and with `-q`, at the server of one of them.
fn a_user_enrols_from_each(server: usize) {
    let Some(systems) = systems() else { return };
    assert_ne!(systems[0].version(), systems[1].version(), "these are no two releases");
    let server = systems[server].server();
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
fn a_user_enrols_at_this_machines_sshd_from_debian_12_and_13() {
    a_user_enrols_from_each(0);
}

#[test]
fn a_user_enrols_at_the_other_releases_sshd_from_debian_12_and_13() {
    a_user_enrols_from_each(1);
}

#[test]
fn debian_13s_sudo_tells_the_days_of_grace_where_sudoers_lets_pam_modules_speak() {
    let Some(systems) = systems() else { return };
    let debian_13 = systems.iter().find(|system| system.name.contains(" 13 ")).unwrap();
    let sandbox = debian_13.sandbox(None);
    sandbox.add_user("alice");
    sandbox.make_store();
    sandbox.password_and_enrolment("sudo");
    let until = sandbox.run(&["date", "-u", "-d", "6 days", "+%F"]).success().stdout;
    let until = until.trim();
    sandbox.configure(&format!("[defaults]\nfirst_login = \"allow\"\nallow_until = \"{until}\"\n"));
    for (setting, told) in [("", false), ("Defaults !pam_silent\n", true)] {
        sandbox.append("/etc/sudoers.d/tests", setting);
        let mut sudo = sandbox.pty(Some("alice"), &["sudo", "echo", INSIDE]);
        sudo.expect("assword");
        sudo.send(PASSWORD);
        sudo.expect(INSIDE);
        let shown = sudo.success();
        assert_eq!(shown.contains(" days are left"), told, "{setting:?}: {shown}");
    }
}
