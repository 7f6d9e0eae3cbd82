//! Invariants of every product input that others can write. Each target is a function over bytes that panics
//! if an invariant does not hold.

mod applied;
mod arguments;
mod codes;
mod config;
mod conversation;
mod exports;
mod frames;
mod hot_state;
mod imports;
mod input;
mod log;
mod record;
mod uri;
mod world;

use std::sync::atomic::{AtomicBool, Ordering};

/// Panics if an invariant does not hold for the bytes.
pub type Check = fn(&[u8]);

/// The targets by name.
pub const TARGETS: &[(&str, Check)] = &[
    ("applied", applied::check),
    ("arguments", arguments::check),
    ("codes", codes::check),
    ("config", config::check),
    ("conversation", conversation::check),
    ("csv", exports::csv),
    ("frames", frames::check),
    ("hot_state", hot_state::check),
    ("imports", imports::check),
    ("json", exports::json),
    ("log", log::check),
    ("migration", exports::migration),
    ("pskc", exports::pskc),
    ("record", record::check),
    ("uri", uri::check),
    ("uris", exports::uris),
];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<Check> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, check)| *check)
}

/// Logins that the target `conversation` has seen accepted so far.
#[must_use]
pub fn accepted() -> u64 {
    conversation::ACCEPTED.load(Ordering::Relaxed)
}

static PLANTED: AtomicBool = AtomicBool::new(false);

/// Makes the code under test faulty from now on, in every target: a check that does not notice proves
/// nothing.
pub fn plant() {
    PLANTED.store(true, Ordering::Relaxed);
}

pub(crate) fn planted() -> bool {
    PLANTED.load(Ordering::Relaxed)
}
