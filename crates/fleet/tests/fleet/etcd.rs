//! The store on a real cluster: faults of members and networks, a full database, restored backups.

use crate::accounts::{
    AttemptResult, Fleet, enrol, has_device, host, log_in, name, options, revoke, set_host, verify,
};
use crate::cluster::{Cluster, MEMBERS, isolated};
use crate::flow::with;
use nix::sys::signal::Signal;
use qrtotp_account::{Decision, Name};
use qrtotp_clock::{Deadline, sleep};
use qrtotp_fleet::{Alarm, AttemptId, Engine, EngineError, FleetError, FleetStore, HostState, Op, Txn};
use qrtotp_flow::regenerate_recovery;
use qrtotp_store::{Store, StoreExt as _};
use std::sync::Arc;
use std::time::Duration;

pub const ACCEPTED: AttemptResult = Ok(Some(Decision::Accepted));
pub const HOSTS: [&str; 5] = ["h0", "h1", "h2", "h3", "h4"];

fn id() -> AttemptId {
    AttemptId::generate().unwrap()
}

fn alice() -> Name {
    name("alice")
}

fn with_alice(cluster: &Cluster) -> Fleet {
    let fleet = Fleet::create(&cluster.clients(), &HOSTS);
    enrol(&fleet.verifiers[0].admin(), &alice());
    fleet
}

/// One code at five hosts at the same time, each through another verifier first; as a relay does, with the
/// same attempt id at the next verifier if one does not answer. Returns what each host was told.
pub fn contest(stores: &[Arc<FleetStore>], account: &Name, step: u64) -> Vec<AttemptResult> {
    std::thread::scope(|scope| {
        let contend = |number: usize| {
            let (attempt, mut result) = (id(), Ok(None));
            for verifier in 0..MEMBERS {
                let store = &stores[(number + verifier) % MEMBERS];
                result = log_in(store, &host(HOSTS[number]), attempt, account, step);
                match &result {
                    Err(error) if error.is_elsewhere_worth_a_try() => {}
                    _ => break,
                }
            }
            result
        };
        let hosts: Vec<_> = (0..HOSTS.len()).map(|number| scope.spawn(move || contend(number))).collect();
        hosts.into_iter().map(|host| host.join().unwrap()).collect()
    })
}

pub fn accepted(results: &[AttemptResult]) -> usize {
    results.iter().filter(|result| **result == ACCEPTED).count()
}

#[test]
fn one_of_five_hosts_with_the_same_code_is_accepted_in_each_round() {
    isolated("etcd::one_of_five_hosts_with_the_same_code_is_accepted_in_each_round", || {
        let cluster = Cluster::start(&[]);
        let fleet = with_alice(&cluster);
        for round in 1..=200 {
            let results = contest(&fleet.verifiers, &alice(), round);
            assert_eq!(accepted(&results), 1, "round {round}: {results:?}");
        }
    });
}

/// Adds 1 to a key's value until it was done so often; the revisions at which it was.
fn count_up(client: &dyn Engine, key: &str, times: usize) -> Vec<i64> {
    let limit = Duration::from_secs(10);
    let get = || vec![Op::Get(key.to_owned())];
    let (mut seen, mut revisions) = ((0_u64, 0), Vec::new());
    while revisions.len() < times {
        let next = (seen.0 + 1).to_string().into_bytes();
        let (compare, then) = (vec![(key.to_owned(), seen.1)], vec![Op::Put(key.to_owned(), next)]);
        let reply = client.transact(&Txn { compare, then, otherwise: get() }, limit).unwrap();
        if reply.equal {
            revisions.push(reply.revision);
        }
        // After a success from a request of its own, else from the answer.
        let reply = match reply.equal {
            true => client.transact(&Txn { then: get(), ..Txn::default() }, limit).unwrap(),
            false => reply,
        };
        let stored = reply.values[0].clone().unwrap();
        seen = (String::from_utf8(stored.value).unwrap().parse().unwrap(), stored.revision);
    }
    revisions
}

