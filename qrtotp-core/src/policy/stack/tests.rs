#![allow(clippy::unwrap_used)]
mod on_disk;

use super::*;
use proptest::prelude::*;

const GOOD: &str = "# sshd\naccount  requisite pam_qrtotp.so\nSession\tRequisite /lib/security/pam_qrtotp.so # x\n\
                    @include common-auth\nauth required pam_qrtotp.so\n@include common-account\n\
                    session [success=ok ignore=ignore default=bad] pam_selinux.so close\n";

fn line(password_only: bool) -> OurLine<'static> {
    OurLine { service: "sshd", config: Path::new(super::super::DEFAULT_PATH), password_only, read_at: 0 }
}

/// What Debian's files make of it.
const COMMON: [(&str, &str); 5] = [
    (
        "common-auth",
        "auth\t[success=1 default=ignore]\tpam_unix.so nullok\nauth\trequisite\t\t\tpam_deny.so\n\
         auth\trequired\t\t\tpam_permit.so\nauth\toptional\t\t\tpam_cap.so \n",
    ),
    (
        "common-account",
        "account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so\naccount requisite pam_deny.so\n",
    ),
    ("common-session", "session [default=1] pam_permit.so\nsession optional pam_systemd.so\n"),
    ("common-session-noninteractive", "session required pam_unix.so\n"),
    ("common-password", "password requisite pam_pwquality.so retry=3\n"),
];

/// With these files to include, and Debian's.
fn verdict_with(text: &str, others: &[(&str, &str)], password_only: bool) -> Result<(), String> {
    let mut files = |name: &str| {
        let found = others.iter().chain(&COMMON).find(|(known, _)| *known == name);
        found.map(|(_, text)| text.as_bytes().to_vec()).ok_or(format!("{name} does not exist"))
    };
    check(text.as_bytes(), &line(password_only), &mut files)
}

fn verdict(text: &str) -> Result<(), String> {
    verdict_with(text, &[], true)
}

#[test]
fn the_shipped_files_are_accepted_with_what_they_include() {
    assert_eq!(verdict(GOOD), Ok(()));
    for shipped in [
        include_str!("../../../../conf/pam.d/sshd-password-and-code"),
        include_str!("../../../../conf/pam.d/sudo-code"),
        include_str!("../../../../conf/pam.d/su-code"),
    ] {
        assert_eq!(verdict(shipped), Ok(()), "{shipped}");
    }
    let by_key = include_str!("../../../../conf/pam.d/sshd-key-and-code");
    assert_eq!(verdict_with(by_key, &[], false), Ok(()));
    assert!(verdict(by_key).is_err(), "nothing in it proves a password");
}

#[test]
fn a_module_is_ours_by_its_name_or_the_last_part_of_its_path() {
    let with =
        |module: &str| verdict(&GOOD.replace("requisite pam_qrtotp.so", &format!("requisite {module}")));
    assert_eq!(with("/opt/pam_qrtotp.so"), Ok(()));
    for other in ["opt/pam_qrtotp.so", "/opt/pam_other.so", "/opt/not_pam_qrtotp.so", "/opt/pam_qrtotp.so/x"]
    {
        assert!(with(other).is_err(), "{other}");
    }
}

