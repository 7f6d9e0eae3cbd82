#![allow(clippy::unwrap_used)]
use super::*;

const COMMON_AUTH: &str = "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\n\
                           auth required pam_permit.so\n";

/// Of an auth part with these files to include, and Debian's.
fn proof(text: &str, others: &[(&str, &str)]) -> Result<(), String> {
    let mut files = |name: &str| {
        let found = others.iter().chain(&[("common-auth", COMMON_AUTH)]).find(|(known, _)| *known == name);
        found.map(|(_, text)| text.as_bytes().to_vec()).ok_or(format!("{name} does not exist"))
    };
    Ways::new(&mut files).pass(text.as_bytes())
}

#[test]
fn a_password_module_whose_failure_is_forgotten_is_refused_unless_a_denial_follows() {
    for (auth, held) in [
        ("auth required pam_unix.so", true),
        ("auth [success=ok default=die] pam_unix.so", true),
        ("auth [success=1 new_authtok_reqd=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so", true),
        ("auth sufficient pam_rootok.so\nauth requisite pam_unix.so", true),
        ("auth sufficient pam_unix.so", false),
        ("auth Optional /lib/security/pam_sss.so", false),
        ("auth [success=1 default=ignore] pam_unix.so\nauth optional pam_deny.so", false),
        ("auth [success=2 default=1] pam_unix.so\nauth requisite pam_deny.so", false),
        ("auth [success=ok auth_err=ignore default=die] pam_unix.so", false),
        ("auth [success=ok] pam_unix.so", false),
        ("auth required pam_unix.so\nauth [default=Reset] pam_permit.so", false),
        ("auth required pam_unix.so\nauth [default = reset] pam_permit.so", false),
        ("auth required pam_unix.so\nauth [default= reset] pam_permit.so", false),
        ("auth sufficient pam_unix.so\nauth sufficient pam_sss.so\nauth requisite pam_deny.so", true),
        (
            "auth [success=2 default=ignore] pam_unix.so\nauth [success=1 default=ignore] pam_sss.so\n\
             auth requisite pam_deny.so\nauth required pam_permit.so",
            true,
        ),
        // Others lead over the denial, or end the part before it.
        (
            "auth sufficient pam_unix.so\nauth [success=1 default=ignore] pam_succeed_if.so uid >= 0\n\
             auth requisite pam_deny.so",
            false,
        ),
        (
            "auth sufficient pam_unix.so\nauth [success=1 default=ignore] pam_other.so\n\
             auth requisite pam_deny.so",
            false,
        ),
        ("auth sufficient pam_unix.so\nauth [default=1] pam_sss.so\nauth requisite pam_deny.so", false),
        ("auth sufficient pam_unix.so\nauth sufficient pam_rootok.so\nauth requisite pam_deny.so", false),
        (
            "auth [success=1 default=ignore] pam_succeed_if.so uid >= 0\n\
             auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so",
            true,
        ),
        (
            "auth [success=2 default=ignore] pam_succeed_if.so uid >= 0\n\
             auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so",
            true,
        ),
        // Modules that nobody here knows may take a password, or have no opinion on one.
        ("auth sufficient pam_pwdfile.so pwdfile=/x", false),
        ("auth required pam_pwdfile.so pwdfile=/x", true),
        ("@include common-auth\nauth optional pam_mount.so", true),
        ("auth required pam_unix.so\nauth optional pam_mount.so", true),
        ("auth required pam_sss.so ignore_unknown_user", false),
        ("auth required pam_unix.so\nauth required pam_sss.so ignore_unknown_user", true),
        // It is asked again behind us.
        ("auth optional pam_qrtotp.so\nauth sufficient pam_unix.so", false),
    ] {
        let before_us = format!("{auth}\nauth required pam_qrtotp.so");
        assert_eq!(proof(&before_us, &[]).is_ok(), held, "{auth}");
        if !auth.contains("pam_qrtotp.so") {
            assert_eq!(proof(auth, &[]).is_ok(), held, "at its end: {auth}");
        }
    }
}