#[test]
fn transactions_of_many_at_once_each_get_their_own_answer() {
    isolated("etcd::transactions_of_many_at_once_each_get_their_own_answer", || {
        const EACH: usize = 40;
        let cluster = Cluster::start(&[]);
        let client = cluster.client(1);
        let own: Vec<String> = (0..40).map(|number| format!("/own/{number}")).collect();
        std::thread::scope(|scope| {
            let counting: Vec<_> =
                own.iter().map(|key| scope.spawn(|| count_up(&*client, key, EACH))).collect();
            let shared: Vec<_> =
                (0..5).map(|_| scope.spawn(|| count_up(&*client, "/shared", EACH))).collect();
            for counted in counting {
                let revisions = counted.join().unwrap();
                assert!(revisions.is_sorted_by(|before, after| before < after), "{revisions:?}");
            }
            shared.into_iter().for_each(|counted| assert_eq!(counted.join().unwrap().len(), EACH));
        });
        let value = |key: &str| {
            let read = Txn { then: vec![Op::Get(key.to_owned())], ..Txn::default() };
            let reply = cluster.client(0).transact(&read, Duration::from_secs(5)).unwrap();
            (String::from_utf8(reply.values[0].clone().unwrap().value).unwrap(), reply.revision)
        };
        for key in &own {
            assert_eq!(value(key).0, EACH.to_string(), "{key}");
        }
        assert_eq!(value("/shared").0, (5 * EACH).to_string());
        let changes = i64::try_from((own.len() + 5) * EACH).unwrap();
        assert!(value("/shared").1 < changes, "several went to etcd together");
    });
}

#[test]
fn a_killed_frozen_or_isolated_leader_lets_nobody_in_twice_and_logins_go_on() {
    isolated("etcd::a_killed_frozen_or_isolated_leader_lets_nobody_in_twice_and_logins_go_on", || {
        let mut cluster = Cluster::start(&[]);
        let fleet = with_alice(&cluster);
        let mut step = 0;
        for fault in 0..3 {
            let leader = cluster.leader();
            let mut rounds = Vec::new();
            std::thread::scope(|scope| {
                let from = step;
                let fleet = &fleet;
                let contests = scope.spawn(move || {
                    let deadline = Deadline::after(Duration::from_secs(5));
                    let mut rounds = Vec::new();
                    while !deadline.left().is_zero() {
                        rounds.push(contest(&fleet.verifiers, &alice(), from + 1 + rounds.len() as u64));
                    }
                    rounds
                });
                sleep(Duration::from_millis(500));
                match fault {
                    0 => cluster.kill(leader),
                    1 => cluster.signal(leader, Signal::SIGSTOP),
                    _ => cluster.cut(leader, true),
                }
                rounds = contests.join().unwrap();
            });
            match fault {
                0 => cluster.start_member(leader),
                1 => cluster.signal(leader, Signal::SIGCONT),
                _ => cluster.cut(leader, false),
            }
            cluster.wait_for(leader);
            step += rounds.len() as u64;
            let counts: Vec<usize> = rounds.iter().map(|results| accepted(results)).collect();
            assert!(counts.iter().all(|count| *count <= 1), "fault {fault}: {counts:?}");
            let last = rounds.last().unwrap();
            assert_eq!(accepted(last), 1, "fault {fault}: logins go on without that member: {last:?}");
        }
    });
}

#[test]
fn a_member_cut_off_the_others_accepts_and_tells_nothing_old() {
    isolated("etcd::a_member_cut_off_the_others_accepts_and_tells_nothing_old", || {
        let cluster = Cluster::start(&[]);
        let fleet = with_alice(&cluster);
        assert_eq!(log_in(&fleet.verifiers[2], &host("h0"), id(), &alice(), 1), ACCEPTED);
        cluster.cut(2, true);
        let isolated = &fleet.verifiers[2];
        let mut deadline = Deadline::after(Duration::from_secs(8));
        while let Err(error) = revoke(&fleet.verifiers[0].admin(), &alice()) {
            assert!(deadline.pause(), "{error}");
        }
        let result = log_in(isolated, &host("h0"), id(), &alice(), 2);
        // The account is remembered, so the transaction was sent.
        assert!(matches!(result, Err(FleetError::Unclear(_))), "{result:?}");
        let error = isolated.admin().load(&alice()).unwrap_err();
        assert_eq!(error.reason(), "no_quorum");
        cluster.cut(2, false);
        cluster.wait_for(2);
        assert!(!has_device(isolated, &alice()));
    });
}

