//! kill -9 of a login in the middle of an enrolment, at every prompt and at any instant: the account is
//! unenrolled or enrolled, whole either way, and an unconfirmed QR code ends with its time limit.

use std::{
    io::Read,
    time::{Duration, Instant},
};

use qrtotp_tests::{
    Phone, Pty, Sandbox, clock,
    first_login::{CHOICES, CODES, INSIDE, RESUMED},
    users::PASSWORD,
};
use rustix::process::Signal;

/// Seconds that a shown QR code may wait.
const TIME_LIMIT: u64 = 20;

/// Accepted steps: one confirms, another one proves that the device works, without waiting.
const WINDOW: u64 = 10;

struct Host(Sandbox);

impl Host {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.configure(&format!(
            "[defaults]\nfirst_login = \"enroll\"\n[verify]\nwindow_back = {WINDOW}\n\
             [enroll]\nmax_devices = 1\ntime_limit = \"{TIME_LIMIT}s\"\n[throttle]\nfree_failures = 20\n"
        ));
        sandbox.make_store();
        sandbox.without_delays();
        sandbox.password_and_enrolment("su");
        Self(sandbox)
    }

    fn su(&self, user: &str) -> Pty {
        self.0.pty_unrecorded_as(Some("keeper"), &["su", user, "-c", "echo logged in"])
    }

    /// Whether the account has a device; panics unless it is whole.
    fn has_device(&self, user: &str) -> bool {
        let status = self.0.run(&["qrtotp", "status", user, "--json"]).success().stdout;
        let enrolled = status.contains("\"standing\": \"enrolled\"");
        assert_eq!(status.matches("\"id\": \"c-").count(), usize::from(enrolled), "{status}");
        assert!(enrolled || status.contains("\"standing\": \"unenrolled\""), "{status}");
        enrolled
    }

    /// A confirmed device works, and its owner gets recovery codes, now if they were not handed over before.
    fn works(&self, user: &str, phone: &Phone) {
        let mut su = self.su(user);
        su.give_password(PASSWORD);
        su.send(&phone.code());
        if su.expect_one(&[CODES, INSIDE]) == 0 {
            su.send("skip");
            su.expect(INSIDE);
        }
        su.success();
    }

    /// Within the time limit: the code of the scanned QR code is asked for, and enrols.
    fn comes_back(&self, user: &str, phone: &Phone) {
        let mut su = self.su(user);
        su.give_password(PASSWORD);
        su.send("");
        su.expect(RESUMED);
        su.send(&early_code(phone));
        su.expect(CODES);
        su.send("skip");
        su.expect(INSIDE);
        su.success();
        self.works(user, phone);
    }

    /// An unconfirmed QR code is not valid after its time limit, and a fresh picture is shown. Returns the
    /// login there.
    fn is_over(&self, user: &str, phone: Option<&Phone>) -> Pty {
        let mut su = self.su(user);
        su.give_password(PASSWORD);
        su.send("");
        let shown = su.expect(CHOICES);
        assert!(shown.contains('█') && !shown.contains("You were shown"), "{shown}");
        if let Some(phone) = phone {
            su.send(&phone.code());
            su.expect("That was not the code");
            su.expect(CHOICES);
        }
        su
    }

    /// A killed enrolment does not block another one.
    fn enrols(&self, user: &str, mut su: Pty) {
        let fresh = su.take_key(&self.0);
        su.send(&early_code(&fresh));
        su.expect(CODES);
        su.send("skip");
        su.expect(INSIDE);
        su.success();
        self.works(user, &fresh);
    }

    fn nothing_is_damaged(&self) {
        let bad = |event: &&String| {
            ["damaged", "incomplete", "busy", "panic"].iter().any(|word| event.contains(word))
        };
        let events = self.0.log.events();
        let bad: Vec<_> = events.iter().filter(bad).collect();
        assert!(bad.is_empty(), "{bad:?}");
    }
}

/// The last answer before the login is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Typed {
    Nothing,
    Password,
    Enter,
    AnotherPicture,
    Code,
    RecoveryCode,
}

use Typed::{AnotherPicture, Code, Enter, Nothing, Password, RecoveryCode};

