//! A year of real logins at each kind of host. An attacker tries every four hours, the owner logs in once a
//! day.

use super::lanes::{ABROAD, HOME};
use super::*;
use crate::FirstPass;
use std::os::unix::fs::PermissionsExt;

const PASSWORD: &str = "correct horse";
const KEY: &str =
    "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIiWhSJ5rOH64KLgS23/qefvr/v3ma5tK8j+sN9bUVox\n";
/// Guesses that a year has room for: 40, and one for each day.
const GUESSES: usize = 40 + 365;

/// The name, how the owner comes, how the attacker comes, and whether that one knows the password.
struct Kind {
    name: &'static str,
    owner: Subject,
    owners_key: Option<&'static str>,
    attacker: Subject,
    knows_password: bool,
    first_pass: FirstPass,
}

fn at(service: &str, rhost: &str, tty: &str, by: &str) -> Subject {
    Subject {
        service: service.into(),
        rhost: rhost.into(),
        tty: tty.into(),
        by: by.into(),
        ..World::subject("alice")
    }
}

fn kinds() -> [Kind; 6] {
    let kind = |name, owner, attacker, first_pass| Kind {
        name,
        owner,
        owners_key: None,
        attacker,
        knows_password: true,
        first_pass,
    };
    [
        kind(
            "sshd with RHOST, by password",
            at("sshd", HOME, "ssh", ""),
            at("sshd", ABROAD, "ssh", ""),
            FirstPass::Ask,
        ),
        Kind {
            owners_key: Some(KEY),
            ..kind(
                "sshd with RHOST, by key, from the attacker's own network",
                at("sshd", HOME, "ssh", ""),
                at("sshd", HOME, "ssh", ""),
                FirstPass::Ask,
            )
        },
        kind(
            "sudo in the owner's session, the attacker by su in another's",
            at("sudo", "", "pts/0", "alice"),
            at("su", "", "pts/1", "bob"),
            FirstPass::Ask,
        ),
        kind(
            "sudo in the owner's session, the attacker by ssh",
            at("sudo", "", "pts/0", "alice"),
            at("sshd", ABROAD, "ssh", ""),
            FirstPass::Ask,
        ),
        kind(
            "one field, with RHOST",
            at("dovecot", HOME, "", ""),
            at("dovecot", ABROAD, "", ""),
            FirstPass::Forward,
        ),
        Kind {
            knows_password: false,
            ..kind(
                "one field, without RHOST",
                at("openvpn", "", "", ""),
                at("openvpn", "", "", ""),
                FirstPass::Forward,
            )
        },
    ]
}

impl Kind {
    /// The number of times that the owner was refused, and of the attacker's guesses that were checked.
    fn run(&self, w: &mut World, secret: &Secret) -> (u32, usize) {
        let options = Options { first_pass: self.first_pass, ..Options::default() };
        let one_field = self.first_pass == FirstPass::Forward;
        let human = |password: &str, code: &str, key| {
            let typed = if one_field { format!("{password}{code}") } else { code.to_owned() };
            let right_password = Some(PASSWORD.as_bytes());
            Human { right_password, ssh_auth_info: key, ..Human::says([say(&typed)]) }
        };
        let mut refused = 0;
        for hour in (0..365 * 24).step_by(4) {
            w.pass(4 * 3600);
            if hour % 24 == 0 {
                let mut owner = human(PASSWORD, &w.code(secret, 0), self.owners_key);
                refused +=
                    u32::from(w.login_of(self.owner.clone(), &options, &mut owner) != Outcome::Accepted);
            }
            let password = if self.knows_password { PASSWORD } else { "wrong horse" };
            let mut attacker = human(password, "000000", None);
            assert_eq!(w.login_of(self.attacker.clone(), &options, &mut attacker), Outcome::Denied);
        }
        let guesses = w.log.0.iter().filter(|line| line.contains("reason=wrong_code")).count();
        (refused, guesses)
    }
}

#[test]
fn in_a_year_an_attacker_has_the_owner_refused_at_no_kind_of_host() {
    for kind in kinds() {
        // In memory: a year has tens of thousands of writes, and the disk is not what is tested.
        let private = std::fs::Permissions::from_mode(0o700);
        let dir = tempfile::Builder::new().permissions(private).tempdir_in("/dev/shm").unwrap();
        let store = FileStore::open_or_create(&dir.path().join("state"), dir.path()).unwrap();
        let mut w = World::with(store, dir.path().join("state"));
        let secret = w.import(Params::default());
        let (refused, guesses) = kind.run(&mut w, &secret);
        println!("{}: the owner was refused {refused} times, {guesses} guesses were checked", kind.name);
        assert_eq!(refused, 0, "{}", kind.name);
        if kind.knows_password {
            assert!((300..=GUESSES).contains(&guesses), "{}: {guesses}", kind.name);
        } else {
            let engaged = w.log.0.iter().any(|line| line.contains("event=throttle_engaged"));
            assert_eq!(
                (guesses, engaged),
                (0, false),
                "{}: without the password nothing is counted",
                kind.name
            );
        }
    }
}
