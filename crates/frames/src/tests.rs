//! Any bytes decode to the message that was sent, or to an error; what a key signed is bound to the request.
#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;
use qrtotp_values::Verdict;

fn verify() -> VerifyForHost {
    VerifyForHost {
        attempt: [7; 16],
        account: "alice".into(),
        uid: 1000,
        facts: Facts {
            service: "sshd".into(),
            tty: "ssh".into(),
            rhost: "192.0.2.7".into(),
            nullok: true,
            password: true,
            keys: b"publickey ssh-ed25519 AAAA\n".to_vec(),
        },
        answer: Zeroizing::new(b"123456\xff".to_vec()),
        tag: [0; 32],
    }
}

fn key(byte: u8) -> VerdictKey {
    VerdictKey::new(Zeroizing::new(vec![byte; VERDICT_KEY_LEN])).unwrap()
}

fn session() -> OpenSession {
    let mut open = OpenSession { attempt: [8; 16], account: "alice".into(), uid: 1000, tag: [0; 32] };
    open.sign(&key(1)).unwrap();
    open
}

fn used() -> OfflineUse {
    OfflineUse { id: [7; ATTEMPT_LEN], account: "alice".into(), at: 1_700_000_000, left: 3, tag: [8; 32] }
}

fn requests() -> Vec<FleetRequest> {
    let mut signed = verify();
    signed.sign(&key(1)).unwrap();
    let join = JoinRequest {
        token: "secret".into(),
        host: "web1".into(),
        public_key: vec![3; 32],
        verdict_key: Zeroizing::new(vec![4; 32]),
    };
    vec![
        FleetRequest::Verify(Box::new(signed)),
        FleetRequest::Join(Box::new(join)),
        FleetRequest::Renew,
        FleetRequest::Session(Box::new(session())),
        FleetRequest::OfflineUse(Box::new(used())),
        FleetRequest::Report { version: "0.1.0".into(), authorities: vec![[3; 32], [4; 32]] },
    ]
}

fn responses() -> Vec<FleetResponse> {
    let why = [Unavailable::Busy, Unavailable::Store, Unavailable::NoVerifier];
    let mut all = vec![
        FleetResponse::Done,
        FleetResponse::Refused("no".into()),
        FleetResponse::Certificates(vec![0x30; 400]),
    ];
    all.extend(why.map(FleetResponse::Unavailable));
    let verdicts = [Verdict::Denied, Verdict::Accepted, Verdict::Ignored];
    all.extend(verdicts.map(|verdict| FleetResponse::Verdict(verdict, [9; 32])));
    all
}

fn bytes(message: &impl Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    send(&mut bytes, message).unwrap();
    bytes
}

fn arrives<M: Message + PartialEq>(messages: Vec<M>) {
    for message in messages {
        let frame = bytes(&message);
        assert!(receive::<M>(&mut &frame[..]).unwrap() == message, "kind {}", message.kind());
        for cut in 0..frame.len() {
            assert!(receive::<M>(&mut &frame[..cut]).is_err(), "kind {} cut at {cut}", message.kind());
        }
        let mut longer = frame.clone();
        longer.push(0);
        let length = u16::from_be_bytes([longer[2], longer[3]]) + 1;
        longer[2..4].copy_from_slice(&length.to_be_bytes());
        assert!(receive::<M>(&mut &longer[..]).is_err(), "kind {} with a byte too many", message.kind());
    }
}

#[test]
fn an_answer_has_room_for_the_longest_code_and_the_four_digits_of_a_challenge() {
    for code in ["123456", "12345678 12345678", "ABCD-EFGH-JKLM-NPQR"] {
        let mut request = VerifyForHost { answer: Zeroizing::new(format!("{code} 4711").into()), ..verify() };
        request.sign(&key(1)).unwrap();
        let request = FleetRequest::Verify(Box::new(request));
        assert!(receive::<FleetRequest>(&mut &bytes(&request)[..]).unwrap() == request, "{code}");
    }
}

#[test]
fn every_message_arrives_as_it_was_sent_and_in_no_other_length() {
    arrives(requests());
    arrives(responses());
    let mut frames = vec![SessionFrame::Sealed(vec![5; 900]), SessionFrame::Opened([6; 32])];
    frames.extend(responses().into_iter().map(SessionFrame::Ended));
    arrives(frames);
}

#[test]
fn a_sealed_message_fills_a_frame_and_not_more() {
    assert_eq!(bytes(&SessionFrame::Sealed(vec![0; MAX_FRAME - 6])).len(), MAX_FRAME);
    assert_eq!(
        send(&mut Vec::new(), &SessionFrame::Sealed(vec![0; MAX_FRAME - 5])),
        Err(FrameError::TooLong)
    );
}

