//! Many hosts with one set of accounts.

mod enrolment;
mod faults;
mod hosts;
mod logins;
mod offline;
mod ops;
mod relay;
mod stolen_host;
