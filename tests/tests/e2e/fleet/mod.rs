//! Many hosts with one set of accounts.

mod changes;
mod dashboard;
mod enrolment;
mod faults;
mod histories;
mod hosts;
mod late_reports;
mod logins;
mod offline;
mod ops;
mod proofs;
mod relay;
mod remembered;
mod rotation;
mod stolen_host;
mod theft;
