//! Any bytes on the connection decode to the message that was sent, or to an error.
#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;
use qrtotp_account::CredentialId;
use qrtotp_audit::Verdict;
use qrtotp_clock::Deadline;
use qrtotp_flow::{Echo, Offer};
use qrtotp_otp::{Algorithm, Params};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;
use zeroize::Zeroizing;

fn requests() -> Vec<Request> {
    let id = CredentialId::from_random([3; 6]);
    vec![
        Request::Enroll { label: "Alice's phöne".into() },
        Request::Status { json: true },
        Request::Verify {
            user: "alice".into(),
            service: "xlock".into(),
            tty: ":0".into(),
            nullok: true,
            forward: true,
            id: "request-7".into(),
            answer: Zeroizing::new(b"123456\xff".to_vec()),
        },
        Request::Regenerate,
        Request::Revoke { which: Devices::Only },
        Request::Revoke { which: Devices::One(id) },
        Request::Revoke { which: Devices::All },
        Request::Devices { json: false },
        Request::Rename { id: None, label: "tablet".into() },
        Request::Rename { id: Some(id), label: String::new() },
        Request::Resync,
    ]
}

fn says() -> Vec<Response> {
    let secret = |text: &str| Zeroizing::new(text.to_owned());
    let offer = |unusual| Offer {
        uri: secret("otpauth://totp/x:alice?secret=GEZDGNBV"),
        picture: secret("otpauth://totp/alice?secret=GEZDGNBV"),
        key: secret("GEZD GNBV"),
        issuer: "x".into(),
        account: "alice".into(),
        unusual,
    };
    let note = || Some("That was not the code.".to_owned());
    vec![
        Response::Show("two\nlines".into()),
        Response::Output(String::new()),
        Response::Ask { prompt: "Code: ".into(), echo: Echo::On },
        Response::Ask { prompt: "Password: ".into(), echo: Echo::Off },
        Response::Offer { offer: offer(None), note: None },
        Response::Offer { offer: offer(Params::new(Algorithm::Sha512, 8, 60).ok()), note: note() },
        Response::Resumed { minutes: 7, note: note() },
        Response::RecoveryCodes { codes: vec![secret("ABCD-EFGH-JKMN-PQRS"); 10], note: None },
        Response::Verdict(Verdict::Accepted),
        Response::Verdict(Verdict::Denied),
        Response::Verdict(Verdict::Ignored),
        Response::Done("done".into()),
        Response::Refused("no".into()),
        Response::Failed("broken".into()),
    ]
}

fn answers() -> Vec<CallerAnswer> {
    vec![CallerAnswer::Typed(Zeroizing::new(b"000000".to_vec())), CallerAnswer::Fresh, CallerAnswer::GiveUp]
}

fn bytes(message: &impl Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    send(&mut bytes, message).unwrap();
    bytes
}

fn arrives<M: Message + PartialEq>(messages: Vec<M>) {
    for message in messages {
        let frame = bytes(&message);
        assert!(receive::<M>(&mut &*frame).is_ok_and(|same| same == message), "kind {}", message.kind());
        for cut in 0..frame.len() {
            assert_eq!(receive::<M>(&mut &frame[..cut]).err(), Some(FrameError::Closed), "cut at {cut}");
        }
        let mut longer = frame.clone();
        longer.push(0);
        longer[3] += 1;
        assert!(matches!(receive::<M>(&mut &*longer), Err(FrameError::Field(_))), "something follows");
    }
}

#[test]
fn every_message_arrives_as_it_was_sent_and_no_part_of_it_does() {
    arrives(requests());
    arrives(requests().into_iter().map(Opening::Request).collect());
    arrives(vec![Opening::Language("nl_BE".into())]);
    arrives(says());
    arrives(answers());
}

#[test]
fn a_frame_of_another_version_or_kind_or_beyond_the_limit_is_refused_by_its_header() {
    let header = |version, kind, length: u16| {
        let [high, low] = length.to_be_bytes();
        receive::<Request>(&mut &[version, kind, high, low][..]).err()
    };
    assert_eq!(header(2, 1, 0), Some(FrameError::Version(2)));
    assert_eq!(header(VERSION, 99, 0), Some(FrameError::Kind(99)));
    assert_eq!(header(VERSION, 16, 0), Some(FrameError::Kind(16)), "an answer is no request");
    assert_eq!(header(VERSION, 1, u16::MAX), Some(FrameError::TooLong));
    assert_eq!(header(VERSION, 1, 16 * 1024 - 3), Some(FrameError::TooLong));
    assert_eq!(header(VERSION, 1, 16 * 1024 - 4), Some(FrameError::Closed), "within it, but nothing follows");
}

