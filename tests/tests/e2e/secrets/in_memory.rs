//! Secrets in the application's memory, at every moment at which the application has control. While the
//! module waits for an answer it holds only the secrets that it needs for the next step. This application
//! keeps none of the user's questions and answers, so after each hook no secret is found at all.

use qrtotp_tests::{
    Phone, Sandbox,
    enrol::{last_group, recovery_codes},
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
    memory::{MemoryHost, Patterns, forms_of_code, forms_of_key, from_base32},
    searches::{Searches, besides},
};

const SEALING_KEY: &str = "the sealing key, raw";

fn secret_of(phone: &Phone) -> Patterns {
    forms_of_key("the secret", &from_base32(&phone.key))
}

fn forms_of_recovery_codes(codes: &[String]) -> Patterns {
    codes.iter().flat_map(|code| forms_of_code("a recovery code", code)).collect()
}

#[test]
fn no_secret_is_in_the_memory_of_an_application_during_and_after_a_login() {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.stack("debug");
    let phone = sandbox.import("alice");
    let codes = sandbox.new_recovery_codes("alice");
    let patterns =
        [sandbox.forms_of_sealing_key(), secret_of(&phone), forms_of_recovery_codes(&codes)].concat();
    let mut searches = Searches::of("application, login");
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
        let mut found = besides(&[SEALING_KEY], searches.look("at the prompt", host.place(), &patterns));
        host.send(&answer);
        assert_eq!(host.stops_at("authenticate").1, expected);
        found.extend(searches.look("after pam_authenticate", host.place(), &patterns));
        host.send("");
        host.stops_at("acct_mgmt");
        found.extend(searches.look("after pam_acct_mgmt", host.place(), &patterns));
        host.send("");
        host.stops_at("end");
        found.extend(searches.look("right after pam_end", host.place(), &patterns));
        host.finish();
        assert!(found.is_empty(), "{found:#?}");
    }
    searches.tell(&patterns);
}

/// At the picture: requests the key as text.
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
    let mut searches = Searches::of("application, enrolment");
    let phone = scanned(&mut host);
    patterns.extend(secret_of(&phone));
    let shown = [SEALING_KEY, "the secret, raw", "the secret, base32"];
    let during = besides(&shown, searches.look("while the key is shown", host.place(), &patterns));
    assert!(during.is_empty(), "{during:#?}");
    phone.wait_for_seconds_left(5);
    host.send(&phone.code());
    let (shown, _) = host.stops_at("prompt");
    let codes = recovery_codes(&shown);
    patterns.extend(forms_of_recovery_codes(&codes));
    let shown = [SEALING_KEY, "a recovery code, as shown", "a recovery code, without dashes"];
    let during = besides(&shown, searches.look("while recovery codes are shown", host.place(), &patterns));
    assert!(during.is_empty(), "{during:#?}");
    host.send(last_group(&codes[3]));
    for (place, moment) in [
        ("authenticate", "after pam_authenticate"),
        ("acct_mgmt", "after pam_acct_mgmt"),
        ("open_session", "after pam_open_session"),
        ("end", "right after pam_end"),
    ] {
        assert_eq!(host.stops_at(place).1, PAM_SUCCESS, "{place}");
        let found = searches.look(moment, host.place(), &patterns);
        assert!(found.is_empty(), "{place}: {found:#?}");
        if place != "end" {
            host.send("");
        }
    }
    host.finish();
    searches.tell(&patterns);
}

#[test]
fn a_copy_that_an_application_keeps_is_found_in_every_form() {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.stack("");
    let phone = sandbox.import("alice");
    let codes = sandbox.new_recovery_codes("alice");
    let patterns =
        [sandbox.forms_of_sealing_key(), secret_of(&phone), forms_of_recovery_codes(&codes)].concat();
    // The application keeps two answers itself and reads all else from a file.
    let (typed, rest): (Patterns, Patterns) = patterns.iter().cloned().partition(|(_, bytes)| {
        [codes[0].to_lowercase(), phone.key.to_lowercase()].iter().any(|text| text.as_bytes() == bytes)
    });
    assert_eq!(typed.len(), 2);
    let planted: Vec<u8> = rest.iter().flat_map(|(_, bytes)| [bytes, &b"\n"[..]].concat()).collect();
    std::fs::write(sandbox.path("/root/planted"), planted).unwrap();
    let mut host = sandbox.memory_host("alice", "a", &["keep", "/root/planted"]);
    host.stops_at("prompt");
    host.send(&codes[0]);
    assert_eq!(host.stops_at("authenticate").1, PAM_SUCCESS);
    host.send(&phone.key);
    host.stops_at("end");
    let mut searches = Searches::of("application that keeps copies (planted)");
    let found = searches.look("right after pam_end", host.place(), &patterns);
    let missed: Vec<_> =
        patterns.iter().filter(|(name, _)| !found.iter().any(|found| found.what == *name)).collect();
    assert!(missed.is_empty() && found.len() >= patterns.len(), "missed: {missed:#?}");
    searches.tell(&Patterns::new());
    host.finish();
}
