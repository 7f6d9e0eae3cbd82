//! The sealed part of a session between a host's broker and a verifier: the relay between them can neither
//! read a message nor make, change, repeat or reorder one.

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use qrtotp_frames::{
    FrameError, Message, SESSION_NONCE_LEN, SessionEnd, SessionFrame, Tag, VerdictKey, receive, send,
};
use zeroize::Zeroizing;

/// One end.
pub struct Tunnel {
    out: Direction,
    into: Direction,
}

/// The messages that one end sends.
struct Direction {
    cipher: Box<ChaCha20Poly1305>,
    /// Messages so far. The key is this session's own, so no nonce is used twice.
    count: u64,
}

impl Direction {
    fn nonce(&mut self) -> Nonce {
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&self.count.to_le_bytes());
        self.count += 1;
        Nonce::from(nonce)
    }
}

impl Tunnel {
    /// The tunnel's end `own`; `opened` is the tag of the host's first message, `nonce` the verifier's reply.
    pub fn new(key: &VerdictKey, opened: &Tag, nonce: &[u8; SESSION_NONCE_LEN], own: SessionEnd) -> Self {
        let other = match own {
            SessionEnd::Host => SessionEnd::Verifier,
            SessionEnd::Verifier => SessionEnd::Host,
        };
        let direction = |from| {
            let key = key.session_key(opened, nonce, from);
            Direction { cipher: Box::new(ChaCha20Poly1305::new((&*key).into())), count: 0 }
        };
        Self { out: direction(own), into: direction(other) }
    }

    /// Seals a message.
    pub fn seal(&mut self, message: &impl Message) -> Result<SessionFrame, FrameError> {
        let mut plain = Zeroizing::new(Vec::new());
        send(&mut *plain, message)?;
        let nonce = self.out.nonce();
        let sealed = self.out.cipher.encrypt(&nonce, plain.as_slice()).map_err(|_| FrameError::TooLong)?;
        Ok(SessionFrame::Sealed(sealed))
    }

    /// Opens the next message of the other end.
    pub fn open<M: Message>(&mut self, frame: SessionFrame) -> Result<M, FrameError> {
        let SessionFrame::Sealed(sealed) = frame else { return Err(FrameError::Closed) };
        let nonce = self.into.nonce();
        let plain = self.into.cipher.decrypt(&nonce, sealed.as_slice());
        let plain = Zeroizing::new(plain.map_err(|_| FrameError::Field("seal"))?);
        let mut rest = plain.as_slice();
        let message = receive(&mut rest)?;
        if rest.is_empty() { Ok(message) } else { Err(FrameError::Field("end")) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qrtotp_wire::{CallerAnswer, Response};

    fn ends(nonce: u8) -> [Tunnel; 2] {
        let key = VerdictKey::new(Zeroizing::new(vec![7; 32])).unwrap();
        [SessionEnd::Host, SessionEnd::Verifier].map(|end| Tunnel::new(&key, &[1; 32], &[nonce; 32], end))
    }

    fn answer(text: &str) -> CallerAnswer {
        CallerAnswer::Typed(Zeroizing::new(text.as_bytes().to_vec()))
    }

    fn copy(frame: &SessionFrame) -> SessionFrame {
        let mut bytes = Vec::new();
        send(&mut bytes, frame).unwrap();
        receive(&mut bytes.as_slice()).unwrap()
    }

    #[test]
    fn messages_arrive_in_both_directions_and_show_nothing_on_the_way() {
        let [mut host, mut verifier] = ends(1);
        for code in ["123456", "123456", "654321"] {
            let sealed = host.seal(&answer(code)).unwrap();
            let SessionFrame::Sealed(bytes) = &sealed else { unreachable!() };
            assert!(!bytes.windows(6).any(|part| part == code.as_bytes()));
            assert!(verifier.open::<CallerAnswer>(sealed).unwrap() == answer(code));
            let response = verifier.seal(&Response::Done("done".into())).unwrap();
            assert!(host.open::<Response>(response).unwrap() == Response::Done("done".into()));
        }
    }

    #[test]
    fn a_message_that_is_changed_repeated_left_out_or_sent_back_does_not_open() {
        let [mut host, mut verifier] = ends(1);
        let first = host.seal(&answer("1")).unwrap();
        let SessionFrame::Sealed(mut changed) = copy(&first) else { unreachable!() };
        changed[3] ^= 1;
        assert!(ends(1)[1].open::<CallerAnswer>(SessionFrame::Sealed(changed)).is_err());
        assert!(ends(2)[1].open::<CallerAnswer>(copy(&first)).is_err(), "another session");
        assert!(ends(1)[0].open::<CallerAnswer>(copy(&first)).is_err(), "sent back");
        assert!(verifier.open::<CallerAnswer>(copy(&first)).is_ok());
        assert!(verifier.open::<CallerAnswer>(first).is_err(), "repeated");
        let [mut host, mut verifier] = ends(1);
        let _lost = host.seal(&answer("1")).unwrap();
        assert!(verifier.open::<CallerAnswer>(host.seal(&answer("2")).unwrap()).is_err(), "left out");
        assert!(verifier.open::<CallerAnswer>(SessionFrame::Opened([0; 32])).is_err());
    }
}
