//! Planted faults of PAM files, each with its expected finding, and sound set-ups that must yield none. The
//! tests of `pam-stack` compare it with libpam itself.
#![allow(clippy::unwrap_used, clippy::panic)]

pub use super::files::tests::host;
use super::pam::{OutsideFacts, SSHD, check};
use super::report::{Finding, Report, Severity};
use super::stacks::Primary;
use qrtotp_policy::{Config, DEFAULT_PATH};
use std::path::Path;

/// Debian's files, auth and account parts.
pub const DEBIAN: [(&str, &str); 10] = [
    (
        "common-auth",
        "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\nauth optional pam_cap.so\n",
    ),
    (
        "common-account",
        "account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so\naccount requisite pam_deny.so\naccount required pam_permit.so\n",
    ),
    (
        "common-session",
        "session [default=1] pam_permit.so\nsession requisite pam_deny.so\nsession required pam_permit.so\nsession required pam_unix.so\n",
    ),
    (
        "common-session-noninteractive",
        "session [default=1] pam_permit.so\nsession requisite pam_deny.so\nsession required pam_permit.so\n",
    ),
    (
        "common-password",
        "password [success=1 default=ignore] pam_unix.so\npassword requisite pam_deny.so\npassword required pam_permit.so\n",
    ),
    (
        "su",
        "auth sufficient pam_rootok.so\n@include common-auth\n@include common-account\n@include common-session\n",
    ),
    (
        "su-l",
        "auth include su\naccount include su\npassword include su\nsession optional pam_keyinit.so force revoke\nsession include su\n",
    ),
    (
        "sudo",
        "session required pam_limits.so\n@include common-auth\n@include common-account\n@include common-session-noninteractive\n",
    ),
    (
        "sudo-i",
        "session required pam_limits.so\n@include common-auth\n@include common-account\n@include common-session\n",
    ),
    (
        "other",
        "@include common-auth\n@include common-account\n@include common-password\n@include common-session\n",
    ),
];

/// Fedora's password-auth, as authselect makes it for sssd.
pub const FEDORA: &str = "auth required pam_env.so\nauth required pam_faildelay.so delay=2000000\n\
    auth [default=1 ignore=ignore success=ok] pam_usertype.so isregular\n\
    auth [default=1 ignore=ignore success=ok] pam_localuser.so\nauth sufficient pam_unix.so nullok\n\
    auth [default=1 ignore=ignore success=ok] pam_usertype.so isregular\nauth sufficient pam_sss.so forward_pass\nauth required pam_deny.so\n";

/// Findings on a host with Debian's files, overlaid with `texts`.
fn found(texts: &[(&str, &str)], sshd: Primary, config: &str) -> Vec<Finding> {
    let all: Vec<(&str, &str)> = DEBIAN.iter().chain(texts).copied().collect();
    let (_dir, files) = host(&all);
    let config = Config::parse(Path::new("x"), config.as_bytes()).unwrap();
    let known = OutsideFacts {
        config_path: Path::new(DEFAULT_PATH),
        config: Some(&config),
        sshd,
        sshd_service: SSHD,
    };
    let mut report = Report::new(0);
    check(&files, &known, &mut report);
    report.findings
}

/// Failures and warnings: severity, id and subject.
fn problems(found: &[Finding]) -> Vec<(Severity, &'static str, String)> {
    let bad = found.iter().filter(|finding| finding.severity > Severity::Info);
    let mut bad: Vec<_> = bad.map(|one| (one.severity, one.id, one.subject.clone())).collect();
    bad.sort();
    bad
}

const OURS: &str = "auth required pam_qrtotp.so\n";
const REST: &str = "@include common-account\n";
const FAIL: Severity = Severity::Fail;
const WARN: Severity = Severity::Warn;

