//! The state of the cluster, for `qrtotp fleet status`.

use super::Etcd;
use super::messages::{
    AlarmRequest, AlarmResponse, Empty, MemberListRequest, MemberListResponse, StatusResponse,
};
use crate::engine::EngineError;
use std::time::Duration;

/// A member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub id: u64,
    /// Its name; empty if it never started.
    pub name: String,
    /// Where the other members reach it.
    pub peers: Vec<String>,
    /// It has no vote yet: it is being added.
    pub is_learner: bool,
}

/// An alarm of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// Its database has reached the quota: nothing can be written.
    NoSpace,
    /// Its data differs from the others': it answers nothing.
    Corrupt,
    /// Another one.
    Other(i32),
}

/// A member's report on itself and the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdStatus {
    /// Its version.
    pub version: String,
    /// Its number.
    pub id: u64,
    /// The leader's number; 0: none.
    pub leader: u64,
    /// The store's revision.
    pub revision: i64,
    /// Bytes of its database file.
    pub database: u64,
    /// Bytes of them in use.
    pub in_use: u64,
    /// All members. `None`: there is no quorum to ask.
    pub members: Option<Vec<Member>>,
    /// Alarms, each with the number of its member. `None`: unknown, because there is no quorum.
    pub alarms: Option<Vec<(u64, Alarm)>>,
}

impl Etcd {
    /// Asks the member for its state, and for what the quorum knows.
    ///
    /// # Errors
    /// The member does not answer.
    pub fn status(&self, limit: Duration) -> Result<EtcdStatus, EngineError> {
        let (status, _): (StatusResponse, _) =
            self.call("/etcdserverpb.Maintenance/Status", Empty {}, limit)?;
        let request = MemberListRequest { linearizable: true };
        let members = self.call::<_, MemberListResponse>("/etcdserverpb.Cluster/MemberList", request, limit);
        let members = members.ok().map(|(list, _)| {
            let member = |member: super::messages::MemberMessage| Member {
                id: member.id,
                name: member.name,
                peers: member.peer_urls,
                is_learner: member.is_learner,
            };
            list.members.into_iter().map(member).collect()
        });
        let alarms = self.call::<_, AlarmResponse>("/etcdserverpb.Maintenance/Alarm", AlarmRequest {}, limit);
        let alarms = alarms.ok().map(|(list, _)| {
            list.alarms.into_iter().map(|entry| (entry.member, alarm(entry.alarm))).collect()
        });
        let header = status.header.unwrap_or_default();
        Ok(EtcdStatus {
            version: status.version,
            id: header.member_id,
            leader: status.leader,
            revision: header.revision,
            database: u64::try_from(status.db_size).unwrap_or(0),
            in_use: u64::try_from(status.db_size_in_use).unwrap_or(0),
            members,
            alarms,
        })
    }
}

fn alarm(number: i32) -> Alarm {
    match number {
        1 => Alarm::NoSpace,
        2 => Alarm::Corrupt,
        other => Alarm::Other(other),
    }
}
