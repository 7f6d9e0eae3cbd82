//! Hosts and invitations as text, in the subset of TOML that records are written in.

use super::host::Host;
use qrtotp_account::toml_subset::{Document, NotPlain, Writer};
use qrtotp_frames::VerdictKey;
use qrtotp_otp::{base32_decode, base32_encode};
use qrtotp_values::UnixTime;
use zeroize::Zeroizing;

/// The right of some hosts to join.
pub struct Invitation {
    /// The groups that they join.
    pub groups: Vec<String>,
    /// How many still may.
    pub uses: u32,
    /// Until when.
    pub until: UnixTime,
}

impl Invitation {
    pub fn text(&self) -> String {
        let mut out = Writer::default();
        out.text("groups", &self.groups.join(" "));
        out.number("uses", self.uses);
        out.number("until", self.until);
        out.finish()
    }

    pub fn parse(text: &str) -> Option<Self> {
        let read = || {
            let mut document = Document::parse(text)?;
            let mut table = document.table("").ok_or(NotPlain)?;
            let groups = words(&table.text("groups")?);
            let read = Self { groups, uses: table.number("uses")?, until: table.number("until")? };
            table.finish()?;
            document.finish()?;
            Ok::<_, NotPlain>(read)
        };
        read().ok()
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// The name stands last, and nothing is optional: a file that lost its end can't be read.
pub fn text(host: &Host) -> Zeroizing<String> {
    let mut out = Writer::default();
    out.number("revoked", host.revoked.unwrap_or(0));
    out.number("joined", host.joined);
    out.text("groups", &host.groups.join(" "));
    out.text("public_key", &base32_encode(&host.public_key));
    out.text("verdict_key", &base32_encode(host.verdict_key.as_bytes()));
    out.text("name", &host.name);
    Zeroizing::new(out.finish())
}

pub fn host(text: &str) -> Option<Host> {
    let read = || {
        let mut document = Document::parse(text)?;
        let mut table = document.table("").ok_or(NotPlain)?;
        let key = base32_decode(&table.text("verdict_key")?).map_err(|_| NotPlain)?;
        let read = Host {
            name: table.text("name")?.into_owned(),
            public_key: base32_decode(&table.text("public_key")?).map_err(|_| NotPlain)?.to_vec(),
            verdict_key: VerdictKey::new(Zeroizing::new(key.to_vec())).ok_or(NotPlain)?,
            groups: words(&table.text("groups")?),
            joined: table.number("joined")?,
            revoked: Some(table.number("revoked")?).filter(|at| *at != 0),
        };
        table.finish()?;
        document.finish()?;
        Ok::<_, NotPlain>(read)
    };
    read().ok()
}
