//! State that all connections share.

use super::attempts::Attempts;
use super::queue::Queue;
use crate::work_limits::WorkLimits;
use qrtotp_fleet_hosts::Hosts;
use qrtotp_fleet_tls::Authority;
use std::path::PathBuf;
use std::sync::Arc;

/// State shared by all connections.
pub struct Verifier {
    /// Path of the configuration, which is read anew for each request.
    pub config: PathBuf,
    /// The login hosts.
    pub hosts: Hosts,
    /// Makes their certificates.
    pub authority: Authority,
    /// Requests of one account wait for each other.
    pub queue: Arc<Queue>,
    /// The verdicts of the last minute.
    pub attempts: Attempts,
    /// Requests being worked on.
    pub work: Arc<WorkLimits>,
}
