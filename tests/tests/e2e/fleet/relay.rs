//! A relay that fails, lies or repeats itself.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant},
};

use qrtotp_tests::{
    broker::frame,
    fleet::{Fleet, Host, RELAY},
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};
use rustix::process::Signal;

/// The module waits for 3 s; starting a process takes its time, too.
const DEADLINE: Duration = Duration::from_secs(4);

fn denied_in_time(host: &Host, code: &str) {
    let begun = Instant::now();
    assert_eq!(host.answer(code), PAM_AUTH_ERR);
    assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
    let _ =
        host.sandbox.log.wait(&["event=login result=denied reason=fleet_timeout user=alice", "fleet status"]);
}

/// A frame from `from`, whole.
fn read_frame(from: &mut UnixStream) -> Vec<u8> {
    let mut header = [0; 4];
    from.read_exact(&mut header).unwrap();
    let mut body = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]]))];
    from.read_exact(&mut body).unwrap();
    [&header[..], &body].concat()
}

#[test]
fn without_a_relay_or_a_verifier_logins_are_denied_in_time_with_the_way_out() {
    let mut fleet = Fleet::new("");
    let phone = fleet.import("alice");
    let mut host = fleet.host("web1", "all");
    assert_eq!(host.answer(&phone.code_of_step(phone.step() - 1)), PAM_SUCCESS);
    fleet.daemons[0].signal(Signal::KILL);
    denied_in_time(&host, &phone.code());
    host.stop_relay();
    denied_in_time(&host, &phone.code());
    host.start_relay();
    fleet.restart();
    assert_eq!(host.answer(&phone.code()), PAM_SUCCESS, "the code was not used up");
}

#[test]
fn a_verifier_that_hangs_is_waited_for_no_longer_than_allowed() {
    let fleet = Fleet::new("");
    let phone = fleet.import("alice");
    let host = fleet.host("web1", "all");
    fleet.daemons[0].signal(Signal::STOP);
    denied_in_time(&host, &phone.code());
    fleet.daemons[0].signal(Signal::CONT);
}

#[test]
fn a_relay_passes_on_no_request_whose_module_has_given_up() {
    let fleet = Fleet::new("");
    let phone = fleet.import("alice");
    let host = fleet.host("web1", "all");
    phone.wait_for_seconds_left(10);
    host.signal_relay(Signal::STOP);
    denied_in_time(&host, &phone.code());
    host.signal_relay(Signal::CONT);
    // The relay takes connections in their order.
    assert_eq!(host.answer(&phone.wrong_code()), PAM_AUTH_ERR);
    assert_eq!(host.answer(&phone.code()), PAM_SUCCESS, "the code was not used up");
}

#[test]
fn a_relay_that_was_taken_over_can_not_say_accepted() {
    let fleet = Fleet::new("");
    let phone = fleet.import("alice");
    let mut host = fleet.host("web1", "all");
    let listener = host.false_relay();
    let liar = thread::spawn(move || {
        let (mut module, _) = listener.accept().unwrap();
        let request = read_frame(&mut module);
        let accepted = [&[1][..], &[7; 32]].concat();
        module.write_all(&frame(2, 52, &accepted)).unwrap();
        request
    });
    assert_eq!(host.answer(&phone.wrong_code()), PAM_AUTH_ERR);
    assert_eq!(liar.join().unwrap()[..2], [2, 9]);
    let _ = host.sandbox.log.wait(&["event=login result=denied reason=fleet_forged user=alice"]);
}

#[test]
fn a_verdict_on_one_attempt_is_none_on_another() {
    let fleet = Fleet::new("");
    let phone = fleet.import("alice");
    let mut host = fleet.host("web1", "all");
    let (first, accepted) = record_one(&mut host, &phone.code_of_step(phone.step() - 1), PAM_SUCCESS);
    assert_eq!((first[1], accepted[1], accepted[4]), (9, 52, 1));
    let listener = host.false_relay();
    let liar = thread::spawn(move || {
        let (mut module, _) = listener.accept().unwrap();
        let _ = read_frame(&mut module);
        module.write_all(&accepted).unwrap();
    });
    assert_eq!(host.answer(&phone.code()), PAM_AUTH_ERR);
    liar.join().unwrap();
    let _ = host.sandbox.log.wait(&["event=login result=denied reason=fleet_forged user=alice"]);
}

#[test]
fn a_request_that_is_sent_again_gets_the_same_verdict_and_is_decided_once() {
    let mut fleet = Fleet::new("");
    let phone = fleet.import("alice");
    let mut host = fleet.host("web1", "all");
    let (request, accepted) = record_one(&mut host, &phone.code(), PAM_SUCCESS);
    let _ = fleet.verifier().log.wait(&["event=login result=accepted", "host=web1"]);
    assert_eq!(ask(&host, &request), accepted);
    fleet.restart();
    assert_eq!(ask(&host, &request), accepted, "a verifier that starts anew knows it, too");
    // Another account in the same request is not what root has signed.
    let mut changed = request.clone();
    changed[4 + 16 + 2] ^= 1;
    assert_eq!(ask(&host, &changed)[1], 50);
    let _ = fleet.verifier().log.wait(&["event=caller_refused reason=host_signature", "by=web1"]);
    let logged = fleet.verifier().log.lines();
    let logins = logged.iter().filter(|line| line.contains("event=login ")).count();
    assert_eq!(logins, 1, "{logged:?}");
}

#[test]
fn the_relay_serves_only_root() {
    let fleet = Fleet::new("");
    let host = fleet.host("web1", "all");
    host.sandbox.run(&["chmod", "666", RELAY]).success();
    let program = host.sandbox.install_c("broker_caller.c", &[]);
    let mut command = host.sandbox.command(Some("bobby"), &["timeout", "20", &program, RELAY, "send", "0"]);
    let output = host.sandbox.finish(
        {
            command.stdin(std::process::Stdio::piped());
            command
        },
        &String::from_utf8(frame(2, 11, &[])).unwrap(),
    );
    assert!(output.stdout.contains("only root"), "{output:?}");
}

/// Lets one login pass through a recorder in front of the relay; returns request and response.
fn record_one(host: &mut Host, code: &str, expected: i32) -> (Vec<u8>, Vec<u8>) {
    let path = host.sandbox.path(RELAY);
    let behind = path.with_file_name("behind");
    std::fs::rename(&path, &behind).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let inner = behind.clone();
    let recorder = thread::spawn(move || {
        let (mut module, _) = listener.accept().unwrap();
        let request = read_frame(&mut module);
        let response = pass(&inner, &request);
        module.write_all(&response).unwrap();
        (request, response)
    });
    assert_eq!(host.answer(code), expected);
    let recorded = recorder.join().unwrap();
    std::fs::rename(&behind, &path).unwrap();
    recorded
}

fn pass(relay: &std::path::Path, request: &[u8]) -> Vec<u8> {
    let mut relay = UnixStream::connect(relay).unwrap();
    relay.write_all(request).unwrap();
    read_frame(&mut relay)
}

/// The relay's response to a request.
fn ask(host: &Host, request: &[u8]) -> Vec<u8> {
    pass(&host.sandbox.path(RELAY), request)
}