/// Each is the auth part of a service, in short; with it stand Debian's account lines.
fn table(service: &str, sshd: Primary, rows: &[(&str, Severity, &str)]) {
    for (auth, severity, id) in rows {
        let sibling = match service {
            "sudo" => "sudo-i",
            _ => "unused",
        };
        let mut text = format!("{auth}\n{REST}").replace("; ", "\n");
        for (short, long) in [
            ("UNIX", "auth requisite pam_unix.so"),
            ("OURS", "auth required pam_qrtotp.so"),
            ("PERMIT", "auth required pam_permit.so"),
            ("LONG", &"x".repeat(1100)),
        ] {
            text = text.replace(short, long);
        }
        let found = found(&[(service, &text), (sibling, &text)], sshd, "");
        let named = problems(&found);
        assert!(
            named
                .iter()
                .any(|(found, known, subject)| found == severity && known == id && subject.contains(service)),
            "{auth}\nexpected {severity:?} {id}, found {found:#?}"
        );
        let worst = named.iter().map(|(severity, ..)| *severity).max();
        assert_eq!(worst, Some(*severity), "{auth}\n{found:#?}");
        assert!(
            found.iter().filter(|one| one.id == *id).all(|one| !one.fix.is_empty()),
            "{auth}: without a fix"
        );
    }
}

#[test]
fn somebody_gets_in_who_should_not() {
    table(
        "sudo",
        Primary::Pam,
        &[
            // The code is not needed.
            ("auth sufficient pam_unix.so; OURS", FAIL, "code-not-needed"),
            ("auth [success=done default=die] pam_unix.so; OURS", FAIL, "code-not-needed"),
            ("auth [default=done] pam_sss.so; OURS", FAIL, "code-not-needed"),
            ("auth [success=1 default=die] pam_unix.so; OURS; PERMIT", FAIL, "code-not-needed"),
            (
                "auth [success=2 default=ignore] pam_unix.so; auth requisite pam_deny.so; OURS; PERMIT",
                FAIL,
                "code-not-needed",
            ),
            ("UNIX; auth sufficient pam_qrtotp.so", FAIL, "code-not-needed"),
            ("UNIX; auth optional pam_qrtotp.so", FAIL, "code-not-needed"),
            ("UNIX; auth [success=ok default=ignore] pam_qrtotp.so", FAIL, "code-not-needed"),
            ("UNIX; auth [success=1 default=ignore] pam_qrtotp.so; PERMIT", FAIL, "code-not-needed"),
            ("UNIX; auth [default=ignore] pam_qrtotp.so", FAIL, "code-not-needed"),
            ("OURS; auth [success=reset default=bad] pam_unix.so; PERMIT", FAIL, "code-not-needed"),
            ("auth sufficient pam_permit.so; OURS", FAIL, "code-not-needed"),
            (
                "auth [success=1 default=ignore] pam_permit.so; OURS; auth required pam_unix.so",
                FAIL,
                "code-not-needed",
            ),
            (
                "auth required pam_unix.so; auth sufficient pam_faillock.so authsucc; OURS",
                FAIL,
                "code-not-needed",
            ),
            (
                "auth [success=1 default=bad] pam_unix.so; auth [default=die] pam_faillock.so authfail; auth sufficient pam_faillock.so authsucc; auth required pam_deny.so; OURS",
                FAIL,
                "code-not-needed",
            ),
            ("UNIX; auth sufficient pam_echo.so hello; OURS", FAIL, "code-not-needed"),
            ("UNIX; auth sufficient pam_lastlog.so; OURS", FAIL, "code-not-needed"),
            ("UNIX; auth [default=1] pam_env.so; OURS; PERMIT", FAIL, "code-not-needed"),
            ("UNIX; auth [ignore=1 default=ignore] pam_nologin.so; OURS; PERMIT", FAIL, "code-not-needed"),
            // Only where the module is missing, broken or unsure.
            (
                "UNIX; auth [success=ok module_unknown=ignore default=die] pam_qrtotp.so",
                FAIL,
                "error-lets-in",
            ),
            (
                "UNIX; auth [success=ok authinfo_unavail=ignore default=die] pam_qrtotp.so",
                FAIL,
                "error-lets-in",
            ),
            (
                "UNIX; auth [success=ok auth_err=die ignore=ignore default=ignore] pam_qrtotp.so",
                FAIL,
                "error-lets-in",
            ),
        ],
    );
    table(
        "sudo",
        Primary::Pam,
        &[
            // The password is not needed.
            ("OURS", FAIL, "password-not-needed"),
            ("OURS; PERMIT", FAIL, "password-not-needed"),
            ("auth optional pam_unix.so; OURS", FAIL, "password-not-needed"),
            ("auth [success=ok default=ignore] pam_unix.so; OURS", FAIL, "password-not-needed"),
            (
                "auth [success=1 default=1] pam_unix.so; auth requisite pam_deny.so; OURS",
                FAIL,
                "password-not-needed",
            ),
            (
                "auth [success=ok user_unknown=ignore default=die] pam_unix.so; OURS",
                FAIL,
                "password-not-needed",
            ),
            ("OURS; auth optional pam_unix.so", FAIL, "password-not-needed"),
            ("auth sufficient pam_qrtotp.so; auth required pam_unix.so", FAIL, "code-not-needed"),
            // Neither is.
            ("auth sufficient pam_localuser.so; OURS", FAIL, "nothing-needed"),
            ("auth sufficient pam_wheel.so trust use_uid; UNIX; OURS", FAIL, "nothing-needed"),
            ("auth sufficient pam_succeed_if.so uid >= 1000; UNIX; OURS", FAIL, "nothing-needed"),
            ("auth [success=done default=ignore] pam_access.so; UNIX; OURS", FAIL, "nothing-needed"),
            // For some.
            ("auth sufficient pam_u2f.so; UNIX; OURS", WARN, "code-not-needed-for-some"),
            (
                "UNIX; auth [success=1 default=ignore] pam_succeed_if.so user ingroup x; OURS; PERMIT",
                WARN,
                "code-not-needed-for-some",
            ),
            (
                "UNIX; auth [default=1 success=ignore] pam_succeed_if.so user ingroup totp; OURS; PERMIT",
                WARN,
                "code-not-needed-for-some",
            ),
            ("UNIX; auth sufficient pam_ssh_agent_auth.so; OURS", WARN, "code-not-needed-for-some"),
            ("UNIX; auth required pam_qrtotp.so nullok", WARN, "nullok"),
            ("UNIX; auth sufficient pam_google_authenticator.so; OURS", WARN, "other-codes"),
        ],
    );
}

