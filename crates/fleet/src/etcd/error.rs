//! Which errors of a call mean that it was not carried out, and which leave that open.

use crate::engine::EngineError;
use tonic::{Code, Status};

/// etcd's messages of refusals before it proposes anything to the other members.
const NO_LEADER: &str = "etcdserver: no leader";
const NO_SPACE: &str = "etcdserver: mvcc: database space exceeded";

/// The meaning of an error of a request that was sent.
pub fn of_status(status: &Status) -> EngineError {
    let text = format!("etcd: {} ({:?})", status.message(), status.code());
    match status.code() {
        Code::PermissionDenied | Code::Unauthenticated | Code::InvalidArgument => EngineError::NotSent(text),
        Code::Unavailable if status.message() == NO_LEADER => EngineError::NotSent(text),
        Code::ResourceExhausted if status.message() == NO_SPACE => EngineError::NoSpace,
        _ => EngineError::Unknown(text),
    }
}

/// There was no answer in time.
pub fn late() -> EngineError {
    EngineError::Unknown("no answer from etcd in time".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refusals_before_a_proposal_mean_that_nothing_was_done() {
        for status in [
            Status::permission_denied("etcdserver: permission denied"),
            Status::unauthenticated("etcdserver: invalid auth token"),
            Status::unavailable(NO_LEADER),
        ] {
            assert!(matches!(of_status(&status), EngineError::NotSent(_)), "{status}");
        }
        assert_eq!(of_status(&Status::resource_exhausted(NO_SPACE)), EngineError::NoSpace);
        for status in [
            Status::unavailable("etcdserver: leader changed"),
            Status::unavailable("etcdserver: request timed out"),
            Status::unavailable("etcdserver: request timed out, possibly due to previous leader failure"),
            Status::unavailable("connection reset by peer"),
            Status::unknown("raft proposal dropped"),
            Status::cancelled("cancelled"),
            Status::deadline_exceeded("late"),
            Status::resource_exhausted("etcdserver: too many requests"),
            Status::internal("h2 protocol error"),
        ] {
            assert!(matches!(of_status(&status), EngineError::Unknown(_)), "{status}");
        }
    }
}
