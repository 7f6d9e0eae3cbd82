//! Undoes a set-up that is not confirmed, also after a reboot: a systemd timer with a date.

use crate::error::Failure;
use nix::unistd::syncfs;
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_policy::DEFAULT_PATH;
use qrtotp_values::UnixTime;
use qrtotp_values::text::utc;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

const TIMER: &str = "/etc/systemd/system/qrtotp-setup-undo.timer";
const SERVICE: &str = "/etc/systemd/system/qrtotp-setup-undo.service";
const NAME: &str = "qrtotp-setup-undo.timer";
/// Seconds that the changes take at most: `sshd -t` is given ten.
const TIME_TO_CHANGE: i64 = 30;

/// The units. Persistent: a date that passed while the host was off counts at its next start. There sshd may
/// start at the same time with the files that are undone: it is let start first, so that it can be told to
/// read them again.
fn units(at: UnixTime, program: &str, path: &Path) -> [(&'static str, String); 2] {
    let config = match path == Path::new(DEFAULT_PATH) {
        true => String::new(),
        // systemd's own quoting: a percent sign is doubled.
        false => format!(" --config {:?}", path.display().to_string().replace('%', "%%")),
    };
    let date = utc(at).replace('T', " ").replace('Z', "");
    [
        (
            SERVICE,
            format!(
                "[Unit]\nDescription=Undo what qrtotp setup changed, which nobody confirmed\nAfter=ssh.service sshd.service\n\n\
                 [Service]\nType=oneshot\nExecStart={program}{config} setup --undo\n"
            ),
        ),
        (
            TIMER,
            format!(
                "[Unit]\nDescription=Undo what qrtotp setup changed, unless it is confirmed\n\n\
                 [Timer]\nOnCalendar={date} UTC\nAccuracySec=1s\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n"
            ),
        ),
    ]
}

/// Whether systemd runs this host.
pub fn is_possible() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Starts the timer, and has it on disk. `path` is the configuration that is applied again then.
///
/// # Errors
/// It will not go off.
pub fn arm(path: &Path, at: UnixTime) -> Result<(), Failure> {
    let program = std::env::current_exe()?;
    for (file, text) in units(at, &program.display().to_string(), path) {
        fs::write(file, text).map_err(failed(file))?;
    }
    systemctl(&["daemon-reload"])?;
    systemctl(&["enable", "--now", NAME])?;
    // The units, the link that starts them at boot, and systemd's stamp of the timer: a power cut must not
    // leave only the changes.
    for directory in ["/etc/systemd/system", "/var/lib/systemd"] {
        File::open(directory).and_then(|file| Ok(syncfs(file)?)).map_err(failed(directory))?;
    }
    // systemd takes a timer whose date has passed, and never starts it.
    let next = systemctl(&["show", "--property=NextElapseUSecRealtime", "--value", NAME])?;
    if next.trim().is_empty() || SystemClock.now() + TIME_TO_CHANGE > at {
        let text = "the timer would undo the changes before they are made; give a longer --confirm";
        return Err(Failure::Refused(text.into()));
    }
    Ok(())
}

fn failed(path: &str) -> impl Fn(io::Error) -> Failure + '_ {
    move |error| Failure::Error(format!("{path}: {error}"))
}

pub fn is_armed() -> bool {
    Path::new(TIMER).exists()
}

pub fn disarm() -> Result<(), Failure> {
    if !is_armed() {
        return Ok(());
    }
    // By the timer itself this is called, too: then stopping it is all that is left to do.
    systemctl(&["disable", "--now", NAME])?;
    for file in [TIMER, SERVICE] {
        fs::remove_file(file).map_err(failed(file))?;
    }
    systemctl(&["daemon-reload"])?;
    Ok(())
}

/// Runs `systemctl` and returns its output.
fn systemctl(arguments: &[&str]) -> Result<String, Failure> {
    let ended = Command::new("systemctl").args(arguments).stdin(Stdio::null()).output();
    match ended {
        Ok(ended) if ended.status.success() => Ok(String::from_utf8_lossy(&ended.stdout).into_owned()),
        Ok(ended) => Err(Failure::Error(format!(
            "systemctl {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&ended.stderr).trim()
        ))),
        Err(error) => Err(Failure::Error(format!("systemctl: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timer_goes_off_at_its_date_also_after_a_reboot() {
        let [(_, service), (_, timer)] = units(1_795_953_600, "/usr/bin/qrtotp", Path::new(DEFAULT_PATH));
        assert!(
            timer.contains("OnCalendar=2026-11-29 12:00:00 UTC\n") && timer.contains("Persistent=true"),
            "{timer}"
        );
        assert!(service.contains("ExecStart=/usr/bin/qrtotp setup --undo\n"), "{service}");
        let [(_, service), _] = units(1_795_953_600, "/usr/bin/qrtotp", Path::new("/srv/a b/50%.toml"));
        assert!(service.contains("qrtotp --config \"/srv/a b/50%%.toml\" setup --undo\n"), "{service}");
    }
}
