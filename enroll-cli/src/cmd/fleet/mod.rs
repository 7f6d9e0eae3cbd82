//! `qrtotp fleet`.

mod add_verifier;
mod backup;
mod ca_change;
mod compromise;
mod create_store;
mod defrag;
mod etcd_files;
mod hosts;
mod import;
mod init;
mod install;
mod invite;
mod join;
mod leave;
mod numbers;
mod offline_codes;
mod report;
mod report_offline;
mod rotate_ca;
mod rotate_key;
mod shared;
mod status;
mod verifier;

use crate::cli::{Fleet, FleetHost, Rotate};
use crate::error::{Exit, Failure};
use hosts::Change;
use std::path::Path;

pub use numbers::FleetNumbers;
pub use verifier::uid as verifiers_uid;

pub fn run(config: &Path, what: Fleet) -> Result<Exit, Failure> {
    match what {
        Fleet::Init(args) => init::init(config, &args),
        Fleet::JoinVerifier(args) => init::join(config, &args),
        Fleet::Bundle { file } => init::bundle(config, &file),
        Fleet::AddVerifier(args) => add_verifier::run(config, &args),
        Fleet::Compromise(args) => compromise::run(config, &args),
        Fleet::CreateStore => create_store::run(config),
        Fleet::Import(args) => import::run(config, &args),
        Fleet::Invite(args) => invite::run(config, &args),
        Fleet::Join(args) => join::run(config, &args),
        Fleet::Defrag => defrag::run(config),
        Fleet::Leave { force } => leave::run(config, force),
        Fleet::OfflineCodes(args) => offline_codes::run(config, &args),
        Fleet::ReportOffline => report_offline::run(config),
        Fleet::Status { json } => status::run(config, json),
        Fleet::Rotate(Rotate::Key(step)) => rotate_key::run(config, step),
        Fleet::Rotate(Rotate::Ca(step)) => rotate_ca::run(config, step),
        Fleet::Backup { file } => backup::backup(config, &file),
        Fleet::Restore { file } => backup::restore(config, &file),
        Fleet::AcceptRestore { journals } => backup::accept(config, &journals),
        Fleet::Host(FleetHost::List { json }) => hosts::list(config, json),
        Fleet::Host(FleetHost::Hold { host }) => hosts::change(config, &host, Change::Hold),
        Fleet::Host(FleetHost::Release { host }) => hosts::change(config, &host, Change::Release),
        Fleet::Host(FleetHost::Revoke { host }) => hosts::change(config, &host, Change::Revoke),
    }
}