/// Plays the user up to the question for `last`. Returns the phone, once there is a key.
fn up_to(host: &Host, su: &mut Pty, last: Typed) -> Option<Phone> {
    if last >= Password {
        su.expect("assword");
    }
    if last >= Enter {
        su.send(PASSWORD);
        su.expect("none yet): ");
    }
    if last < AnotherPicture {
        return None;
    }
    su.send("");
    su.expect(CHOICES);
    let phone = su.take_key(&host.0);
    if last == RecoveryCode {
        su.send(&early_code(&phone));
        su.expect(CODES);
    }
    Some(phone)
}

/// A right code that leaves later ones unused.
fn early_code(phone: &Phone) -> String {
    phone.code_of_step(phone.step() - WINDOW / 2)
}

fn type_it(su: &mut Pty, last: Typed, phone: Option<&Phone>) {
    match last {
        Nothing => {}
        Password => su.send(PASSWORD),
        Enter => su.send(""),
        AnotherPicture => su.send("n"),
        Code => su.send(&early_code(phone.unwrap())),
        RecoveryCode => su.send("skip"),
    }
}

/// A random pause of at most `most`; the kernel's random numbers need no seed.
fn random_pause(most: Duration) {
    let mut bytes = [0; 2];
    std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    clock::pause(most.mul_f64(f64::from(u16::from_ne_bytes(bytes)) / 65536.0));
}

/// The usual time from the right code to the recovery codes, most of it for hashing.
fn usual_hashing(host: &Host) -> Duration {
    host.0.add_user("usual");
    let mut su = host.su("usual");
    let phone = up_to(host, &mut su, Code);
    let began = Instant::now();
    type_it(&mut su, Code, phone.as_ref());
    su.expect(CODES);
    began.elapsed()
}

/// Number of kills right after a code was typed.
const EARLY: usize = 4;

#[test]
fn a_login_killed_anywhere_leaves_the_account_unenrolled_or_enrolled_and_nothing_alive_after_its_time() {
    kill_logins(8);
}

#[test]
#[ignore = "takes minutes: `cargo xtask proof kills`"]
fn so_does_a_login_killed_a_hundred_and_twenty_times() {
    kill_logins(18);
}

/// Kills a login after each kind of answer, in this many rounds.
fn kill_logins(rounds: usize) {
    let host = Host::new();
    let (short, hashing) = (Duration::from_millis(25), usual_hashing(&host));
    // The time until a code is stored depends on the machine, so each kill aims at the moment of the last
    // ones.
    let mut early = Duration::from_micros(600);
    let kills = |early| {
        [
            (Nothing, short),
            (Password, short),
            (Enter, short),
            (AnotherPicture, short),
            (Code, early),
            (Code, hashing * 3 / 2),
            (RecoveryCode, short),
        ]
    };
    let (mut enrolled, mut cut_short, mut waiting) = (0, 0, Vec::new());
    for round in 0..rounds {
        for (number, (last, most)) in kills(early).into_iter().enumerate() {
            let user = format!("user{number}x{round}");
            host.0.add_user(&user);
            let mut su = host.su(&user);
            let phone = up_to(&host, &mut su, last);
            // The first two rounds kill at the questions, the others while an answer is processed.
            if round >= 2 {
                type_it(&mut su, last, phone.as_ref());
                random_pause(most);
            }
            su.signal(Signal::KILL);
            drop(su);
            let has_device = host.has_device(&user);
            if number == EARLY && round >= 2 {
                early = if has_device { early * 2 / 3 } else { early * 3 / 2 };
            }
            match (has_device, phone) {
                (true, phone) => {
                    assert!(last >= Code, "{last:?}: enrolled without a code");
                    host.works(&user, &phone.unwrap());
                    enrolled += 1;
                }
                (false, phone) => {
                    cut_short += usize::from(last == Code && round >= 2);
                    match phone {
                        Some(phone) if last == Code && round % 2 == 0 => host.comes_back(&user, &phone),
                        phone => waiting.push((user, phone)),
                    }
                }
            }
        }
    }
    assert!(enrolled > rounds && cut_short > 0, "the kills came at the wrong times: {enrolled}, {cut_short}");
    // Any of them may have a QR code pending, even if its owner never saw it.
    clock::pause(Duration::from_secs(TIME_LIMIT + 1));
    assert!(waiting.iter().filter(|(_, phone)| phone.is_some()).count() >= rounds);
    for (number, (user, phone)) in waiting.iter().enumerate() {
        let su = host.is_over(user, phone.as_ref());
        if number % 6 == 0 {
            host.enrols(user, su);
        }
    }
    host.nothing_is_damaged();
}
