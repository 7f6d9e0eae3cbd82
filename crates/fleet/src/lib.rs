//! Accounts of many hosts: [`qrtotp_store::Store`] on etcd. Only verifiers (`qrtotpd`) and the command's
//! `fleet` part link this crate; no login host and no PAM module does. docs/FLEET.md describes keys, values
//! and failures. Begin with [`FleetStore::attempt`].
//!
//! **Once only.** Each decision is one transaction. It compares the revisions of four keys: the account's
//! state, its record, the host that asks, and the store's generation. So of all decisions that accept a code
//! at most one is applied, and a revocation of a device or a host holds from the moment it is acknowledged.
//! **Never:** a serializable read; a verdict that was not read from etcd or told by it; a guess after a
//! timeout. [`Access::guess`] saves the read before an acceptance: the transaction compares what it guessed.
//!
//! ```
//! use qrtotp_fleet::{AnswerDigest, AttemptId};
//! // A relay may ask again with the same attempt and answer; the store keeps only this digest of the answer.
//! let (attempt, another) = (AttemptId([1; 16]), AttemptId([2; 16]));
//! assert!(AnswerDigest::of(attempt, b"123456") == AnswerDigest::of(attempt, b"123456"));
//! assert!(AnswerDigest::of(attempt, b"123456") != AnswerDigest::of(another, b"123456"));
//! ```
//!
//! # Verify one answer
//!
//! ```text
//! let etcd = Arc::new(Etcd::new(&etcd_options)?);
//! let store = FleetStore::open(etcd, options)?;              // one per process, shared by its threads
//!
//! // For each frame; the host is the one whose key the certificate has.
//! let asked = Asked { attempt, host, answer: AnswerDigest::of(attempt, typed) };
//! let access = store.attempt(asked, Deadline::after(left));  // `impl Store`: goes into the flow's `Ctx`
//! let begun = access.begin(&name)?;                          // host, account and policy in one read
//! let outcome = flow(&access);                               // any flow, unchanged
//! match access.decision() {
//!     Some(Decision::Accepted) => …                          // sign it and send it
//!     Some(Decision::Refused) => …
//!     None => …                                              // deny; nothing was decided
//! }
//! ```
//!
//! - The flow marks its decision in the state that it changes (`State::decision`), so etcd keeps it together
//!   with the watermark that it raised. The flow of a verification does that itself (`flow/report.rs`).
//! - [`Access::decision`] is `Some` only if that decision is known to be in etcd. **Sign nothing else.**
//! - If the same attempt was decided before (a relay asked again after a lost answer), the flow's first
//!   update returns [`FleetError::Decided`]. The flow denies; [`Access::decision`] is the first decision. So
//!   look at it first, whatever the flow returned, and log no second event if [`Access::was_decided_before`].
//! - The same id with another answer or from another host is [`FleetError::AttemptReused`]: deny.
//! - A refusal that counts nothing (throttled, unknown) has no decision: send the flow's refusal, unless
//!   [`Access::failure`] says that the store failed.
//! - One attempt is one answer. A dialogue with several answers, such as an enrolment or self-service, uses
//!   [`FleetStore::session`]: it compares the host in each change, and has no decision.
//!
//! # Errors
//!
//! Each is a `StoreError::Shared` with a [`FleetError`] in it ([`FleetError::of`] finds it). All deny, and
//! none can be read as un-enrolled. A relay tries the next verifier, with the same attempt id, after those
//! for which [`FleetError::is_elsewhere_worth_a_try`] is true.
//!
//! # Administer
//!
//! A command opens the store with [`FleetStore::open_beside`]; [`FleetStore::open`] is the daemon's, and a
//! directory has one daemon. [`VerifierFiles`] finds keys, certificates and etcd.
//!
//! [`FleetStore::admin`] is an `impl Store` for commands on a verifier: no host is compared. Accounts:
//! [`FleetStore::some_names`], [`FleetStore::remove`], [`FleetStore::set_groups`]; or the store as a
//! [`qrtotp_store::AccountStore`]. Hosts: [`FleetStore::hosts`],
//! [`FleetStore::set_host_state`], [`FleetStore::change_host`]. Invitations: [`FleetStore::invite`],
//! [`FleetStore::join`]. Policy: [`FleetStore::policy`], [`FleetStore::set_policy`].
//!
//! - [`FleetStore::create`] makes an empty store (`fleet init`).
//! - [`FleetStore::accept_restore`] ends the refusal after a restored backup.
//! - [`FleetStore::renew`] seals everything with a new fleet key.
//! - [`Etcd::status`], [`FleetStore::meta`], [`FleetStore::witnesses`] and [`FleetStore::host_failures`] have
//!   the facts for `fleet status`.
//!
//! Call [`FleetStore::keep_witness`] every 5 s from a thread of the daemon.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod access;
mod accounts;
mod admin;
mod attempts;
mod break_glass;
mod bytes;
mod change;
mod directory;
mod engine;
mod error;
mod etcd;
mod failures;
mod files;
mod fleet;
mod guard;
mod hosts;
mod journal;
mod keys;
mod limit;
mod memory;
mod merge;
mod noted;
mod pause_turn;
mod renewed;
mod restore;
mod ring;
mod seen;
mod values;
mod view;

pub use access::{Access, Asked, Begun};
pub use admin::MAX_POLICY;
pub use attempts::{AnswerDigest, AttemptId};
pub use break_glass::BreakGlassUse;
pub use engine::{Engine, EngineError, Op, Page, Reply, Stored, Txn};
pub use error::FleetError;
pub use etcd::{Alarm, Etcd, EtcdOptions, EtcdStatus, Member};
pub use files::{ETCD_CA, ETCD_CERTIFICATE, ETCD_KEY, FLEET_KEYS, VerifierFiles};
pub use fleet::{FleetStore, Options};
pub use hosts::Invitation;
pub use keys::{HostId, HostName, HostNameError};
pub use limit::Permit;
pub use merge::Merged;
pub use ring::Ring;
pub use values::{Condition, Host, HostFailures, HostReport, HostState, Meta, Witness};
