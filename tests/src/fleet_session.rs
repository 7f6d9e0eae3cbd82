//! A host that was taken over: it has all that root has there, and speaks a session's frames itself
//! (docs/FLEET.md), by an implementation of its own.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use blake2::{
    Blake2bMac,
    digest::{KeyInit, Mac, consts::U32},
};
use chacha20poly1305::{ChaCha20Poly1305, Nonce, aead::Aead};

use crate::{
    broker::frame,
    fleet::{Host, RELAY},
};

/// An open session, for an account that the host has chosen.
pub struct Session {
    relay: UnixStream,
    out: (ChaCha20Poly1305, u64),
    into: (ChaCha20Poly1305, u64),
}

fn tag(key: &[u8], what: u8, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = <Blake2bMac<U32> as KeyInit>::new_from_slice(key).unwrap();
    mac.update(&[what]);
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn next(count: &mut u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&count.to_le_bytes());
    *count += 1;
    Nonce::from(nonce)
}

/// A field with its length before it.
#[must_use]
pub fn field(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// The next frame's kind and body; `None`: the connection is closed.
fn read_frame(from: &mut UnixStream) -> Option<(u8, Vec<u8>)> {
    let mut header = [0; 4];
    from.read_exact(&mut header).ok()?;
    let mut body = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]]))];
    from.read_exact(&mut body).ok()?;
    Some((header[1], body))
}

impl Session {
    /// Opens a session with this key in place of the host's, or else the host's own.
    ///
    /// # Errors
    /// The kind and body of the refusal.
    pub fn open(host: &Host, account: &str, uid: u32, key: Option<[u8; 32]>) -> Result<Self, (u8, Vec<u8>)> {
        let key = key
            .map_or_else(|| std::fs::read(host.sandbox.path("/etc/qrtotp/verdict.key")).unwrap(), Vec::from);
        let attempt: [u8; 16] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let signed = [&attempt[..], &field(account.as_bytes()), &uid.to_be_bytes()].concat();
        let opened = tag(&key, b's', &[&signed]);
        let mut relay = UnixStream::connect(host.sandbox.path(RELAY)).unwrap();
        relay.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        relay.write_all(&frame(2, 40, &[&signed[..], &opened].concat())).unwrap();
        match read_frame(&mut relay) {
            Some((42, nonce)) => {
                let cipher = |what| {
                    let key = tag(&key, what, &[&opened, &nonce]);
                    (ChaCha20Poly1305::new((&key).into()), 0)
                };
                Ok(Self { relay, out: cipher(b'h'), into: cipher(b'r') })
            }
            other => Err(other.unwrap_or_default()),
        }
    }

    /// Sends a message of the broker's protocol.
    pub fn say(&mut self, kind: u8, body: &[u8]) {
        let sealed = self.sealed(kind, body);
        self.send(&sealed);
    }

    /// The same message, not sent yet.
    pub fn sealed(&mut self, kind: u8, body: &[u8]) -> Vec<u8> {
        let nonce = next(&mut self.out.1);
        let sealed = self.out.0.encrypt(&nonce, frame(1, kind, body).as_slice()).unwrap();
        frame(2, 41, &field(&sealed))
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.relay.write_all(bytes); // a verifier may have closed it
    }

    /// The verifier's next message; `None`: it has closed the connection.
    pub fn hear(&mut self) -> Option<(u8, Vec<u8>)> {
        let (kind, body) = read_frame(&mut self.relay)?;
        assert_eq!(kind, 41, "{body:?}");
        let nonce = next(&mut self.into.1);
        let plain = self.into.0.decrypt(&nonce, &body[2..]).unwrap();
        Some((plain[1], plain[4..].to_vec()))
    }

    /// Sends a request and gives `answer` to each question; returns all that the verifier said.
    pub fn try_all(mut self, request: (u8, &[u8]), answer: &str) -> Vec<(u8, String)> {
        self.say(request.0, request.1);
        let mut heard = Vec::new();
        while let Some((kind, body)) = self.hear() {
            heard.push((kind, String::from_utf8_lossy(&body).into_owned()));
            match kind {
                34..=37 => self.say(16, &field(answer.as_bytes())),
                48..=51 => break,
                _ => {}
            }
        }
        heard
    }
}
