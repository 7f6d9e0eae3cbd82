//! Logins through PAM at five hosts while verifiers are killed, frozen, cut off or have another time, and a
//! check of all that PAM, hosts and verifiers say of them. `cargo xtask proof fleet` runs it for longer.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use super::proofs::{times, users};
use qrtotp_tests::{
    Phone, clock,
    fleet::{Fleet, Host},
    host::PAM_SUCCESS,
};
use rustix::process::Signal;

/// Longest time in PAM: the module's 3 s, and a little until a busy machine runs it again.
const LONGEST: Duration = Duration::from_millis(3100);
/// After a fault: an election, and new connections.
const RECOVERY: Duration = Duration::from_secs(4);
/// Rounds in a second, at most.
const RATE: usize = 3;

type Person = (String, Phone);

/// One code at all hosts at once.
struct Round {
    user: String,
    /// PAM's results, in the order of the hosts.
    results: Vec<i32>,
    /// No fault was under way from its beginning to its end.
    is_calm: bool,
    longest: Duration,
}

#[derive(Default)]
struct Course {
    is_over: AtomicBool,
    /// How many faults began or ended. An odd number: one is under way.
    faults: Mutex<u32>,
    /// People whose revocation was acknowledged, and who have not been tried since.
    revoked: Mutex<Vec<Person>>,
}

impl Course {
    fn faults(&self) -> u32 {
        *self.faults.lock().unwrap()
    }
}

/// PAM's result and how long PAM took. No output is searched for the code.
fn log_in(host: &Host, (user, phone): &Person) -> (i32, Duration) {
    let code = phone.code_of_step(phone.step());
    let report = host.sandbox.login(user).arguments(&["--answer", &code]).run();
    (report.authenticate(), Duration::from_micros(report.value("took_us").parse().unwrap()))
}

fn rounds(course: &Course, hosts: &[Host], people: &[Person]) -> Vec<Round> {
    let mut rounds = Vec::new();
    for person in people {
        if course.is_over.load(SeqCst) {
            break;
        }
        let (before, start) = (course.faults(), Instant::now());
        let answers: Vec<_> = thread::scope(|scope| {
            let logins: Vec<_> = hosts.iter().map(|host| scope.spawn(|| log_in(host, person))).collect();
            logins.into_iter().map(|login| login.join().unwrap()).collect()
        });
        rounds.push(Round {
            user: person.0.clone(),
            is_calm: before % 2 == 0 && before == course.faults(),
            longest: answers.iter().map(|(_, took)| *took).max().unwrap(),
            results: answers.into_iter().map(|(result, _)| result).collect(),
        });
        let revoked = course.revoked.lock().unwrap().pop();
        if let Some(leaver) = revoked {
            let host = &hosts[rounds.len() % hosts.len()];
            assert_ne!(log_in(host, &leaver).0, PAM_SUCCESS, "{} was revoked before", leaver.0);
        }
        clock::pause((Duration::from_secs(1) / RATE as u32).saturating_sub(start.elapsed()));
    }
    rounds
}

/// One fault after the other, at one verifier at a time, and a revocation after each.
fn faults(course: &Course, fleet: &mut Fleet, seconds: usize, leavers: Vec<Person>) {
    let end = Instant::now() + Duration::from_secs(seconds as u64);
    for (number, leaver) in leavers.into_iter().enumerate() {
        if Instant::now() > end {
            break;
        }
        clock::pause(Duration::from_secs(2));
        *course.faults.lock().unwrap() += 1;
        // Each kind in turn, each time at another verifier; the network of the first one can't be cut.
        let (kind, member) = (number % 6, (number + number / 6) % 3);
        let time = Duration::from_secs(2 + number as u64 % 3);
        match kind {
            0 => fleet.restart_one(member),
            1 => {
                fleet.verifiers[member].stop_etcd();
                clock::pause(time);
                fleet.verifiers[member].start_etcd();
            }
            2 => {
                fleet.verifiers[member].signal_etcd(Signal::STOP);
                clock::pause(time);
                fleet.verifiers[member].signal_etcd(Signal::CONT);
            }
            3 => {
                fleet.cut(member.max(1), true);
                clock::pause(time);
                fleet.cut(member.max(1), false);
            }
            clock_is_off => {
                fleet.restart_with_clock(member, if clock_is_off == 4 { "+15s" } else { "-15s" });
                clock::pause(2 * time);
                fleet.restart_one(member);
            }
        }
        clock::pause(RECOVERY);
        *course.faults.lock().unwrap() += 1;
        if fleet.administer(&["revoke", &leaver.0, "--all"], "").status.success() {
            course.revoked.lock().unwrap().push(leaver);
        }
    }
    course.is_over.store(true, SeqCst);
}