#[test]
fn pam_rootok_accepts_everybody_if_the_program_runs_as_root() {
    for service in [SSHD, "login"] {
        let rows = [("auth sufficient pam_rootok.so; UNIX; OURS", FAIL, "code-not-needed")];
        table(service, Primary::Pam, &rows);
        let required = format!("auth required pam_rootok.so\nauth requisite pam_unix.so\n{OURS}{REST}");
        assert_eq!(problems(&found(&[(service, &required)], Primary::Pam, "")), []);
    }
    table("sudo", Primary::Pam, &[("auth required pam_rootok.so; UNIX; OURS", FAIL, "nobody-gets-in")]);
}

#[test]
fn nobody_gets_in() {
    table(
        "sudo",
        Primary::Pam,
        &[
            ("UNIX; auth required pam_qrtopt.so", FAIL, "nobody-gets-in"),
            ("UNIX; auth required pam_qrotp.so; OURS", FAIL, "nobody-gets-in"),
            ("UNIX; auth required /usr/lib/security/qrtotp/pam_qrtotp.so", FAIL, "nobody-gets-in"),
            ("auth required pam_unx.so; OURS", FAIL, "nobody-gets-in"),
            ("-auth required pam_unx.so; OURS", FAIL, "nobody-gets-in"),
            ("UNIX; OURS; OURS", FAIL, "asked-twice"),
            ("UNIX; OURS; auth include second", FAIL, "nobody-gets-in"),
            ("@include nowhere; OURS", FAIL, "nobody-gets-in"),
            ("auth include nowhere; OURS", FAIL, "nobody-gets-in"),
            ("auth substack nowhere; OURS", FAIL, "nobody-gets-in"),
            ("auth include; OURS", FAIL, "nobody-gets-in"),
            ("UNIX; OURS; @include sudo", FAIL, "nobody-gets-in"),
            ("UNIX; OURS; auth substack sudo", FAIL, "nobody-gets-in"),
            ("UNIX; OURS\r", FAIL, "nobody-gets-in"),
            ("UNIX\r; OURS", FAIL, "nobody-gets-in"),
            ("UNIX; OURS; \r", FAIL, "nobody-gets-in"),
            ("\u{feff}UNIX; OURS", FAIL, "nobody-gets-in"),
            ("UNIX; OURS; auth requisite pam_deny.so", FAIL, "nobody-gets-in"),
            ("UNIX; OURS; auth required pam_deny.so", FAIL, "nobody-gets-in"),
            ("auth required pam_deny.so; UNIX; OURS", FAIL, "nobody-gets-in"),
            (
                "auth [success=2 default=ignore] pam_unix.so; auth requisite pam_deny.so; OURS",
                FAIL,
                "nobody-gets-in",
            ),
            ("auth [success=1 default=bad] pam_unix.so; OURS", FAIL, "nobody-gets-in"),
            ("UNIX; auth [SUCCESS=ok default=die] pam_qrtotp.so", FAIL, "nobody-gets-in"),
            ("UNIX; auth [success=0 default=die] pam_qrtotp.so", FAIL, "nobody-gets-in"),
            ("UNIX; auth [success=okay foo=bad] pam_qrtotp.so", FAIL, "nobody-gets-in"),
            ("UNIX; auth requird pam_qrtotp.so", FAIL, "nobody-gets-in"),
            ("UNIX; auth pam_qrtotp.so", FAIL, "nobody-gets-in"),
            ("UNIX; ath required pam_qrtotp.so", FAIL, "nobody-gets-in"),
            ("UNIX; auth required pam_qrtotp.so nullOK", FAIL, "arguments"),
            ("UNIX; auth required pam_qrtotp.so config=/etc/qrtotp/nowhere.toml", FAIL, "arguments"),
            ("UNIX; auth required pam_qrtotp.so config=qrtotp.toml", FAIL, "arguments"),
            ("UNIX; auth required pam_google_authenticator.so; OURS", FAIL, "other-codes"),
            ("UNIX; OURS; auth required pam_oath.so usersfile=/etc/users.oath", FAIL, "other-codes"),
            ("auth required pam_unix.so LONG; OURS", FAIL, "nobody-gets-in"),
            ("UNIX; auth required pam_qrtotp.so use_first_pass", FAIL, "nobody-gets-in"),
            ("auth required pam_qrtotp.so use_first_pass; auth required pam_unix.so", FAIL, "nobody-gets-in"),
            ("UNIX; auth required pam_qrtotp.so forward_pass", FAIL, "nobody-gets-in"),
            ("auth required pam_unix.so use_first_pass; OURS", FAIL, "nobody-gets-in"),
            ("OURS; auth required pam_unix.so use_first_pass", FAIL, "nobody-gets-in"),
            ("UNIX; auth required pam_qrtotp.so [prompt=Verification code: ", FAIL, "nobody-gets-in"),
            ("#LONG; UNIX; OURS", FAIL, "nobody-gets-in"),
            ("auth required pam_selinux.so; UNIX; OURS", FAIL, "nobody-gets-in"),
            ("UNIX; OURS; account required pam_deny.so", FAIL, "nobody-gets-in"),
            ("UNIX; OURS; account required pam_nope.so", FAIL, "nobody-gets-in"),
            ("UNIX; OURS; session required pam_nope.so", FAIL, "nobody-gets-in"),
            ("UNIX; account requisite pam_qrtotp.so", FAIL, "nobody-asked"),
            ("UNIX; session required pam_qrtotp.so", FAIL, "nobody-asked"),
            ("session required pam_qrtotp.so", FAIL, "nobody-asked"),
            ("UNIX; password required pam_qrtotp.so", FAIL, "nobody-asked"),
        ],
    );
}