#[test]
fn names_of_several_lines_are_refused_and_texts_for_people_are_cut() {
    let forged = Request::Enroll { label: "x\nevent=login".into() };
    assert_eq!(receive::<Request>(&mut &*bytes(&forged)).err(), Some(FrameError::Field("label")));
    let long = Request::Enroll { label: "x".repeat(300) };
    assert_eq!(receive::<Request>(&mut &*bytes(&long)).err(), Some(FrameError::Field("label")));
    let text = "ä".repeat(10_000);
    let cut = receive::<Response>(&mut &*bytes(&Response::Show(text)));
    assert!(cut.is_ok_and(|say| say == Response::Show("ä".repeat(4096))));
    let mut nowhere = Vec::new();
    let endless = Request::Enroll { label: "x".repeat(20_000) };
    assert_eq!(send(&mut nowhere, &endless), Err(FrameError::TooLong));
    assert!(nowhere.is_empty());
}

fn pair(limit: Duration) -> (Connection, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Connection::new(ours.into(), Deadline::after(limit)), theirs)
}

#[test]
fn a_silent_or_vanished_end_is_waited_for_no_longer_than_allowed() {
    let (mut line, theirs) = pair(Duration::from_millis(50));
    assert_eq!(line.receive::<CallerAnswer>().err(), Some(FrameError::Timeout));
    drop(theirs);
    let (mut line, theirs) = pair(Duration::from_secs(60));
    drop(theirs);
    assert_eq!(line.receive::<CallerAnswer>().err(), Some(FrameError::Closed));
    assert_eq!(line.send(&CallerAnswer::Fresh), Err(FrameError::Closed), "and no signal kills us");
}

#[test]
fn an_end_that_takes_nothing_is_waited_for_no_longer_than_allowed() {
    let (mut line, _theirs) = pair(Duration::from_millis(200));
    let flood = Response::Show("x".repeat(8000));
    let error = (0..10_000).find_map(|_| line.send(&flood).err());
    assert_eq!(error, Some(FrameError::Timeout));
}

#[test]
fn verify_needs_somebody_who_answers_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let ask = |limit| verify(&path, &requests().remove(2), Duration::from_millis(limit));
    assert_eq!(ask(100), Err(VerifyError::Connect(ConnectError::Absent)));
    let listener = UnixListener::bind(&path).unwrap();
    assert_eq!(ask(100), Err(VerifyError::Frame(FrameError::Timeout)), "nobody accepts");
    drop(listener.accept().unwrap());
    std::thread::scope(|scope| {
        let broker = scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let asked: Request = receive(&mut stream).unwrap();
            send(&mut stream, &Response::Show("hello".into())).unwrap();
            send(&mut stream, &Response::PasswordLength(3)).unwrap();
            send(&mut stream, &Response::Verdict(Verdict::Accepted)).unwrap();
            asked
        });
        assert_eq!(ask(10_000), Ok((Verdict::Accepted, 3)));
        assert!(broker.join().unwrap() == requests().remove(2));
    });
}

#[test]
fn a_last_word_is_heard_by_whoever_was_sent_away_unheard() {
    for _ in 0..50 {
        let (mut line, mut theirs) = pair(Duration::from_secs(60));
        send(&mut theirs, &Response::Refused("no".into())).unwrap();
        drop(theirs);
        line.request(&requests()[0]).unwrap();
        assert!(line.receive::<Response>().is_ok_and(|say| say == Response::Refused("no".into())));
    }
    let (mut line, mut theirs) = pair(Duration::from_secs(60));
    line.request(&requests()[0]).unwrap();
    send(&mut theirs, &Response::Refused("no".into())).unwrap();
    drop(theirs); // with the request unread
    assert!(line.receive::<Response>().is_ok_and(|say| say == Response::Refused("no".into())));
}

#[test]
fn a_full_queue_does_not_hang_a_caller() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    let limit = Duration::from_millis(20);
    let mut held = Vec::new();
    let refused = (0..10_000).find_map(|_| match connect(&path, limit) {
        Ok(line) => {
            held.push(line);
            None
        }
        Err(error) => Some(error),
    });
    assert_eq!(refused, Some(ConnectError::Busy));
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_an_error(body in proptest::collection::vec(any::<u8>(), 0..200), kind in 0_u8..64) {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        let frame = [&[VERSION, kind, length[0], length[1]], &body[..]].concat();
        let _ = receive::<Request>(&mut &*frame);
        let _ = receive::<Response>(&mut &*frame);
        let _ = receive::<CallerAnswer>(&mut &*frame);
        let _ = receive::<Response>(&mut &*body);
    }

    #[test]
    fn a_changed_byte_never_breaks_the_reader(which in 0_usize..14, at in any::<prop::sample::Index>(), byte: u8) {
        let mut frame = bytes(&says()[which]);
        let at = at.index(frame.len());
        frame[at] = byte;
        if let Ok(say) = receive::<Response>(&mut &*frame) {
            prop_assert!(receive::<Response>(&mut &*bytes(&say)).is_ok_and(|same| same == say));
        }
    }
}