/// The users and attempts of the logins that a log calls accepted.
fn accepted(lines: &[String]) -> BTreeSet<(String, String)> {
    let word_after = |line: &str, text: &str| {
        let rest = line.split_once(text)?.1;
        Some(rest.split([' ', '"']).next()?.to_owned())
    };
    let logins = lines.iter().filter(|line| line.contains("event=login result=accepted"));
    let names = |line: &String| {
        let attempt = word_after(line, " attempt=").or_else(|| word_after(line, "attempt "))?;
        Some((word_after(line, " user=")?, attempt))
    };
    logins.map(|line| names(line).expect("a line without user or attempt")).collect()
}

mod alone {
    use super::*;

    #[test]
    fn under_faults_a_code_gets_one_login_through_pam_and_no_log_says_otherwise() {
        let seconds = times(40, 2400);
        let mut fleet = Fleet::of(3, "");
        let names = [users("person", RATE * seconds), users("leaver", seconds / 6)].concat();
        let mut people = fleet.import_crowd(&names);
        let leavers = people.split_off(RATE * seconds);
        let hosts: Vec<_> = (1..=5).map(|number| fleet.host(&format!("web{number}"), "all")).collect();
        hosts.iter().for_each(|host| host.sandbox.add_crowd(&names));
        let course = Course::default();
        let rounds = thread::scope(|scope| {
            let rounds = scope.spawn(|| rounds(&course, &hosts, &people));
            faults(&course, &mut fleet, seconds, leavers);
            rounds.join().unwrap()
        });
        let let_in = |round: &Round| round.results.iter().filter(|result| **result == PAM_SUCCESS).count();
        let calm = rounds.iter().filter(|round| round.is_calm).count();
        let once = rounds.iter().filter(|round| round.is_calm && let_in(round) == 1).count();
        println!(
            "{} rounds, {once} of {calm} calm ones accepted, {} faults",
            rounds.len(),
            course.faults() / 2
        );
        for round in &rounds {
            assert!(let_in(round) <= 1, "{} got in twice: {:?}", round.user, round.results);
            assert!(round.longest <= LONGEST, "{} waited {:?}", round.user, round.longest);
        }
        assert!(rounds.len() >= times(60, 5000), "{} rounds", rounds.len());
        assert!(calm >= seconds / 4 && once * 100 >= calm * 99, "{once} of {calm} calm rounds were accepted");
        // What PAM did is what its host says.
        let by_hosts: Vec<_> = hosts.iter().map(|host| accepted(&host.sandbox.log.lines())).collect();
        for (number, logins) in by_hosts.iter().enumerate() {
            let by_pam = rounds.iter().filter(|round| round.results[number] == PAM_SUCCESS);
            let by_pam: BTreeSet<_> = by_pam.map(|round| round.user.as_str()).collect();
            assert_eq!(logins.iter().map(|(user, _)| user.as_str()).collect::<BTreeSet<_>>(), by_pam);
        }
        // No verifier accepted another attempt. One that is killed has no line of its last one.
        let by_verifiers: BTreeSet<_> =
            fleet.verifiers.iter().flat_map(|verifier| accepted(&verifier.sandbox.log.lines())).collect();
        let mut attempts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (user, attempt) in by_verifiers.iter().chain(by_hosts.iter().flatten()) {
            attempts.entry(user).or_default().insert(attempt);
        }
        let twice: Vec<_> = attempts.iter().filter(|(_, attempts)| attempts.len() > 1).collect();
        assert!(twice.is_empty(), "{twice:?}");
        let unlogged = by_hosts.iter().flatten().filter(|login| !by_verifiers.contains(login)).count();
        assert!(unlogged <= course.faults() as usize / 2, "{unlogged} logins are in no verifier's log");
    }
}
