//! Devices for output: never a secret.

use crate::local;
use qrtotp_account::{Credential, CredentialState, Name, SshKey};
use qrtotp_store::Account;
use qrtotp_values::UnixTime;
use qrtotp_values::text::clock_offset;
use serde::Serialize;
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

    pub(crate) fn sentence(&self) -> String {
        let Self { id, r#type, fingerprint, .. } = self;
        format!("{id}{}: {type}, {fingerprint}; registered {}", quoted(&self.label), local(self.created))
    }
}

fn quoted(label: &str) -> String {
    if label.is_empty() { String::new() } else { format!(" {label:?}") }
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
#[serde(transparent)]
pub struct DeviceList(Vec<Owned>);

impl DeviceList {
    /// Adds those of an account.
    pub fn add(&mut self, name: &Name, account: &Account) {
        let apps = CredentialView::all(account).into_iter().map(Device::App);
        let devices = apps.chain(SshKeyView::all(account).into_iter().map(Device::Key));
        self.0.extend(devices.map(|device| Owned { user: name.to_string(), device }));
    }

    /// Writes them: as a JSON array, or as text with a line each.
    ///
    /// # Errors
    /// Writing to `out` fails.
    pub fn write(&self, out: &mut impl Write, json: bool) -> std::io::Result<()> {
        if json {
            serde_json::to_writer_pretty(&mut *out, self)?;
            return out.write_all(b"\n");
        }
        if self.0.is_empty() {
            writeln!(out, "No device is enrolled.")?;
        }
        self.0.iter().try_for_each(|Owned { user, device }| {
            let sentence = match device {
                Device::App(app) => app.sentence(),
                Device::Key(key) => format!("ssh key {}", key.sentence()),
            };
            writeln!(out, "{user:<20} {sentence}")
        })
    }
}

impl CredentialView {
    pub(crate) fn all(account: &Account) -> Vec<Self> {
        let devices = account.record.credentials.iter();
        devices.map(|device| Self::new(device, account.state.mark(device.id))).collect()
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

    pub(crate) fn sentence(&self) -> String {
        let label = quoted(&self.label);
        let clock = match self.clock_ahead_seconds {
            0 => String::new(),
            seconds => format!(", clock {}", clock_offset(seconds)),
        };
        let window = match (self.window_back, self.window_ahead) {
            (Some(back), Some(ahead)) => format!(", own window {back} back to {ahead} ahead"),
            _ => String::new(),
        };
        format!(
            "{}{label}: {}, {} digits, {} s; {} {}, last used {}{clock}{window}",
            self.id,
            self.algorithm,
            self.digits,
            self.period,
            self.origin,
            local(self.created),
            self.last_used.map_or("never".into(), local),
        )
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
        let sentence = device.sentence();
        assert!(sentence.starts_with(r#"c-7F3K2M "x\": SHA512, 8 digits \\": SHA1, 6 digits"#), "{sentence}");
        let plain = CredentialView { label: "Alice's téléphone".into(), ..device };
        assert!(plain.sentence().contains(" \"Alice's téléphone\":"), "{}", plain.sentence());
    }
}
