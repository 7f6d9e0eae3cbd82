//! The properties of a store after a power cut, checked by using it.

use super::actions::{Person, config, enroll_with, world};
use super::*;
use qrtotp_otp::base32_decode;
use qrtotp_store::{Store, StoreError};
use std::collections::BTreeMap;

/// The reported claims, the last one on each subject.
///
/// - `store`: it is there.
/// - `typed`: a code that was typed and may have been accepted.
/// - `spent`: a code that was accepted.
/// - `in`, `out`: a device that is enrolled, or is not (it was revoked, or never confirmed).
/// - `moved`: a device that is enrolled, now bob's.
/// - `either`: a device that is being confirmed or revoked.
/// - `dead`: a secret that was shown and can no longer be confirmed.
pub(super) type Claims = BTreeMap<String, String>;

pub(super) fn claims(text: &str) -> Claims {
    let claim = |line: &str| line.split_once(' ').map(|(word, about)| (about.to_owned(), word.to_owned()));
    text.lines().filter_map(claim).collect()
}

/// The time at which the last code was typed: all codes are in its window.
const TYPED: UnixTime = START + 30;
/// A time after all windows.
const LATER: UnixTime = START + 3600;

/// The violations in the store of `host`, which changes.
pub(super) fn violations(host: &Path, claims: &Claims) -> Vec<String> {
    let mut w = match open(host, claims) {
        Ok(world) => world,
        Err(error) => return vec![format!("the store does not open: {error}")],
    };
    let account = match w.store.load(&World::name()) {
        Ok(account) => account,
        Err(error) => return vec![format!("the account does not open: {error}")],
    };
    let mut wrong = chain_faults(&w.store);
    if let Some(record) = account.map(|account| account.record)
        && record.token.as_ref().is_some_and(|token| token.is_live(TYPED))
        && !record.credentials.is_empty()
    {
        wrong.push("a device came in, and its token is good for another one".to_owned());
    }
    let about = |wanted: &'static [&'static str]| {
        claims
            .iter()
            .filter(move |(_, word)| wanted.contains(&word.as_str()))
            .map(|(about, word)| (about.as_str(), word.as_str()))
    };
    w.clock.0.set(TYPED);
    for (code, word) in about(&["typed", "spent"]) {
        let accepted = [(); 2].map(|()| accepting(&mut w, code).is_some());
        if accepted[1] || (accepted[0] && word == "spent") {
            wrong.push(format!("a code was accepted again that was {word}"));
        }
    }
    for (key, _) in about(&["dead"]) {
        let code = code(key, START);
        let mut person = Person { replies: [Some(())].into(), code: Some(code), ..Person::default() };
        w.clock.0.set(START);
        if enroll_with(&mut w, &mut person, Authority::PrimaryFactor).is_ok() {
            wrong.push("a secret was confirmed that was dead".to_owned());
        }
    }
    w.clock.0.set(LATER);
    for (key, word) in about(&["in", "moved", "out", "either", "dead"]) {
        let accepted = accepting(&mut w, &code(key, LATER));
        let right = match word {
            "in" => accepted.is_some(),
            "moved" => accepted == Some("bob"),
            "either" => true,
            _ => accepted.is_none(),
        };
        if !right {
            wrong.push(format!("a device that is {word} was accepted for {accepted:?}"));
        }
        if accepting(&mut w, &code(key, LATER)).is_some() {
            wrong.push(format!("a code of a device that is {word} was accepted twice"));
        }
    }
    wrong
}

/// The kept audit lines of the account, in their order, must follow each other and end at the chain's end:
/// whatever of them was not logged can be logged again.
fn chain_faults(store: &FileStore) -> Vec<String> {
    let Ok(Some((state, mut lines))) = store.last_lines(&World::name()) else { return Vec::new() };
    let parts = |line: &str| {
        let (covered, shown) = line.rsplit_once(" chain=").unwrap();
        let seq: u64 = covered.rsplit_once(" seq=").unwrap().1.split(' ').next().unwrap().parse().unwrap();
        (seq, covered.to_owned(), shown.to_owned())
    };
    lines.sort_by_key(|line| parts(line).0);
    let (mut wrong, mut before) = (Vec::new(), None);
    let hex = |link| String::from_utf8(qrtotp_account::link_hex(link).to_vec()).unwrap();
    for (seq, covered, shown) in lines.iter().map(|line| parts(line)) {
        let follows = before.is_none_or(|(last, link)| {
            last + 1 == seq && hex(qrtotp_account::link(link, covered.as_bytes())) == shown
        });
        if !follows {
            wrong.push(format!("line {seq} that is kept does not follow the one before"));
        }
        let link: Vec<u8> =
            (0..20).map(|n| u8::from_str_radix(&shown[2 * n..2 * n + 2], 16).unwrap()).collect();
        before = Some((seq, link.try_into().unwrap()));
    }
    let end = Some((state.chain.number(), state.chain.head()));
    if state.chain.number() > 0 && before != end {
        wrong.push(format!("the kept lines end with {before:?}, the chain with {end:?}"));
    }
    wrong
}

/// The user who gets in with a code.
fn accepting(w: &mut World, code: &str) -> Option<&'static str> {
    ["alice", "bob"].into_iter().find(|user| {
        w.login_as(user, &Options::default(), &mut Human::says([say(code)])) == Outcome::Accepted
    })
}

/// Opens the store like a login, or like the next attempt to make it if it need not exist.
fn open(host: &Path, claims: &Claims) -> Result<World, StoreError> {
    let path = host.join("state");
    if !claims.contains_key("") {
        FileStore::open_or_create(&path, host)?;
        return Ok(world(host));
    }
    Ok(World { config: config(), ..World::with(FileStore::open(&path, host)?, path) })
}

fn code(key: &str, time: UnixTime) -> String {
    let secret = Secret::from_bytes(&base32_decode(key).unwrap(), Strength::Normal).unwrap();
    code_at(&secret, Params::default(), Params::default().step_at(time)).as_str().to_owned()
}