#[test]
fn what_pam_auth_update_makes_of_common_auth_is_accepted() {
    let deny = "auth requisite pam_deny.so\nauth required pam_permit.so\n";
    for primary in [
        "auth [success=2 default=ignore] pam_unix.so nullok\nauth [success=1 default=ignore] pam_sss.so use_first_pass\n",
        "auth [success=2 default=ignore] pam_systemd_home.so\nauth [success=1 default=ignore] pam_unix.so nullok try_first_pass\n",
        "auth [success=3 default=ignore] pam_fprintd.so max-tries=1 timeout=10\nauth [success=2 default=ignore] pam_krb5.so minimum_uid=1000\nauth [success=1 default=ignore] pam_unix.so nullok try_first_pass\n",
        "auth [success=2 default=ignore] pam_unix.so nullok\nauth [success=1 default=ignore] pam_winbind.so krb5_auth krb5_ccache_type=FILE cached_login try_first_pass\n",
        "auth requisite pam_faillock.so preauth\nauth [success=2 default=ignore] pam_unix.so nullok\nauth [default=die] pam_faillock.so authfail\n",
        "auth required pam_faillock.so preauth\nauth sufficient pam_unix.so nullok\nauth [default=die] pam_faillock.so authfail\nauth sufficient pam_faillock.so authsucc\n",
        "auth [success=3 default=ignore] pam_unix.so nullok\nauth [default=die] pam_faillock.so authfail\nauth sufficient pam_faillock.so authsucc\n",
    ] {
        for last in
            ["auth optional pam_cap.so\n", "auth optional pam_mount.so\nauth optional pam_gnome_keyring.so\n"]
        {
            // A finger on a reader is no password; what takes one after it has not found it right.
            if primary.contains("fprintd") && last.contains("mount") {
                continue;
            }
            let common = format!("{primary}{deny}{last}");
            for include in ["@include common-auth", "auth include common-auth", "auth substack common-auth"] {
                let text = format!("{include}\nauth required pam_qrtotp.so");
                assert_eq!(proof(&text, &[("common-auth", &common)]), Ok(()), "{include}: {common}");
            }
            let ours = format!("{common}auth required pam_qrtotp.so\n");
            assert_eq!(
                proof("@include common-auth", &[("common-auth", &ours)]),
                Ok(()),
                "our profile: {ours}"
            );
        }
    }
}

/// Short words for the lines of the tables.
fn written_out(lines: &str) -> String {
    let mut text = lines.replace("; ", "\n");
    for (word, line) in [
        ("UNIX", "auth sufficient pam_unix.so"),
        ("DENY", "auth requisite pam_deny.so"),
        ("ENV", "auth required pam_env.so"),
        ("RIGHT", "auth [success=1 default=ignore] pam_unix.so"),
        ("ONE", "auth [success=1 default=ignore] pam_succeed_if.so uid >= 0"),
        ("TWO", "auth [success=2 default=ignore] pam_succeed_if.so uid >= 0"),
        ("END", "auth sufficient pam_succeed_if.so uid >= 0"),
    ] {
        text = text.replace(word, line);
    }
    text
}

#[test]
fn included_files_are_followed_as_libpam_follows_them() {
    for (auth, x, held) in [
        // What is included counts as if it were here, and only its own part.
        ("ANY x", "UNIX", false),
        ("ANY x", "UNIX; DENY", true),
        ("ANY x", "account sufficient pam_unix.so", true),
        ("ANY x", "@include y", false),
        ("ANY x", "auth include y", false),
        ("ANY x", "auth include y; DENY", true),
        ("ANY x", "auth substack y", false),
        ("ANY x", "account include y", true),
        ("UNIX; ANY x", "DENY", true),
        ("UNIX; ANY x", "auth requisite pam_env.so", false),
        ("ENV; ANY x; DENY", "UNIX", true),
        // A jump over lines of an include counts each, over a substack all of them.
        ("RIGHT; auth include x", "DENY; ENV", true),
        ("RIGHT; auth substack x", "DENY; ENV", true),
        ("UNIX; ONE; auth include x", "DENY", false),
        ("UNIX; ONE; auth include x", "DENY; DENY", true),
        ("UNIX; ONE; auth substack x", "DENY; DENY", false),
        ("UNIX; ONE; auth substack x; DENY", "DENY; DENY", true),
        ("UNIX; TWO; auth substack x; ENV", "DENY; DENY", false),
        ("UNIX; TWO; auth substack x; ENV; DENY", "DENY; DENY", true),
        ("UNIX; TWO; auth substack x; DENY; DENY", "ENV; DENY", true),
        ("UNIX; TWO; ENV; auth substack x; DENY", "ENV; auth substack y; DENY; DENY", true),
        // A jump in an include leads behind it.
        ("UNIX; @include x; DENY", "ONE", false),
        ("UNIX; auth include x; DENY", "ONE", false),
        ("UNIX; auth include x; DENY; DENY", "ONE", true),
        ("UNIX; auth include x; ENV; DENY", "TWO", false),
        // In a substack it is none, or fails.
        ("UNIX; auth substack x; DENY", "ONE", true),
        ("UNIX; auth substack x; ENV", "ONE; DENY", false),
        // What ends a substack ends no more than that.
        ("auth substack x; UNIX; DENY", "UNIX", true),
        ("ENV; auth substack x; DENY", "UNIX", true),
        ("UNIX; auth substack x", "END; DENY", false),
        ("UNIX; auth substack x; DENY", "END; DENY", true),
        ("UNIX; auth include x; DENY", "END", false),
        ("UNIX; auth substack x; auth requisite pam_sss.so", "END; DENY", true),
        ("UNIX; auth substack x; DENY", "auth substack y; END", true),
        ("UNIX; auth substack x", "auth substack y; END; DENY", false),
        ("auth substack x", "auth substack y; DENY; UNIX", true),
        ("auth substack x; END", "ENV; auth optional pam_unix.so", false),
        // What can't be gone by.
        ("auth include z; auth requisite pam_unix.so", "", false),
        ("@include z; auth requisite pam_unix.so", "", false),
        ("auth substack z; auth requisite pam_unix.so", "", false),
        ("account include z; auth requisite pam_unix.so", "", true),
        ("@include; auth requisite pam_unix.so", "", false),
        ("auth include [x]; auth requisite pam_unix.so", "", false),
        ("@included x; auth requisite pam_unix.so", "", false),
        ("-@include x; auth requisite pam_unix.so", "", false),
        ("@INCLUDE x; -auth Include x; auth requisite pam_unix.so", "", true),
        ("auth include x; auth requisite pam_unix.so", "auth \\; required pam_env.so", false),
        ("@include x; auth requisite pam_unix.so", "account [", false),
    ] {
        for include in ["@include", "auth include", "auth substack"] {
            let (text, x) = (written_out(&auth.replace("ANY", include)), written_out(x));
            let text = format!("{text}\nauth required pam_qrtotp.so");
            let found = proof(&text, &[("x", &x), ("y", &written_out("UNIX"))]);
            assert_eq!(found.is_ok(), held, "{text}\nx: {x}\n{found:?}");
        }
    }
}

