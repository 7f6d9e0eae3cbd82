//! End-to-end tests against real programs, each in a private namespace: a module for each subject.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admin;
mod alone;
mod audit;
mod broker;
mod enrolment;
mod fleet;
mod harness;
mod hostile;
mod import;
mod login;
mod recipes;
mod secrets;