#[test]
fn a_revocation_holds_at_all_verifiers_once_it_is_acknowledged() {
    isolated("etcd::a_revocation_holds_at_all_verifiers_once_it_is_acknowledged", || {
        let cluster = Cluster::start(&[]);
        let fleet = with_alice(&cluster);
        for round in 0..50 {
            let user = name(&format!("user{round}"));
            enrol(&fleet.verifiers[round % MEMBERS].admin(), &user);
            revoke(&fleet.verifiers[0].admin(), &user).unwrap();
            for verifier in [1, 2] {
                let result = log_in(&fleet.verifiers[verifier], &host("h1"), id(), &user, 9);
                assert_eq!(result, Ok(Some(Decision::Refused)), "round {round}");
            }
            let at = HOSTS[round % HOSTS.len()];
            set_host(&fleet.verifiers[0], at, HostState::Revoked).unwrap();
            for verifier in [1, 2] {
                let result = log_in(&fleet.verifiers[verifier], &host(at), id(), &alice(), 9);
                assert_eq!(result, Err(FleetError::HostRevoked(at.to_owned())), "round {round}");
            }
            set_host(&fleet.verifiers[1], at, HostState::Active).unwrap();
        }
    });
}

/// An engine that loses the answers of transactions that were carried out.
struct Deaf(Arc<dyn Engine>);

impl Engine for Deaf {
    fn transact(&self, txn: &Txn, limit: Duration) -> Result<qrtotp_fleet::Reply, EngineError> {
        let reply = self.0.transact(txn, limit);
        if txn.compare.is_empty() {
            reply
        } else {
            Err(EngineError::Unknown("the answer was lost".to_owned()))
        }
    }

    fn list(
        &self,
        prefix: &str,
        after: &str,
        most: u32,
        limit: Duration,
    ) -> Result<qrtotp_fleet::Page, EngineError> {
        self.0.list(prefix, after, most, limit)
    }
}

#[test]
fn a_lost_answer_is_found_by_reading() {
    isolated("etcd::a_lost_answer_is_found_by_reading", || {
        let cluster = Cluster::start(&[]);
        let fleet = with_alice(&cluster);
        let directory = tempfile::tempdir().unwrap();
        let deaf = Arc::new(Deaf(cluster.client(1)));
        let store = FleetStore::open(deaf, options(&fleet.key, "v7", directory.path())).unwrap();
        for step in 1..20 {
            let attempt = id();
            assert_eq!(log_in(&store, &host("h1"), attempt, &alice(), step), ACCEPTED, "step {step}");
            assert_eq!(log_in(&fleet.verifiers[2], &host("h1"), attempt, &alice(), step), ACCEPTED);
        }
        enrol(&store.admin(), &name("bob"));
        set_host(&store, "h9", HostState::Active).unwrap();
        assert!(store.remove(&name("bob")).unwrap());
    });
}

#[test]
fn failures_at_a_noisy_host_delay_no_right_login_there() {
    isolated("etcd::failures_at_a_noisy_host_delay_no_right_login_there", || {
        let cluster = Cluster::start(&[]);
        let fleet = with_alice(&cluster);
        enrol(&fleet.verifiers[0].admin(), &name("bot"));
        let is_over = std::sync::atomic::AtomicBool::new(false);
        let (right, wrong) = std::thread::scope(|scope| {
            let bots: Vec<_> = (0..3)
                .map(|verifier| {
                    let (fleet, is_over) = (&fleet, &is_over);
                    scope.spawn(move || {
                        let mut wrong = 0;
                        while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                            let result =
                                log_in(&fleet.verifiers[verifier], &host("h1"), id(), &name("bot"), 0);
                            wrong += usize::from(result == Ok(Some(Decision::Refused)));
                        }
                        wrong
                    })
                })
                .collect();
            let log_in_with = |step| log_in(&fleet.verifiers[0], &host("h1"), id(), &alice(), step);
            let right = (1..=100).filter(|step| log_in_with(*step) == ACCEPTED).count();
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
            (right, bots.into_iter().map(|bot| bot.join().unwrap()).sum::<usize>())
        });
        assert!(right == 100 && wrong > 20, "{right} right logins accepted, {wrong} wrong ones refused");
        let counted = fleet.verifiers[0].host_failures().unwrap();
        let counted: u32 = counted.iter().map(|(_, _, failures)| failures.failures).sum();
        assert!(counted as usize >= wrong.min(300), "{counted} of {wrong}");
    });
}

