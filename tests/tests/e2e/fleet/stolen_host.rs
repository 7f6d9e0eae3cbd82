//! Root of a login host that was taken over, who speaks a session's frames by hand.

use std::time::Duration;

use qrtotp_tests::{
    Phone,
    broker::DEVICE_QUESTION,
    clock,
    fleet::{Fleet, Host},
    fleet_session::{Session, field},
    host::PAM_SUCCESS,
};

const ENROLL: (u8, &[u8]) = (1, &[0, 0]);
const REVOKE_ALL: (u8, &[u8]) = (5, &[2]);
const NEW_CODES: (u8, &[u8]) = (4, &[]);
const RESYNC: (u8, &[u8]) = (8, &[]);

fn uid(host: &Host, user: &str) -> u32 {
    let passwd = host.sandbox.read("/etc/passwd");
    let line = passwd.lines().find(|line| line.starts_with(&format!("{user}:"))).unwrap();
    line.split(':').nth(2).unwrap().parse().unwrap()
}

/// Tries a request for `user`; it must be refused, without a QR code or recovery codes.
fn refused(host: &Host, user: &str, request: (u8, &[u8]), answer: &str) -> String {
    let session = Session::open(host, user, uid(host, user), None);
    let heard = session.map_err(|refusal| format!("{refusal:?}")).unwrap().try_all(request, answer);
    assert!(heard.iter().all(|(kind, _)| !matches!(kind, 35..=37 | 49)), "{heard:?}");
    let (kind, text) = heard.last().unwrap();
    assert!(matches!(kind, 50 | 51), "{heard:?}");
    text.clone()
}

fn with_phone() -> (Fleet, Host, Phone) {
    let fleet = Fleet::new("");
    let (phone, host) = (fleet.import("alice"), fleet.host("web1", "all"));
    (fleet, host, phone)
}

#[test]
fn it_enrols_nobody_without_a_token_or_a_device_and_changes_no_device_of_others() {
    let (fleet, host, phone) = with_phone();
    for request in [ENROLL, REVOKE_ALL, NEW_CODES, RESYNC] {
        refused(&host, "alice", request, &phone.wrong_code());
    }
    assert!(refused(&host, "bobby", ENROLL, "123456").contains("token"));
    let _ =
        fleet.verifier().log.wait(&["event=enrollment_refused reason=no_token_code user=bobby", "host=web1"]);
    fleet.verifier().add_user("bobby");
    let code = fleet.token_code("bobby");
    refused(&host, "bobby", ENROLL, "AAAA-AAAA");
    refused(&host, "alice", ENROLL, &code);
    let list = fleet.administer(&["device", "list", "alice", "--json"], "").success().stdout;
    assert_eq!(list.matches("c-").count(), 1, "{list}");
}

#[test]
fn its_guesses_delay_nobody_at_a_host_where_they_usually_log_in() {
    let (fleet, host, phone) = with_phone();
    let other = fleet.host("web2", "all");
    let _broker = other.start_broker();
    assert_eq!(other.answer(&phone.previous_code()), PAM_SUCCESS);
    for _ in 0..10 {
        refused(&host, "alice", REVOKE_ALL, &phone.wrong_code());
    }
    let mut pty = other.sandbox.own("alice", &["recovery", "regenerate"]);
    pty.expect(DEVICE_QUESTION);
    pty.send(&phone.code());
    pty.keep_recovery_codes(&other.sandbox);
    pty.success();
    let _ = fleet.verifier().log.wait(&["event=device_proof result=denied reason=throttled", "host=web1"]);
}

#[test]
fn a_code_that_was_used_proves_nothing_and_a_session_lowers_no_watermark() {
    let (_fleet, host, phone) = with_phone();
    let used = phone.previous_code();
    assert_eq!(host.answer(&used), PAM_SUCCESS);
    refused(&host, "alice", ENROLL, &used);
    refused(&host, "alice", RESYNC, &used);
    refused(&host, "alice", REVOKE_ALL, &used);
}

#[test]
fn it_reads_no_secret_and_verifies_no_code_in_a_session() {
    let (_fleet, host, phone) = with_phone();
    for request in [(2, &[1][..]), (6, &[1])] {
        let session = Session::open(&host, "alice", uid(&host, "alice"), None).ok().unwrap();
        let heard = session.try_all(request, "");
        assert!(!format!("{heard:?}").contains(&phone.key), "{heard:?}");
    }
    let answer = phone.code();
    let fields = ["alice", "sshd", ""].map(|text| field(text.as_bytes())).concat();
    let verify = [&fields[..], &[0, 0], &field(b""), &field(answer.as_bytes())].concat();
    refused(&host, "alice", (3, &verify), "");
    assert_eq!(host.answer(&answer), PAM_SUCCESS, "the code was not used up");
}