#[test]
fn sshd_without_a_key_needs_a_password_too_and_with_one_it_does_not() {
    table(
        SSHD,
        Primary::Pam,
        &[
            ("OURS; PERMIT", FAIL, "password-not-needed"),
            ("auth optional pam_unix.so; OURS", FAIL, "password-not-needed"),
            ("auth [success=ok default=ignore] pam_unix.so; OURS", FAIL, "password-not-needed"),
        ],
    );
    table(
        SSHD,
        Primary::Program,
        &[
            ("auth sufficient pam_permit.so; OURS", FAIL, "code-not-needed"),
            ("auth optional pam_qrtotp.so; PERMIT", FAIL, "code-not-needed"),
            (
                "auth [success=2 default=ignore] pam_succeed_if.so user ingroup x; OURS; PERMIT; PERMIT",
                WARN,
                "code-not-needed-for-some",
            ),
        ],
    );
    table(SSHD, Primary::Unknown, &[("OURS; PERMIT", WARN, "password-not-needed")]);
}

#[test]
fn other_words_of_the_same_command_ask_too() {
    let shipped = include_str!("../../../../conf/pam.d/sudo-code");
    let one = problems(&found(&[("sudo", shipped)], Primary::Pam, ""));
    assert_eq!(one, [(FAIL, "sibling-not-covered", "sudo-i".to_owned())]);
    let debians = "auth sufficient pam_rootok.so\n@include common-auth\nauth required pam_qrtotp.so\n@include common-account\n";
    let own = "auth sufficient pam_rootok.so\n@include common-auth\n@include common-account\n";
    let one = problems(&found(&[("su", debians), ("su-l", own)], Primary::Pam, ""));
    assert_eq!(one, [(FAIL, "sibling-not-covered", "su-l".to_owned())]);
}

