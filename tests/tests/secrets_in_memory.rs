//! What of the secrets can be read from the memory of the application, at every moment at which it is in the application's
//! hands. Nothing is exempt but what a person is shown and types: this application keeps neither, so nothing is found at all outside
//! the module's own arena, and that is neither swapped out nor dumped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use qrtotp_tests::{
    Phone, Sandbox,
    enrol::recovery_codes,
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
    memory::{Found, MemoryHost, forms_of_code, forms_of_key, from_base32},
};

type Patterns = Vec<(String, Vec<u8>)>;

fn secret_of(phone: &Phone) -> Patterns {
    forms_of_key("the secret", &from_base32(&phone.key))
}

fn forms_of_recovery_code(code: &str) -> Patterns {
    forms_of_code("a recovery code", code)
}

fn unshielded(found: Vec<Found>) -> Vec<Found> {
    found.into_iter().filter(|found| !found.is_shielded()).collect()
}

#[test]
fn no_secret_is_in_the_memory_of_an_application_during_and_after_a_login() {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.stack("debug");
    let phone = sandbox.import("alice");
    let codes = sandbox.new_recovery_codes("alice");
    let mut patterns = [sandbox.forms_of_sealing_key(), secret_of(&phone)].concat();
    patterns.extend(forms_of_recovery_code(&codes[0]));
    for (answer, expected) in [
        (phone.wrong_code(), PAM_AUTH_ERR),
        (phone.code(), PAM_SUCCESS),
        (codes[0].clone(), PAM_SUCCESS),
        (codes[0].clone(), PAM_AUTH_ERR),
        (codes[1].clone(), PAM_SUCCESS),
    ] {
        sandbox.keep_secret(&answer);
        let mut host = sandbox.memory_host("alice", "am", &[]);
        host.stops_at("prompt");
        let mut found = unshielded(host.search(&patterns));
        host.send(&answer);
        assert_eq!(host.stops_at("authenticate").1, expected);
        found.extend(host.search(&patterns));
        host.send("");
        host.stops_at("acct_mgmt");
        found.extend(host.search(&patterns));
        host.send("");
        host.stops_at("end");
        found.extend(host.search(&patterns));
        host.finish();
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// At the account part's question, the key as text is asked for.
fn scanned(host: &mut MemoryHost) -> Phone {
    host.stops_at("prompt");
    host.send("k");
    let (shown, _) = host.stops_at("prompt");
    Phone::scanned(shown.lines().find(|line| line.starts_with("otpauth://")).unwrap().trim())
}

#[test]
fn no_secret_of_an_enrolment_outlives_its_dialogue() {
    let sandbox = Sandbox::new();
    sandbox.configure("[defaults]\nfirst_login = \"enroll\"\n[enroll]\nservices = [\"tests\"]\n");
    sandbox.add_user("alice");
    sandbox.make_store();
    let password = qrtotp_tests::users::PASSWORD;
    sandbox.password_and_enrolment("tests");
    let mut host = sandbox.memory_host("alice", "amo", &[]);
    let mut patterns = sandbox.forms_of_sealing_key();
    host.stops_at("prompt");
    host.send(password);
    host.stops_at("prompt");
    host.send("");
    assert_eq!(host.stops_at("authenticate").1, PAM_SUCCESS);
    assert!(host.search(&patterns).is_empty(), "{:#?}", host.search(&patterns));
    host.send("");
    let phone = scanned(&mut host);
    patterns.extend(secret_of(&phone));
    let during = host.search(&patterns);
    assert!(unshielded(during).is_empty(), "{:#?}", unshielded(host.search(&patterns)));
    phone.settle(5);
    host.send(&phone.code());
    let (shown, _) = host.stops_at("prompt");
    let codes = recovery_codes(&shown);
    patterns.extend(codes.iter().flat_map(|code| forms_of_recovery_code(code)));
    let during = unshielded(host.search(&patterns));
    assert!(during.is_empty(), "{during:#?}");
    host.send(&codes[3]);
    for place in ["acct_mgmt", "open_session", "end"] {
        assert_eq!(host.stops_at(place).1, PAM_SUCCESS, "{place}");
        let found = host.search(&patterns);
        assert!(found.is_empty(), "{place}: {found:#?}");
        if place != "end" {
            host.send("");
        }
    }
    host.finish();
}

#[test]
fn a_copy_that_an_application_keeps_is_found() {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.stack("");
    let phone = sandbox.import("alice");
    let code = &sandbox.new_recovery_codes("alice")[0];
    let mut host = sandbox.memory_host("alice", "a", &["keep"]);
    host.stops_at("prompt");
    host.send(code);
    host.stops_at("authenticate");
    host.send(&phone.key.to_lowercase());
    host.stops_at("end");
    let found = host.search(&[secret_of(&phone), forms_of_recovery_code(code)].concat());
    let has = |what: &str| found.iter().any(|found| found.what == what && !found.is_shielded());
    assert!(has("the secret, base32") && has("a recovery code"), "{found:#?}");
    host.finish();
}

/// Under which a program may lock no memory at all.
const NO_LOCKS: [&str; 4] = ["prlimit", "--memlock=0:0", "setpriv", "--bounding-set=-ipc_lock"];

#[test]
fn memory_with_a_secret_in_it_is_locked_where_that_is_allowed_and_never_dumped() {
    for (under, may_lock) in [(&[][..], true), (&NO_LOCKS[..], false)] {
        let sandbox = Sandbox::new();
        sandbox.configure("[defaults]\nfirst_login = \"enroll\"\n[enroll]\nservices = [\"tests\"]\n");
        sandbox.add_user("alice");
        sandbox.make_store();
        sandbox.password_and_enrolment("tests");
        let mut host = sandbox.memory_host_under(under, "alice", "am", &[]);
        host.stops_at("prompt");
        host.send(qrtotp_tests::users::PASSWORD);
        host.stops_at("prompt");
        host.send("");
        assert_eq!(host.stops_at("authenticate").1, PAM_SUCCESS);
        host.send("");
        let found = host_holds(&scanned(&mut host), &host);
        assert!(found.iter().all(Found::is_undumped), "{found:#?}");
        assert!(found.iter().all(|found| found.is_locked() == may_lock), "{may_lock}: {found:#?}");
        assert_eq!(host.locked() > 0, may_lock, "{} KiB", host.locked());
    }
}

/// Where the secret is while its code is waited for: somewhere.
fn host_holds(phone: &Phone, host: &MemoryHost) -> Vec<Found> {
    let found = host.search(&secret_of(phone));
    assert!(!found.is_empty(), "the search finds nothing");
    found
}
