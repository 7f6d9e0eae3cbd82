//! `qrtotp fleet`.

mod hosts;
mod init;
mod invite;
mod join;
mod status;
mod verifier;

use crate::cli::{Fleet, FleetHost};
use crate::error::{Exit, Failure};
use std::path::Path;

pub use verifier::uid as verifiers_uid;

pub fn run(config: &Path, what: Fleet) -> Result<Exit, Failure> {
    match what {
        Fleet::Init(args) => init::run(config, &args),
        Fleet::Invite(args) => invite::run(config, &args),
        Fleet::Join(args) => join::run(config, &args),
        Fleet::Status => status::run(config),
        Fleet::Host(FleetHost::List { json }) => hosts::list(config, json),
        Fleet::Host(FleetHost::Revoke { host }) => hosts::revoke(config, &host),
    }
}