#[test]
fn a_second_line_through_an_include_or_the_profile_is_asked_twice() {
    let profile = format!("{}auth required pam_qrtotp.so\n", DEBIAN[0].1);
    let debians = "@include common-auth\nauth required pam_qrtotp.so\n@include common-account\n";
    let found = problems(&found(&[("common-auth", &profile), ("login", debians)], Primary::Pam, ""));
    assert_eq!(found, [(FAIL, "asked-twice", "login".to_owned())]);
}

#[test]
fn what_this_repository_ships_is_fine() {
    let profile = format!("{}auth required pam_qrtotp.so\n", DEBIAN[0].1);
    let (key, password) = (
        include_str!("../../../../conf/pam.d/sshd-key-and-code"),
        include_str!("../../../../conf/pam.d/sshd-password-and-code"),
    );
    let forward = include_str!("../../../../conf/pam.d/forward-pass");
    let one_field = include_str!("../../../../conf/pam.d/one-field");
    let sudo = include_str!("../../../../conf/pam.d/sudo-code");
    let su = include_str!("../../../../conf/pam.d/su-code");
    let debians_sshd = "@include common-auth\naccount required pam_nologin.so\n@include common-account\n";
    for (texts, sshd) in [
        (vec![(SSHD, key)], Primary::Program),
        (vec![(SSHD, password)], Primary::Pam),
        (vec![(SSHD, password)], Primary::Program),
        (vec![(SSHD, forward)], Primary::Pam),
        (vec![("sudo", sudo), ("sudo-i", sudo)], Primary::Pam),
        (vec![("su", su)], Primary::Pam),
        (vec![("xrdp-sesman", one_field), ("vsftpd", one_field), ("smtp", one_field)], Primary::Pam),
        (vec![("common-auth", profile.as_str()), (SSHD, debians_sshd)], Primary::Pam),
    ] {
        for config in ["", "[defaults]\nfirst_login = \"enroll\"\n"] {
            let found = found(&texts, sshd, config);
            assert!(problems(&found).is_empty(), "{texts:?}: {found:#?}");
            assert!(
                found.iter().any(|one| ["asks-for-code", "no-enrolment-there"].contains(&one.id)),
                "{found:#?}"
            );
        }
    }
}

