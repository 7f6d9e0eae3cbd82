//! Layouts of PAM files, and what is proposed for each. That nobody gets in without password and code then,
//! and somebody with them, is what the plan itself demands; here stands where the line goes, and what is left
//! alone.
#![allow(clippy::unwrap_used)]

use super::diff::unified;
use super::plan::{Change, DROP_IN, Factors, plan};
use crate::cli::With;
use crate::cmd::doctor::tests::{DEBIAN, FEDORA, host};

fn planned(texts: &[(&str, &str)], services: &[&str], with: With) -> Result<Vec<Change>, String> {
    let all: Vec<(&str, &str)> = DEBIAN.iter().chain(texts).copied().collect();
    let (_dir, files) = host(&all);
    let services: Vec<String> = services.iter().map(|name| (*name).to_owned()).collect();
    plan(&files.tree, &services, Factors { sshd: with, others: with }, true)
}

/// The line in front of ours, by file.
fn places(changes: &[Change]) -> Vec<(String, String)> {
    let of = |change: &Change| {
        let lines: Vec<&str> = change.after.lines().collect();
        let ours =
            lines.iter().position(|line| line.starts_with("auth") && line.contains("pam_qrtotp.so"))?;
        let before = if ours == 0 { "" } else { lines[ours - 1] };
        Some((change.file.file_name()?.to_str()?.to_owned(), before.to_owned()))
    };
    changes.iter().filter_map(of).collect()
}

const REST: &str = "@include common-account\n";

#[test]
fn the_line_goes_behind_the_password_and_nowhere_else() {
    for (service, text, behind) in [
        (
            "login",
            "auth optional pam_faildelay.so\nauth requisite pam_nologin.so\n@include common-auth\nauth optional pam_group.so\n",
            "@include common-auth",
        ),
        ("login", "auth required pam_env.so\nauth required pam_unix.so", "auth required pam_unix.so"),
        (
            "login",
            "auth requisite pam_unix.so\nauth optional pam_gnome_keyring.so\n",
            "auth requisite pam_unix.so",
        ),
        ("login", "auth\trequired\tpam_unix.so \\\n\tnullok\n# end\n", ""),
        (
            "login",
            "auth [success=2 default=ignore] pam_unix.so\nauth [success=1 default=ignore] pam_ldap.so use_first_pass\nauth requisite pam_deny.so\nauth required pam_permit.so\n",
            "auth requisite pam_deny.so",
        ),
        (
            "login",
            "auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\nauth required pam_permit.so\n",
            "auth requisite pam_deny.so",
        ),
        (
            "login",
            "auth required pam_faillock.so preauth\nauth requisite pam_unix.so\nauth required pam_faillock.so authsucc\n",
            "auth requisite pam_unix.so",
        ),
        ("login", "auth substack common-auth\n", "auth substack common-auth"),
        ("login", "AUTH include common-auth\n", "AUTH include common-auth"),
        ("login", "@include common-auth # the password\n", "@include common-auth # the password"),
        ("cockpit", "auth required pam_sepermit.so\nauth include common-auth\n", "auth include common-auth"),
        (
            "lightdm",
            "auth requisite pam_nologin.so\nauth sufficient pam_succeed_if.so user ingroup nopasswdlogin\n@include common-auth\n",
            "refused",
        ),
        ("login", "auth sufficient pam_unix.so\nauth required pam_deny.so\n", "refused"),
        ("login", "auth required pam_unix.so\nauth required pam_deny.so\n", "refused"),
        ("login", "auth required pam_permit.so\n", "refused"),
        ("login", "auth required pam_unix.so\n@include nowhere\n", "refused"),
        ("login", "auth required pam_unix.so\nauth sufficient pam_qrtotp.so\n", "refused"),
        ("login", "auth required pam_unix.so\nauth required pam_oath.so\n", "refused"),
    ] {
        let text = format!("{text}\n{REST}");
        match planned(&[(service, &text)], &[service], With::Password) {
            Err(why) => assert_eq!(behind, "refused", "{text}: {why}"),
            Ok(changes) if behind.is_empty() => assert!(
                changes[0].after.contains("nullok\nauth       required     pam_qrtotp.so\n"),
                "{}",
                changes[0].after
            ),
            Ok(changes) => assert_eq!(places(&changes), [(service.to_owned(), behind.to_owned())], "{text}"),
        }
    }
}