#[test]
fn a_request_that_is_not_signed_with_the_hosts_key_or_not_sealed_is_refused() {
    let (fleet, host, _phone) = with_phone();
    let alice = uid(&host, "alice");
    let (kind, text) = Session::open(&host, "alice", alice, Some([7; 32])).err().unwrap();
    assert!(kind == 50 && String::from_utf8_lossy(&text).contains("not signed"), "{kind}");
    let _ = fleet.verifier().log.wait(&["event=caller_refused reason=host_signature", "by=web1"]);
    let mut session = Session::open(&host, "alice", alice, None).ok().unwrap();
    session.send(&qrtotp_tests::broker::frame(1, 5, &[2]));
    assert_eq!(session.hear(), None, "the broker's frames as they are");
    let mut session = Session::open(&host, "alice", alice, None).ok().unwrap();
    session.send(&qrtotp_tests::broker::frame(2, 41, &field(&[0; 40])));
    assert!(session.hear().is_none_or(|(kind, _)| kind == 50), "a seal that does not open");
}

#[test]
fn it_speaks_for_no_account_under_another_uid() {
    let (fleet, host, _phone) = with_phone();
    let (kind, text) = Session::open(&host, "alice", uid(&host, "alice") + 1, None).err().unwrap();
    assert!(kind == 50 && String::from_utf8_lossy(&text).contains("uid"), "{kind}");
    let _ = fleet.verifier().log.wait(&["event=caller_refused reason=uid_changed user=alice", "host=web1"]);
}

#[test]
fn what_was_said_in_one_session_is_worth_nothing_in_another() {
    let (_fleet, host, phone) = with_phone();
    let open = || Session::open(&host, "alice", uid(&host, "alice"), None).ok().unwrap();
    let label = [&[0][..], &field(b"stolen")].concat();
    let mut first = open();
    let said = [first.sealed(7, &label), first.sealed(16, &field(phone.previous_code().as_bytes()))];
    let mut replayed = open();
    replayed.send(&said.concat());
    assert!(replayed.hear().is_none_or(|(kind, _)| kind == 50), "in a session that was opened alike");
    first.send(&said.concat());
    assert_eq!(first.hear().map(|(kind, _)| kind), Some(34));
    assert_eq!(first.hear().map(|(kind, _)| kind), Some(49), "the answer was there before the question");
    first.send(&said[1]);
    assert_eq!(first.hear(), None, "it has ended");
}

#[test]
fn refusals_of_one_account_fill_no_log_of_a_verifier() {
    let (fleet, host, phone) = with_phone();
    for _ in 0..40 {
        refused(&host, "bobby", ENROLL, "");
    }
    refused(&host, "alice", REVOKE_ALL, &phone.wrong_code());
    let _ = fleet.verifier().log.wait(&["event=device_proof result=denied", "user=alice", "host=web1"]);
    let lines = fleet.verifier().log.lines();
    let of_bobby = lines.iter().filter(|line| line.contains("reason=no_token_code user=bobby"));
    assert_eq!(of_bobby.count(), 30);
}

#[test]
fn sixty_four_sessions_of_a_host_keep_nobody_from_logging_in() {
    let (fleet, host, phone) = with_phone();
    let held: Vec<_> =
        (0..64).map(|number| Session::open(&host, &format!("user{number}"), 1, None)).collect();
    assert!(held.iter().all(Result::is_ok));
    assert!(Session::open(&host, "bobby", 1, None).is_err_and(|(kind, why)| (kind, why) == (54, vec![0])));
    assert_eq!(host.answer(&phone.previous_code()), PAM_SUCCESS);
    assert!(Session::open(&fleet.host("web2", "all"), "bobby", 1, None).is_ok(), "another host");
}

#[test]
fn it_keeps_no_more_than_five_sessions_of_an_account_and_others_keep_theirs() {
    let (fleet, host, _phone) = with_phone();
    let alice = uid(&host, "alice");
    let held: Vec<_> = (0..5).map(|_| Session::open(&host, "alice", alice, None).ok().unwrap()).collect();
    let (kind, why) = Session::open(&host, "alice", alice, None).err().unwrap();
    assert_eq!((kind, why), (54, vec![0]), "busy");
    assert!(Session::open(&host, "bobby", uid(&host, "bobby"), None).is_ok());
    let other = fleet.host("web2", "all");
    assert!(Session::open(&other, "alice", alice, None).is_ok(), "the account at another host");
    drop(held);
    let opens = || Session::open(&host, "alice", alice, None).ok();
    assert!(clock::poll(Duration::from_secs(5), opens).is_some(), "an ended one leaves its place");
}