/// The blocks of docs/SERVICES.md for files in /etc/pam.d.
#[test]
fn what_the_recipes_show_is_fine() {
    let document = include_str!("../../../../docs/SERVICES.md");
    let mut recipes = 0;
    for section in document.split("\n`/etc/pam.d/").skip(1) {
        let (name, rest) = section.split_once('`').unwrap();
        let (rest_of_line, behind) = rest.split_once('\n').unwrap();
        let lines = behind.lines().skip_while(|line| line.is_empty());
        let block: String =
            lines.map_while(|line| line.strip_prefix("    ")).map(|line| format!("{line}\n")).collect();
        let named =
            |before: &str| rest_of_line.split_once(before).and_then(|(_, rest)| rest.split('`').next());
        let (copied, front) = (named("a copy of `"), named("behind the line `"));
        let text = match copied {
            Some(file) => {
                std::fs::read_to_string(format!("{}/../{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
            }
            None if rest_of_line.contains("instead of the line") => format!("{block}{REST}"),
            None => front.map_or(block.clone(), |line| format!("{line}\n{block}{REST}")),
        };
        assert!(text.contains("pam_qrtotp.so"), "{name}: {text}");
        let found = found(
            &[(name, &text), (if name == "sudo" { "sudo-i" } else { name }, &text)],
            Primary::Pam,
            "[broker.services]\npostgres = [\"postgresql\"]\nwww-data = [\"apache2\", \"nginx\"]\nfreerad = [\"radiusd\"]\n",
        );
        assert!(problems(&found).is_empty(), "{name}: {found:#?}");
        recipes += 1;
    }
    assert!(recipes >= 14, "{recipes}");
}

#[test]
fn set_ups_that_are_safe_are_not_blamed() {
    for auth in [
        // A panic, a missing module and a wrong code are all denied.
        "auth requisite pam_unix.so\nauth [success=1 default=ignore] pam_qrtotp.so\nauth requisite pam_deny.so\nauth required pam_permit.so",
        "auth requisite pam_unix.so\nauth sufficient pam_qrtotp.so\nauth required pam_deny.so",
        "auth requisite pam_unix.so\n-auth required pam_qrtotp.so",
        "auth requisite pam_unix.so\nauth [success=ok default=die] pam_qrtotp.so",
        "auth requisite pam_unix.so\nauth required \\\n  pam_qrtotp.so # the code",
        "AUTH REQUISITE pam_unix.so\nAuth Required pam_qrtotp.so",
        "auth substack common-auth\nauth required pam_qrtotp.so",
        "auth required pam_qrtotp.so\n@include common-auth",
        "auth required pam_faillock.so preauth\nauth requisite pam_unix.so\nauth required pam_qrtotp.so\nauth required pam_faillock.so authsucc",
        "auth [success=1 default=ignore] pam_sss.so\nauth requisite pam_unix.so\nauth required pam_qrtotp.so",
        "auth requisite pam_nologin.so\nauth optional pam_faildelay.so delay=1\nauth requisite pam_unix.so\nauth required pam_qrtotp.so\nauth optional pam_group.so",
        "auth required pam_u2f.so\nauth requisite pam_unix.so\nauth required pam_qrtotp.so",
        "auth requisite pam_unix.so\nauth required pam_qrtotp.so\nauth include empty",
        "auth substack fedora\nauth required pam_qrtotp.so",
        "auth sufficient pam_nologin.so\nauth requisite pam_unix.so\nauth required pam_qrtotp.so",
        "auth sufficient pam_selinux.so\nauth requisite pam_unix.so\nauth required pam_qrtotp.so",
    ] {
        let text = format!("{auth}\n{REST}");
        let found =
            found(&[("login", &text), ("empty", "# nothing\n"), ("fedora", FEDORA)], Primary::Pam, "");
        assert!(problems(&found).is_empty(), "{auth}: {found:#?}");
    }
}

#[test]
fn a_module_without_the_function_of_its_part_fails() {
    let session = format!("\x7fELF{}pam_sm_open_session", "\0".repeat(80));
    for (line, expected) in [
        ("auth required pam_limits.so", vec![(FAIL, "nobody-gets-in", "login".to_owned())]),
        ("auth sufficient pam_limits.so", vec![]),
        ("auth optional pam_limits.so", vec![]),
        ("account required pam_limits.so", vec![(FAIL, "nobody-gets-in", "login".to_owned())]),
        ("session required pam_limits.so", vec![]),
    ] {
        let text = format!("{line}\nauth requisite pam_unix.so\n{OURS}{REST}");
        let texts = [("login", text.as_str()), ("/usr/lib/security/pam_limits.so", &session)];
        let found = found(&texts, Primary::Pam, "");
        assert_eq!(problems(&found), expected, "{line}: {found:#?}");
    }
}

#[test]
fn the_line_that_is_at_fault_is_named() {
    for (auth, expected) in [
        ("UNIX; OURS; auth [default=reset] pam_mail.so; auth required pam_permit.so", "line 3"),
        (
            "auth sufficient pam_rootok.so; auth [success=1 default=ignore] pam_unix.so; OURS; auth requisite pam_deny.so; auth required pam_permit.so",
            "line 2",
        ),
    ] {
        let text =
            auth.replace("UNIX", "auth requisite pam_unix.so").replace("OURS; ", OURS).replace("; ", "\n");
        let text = format!("{text}\n{REST}");
        let found = found(&[("su", &text), ("su-l", &text)], Primary::Pam, "");
        let fail = found.iter().find(|one| one.severity == FAIL).unwrap();
        assert!(fail.what.contains(expected), "{auth}: {found:#?}");
    }
}

#[test]
fn files_that_no_program_uses_are_left_out_and_a_chain_of_includes_is_no_loop() {
    let open = "auth sufficient pam_qrtotp.so\n";
    let chain: Vec<(String, String)> =
        (0..20).map(|at| (format!("chain{at}"), format!("@include chain{}\n", at + 1))).collect();
    let mut texts: Vec<(&str, &str)> =
        chain.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let last = format!("auth requisite pam_unix.so\n{OURS}{REST}");
    texts.extend([("chain20", last.as_str()), ("login", "@include chain0\n")]);
    texts.extend([("login.bak", open), ("LOGIN", open)]);
    assert_eq!(problems(&found(&texts, Primary::Pam, "")), []);
}

#[test]
fn what_is_only_worth_knowing_is_told_and_what_is_elsewhere_is_left_to_its_own_diagnosis() {
    let other = "auth requisite pam_unix.so\nauth required pam_qrtotp.so config=/etc/other.toml\n@include common-account\n";
    let findings = found(
        &[("login", other), ("/etc/other.toml", ""), ("/etc/other.toml.applied", "")],
        Primary::Pam,
        "",
    );
    assert!(
        problems(&findings).is_empty() && findings[0].fix == "qrtotp --config /etc/other.toml doctor",
        "{findings:?}"
    );
    let never = found(&[("login", other), ("/etc/other.toml", "")], Primary::Pam, "");
    assert_eq!(problems(&never), [(FAIL, "arguments", "login".to_owned())]);
    assert_eq!(
        never.iter().find(|one| one.severity == FAIL).unwrap().fix,
        "qrtotp --config /etc/other.toml config apply"
    );
    let open = other.replace("required pam_qrtotp", "sufficient pam_qrtotp");
    let findings = found(
        &[("login", &open), ("/etc/other.toml", ""), ("/etc/other.toml.applied", "")],
        Primary::Pam,
        "",
    );
    assert_eq!(problems(&findings), [(FAIL, "code-not-needed", "login".to_owned())]);
    assert_eq!(problems(&found(&[], Primary::Pam, "")), [(WARN, "not-in-use", String::new())]);
    let ssh = "auth requisite pam_unix.so\nauth required pam_qrtotp.so\n@include common-account\n";
    assert_eq!(
        problems(&found(&[("ssh", ssh)], Primary::Pam, "")),
        [(WARN, "service-unknown", "ssh".to_owned())]
    );
    let unlisted = "auth required pam_qrtotp.so forward_pass\naccount required pam_permit.so\n";
    let findings = found(&[("nginx", unlisted)], Primary::Pam, "[broker.services]\nwww-data = [\"apache2\"]");
    assert_eq!(problems(&findings), [(WARN, "service-unlisted", "nginx".to_owned())]);
    let conflict =
        "auth requisite pam_unix.so\nauth required pam_qrtotp.so use_first_pass\n@include common-account\n";
    let findings = found(&[("login", conflict)], Primary::Pam, "[defaults]\nfirst_login = \"enroll\"\n");
    assert!(
        problems(&findings) == [(FAIL, "arguments", "login".to_owned())]
            && findings[0].what.contains("exclude each other"),
        "{findings:?}"
    );
}

#[test]
fn the_service_that_proves_passwords_is_needed_where_something_proves_them() {
    let needed = |texts: &[(&str, &str)], config: &str, broker: bool| {
        let (_dir, files) = host(texts);
        let config = Config::parse(Path::new("x"), config.as_bytes()).unwrap();
        super::proof::is_needed(&files, &config, broker)
    };
    let forwards = [("vsftpd", include_str!("../../../../conf/pam.d/one-field"))];
    assert!(!needed(&[], "", false) && needed(&[], "", true) && needed(&forwards, "", false));
    assert!(needed(&[], "[defaults]\nfirst_login = \"token\"\n", false));
    assert!(needed(&[("qrtotp", "")], "", false));
}

#[test]
fn before_a_pam_file_names_the_module_no_login_is_called_denied() {
    let finding =
        super::not_yet(Finding::fail("configuration", "x", "every login is denied: it was never applied"));
    assert_eq!((finding.severity, finding.what.as_str()), (WARN, "it was never applied"));
}

#[test]
fn whoever_is_asked_for_no_code_must_get_in_all_the_same() {
    let alone = "auth required pam_qrtotp.so\n@include common-account\n";
    let permit = "auth required pam_qrtotp.so\nauth required pam_permit.so\n@include common-account\n";
    let skips = "[[rule]]\nname = \"a\"\nkey = true\nthen = \"skip\"\n";
    let allows = "[defaults]\nfirst_login = \"allow\"\nallow_until = \"2099-01-01\"\n";
    for config in [compiled(skips), compiled(allows)] {
        let id = |text: &str| {
            let all: Vec<(&str, &str)> = DEBIAN.iter().copied().chain([(SSHD, text)]).collect();
            let (_dir, files) = host(&all);
            let config = Some(&config);
            let (config_path, sshd) = (Path::new(DEFAULT_PATH), Primary::Program);
            let mut report = Report::new(0);
            check(&files, &OutsideFacts { config_path, config, sshd, sshd_service: SSHD }, &mut report);
            problems(&report.findings)
        };
        assert_eq!(id(alone), [(FAIL, "exempt-denied", SSHD.to_owned())]);
        assert_eq!(id(permit), []);
    }
}

/// A configuration with its rules.
fn compiled(text: &str) -> Config {
    struct Nobody;
    impl qrtotp_policy::Names for Nobody {
        fn gid(&self, _: &str) -> Result<Option<u32>, String> {
            Ok(None)
        }
        fn zone(&self, _: &str) -> Result<Vec<(i64, i32)>, String> {
            Ok(Vec::new())
        }
    }
    let source = qrtotp_policy::SourceFile { path: "x".into(), bytes: text.into() };
    qrtotp_policy::compile(&[source], &Nobody).unwrap().config
}