#[test]
fn only_the_hosts_key_opens_a_session_and_each_end_of_each_session_has_a_key_of_its_own() {
    assert!(session().is_signed_by(&key(1)) && !session().is_signed_by(&key(2)));
    let frame = bytes(&session());
    for position in HEADER..frame.len() {
        let mut changed = frame.clone();
        changed[position] ^= 1;
        if let Ok(FleetRequest::Session(changed)) = receive(&mut &changed[..]) {
            assert!(!changed.is_signed_by(&key(1)), "byte {position}");
        }
    }
    let (tag, other) = ([5; 32], [6; 32]);
    let mut keys = std::collections::BTreeSet::new();
    for (key, tag, nonce) in [(1, tag, tag), (2, tag, tag), (1, other, tag), (1, tag, other)] {
        for end in [SessionEnd::Host, SessionEnd::Verifier] {
            assert!(keys.insert(*self::key(key).session_key(&tag, &nonce, end)));
        }
    }
}

#[test]
fn a_renewal_has_a_certificate_and_one_to_four_cas() {
    let renewal = |count| Renewal { certificate: vec![1; 400], authorities: vec![vec![2; 300]; count] };
    for count in 1..=4 {
        let bytes = renewal(count).to_bytes().unwrap();
        assert_eq!(Renewal::from_bytes(&bytes), Ok(renewal(count)));
        assert!(Renewal::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    }
    for count in [0, 5] {
        assert!(Renewal::from_bytes(&renewal(count).to_bytes().unwrap()).is_err(), "{count}");
    }
}

#[test]
fn a_frame_of_the_brokers_version_is_refused() {
    let mut frame = bytes(&FleetRequest::Renew);
    frame[0] = 1;
    assert!(receive::<FleetRequest>(&mut &frame[..]) == Err(FrameError::Version(1)));
}

#[test]
fn a_signature_covers_every_field_and_only_the_hosts_key_makes_it() {
    let mut signed = verify();
    signed.sign(&key(1)).unwrap();
    assert!(signed.is_signed_by(&key(1)) && !signed.is_signed_by(&key(2)));
    let frame = bytes(&FleetRequest::Verify(Box::new(signed)));
    for position in HEADER..frame.len() {
        let mut changed = frame.clone();
        changed[position] ^= 1;
        if let Ok(FleetRequest::Verify(changed)) = receive(&mut &changed[..]) {
            assert!(!changed.is_signed_by(&key(1)), "byte {position}");
        }
    }
}

#[test]
fn the_use_of_a_break_glass_code_is_signed_by_the_hosts_key() {
    let mut signed = used();
    signed.sign(&key(1)).unwrap();
    assert!(signed.is_signed_by(&key(1)) && !signed.is_signed_by(&key(2)));
    assert!(!OfflineUse { left: 4, ..signed.clone() }.is_signed_by(&key(1)));
    assert!(!OfflineUse { account: "bob".into(), ..signed }.is_signed_by(&key(1)));
}

#[test]
fn a_verdict_is_good_for_one_request_one_verdict_and_one_host() {
    let tag = key(1).verdict_tag(&[5; 32], Verdict::Denied);
    assert!(key(1).has_signed(&[5; 32], Verdict::Denied, &tag));
    assert!(!key(1).has_signed(&[5; 32], Verdict::Accepted, &tag));
    assert!(!key(1).has_signed(&[6; 32], Verdict::Denied, &tag));
    assert!(!key(2).has_signed(&[5; 32], Verdict::Denied, &tag));
    assert_ne!(tag, key(1).request_tag(&[&[5; 32][..], &[0]].concat()), "a request is no verdict");
}

#[test]
fn a_key_of_another_length_is_none() {
    for length in [0, 31, 33] {
        assert!(VerdictKey::new(Zeroizing::new(vec![1; length])).is_none(), "{length}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_an_error(frame in proptest::collection::vec(any::<u8>(), 0..200), kind in 0_u8..60) {
        let mut frame = [&[2, kind, 0, u8::try_from(frame.len()).unwrap()], &frame[..]].concat();
        let _ = receive::<FleetRequest>(&mut &frame[..]);
        if let Ok(response) = receive::<FleetResponse>(&mut &frame[..]) {
            prop_assert!(bytes(&response).starts_with(&[2, kind]));
        }
        if let Ok(response) = receive::<SessionFrame>(&mut &frame[..]) {
            prop_assert!(bytes(&response) == frame);
        }
        frame.truncate(3);
        prop_assert!(receive::<FleetResponse>(&mut &frame[..]).is_err());
    }
}