#[test]
fn anything_that_could_leave_our_parts_out_is_refused() {
    let account = "account  requisite pam_qrtotp.so";
    for (from, to) in [
        (account, ""),
        (account, "account required pam_qrtotp.so"),
        (account, "account optional pam_qrtotp.so"),
        (account, "account sufficient pam_qrtotp.so"),
        (account, "account [default=die] pam_qrtotp.so"),
        (account, "-account requisite pam_qrtotp.so"),
        (account, "account requisite pam_qrtotp.so config=/other.toml"),
        (account, "account requisite pam_qrtotp.so [config=/x]"),
        (account, "account requisite pam_qrtotp2.so"),
        (account, "account requisite mypam_qrtotp.so"),
        (account, "account required pam_nologin.so\naccount requisite pam_qrtotp.so"),
        (account, "account [success=1 default=ignore] pam_unix.so\naccount requisite pam_qrtotp.so"),
        (account, "@include common-account\naccount requisite pam_qrtotp.so"),
        (account, "account include x\naccount requisite pam_qrtotp.so"),
        (account, "account substack x\naccount requisite pam_qrtotp.so"),
        (account, "account \\\nrequisite pam_qrtotp.so"),
        (account, "auth required pam_env.so \\\naccount requisite pam_qrtotp.so"),
        (account, "# a comment that goes on \\\naccount requisite pam_qrtotp.so"),
        (account, "account\u{a0}requisite pam_qrtotp.so"),
        (account, "account requisite pam_qrtotp.so\r"),
        (account, "account requisite\u{c}pam_qrtotp.so"),
        (account, "nonsense\naccount requisite pam_qrtotp.so"),
        (account, "#account requisite pam_qrtotp.so"),
        ("Session\tRequisite /lib", "session optional /lib"),
        ("Session\tRequisite /lib", "session required pam_limits.so\nsession requisite /lib"),
        ("Session\tRequisite /lib", "@include common-auth\nsession requisite /lib"),
    ] {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD);
        assert!(verdict(&text).is_err(), "{text}");
    }
}

#[test]
fn a_line_too_long_for_libpam_is_refused() {
    let comment = |length: usize| format!("#{}\n{GOOD}", "x".repeat(length - 1));
    assert_eq!(verdict(&comment(500)), Ok(()));
    assert!(verdict(&comment(501)).unwrap_err().contains("too long"));
}

#[test]
fn pam_permit_behind_us_needs_a_key_as_evidence() {
    for last in ["auth required pam_permit.so\n", "@include common-auth\n"] {
        let text = format!("{GOOD}{last}");
        assert!(verdict(&text).unwrap_err().contains("pam_permit.so behind"));
        assert_eq!(verdict_with(&text, &[], false), Ok(()));
    }
}

#[test]
fn we_are_asked_in_the_auth_part_that_is_read() {
    let without = GOOD.replace("auth required pam_qrtotp.so\n", "");
    assert!(verdict(&without).unwrap_err().contains("has an auth line"), "it may be in /etc/pam.d/other");
    let ours = [("common-auth", "auth requisite pam_unix.so\nauth required pam_qrtotp.so")];
    assert_eq!(verdict_with(&without, &ours, true), Ok(()));
    let trap = GOOD.replace("@include common-auth", "auth required pam_permit.so\nauth include x");
    let problem = verdict_with(&trap, &[("x", "auth sufficient pam_unix.so")], true).unwrap_err();
    assert!(problem.starts_with("line 6: a wrong password could get this far"), "{problem}");
    assert_eq!(verdict_with(&trap, &[], false), Ok(()), "a key is evidence enough");
}

#[test]
fn the_lines_to_add_carry_the_same_configuration() {
    let private = OurLine { config: Path::new("/x.toml"), ..line(true) };
    assert!(check(GOOD.as_bytes(), &private, &mut |_| Ok(Vec::new())).is_err());
    assert!(lines(&private).contains("account requisite pam_qrtotp.so config=/x.toml"));
    assert_eq!(lines(&line(true)), "account requisite pam_qrtotp.so` and `session requisite pam_qrtotp.so");
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = check(&bytes, &line(true), &mut |_| Ok(bytes.clone()));
    }

    #[test]
    fn no_sequence_of_lines_is_accepted_unless_ours_come_first(
        lines in proptest::collection::vec(0_usize..8, 0..8)
    ) {
        let known = [
            "account requisite pam_qrtotp.so", "session requisite pam_qrtotp.so", "@include x",
            "account required pam_unix.so", "session optional pam_x.so", "auth required pam_unix.so",
            "account [default=reset] pam_x.so", "  # nothing",
        ];
        let text: Vec<_> = lines.iter().map(|i| known[*i]).collect();
        let first = |wanted: &[usize], ours: usize| {
            let at = lines.iter().position(|i| wanted.contains(i) || *i == 2);
            at.is_some_and(|at| lines[at] == ours)
        };
        let expected = first(&[0, 3, 6], 0) && first(&[1, 4], 1);
        prop_assert_eq!(verdict_with(&text.join("\n"), &[("x", "")], false).is_ok(), expected);
    }
}