#[test]
fn a_full_database_denies_and_changes_nothing() {
    isolated("etcd::a_full_database_denies_and_changes_nothing", || {
        let cluster = Cluster::start(&["--quota-backend-bytes=16777216"]);
        let fleet = with_alice(&cluster);
        let client = cluster.client(0);
        for number in 0.. {
            let put = Op::Put(format!("/filler/{number}"), vec![b'x'; 1_000_000]);
            let txn =
                Txn { compare: vec![(format!("/filler/{number}"), 0)], then: vec![put], otherwise: vec![] };
            match client.transact(&txn, Duration::from_secs(5)) {
                Ok(_) => {}
                Err(EngineError::NoSpace) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(log_in(&fleet.verifiers[1], &host("h1"), id(), &alice(), 1), Err(FleetError::NoSpace));
        let put = |number: usize| Txn {
            compare: vec![(format!("/small/{number}"), 0)],
            then: vec![Op::Put(format!("/small/{number}"), vec![b'x'])],
            otherwise: Vec::new(),
        };
        std::thread::scope(|scope| {
            let put = |number| client.transact(&put(number), Duration::from_secs(5));
            let all: Vec<_> = (0..40).map(|number| scope.spawn(move || put(number))).collect();
            for written in all {
                assert_eq!(written.join().unwrap(), Err(EngineError::NoSpace), "many at once, too");
            }
        });
        assert!(has_device(&fleet.verifiers[1], &alice()), "reads work");
        let status = client.status(Duration::from_secs(5)).unwrap();
        assert!(status.alarms.unwrap().iter().any(|(_, alarm)| *alarm == Alarm::NoSpace));
        assert_eq!(status.members.unwrap().len(), MEMBERS);
    });
}

#[test]
fn a_restored_backup_is_refused_until_it_is_accepted_and_then_no_old_code_or_device_works() {
    isolated(
        "etcd::a_restored_backup_is_refused_until_it_is_accepted_and_then_no_old_code_or_device_works",
        || {
            for flags in [&[][..], &["--bump-revision=1000000000", "--mark-compacted"]] {
                restore(flags);
                // The next cluster starts on an empty network.
                let _ = std::process::Command::new("ip").args(["link", "del", "br0"]).status();
            }
        },
    );
}

fn restore(flags: &[&str]) {
    const LOGINS: u64 = 100;
    let mut cluster = Cluster::start(&[]);
    let fleet = with_alice(&cluster);
    let users: Vec<Name> = (0..5).map(|number| name(&format!("user{number}"))).collect();
    users.iter().for_each(|user| enrol(&fleet.verifiers[1].admin(), user));
    let recovery = recovery_codes(&fleet.verifiers[0]);
    fleet.verifiers.iter().for_each(|verifier| verifier.keep_witness(1000).unwrap());
    cluster.backup("backup");
    assert!(recovery.iter().all(|code| is_recovered(&fleet.verifiers[1], code)));
    for step in 1..=LOGINS {
        let verifier = &fleet.verifiers[step as usize % MEMBERS];
        assert_eq!(log_in(verifier, &host("h1"), id(), &alice(), step), ACCEPTED);
    }
    users.iter().for_each(|user| revoke(&fleet.verifiers[2].admin(), user).unwrap());
    fleet.verifiers.iter().for_each(|verifier| verifier.keep_witness(1005).unwrap());
    cluster.restore("backup", flags);
    for verifier in &fleet.verifiers {
        let try_login = || log_in(verifier, &host("h1"), id(), &alice(), LOGINS + 50);
        // The first transaction goes out over the connection that has ended.
        assert!(matches!(try_login(), Err(FleetError::RolledBack(_) | FleetError::Unclear(_))));
        let result = try_login();
        assert!(matches!(result, Err(FleetError::RolledBack(_))), "{flags:?}: {result:?}");
    }
    let journals: Vec<_> = fleet.verifiers.iter().map(|verifier| verifier.journal().to_owned()).collect();
    let fence = 30 * (LOGINS as i64 + 2);
    let merged = fleet.verifiers[0].accept_restore(fence, &journals).unwrap();
    assert!(merged.conflicts.is_empty(), "{merged:?}");
    for step in 1..=LOGINS {
        let verifier = &fleet.verifiers[step as usize % MEMBERS];
        let result = log_in(verifier, &host("h2"), id(), &alice(), step);
        assert_eq!(result, Ok(Some(Decision::Refused)), "{flags:?}: step {step}");
    }
    users.iter().for_each(|user| assert!(!has_device(&fleet.verifiers[1], user), "{flags:?}: {user}"));
    for (code, verifier) in recovery.iter().zip(fleet.verifiers.iter().cycle()) {
        assert!(!is_recovered(verifier, code), "{flags:?}: a used recovery code is accepted");
    }
    assert_eq!(log_in(&fleet.verifiers[2], &host("h1"), id(), &alice(), LOGINS + 3), ACCEPTED, "{flags:?}");
}

/// Five recovery codes of a user with a device.
fn recovery_codes(store: &FleetStore) -> Vec<String> {
    enrol(&store.admin(), &name("carol"));
    let made =
        with(&store.admin(), "carol", |mut ctx| regenerate_recovery(&mut ctx, &name("carol")).unwrap());
    made.0.iter().take(5).map(|code| code.to_string()).collect()
}

/// Whether a recovery code lets carol in.
fn is_recovered(store: &FleetStore, code: &str) -> bool {
    crate::flow::verify(store, "h1", id(), "carol", code).decision == Some(Decision::Accepted)
}

#[test]
fn without_a_certificate_of_the_cluster_nothing_is_sent() {
    isolated("etcd::without_a_certificate_of_the_cluster_nothing_is_sent", || {
        let cluster = Cluster::start(&[]);
        let mut strange = cluster.options(0);
        let key = rcgen::generate_simple_self_signed(vec!["v1".to_owned()]).unwrap();
        (strange.certificate, strange.key) =
            (key.cert.pem().into_bytes(), key.signing_key.serialize_pem().into_bytes().into());
        let client = qrtotp_fleet::Etcd::new(&strange).unwrap();
        let read = Txn { then: vec![Op::Get("x".to_owned())], ..Txn::default() };
        let error = client.transact(&read, Duration::from_secs(2)).unwrap_err();
        assert!(matches!(error, EngineError::NotSent(_)), "{error:?}");
        let mut gone = cluster.options(0);
        gone.address.set_port(1);
        let error =
            qrtotp_fleet::Etcd::new(&gone).unwrap().transact(&read, Duration::from_secs(2)).unwrap_err();
        assert!(matches!(error, EngineError::NotSent(_)), "{error:?}");
    });
}

#[test]
fn a_large_update_of_an_account_is_one_transaction() {
    isolated("etcd::a_large_update_of_an_account_is_one_transaction", || {
        let cluster = Cluster::start(&[]);
        let fleet = with_alice(&cluster);
        let access = fleet.verifiers[0].admin();
        for round in 0..40_u64 {
            access.update_state(&alice(), |record, state| verify(record, state, round)).unwrap();
        }
        let lines = access.audit_lines(&alice()).unwrap();
        assert!(lines.len() > 10 && lines[0].contains("seq=40 "), "{lines:?}");
        assert!(fleet.verifiers[1].admin().load(&alice()).unwrap().is_some());
    });
}
