//! Frames between the broker and its callers, as the broker and as a caller reads them, and those of a fleet.

use qrtotp_clock::Deadline;
use qrtotp_wire::{
    CallerAnswer, Connection, FleetRequest, FleetResponse, FrameError, MAX_FRAME, Message, Opening, Request,
    Response, SessionFrame, receive, send,
};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;

pub(crate) fn check(data: &[u8]) {
    let Some((kind, stream)) = data.split_first() else { return };
    match (kind, kind % 4) {
        (253, _) => slice::<FleetRequest>(stream),
        (254, _) => slice::<FleetResponse>(stream),
        (255, _) => slice::<SessionFrame>(stream),
        (_, 0) => slice::<Opening>(stream),
        (_, 1) => slice::<CallerAnswer>(stream),
        (_, 2) => slice::<Response>(stream),
        _ => conversation(stream),
    }
}

/// An accepted message re-encodes to the same bytes.
fn slice<M: Message + PartialEq>(stream: &[u8]) {
    let mut rest = stream;
    while let Some(message) = next::<M>(&mut rest) {
        let _ = message;
    }
}

fn next<M: Message + PartialEq>(rest: &mut &[u8]) -> Option<M> {
    let before = *rest;
    let message = match read::<M>(rest) {
        Ok(message) => message,
        Err(error) => {
            assert!(!error.to_string().contains(char::is_control));
            return None;
        }
    };
    let used = &before[..before.len() - rest.len()];
    assert!((4..=MAX_FRAME).contains(&used.len()) && used[0] == M::VERSION);
    let mut written = Vec::new();
    send(&mut written, &message).expect("what was read can be sent");
    assert!(written == used, "two spellings of one message");
    assert!(read::<M>(&mut &used[..used.len() - 1]).is_err(), "a part of a frame is a message");
    Some(message)
}

fn read<M: Message>(rest: &mut &[u8]) -> Result<M, FrameError> {
    if crate::planted() && rest.len() > 4 && rest[1] == 17 {
        let mut whole = rest.to_vec();
        whole[2..4].fill(0); // planted: bytes after a message without fields are ignored
        *rest = &rest[rest.len()..];
        return receive(&mut &*whole);
    }
    receive(rest)
}

/// The same over a socket: a request and answers one way, the broker's responses the other.
fn conversation(stream: &[u8]) {
    let (mut ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    if stream.len() > MAX_FRAME || ours.write_all(stream).is_err() {
        return;
    }
    drop(ours);
    let mut line = Connection::new(theirs.into(), Deadline::after(Duration::from_secs(20)));
    let mut rest = stream;
    let request = next::<Request>(&mut rest);
    assert!(line.receive::<Request>().ok() == request, "read differently from a socket");
    if request.is_none() {
        return;
    }
    loop {
        let answer = next::<CallerAnswer>(&mut rest);
        let from_line = line.receive::<CallerAnswer>();
        match answer {
            Some(answer) => assert!(from_line.is_ok_and(|same| same == answer)),
            None => {
                assert!(from_line.is_err());
                return;
            }
        }
    }
}
