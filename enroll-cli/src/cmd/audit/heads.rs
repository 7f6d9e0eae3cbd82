//! The ends of all chains as lines: what `audit heads` prints, and what a checkpoint keeps. The last line has
//! a hash over those before it, so that a file which was cut or changed is seen.

use crate::cmd::list::each_account;
use crate::context::Context;
use crate::error::{Exit, Failure};
use qrtotp_account::{LINK_LEN, Link, link, link_hex};
use qrtotp_audit_log::Entry;
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_otp::base32_encode;
use qrtotp_values::text::logfmt;
use std::collections::BTreeSet;
use std::io::Write;

/// What names an account in a line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Its name.
    User,
    /// The id of its record: nobody's name is kept.
    Record,
}

/// The lines that were written.
pub struct Written {
    /// How many.
    pub count: u64,
    /// The hash over them.
    pub root: String,
    /// The ids of all records.
    pub records: BTreeSet<String>,
    /// Whether all accounts could be read.
    pub exit: Exit,
}

/// Writes the host's end and those of all accounts.
pub fn write(context: &Context, by: By, out: &mut impl Write) -> Result<Written, Failure> {
    let (store, now, mut records) = (context.store()?, SystemClock.now(), BTreeSet::new());
    let (mut count, mut root) = (0, [0; LINK_LEN]);
    let mut put = |who: Option<(&str, &str)>, seq: u64, head: Link| {
        count += 1;
        let mut line = "event=audit_head".to_owned();
        if let Some((key, value)) = who {
            logfmt(&mut line, key, value);
        }
        line += &format!(" count={count} seq={seq} at={now} chain={}", hex(head));
        root = link(root, line.as_bytes());
        writeln!(out, "{line}")
    };
    let chain = context.host_chain();
    let end = chain.end().map_err(|error| unreadable(&chain.file(), &error))?;
    if let Some(end) = end.filter(|end| end.seq > 0) {
        put(None, end.seq, end.head)?;
    }
    let exit = each_account(&*store, |name, account| {
        let (chain, record) = (&account.state.chain, base32_encode(&account.record.id.0));
        let who = if by == By::User { ("user", name.as_str()) } else { ("record", &*record) };
        // A checkpoint names each record.
        if chain.number() > 0 || by == By::Record {
            put(Some(who), chain.number(), chain.head())?;
        }
        records.insert(record);
        Ok(())
    })?;
    let root = hex(root);
    writeln!(out, "event=audit_heads_end count={count} root={root}")?;
    Ok(Written { count, root, records, exit })
}

pub fn hex(link: Link) -> String {
    String::from_utf8_lossy(&link_hex(link)).into_owned()
}

pub fn unreadable(path: &std::path::Path, error: &std::io::Error) -> Failure {
    Failure::Error(format!("cannot read {}: {error}", path.display()))
}

/// Checks such lines as they are read. Lines of a log, which may be in the same file, are none of them.
#[derive(Default)]
pub struct Check {
    count: u64,
    root: Link,
    /// A line of a version that wrote no last line.
    pub old: bool,
    broken: bool,
    ended: bool,
}

impl Check {
    pub fn read(&mut self, entry: &Entry) {
        let event = &entry.event;
        match event.get("event") {
            Some("audit_head") => {
                let Some(count) = event.number("count") else {
                    self.old = true;
                    return;
                };
                self.count += 1;
                self.broken |= self.ended || u64::try_from(count) != Ok(self.count);
                self.root = link(self.root, event.line.as_bytes());
            }
            Some("audit_heads_end") => {
                let is_count = event.number("count").map(u64::try_from) == Some(Ok(self.count));
                self.broken |= self.ended || !is_count || event.get("root") != Some(&*self.root());
                self.ended = true;
            }
            _ => {}
        }
    }

    /// The hash over the lines.
    pub fn root(&self) -> String {
        hex(self.root)
    }

    /// Whether all lines are there that were written.
    pub fn is_whole(&self) -> bool {
        !self.broken && (self.ended || self.count == 0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::sources::any_form;
    use super::*;

    fn check(lines: &[String]) -> Check {
        let mut check = Check::default();
        lines.iter().for_each(|line| check.read(&any_form(line).unwrap()));
        check
    }

    #[test]
    fn a_file_of_heads_that_was_cut_or_changed_is_not_whole_and_an_old_one_is_told() {
        let mut lines: Vec<String> = Vec::new();
        let mut root = [0; LINK_LEN];
        for n in 1..=3 {
            let line = format!("event=audit_head user=u{n} count={n} seq=4 at=7 chain={}", "0".repeat(40));
            root = link(root, line.as_bytes());
            lines.push(line);
        }
        lines.push(format!("event=audit_heads_end count=3 root={}", hex(root)));
        assert!(check(&lines).is_whole() && check(&[]).is_whole());
        for at in 0..4 {
            let mut without = lines.clone();
            without.remove(at);
            assert!(!check(&without).is_whole(), "{at}");
            let mut changed = lines.clone();
            changed[at] =
                changed[at].replacen("seq=4", "seq=5", 1).replacen("count=3 root", "count=2 root", 1);
            assert!(!check(&changed).is_whole(), "{at}");
        }
        let old: Vec<String> = lines[..3].iter().map(|line| line.replacen(" count=", " left=", 1)).collect();
        assert!(check(&old).is_whole() && check(&old).old && !check(&lines).old);
    }
}
