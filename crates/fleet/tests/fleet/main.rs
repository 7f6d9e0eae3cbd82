//! The fleet's store: on a double of etcd that a test schedules, and on real clusters.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accounts;
mod cluster;
mod double;
mod etcd;
mod faults;
mod flow;
mod from_memory;
mod hosts;
mod memory;
mod model;
mod restored;
mod scheduler;
mod store;
