//! `FILE.applied`, the file that a login reads. No content causes a panic, and only intact content is
//! accepted.

use crate::input::Input;
use qrtotp_policy::{Applied, Facts, Known, Names, SourceFile, Stamp, compile, restamped};

struct NoNames;

impl Names for NoNames {
    fn gid(&self, group: &str) -> Result<Option<u32>, String> {
        Ok(u32::try_from(group.len()).ok())
    }

    fn zone(&self, _: &str) -> Result<Vec<(i64, i32)>, String> {
        Ok(vec![(0, 3600)])
    }
}

pub(crate) fn check(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    match kind % 3 {
        0 => file(rest),
        1 => behind_a_checksum(rest),
        _ => edited(rest),
    }
}

/// Any bytes.
fn file(bytes: &[u8]) {
    let Ok(applied) = Applied::in_force(bytes, 0) else { return };
    decide(&applied, bytes);
}

/// Rules and settings with a right checksum, as a login reads them.
fn behind_a_checksum(bytes: &[u8]) {
    let applied = compile(&[SourceFile { path: "x".into(), bytes: Vec::new() }], &NoNames)
        .map(|c| c.encode(Stamp::default()));
    let Ok(mut applied) = applied else { return };
    // The parts begin after the stamp and the digest.
    const PARTS: usize = 14 + 60;
    applied.truncate(PARTS);
    applied.extend_from_slice(bytes);
    let sum = sum(0xcbf2_9ce4_8422_2325, &applied[14..]);
    applied[6..14].copy_from_slice(&sum.to_le_bytes());
    file(&applied);
}

/// The checksum of docs/FILEFORMAT.md.
pub(crate) fn sum(start: u64, bytes: &[u8]) -> u64 {
    let words = [bytes, &[0; 8]].concat();
    let words = words.as_chunks::<8>().0.iter().take(bytes.len() / 8 + 1);
    words.fold(start ^ bytes.len() as u64, |sum, word| {
        let product = (sum ^ u64::from_le_bytes(*word)).wrapping_mul(0x0100_0000_01b3);
        product ^ (product >> 32)
    })
}

/// A configuration as text, compiled and read back.
fn edited(text: &[u8]) {
    let file = SourceFile { path: "qrtotp.toml".into(), bytes: text.to_vec() };
    let Ok(compiled) = compile(&[file], &NoNames) else { return };
    let bytes = compiled.encode(Stamp::default());
    let applied = Applied::newest(&bytes).expect("what was applied can't be read");
    assert_eq!(applied.config, compiled.config, "what was applied is something else");
    let again =
        restamped(&bytes, Stamp { generation: 2, confirm: Some((9, bytes.clone())), ..Stamp::default() });
    let again = Applied::newest(&again.expect("can't be stamped again")).expect("can't be read again");
    assert!(again.generation == 2 && again.previous == bytes && again.digest == applied.digest);
    decide(&applied, text);
}

fn decide(applied: &Applied, bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let groups: [u8; 4] = input.array();
    let facts = Facts {
        user: Some("alice"),
        service: "sshd",
        tty: "pts/0",
        by: "",
        rhost: "192.0.2.1",
        key: Some(groups[0].is_multiple_of(2)),
        now: i64::from(u32::from_le_bytes(groups)),
    };
    let mut asked = 0;
    let gids = || {
        asked += 1;
        groups[1].is_multiple_of(2).then(|| vec![groups[2].into()])
    };
    let hardware_key = groups[3].is_multiple_of(2);
    let mut known = Known { groups: gids, hardware_key, familiar: groups[3] & 2 == 0 };
    let decision = applied.config.rules.decide(&facts, &mut known, None);
    assert!(asked <= 1, "the groups are looked up more than once");
    if let Ok(decision) = decision {
        let denies = crate::planted() && decision.rule != "default";
        assert!(!denies, "a rule decides what it does not say");
    }
}
