//! The properties of a store after a power cut, checked by using it.

use super::actions::{LOGGED, Person, config, enroll_with, world};
use super::*;
use qrtotp_account::{EnrolmentStatus, LINK_LEN, Link, link};
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
/// - `logged`: an audit line that was logged.
/// - `leaving`: an account that is being removed, with its chain.
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
    let mut wrong = chain_faults(&w.store, claims);
    wrong.extend(changes_without_lines(&w.store).into_iter().map(str::to_owned));
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

/// The account's kept audit lines and those that were logged must follow each other in their order, and end
/// at the chain's end: a logged line is durable, and one that was not logged can be logged again. Of older
/// lines, a part may be left.
fn chain_faults(store: &FileStore, claims: &Claims) -> Vec<String> {
    let logged = claims.iter().filter(|(_, word)| *word == LOGGED).filter_map(|(line, _)| parts(line));
    let mut lines: Vec<(u64, &str, Link)> = logged.collect();
    let names = [World::name(), Name::new("bob").unwrap()];
    let Some((state, kept)) = names.iter().find_map(|name| store.last_lines(name).ok().flatten()) else {
        let is_allowed = lines.is_empty() || claims.values().any(|word| word == "leaving");
        return if is_allowed { Vec::new() } else { vec!["lines were logged, and no chain has them".into()] };
    };
    lines.extend(kept.iter().filter_map(|line| parts(line)));
    lines.sort_unstable();
    lines.dedup(); // those that were logged and kept; both halves of a new file have the same
    let follows = |[(last, _, before), (seq, covered, shown)]: [(u64, &str, Link); 2]| {
        seq > last + 1 || (seq == last + 1 && link(before, covered.as_bytes()) == shown)
    };
    let mut wrong: Vec<String> = lines
        .windows(2)
        .filter(|two| !follows([two[0], two[1]]))
        .map(|two| format!("line {} does not follow the one before", two[1].0))
        .collect();
    let last = lines.last().map(|(seq, _, shown)| (*seq, *shown));
    let end = (state.chain.number() > 0).then(|| (state.chain.number(), state.chain.head()));
    if last != end {
        let numbers = [last, end].map(|end| end.map_or(0, |(seq, _)| seq));
        wrong.push(format!("the last line and the chain's end, whose numbers are {numbers:?}, differ"));
    }
    wrong
}

/// A change of a record and its audit line are there together.
fn changes_without_lines(store: &FileStore) -> Vec<&'static str> {
    let Ok(Some(account)) = store.load(&World::name()) else { return Vec::new() };
    let (_, mut kept) = store.last_lines(&World::name()).unwrap().unwrap();
    kept.sort_by_key(|line| parts(line).map(|(seq, ..)| seq));
    let last = |event: &str| kept.iter().rfind(|line| line.starts_with(&format!("event={event} ")));
    let former =
        last("account_uid_adopted").map(|line| line.contains(&format!(" was={} ", account.record.uid)));
    let is_revoked = account.record.enrolment_status() == EnrolmentStatus::Revoked;
    let faults = [
        (is_revoked != last("credential_revoked").is_some(), "a revocation or its line is missing"),
        (former == Some(true), "a change of the uid has no line, or its line has no change"),
    ];
    faults.into_iter().filter_map(|(is_wrong, what)| is_wrong.then_some(what)).collect()
}

/// A line's number, the part that its link covers, and the link; `None`: it is not whole.
fn parts(line: &str) -> Option<(u64, &str, Link)> {
    let (covered, shown) = line.rsplit_once(" chain=")?;
    let seq = covered.rsplit_once(" seq=")?.1.split(' ').next()?.parse().ok()?;
    let byte = |n: usize| u8::from_str_radix(shown.get(2 * n..2 * n + 2)?, 16).ok();
    let link: Vec<u8> = (0..LINK_LEN).map_while(byte).collect();
    Some((seq, covered, link.try_into().ok()?))
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