#[test]
fn behind_an_include_that_ends_the_part_there_is_no_place_and_behind_a_substack_there_is() {
    let tried = |text: &str| planned(&[("fedora", FEDORA), ("login", text)], &["login"], With::Password);
    let refused = tried("auth include fedora\n@include common-account\n");
    assert!(refused.as_ref().is_err_and(|why| why.contains("nowhere in it")), "{refused:?}");
    let changed = tried("auth substack fedora\n@include common-account\n").unwrap();
    assert_eq!(places(&changed), [("login".to_owned(), "auth substack fedora".to_owned())]);
}

#[test]
fn sudo_brings_sudo_i_and_su_brings_su_l_where_they_do_not_follow_by_themselves() {
    let changed = places(&planned(&[], &["sudo", "su"], With::Password).unwrap());
    let names: Vec<&str> = changed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["sudo", "sudo-i", "su"], "su-l includes su");
    assert!(changed.iter().all(|(_, before)| before == "@include common-auth"), "{changed:?}");
    let su_l = "auth sufficient pam_rootok.so\n@include common-auth\n@include common-account\n";
    assert_eq!(places(&planned(&[("su-l", su_l)], &["su"], With::Password).unwrap()).len(), 2);
    let profile = format!("{}auth required pam_qrtotp.so\n", DEBIAN[0].1);
    assert_eq!(
        planned(&[("common-auth", &profile)], &["sudo", "su"], With::Password),
        Ok(Vec::new()),
        "they ask already"
    );
}

#[test]
fn sshd_gets_its_drop_in_first_and_with_a_key_no_password() {
    let sshd =
        "# PAM for sshd\n@include common-auth\naccount required pam_nologin.so\n@include common-account\n";
    let key = planned(&[("sshd", sshd)], &["sshd"], With::Key).unwrap();
    assert_eq!(key[0].file.to_str(), Some(DROP_IN));
    assert!(key[0].after.contains("\nAuthenticationMethods publickey,keyboard-interactive\n"));
    let expected = "# PAM for sshd\n#@include common-auth\nauth       required     pam_qrtotp.so\nauth       required     pam_permit.so\naccount required pam_nologin.so\n@include common-account\n";
    assert_eq!(key[1].after, expected);
    let password = planned(&[("sshd", sshd)], &["sshd"], With::Password).unwrap();
    assert!(
        password[0].after.contains("\nAuthenticationMethods keyboard-interactive\n#")
            || password[0].after.contains("\nAuthenticationMethods keyboard-interactive\n")
    );
    assert!(!password[0].after.contains("\nAuthenticationMethods publickey"), "{}", password[0].after);
    assert_eq!(places(&password), [("sshd".to_owned(), "@include common-auth".to_owned())]);
    for (services, with, why) in [
        (["sudo"], With::Key, "can't see ssh keys"),
        (["nowhere"], With::Password, "is no service of this host"),
    ] {
        let refused = planned(&[("sshd", sshd)], &services, with).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
    let (_dir, files) = host(&[("sshd", sshd)]);
    let key = Factors { sshd: With::Key, others: With::Password };
    assert!(plan(&files.tree, &["sshd".into()], key, false).unwrap_err().contains("does not include"));
}

#[test]
fn a_change_is_shown_as_diff_shows_it() {
    let change = |before: Option<&str>, after: &str| Change {
        file: "/x".into(),
        before: before.map(str::to_owned),
        after: after.into(),
    };
    let text = unified(&change(Some("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n"), "a\nb\nc\nd\nE\nf\ng\nh\ni\nj\nk\n"));
    let expected = "--- a/x\n+++ b/x\n@@ -2,9 +2,10 @@\n b\n c\n d\n-e\n+E\n f\n g\n h\n i\n j\n+k\n";
    assert_eq!(text, expected);
    assert_eq!(unified(&change(None, "a\n")), "--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+a\n");
}
