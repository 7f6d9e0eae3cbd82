//! Applied configurations of version 1, which no login reads any more: the command rewrites them in today's
//! form, without looking at the admin's files.

use super::applied::{MAGIC, sealed};
use super::bytes::{Bytes, Damaged, put_part};
use super::document::Table;
use super::read::{self, Settings as _};

/// A file of version 1 in today's form, with the same number, time and author. `None`: it is of another
/// version.
///
/// # Errors
/// The file is damaged.
pub fn upgraded(file: &[u8]) -> Result<Option<Vec<u8>>, Damaged> {
    let mut bytes = Bytes::new(file.strip_prefix(MAGIC).ok_or(Damaged)?);
    if bytes.u16()? != 1 {
        return Ok(None);
    }
    if bytes.u64()? != checksum(bytes.rest()) {
        return Err(Damaged);
    }
    // Generation, time, uid, digest, time limit: as they are.
    let mut body = bytes.take(8 + 8 + 4 + 32 + 8)?.to_vec();
    let source = bytes.part()?.rest().to_vec();
    let rules = bytes.part()?.rest();
    let mut settings = Vec::new();
    let document = Table::decode(&mut Bytes::new(&source))?;
    read::read(&document).map_err(|_| Damaged)?.put(&mut settings);
    for part in [&settings, rules, &source] {
        put_part(part, &mut body);
    }
    if !bytes.rest().is_empty() {
        body.extend(upgraded(bytes.rest())?.ok_or(Damaged)?);
    }
    Ok(Some(sealed(&body)))
}

fn checksum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
    let length = u64::try_from(bytes.len()).unwrap_or(0);
    words.fold(0xcbf2_9ce4_8422_2325 ^ length, |sum, word| (sum ^ word).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Applied, SourceFile, Stamp, compile, rules::NoNames};

    const TEXT: &str = "issuer = 'Us'\n[throttle]\nfree_failures = 4\n[[rule]]\nname = 'cron'\nuser = ['bob']\nthen = 'skip'\n";

    /// As the version before wrote it.
    fn version_1(file: &[u8]) -> Vec<u8> {
        let newest = Applied::newest(file).unwrap();
        let mut bytes = Bytes::new(&file[MAGIC.len() + 2 + 8..]);
        let mut body = bytes.take(60).unwrap().to_vec();
        let (_, rules, source) = (bytes.part().unwrap(), bytes.part().unwrap(), bytes.part().unwrap());
        put_part(source.rest(), &mut body);
        put_part(rules.rest(), &mut body);
        if !newest.previous.is_empty() {
            body.extend(version_1(&newest.previous));
        }
        [MAGIC, &1_u16.to_le_bytes(), &checksum(&body).to_le_bytes(), &body].concat()
    }

    #[test]
    fn a_file_of_version_1_becomes_what_it_would_be_had_it_been_applied_now() {
        let file = SourceFile { path: "/etc/qrtotp/qrtotp.toml".into(), bytes: TEXT.into() };
        let compiled = compile(&[file], &NoNames).unwrap();
        let first = compiled.encode(Stamp { generation: 3, applied_at: 7, by: 1000, confirm: None });
        let confirm = Some((99, first.clone()));
        let second = compiled.encode(Stamp { generation: 4, applied_at: 8, by: 0, confirm });
        for file in [first, second] {
            let older = version_1(&file);
            assert!(Applied::newest(&older).is_err(), "logins do not read it");
            assert_eq!(upgraded(&older), Ok(Some(file.clone())));
            assert_eq!(upgraded(&file), Ok(None), "it is of today's version");
            for cut in 0..older.len() {
                assert_eq!(upgraded(&older[..cut]), Err(Damaged), "{cut}");
            }
        }
    }
}
