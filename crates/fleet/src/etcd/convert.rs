//! Our operations as etcd's messages, and back.

use super::messages::{
    Compare, CompareTarget, DeleteRangeRequest, KeyValue, PutRequest, RangeRequest, RequestKind, RequestOp,
    ResponseKind, ResponseOp, TxnRequest, TxnResponse,
};
use crate::engine::{Op, Reply, Stored, Txn};

pub fn stored(entry: KeyValue) -> Stored {
    Stored { value: entry.value, revision: entry.mod_revision }
}

pub fn request(txn: &Txn) -> TxnRequest {
    let compare = |(key, revision): &(String, i64)| Compare {
        result: 0, // equal
        target: CompareTarget::Mod.into(),
        key: key.clone().into_bytes(),
        mod_revision: Some(*revision),
    };
    let ops = |ops: &[Op]| ops.iter().map(|op| RequestOp { request: Some(request_op(op)) }).collect();
    TxnRequest {
        compare: txn.compare.iter().map(compare).collect(),
        success: ops(&txn.then),
        failure: ops(&txn.otherwise),
    }
}

pub fn request_op(op: &Op) -> RequestKind {
    match op {
        Op::Get(key) => {
            RequestKind::Range(RangeRequest { key: key.clone().into_bytes(), ..RangeRequest::default() })
        }
        Op::Put(key, value) => {
            RequestKind::Put(PutRequest { key: key.clone().into_bytes(), value: value.clone() })
        }
        Op::Delete(key) => RequestKind::DeleteRange(DeleteRangeRequest { key: key.clone().into_bytes() }),
    }
}

pub fn reply(answer: TxnResponse, connection: u64) -> Reply {
    let value = |op: ResponseOp| match op.response {
        Some(ResponseKind::Range(range)) => Some(range.kvs.into_iter().next().map(stored)),
        Some(ResponseKind::Put(_) | ResponseKind::DeleteRange(_) | ResponseKind::Txn(_)) | None => None,
    };
    Reply {
        equal: answer.succeeded,
        revision: answer.header.map_or(0, |header| header.revision),
        values: answer.responses.into_iter().filter_map(value).collect(),
        connection,
    }
}
