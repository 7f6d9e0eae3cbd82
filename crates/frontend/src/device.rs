//! Devices for output: never a secret.

use crate::{Table, Versioned, local};
use qrtotp_account::{Credential, CredentialState, Name, SshKey};
use qrtotp_messages::{Catalogue, text};
use qrtotp_store::Account;
use qrtotp_values::UnixTime;
use qrtotp_values::text::clean;
use serde::Serialize;
use std::borrow::Cow;
use std::io::Write;

/// A device.
#[derive(Serialize)]
pub(crate) struct CredentialView {
    id: String,
    label: String,
    algorithm: &'static str,
    digits: u8,
    period: u32,
    created: UnixTime,
    pub(crate) last_used: Option<UnixTime>,
    origin: &'static str,
    /// Seconds by which its clock is assumed to be ahead of the host's; below 0: behind.
    clock_ahead_seconds: i64,
    /// Steps back whose codes are accepted, if the device has a window; otherwise the host's applies.
    window_back: Option<u8>,
    /// Steps ahead.
    window_ahead: Option<u8>,
}

/// A registered hardware ssh key.
#[derive(Serialize)]
pub(crate) struct SshKeyView {
    id: String,
    /// Distinguishes it from a device in a list of both: `ssh-key`.
    kind: &'static str,
    label: String,
    r#type: &'static str,
    fingerprint: String,
    created: UnixTime,
}

impl SshKeyView {
    pub(crate) fn all(account: &Account) -> Vec<Self> {
        account.record.ssh_keys.iter().map(Self::new).collect()
    }

    fn new(key: &SshKey) -> Self {
        Self {
            id: key.id.to_string(),
            kind: "ssh-key",
            label: key.label.as_str().to_owned(),
            r#type: key.kind.as_str(),
            fingerprint: key.fingerprint.to_string(),
            created: key.created,
        }
    }

