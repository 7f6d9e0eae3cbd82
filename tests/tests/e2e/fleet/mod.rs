//! Many hosts with one set of accounts.

mod faults;
mod hosts;
mod logins;
mod offline;
mod ops;
mod proofs;
mod relay;