#[test]
fn a_problem_in_an_included_file_is_named_with_its_file_and_line() {
    let others = [("x", "auth required pam_env.so\n@include y"), ("y", "\nauth [default=reset] pam_x.so")];
    let problem = proof("auth required pam_unix.so\n\nauth include x", &others).unwrap_err();
    assert!(problem.starts_with("line 3: x, line 2: y, line 2: its control is not understood"), "{problem}");
    let problem = proof("@include x", &[("x", "auth")]).unwrap_err();
    assert_eq!(problem, "line 1: x, line 1 is not understood");
}

#[test]
fn included_files_are_so_many_and_none_includes_itself() {
    let times = |times: u8| "@include x\n".repeat(usize::from(times)) + "auth requisite pam_unix.so";
    assert_eq!(proof(&times(MOST_INCLUDED), &[("x", "")]), Ok(()));
    let refused = |text: &str, others: &[(&str, &str)]| {
        let problem = proof(text, others).unwrap_err();
        assert!(problem.contains("too many files are included"), "{problem}");
    };
    refused(&times(MOST_INCLUDED + 1), &[("x", "")]);
    for include in ["@include x", "auth include x", "auth substack x"] {
        refused(include, &[("x", include)]);
        refused("@include x", &[("x", "auth include y"), ("y", include)]);
    }
}

#[test]
fn a_password_module_that_may_have_no_opinion_leaves_it_wrong() {
    for argument in
        ["ignore_unknown_principals", "ignore_unknown_user", "[ignore_unknown_user]", "unknown_ok"]
    {
        for before in ["auth required pam_env.so", "auth required pam_env.so\nauth sufficient pam_unix.so"] {
            let text = format!(
                "{before}\nauth required pam_krb5.so use_first_pass {argument}\nauth required pam_qrtotp.so"
            );
            assert!(proof(&text, &[]).is_err(), "{text}");
            let text = text.replace(argument, "try_first_pass");
            assert_eq!(proof(&text, &[]), Ok(()), "{text}");
        }
    }
}

#[test]
fn a_module_that_takes_a_password_and_judges_none_proves_none() {
    for module in super::JUDGE_NONE {
        let alone = format!("auth required {module}\nauth required pam_qrtotp.so");
        assert!(proof(&alone, &[]).is_err(), "{alone}");
        for (first, second) in [(module, "pam_unix.so"), ("pam_unix.so", module)] {
            let judged =
                format!("auth required {first}\nauth requisite {second}\nauth required pam_qrtotp.so");
            let judged = judged.replacen("required pam_unix.so", "requisite pam_unix.so", 1);
            assert_eq!(proof(&judged, &[]), Ok(()), "{judged}");
        }
    }
}