    pub(crate) fn sentence(&self, catalogue: &Catalogue) -> Cow<'static, str> {
        let name = named(&self.id, &self.label);
        catalogue.text(&text::ssh_key(&name, &self.r#type, &self.fingerprint, &local(self.created)))
    }

    /// Its cells in a table, as those of a device.
    fn cells(&self, catalogue: &Catalogue) -> [String; 6] {
        let kind = catalogue.text(&text::list_key(&self.r#type)).into_owned();
        let (label, fingerprint) = (quoted(&self.label), self.fingerprint.clone());
        [self.id.clone(), kind, local(self.created), String::new(), label, fingerprint]
    }
}

/// In quotation marks, so that a label can't look like what stands behind it.
fn quoted(label: &str) -> String {
    if label.is_empty() { String::new() } else { format!("{label:?}") }
}

fn named(id: &str, label: &str) -> String {
    format!("{id} {}", quoted(label)).trim_end().to_owned()
}

#[derive(Serialize)]
#[serde(untagged)]
enum Device {
    App(CredentialView),
    Key(SshKeyView),
}

/// A device and its owner.
#[derive(Serialize)]
struct Owned {
    user: String,
    #[serde(flatten)]
    device: Device,
}

/// The devices of some accounts.
#[derive(Default, Serialize)]
pub struct DeviceList {
    devices: Vec<Owned>,
}

impl DeviceList {
    /// Adds those of an account.
    pub fn add(&mut self, name: &Name, account: &Account) {
        let apps = CredentialView::all(account).into_iter().map(Device::App);
        let devices = apps.chain(SshKeyView::all(account).into_iter().map(Device::Key));
        self.devices.extend(devices.map(|device| Owned { user: name.as_str().to_owned(), device }));
    }

    /// Writes them: as JSON, or as a table in this language.
    ///
    /// # Errors
    /// Writing to `out` fails.
    pub fn write(&self, out: &mut impl Write, json: bool, catalogue: &Catalogue) -> std::io::Result<()> {
        if json {
            serde_json::to_writer_pretty(&mut *out, &Versioned::new(self))?;
            return out.write_all(b"\n");
        }
        let header = [
            text::HEAD_USER,
            text::HEAD_DEVICE,
            text::HEAD_KIND,
            text::HEAD_SINCE,
            text::HEAD_LAST_USED,
            text::HEAD_LABEL,
            text::HEAD_NOTE,
        ]
        .map(|head| catalogue.text(&head));
        let mut table = Table::new(header.each_ref().map(AsRef::as_ref));
        for Owned { user, device } in &self.devices {
            let [id, kind, since, used, label, note] = match device {
                Device::App(app) => app.cells(catalogue),
                Device::Key(key) => key.cells(catalogue),
            };
            table.row(out, [clean(user, 64), id, kind, since, used, label, note])?;
        }
        if !table.end(out)? {
            writeln!(out, "{}", catalogue.text(&text::LIST_EMPTY))?;
        }
        Ok(())
    }
}

impl CredentialView {
    pub(crate) fn all(account: &Account) -> Vec<Self> {
        let devices = account.record.credentials.iter();
        devices.map(|device| Self::new(device, account.state.credential_state(device.id))).collect()
    }

    fn new(credential: &Credential, mark: Option<&CredentialState>) -> Self {
        let steps = mark.map_or(0, |mark| mark.drift);
        Self {
            id: credential.id.to_string(),
            label: credential.label.as_str().to_owned(),
            algorithm: credential.params.algorithm().as_str(),
            digits: credential.params.digits(),
            period: credential.params.period(),
            created: credential.created,
            last_used: mark.map(|mark| mark.last_used).filter(|at| *at != 0),
            origin: credential.origin.as_str(),
            clock_ahead_seconds: i64::from(steps) * i64::from(credential.params.period()),
            window_back: credential.window.map(|window| window.back),
            window_ahead: credential.window.map(|window| window.ahead),
        }
    }

    pub(crate) fn sentence(&self, catalogue: &Catalogue) -> Cow<'static, str> {
        let name = named(&self.id, &self.label);
        let origin = self.since(catalogue);
        let used = self.last_used.map_or_else(|| catalogue.text(&text::NEVER), |at| local(at).into());
        let Self { algorithm, digits, period, .. } = self;
        let device = catalogue.text(&text::device(&name, algorithm, digits, period, &origin, &used));
        match self.notes(catalogue) {
            notes if notes.is_empty() => device,
            notes => format!("{device}, {notes}").into(),
        }
    }

    /// A clock that is off, and a window of its own.
    fn notes(&self, catalogue: &Catalogue) -> String {
        let clock = match self.clock_ahead_seconds {
            0 => None,
            seconds @ 1.. => Some(text::clock_ahead(&seconds)),
            seconds => Some(text::clock_behind(&seconds.unsigned_abs())),
        };
        let window = self.window_back.zip(self.window_ahead);
        let window = window.map(|(back, ahead)| text::own_window(&back, &ahead));
        let notes: Vec<_> = clock.iter().chain(&window).map(|note| catalogue.text(note)).collect();
        notes.join(", ")
    }

    /// Its cells in a table: id, kind, since when, last used, label, note.
    fn cells(&self, catalogue: &Catalogue) -> [String; 6] {
        let Self { algorithm, digits, period, .. } = self;
        [
            self.id.clone(),
            catalogue.text(&text::kind_app(algorithm, digits, period)).into_owned(),
            self.since(catalogue).into_owned(),
            self.last_used.map_or_else(|| catalogue.text(&text::NEVER).into_owned(), local),
            quoted(&self.label),
            self.notes(catalogue),
        ]
    }

    /// When it came, and how.
    fn since(&self, catalogue: &Catalogue) -> Cow<'static, str> {
        let created = local(self.created);
        catalogue.text(&match self.origin {
            "imported" => text::imported_on(&created),
            _ => text::enrolled_on(&created),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_can_not_say_what_stands_behind_it() {
        let device = CredentialView {
            id: "c-7F3K2M".into(),
            label: "x\": SHA512, 8 digits \\".into(),
            algorithm: "SHA1",
            digits: 6,
            period: 30,
            created: 0,
            last_used: None,
            origin: "enrolled",
            clock_ahead_seconds: 0,
            window_back: None,
            window_ahead: None,
        };
        let sentence = device.sentence(Catalogue::ENGLISH);
        assert!(sentence.starts_with(r#"c-7F3K2M "x\": SHA512, 8 digits \\": SHA1, 6 digits"#), "{sentence}");
        let plain = CredentialView { label: "Alice's téléphone".into(), ..device };
        let sentence = plain.sentence(Catalogue::ENGLISH);
        assert!(sentence.contains(" \"Alice's téléphone\":"), "{sentence}");
    }
}
