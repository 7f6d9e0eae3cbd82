//! Changes of the cluster's members, and the upkeep of one.

use super::Etcd;
use super::messages::{
    Empty, MemberAddRequest, MemberAddResponse, MemberIdRequest, MemberUpdateRequest, StatusResponse,
};
use crate::engine::EngineError;
use std::time::Duration;

impl Etcd {
    /// Adds a member that does not vote yet, so that the others decide without it until it has their data.
    /// Returns its number.
    ///
    /// # Errors
    /// No quorum, or a change of members is under way.
    pub fn add_learner(&self, peer: &str, limit: Duration) -> Result<u64, EngineError> {
        let request = MemberAddRequest { peer_urls: vec![peer.to_owned()], is_learner: true };
        let (added, _): (MemberAddResponse, _) =
            self.call("/etcdserverpb.Cluster/MemberAdd", request, limit)?;
        Ok(added.member.unwrap_or_default().id)
    }

    /// Lets a member vote.
    ///
    /// # Errors
    /// It has not the others' data yet; no quorum.
    pub fn promote(&self, member: u64, limit: Duration) -> Result<(), EngineError> {
        let request = MemberIdRequest { id: member };
        self.call::<_, Empty>("/etcdserverpb.Cluster/MemberPromote", request, limit).map(|_| ())
    }

    /// Changes where the others reach a member.
    ///
    /// # Errors
    /// No quorum, or there is no such member.
    pub fn move_member(&self, member: u64, peer: &str, limit: Duration) -> Result<(), EngineError> {
        let request = MemberUpdateRequest { id: member, peer_urls: vec![peer.to_owned()] };
        self.call::<_, Empty>("/etcdserverpb.Cluster/MemberUpdate", request, limit).map(|_| ())
    }

    /// Removes a member: the others talk to it no more.
    ///
    /// # Errors
    /// No quorum, or there is no such member.
    pub fn remove_member(&self, member: u64, limit: Duration) -> Result<(), EngineError> {
        let request = MemberIdRequest { id: member };
        self.call::<_, Empty>("/etcdserverpb.Cluster/MemberRemove", request, limit).map(|_| ())
    }

    /// Gives the member's unused space back to its file system. It answers nothing meanwhile. Returns the
    /// size of its database before and after, in bytes.
    ///
    /// # Errors
    /// It does not answer in time.
    pub fn defragment(&self, limit: Duration) -> Result<(u64, u64), EngineError> {
        let size = || {
            let (status, _): (StatusResponse, _) =
                self.call("/etcdserverpb.Maintenance/Status", Empty {}, limit)?;
            Ok(u64::try_from(status.db_size).unwrap_or(0))
        };
        let before = size()?;
        self.call::<_, Empty>("/etcdserverpb.Maintenance/Defragment", Empty {}, limit)?;
        Ok((before, size()?))
    }
}
