//! The primary factor, checked by libpam for the service `qrtotp`. PAM modules are other people's code, slow at times
//! and not made for a process that serves many: they run in a child, this program anew, at the other end of a socket.

use crate::PROGRAM;
use crate::pam;
use crate::remote::Remote;
use qrtotp_core::account::Name;
use qrtotp_core::audit::Verdict;
use qrtotp_core::clock::Deadline;
use qrtotp_core::flow::Dialog;
use qrtotp_core::wire::{Answer, Line, Say};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Why the primary factor does not hold, as a reason for the log. Whatever it is: denied.
pub type Refusal = &'static str;

/// A child that does not outlive us.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks `person` what the service's modules ask.
pub fn check(name: &Name, person: &mut Remote<'_>) -> Result<(), Refusal> {
    let (ours, theirs) = UnixStream::pair().map_err(|_| "primary_factor_unavailable")?;
    let child = Command::new("/proc/self/exe")
        .arg0(PROGRAM) // what PAM modules call us in the log
        .arg("--primary-factor")
        .arg(name.as_str())
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _child = Reaped(child.map_err(|_| "primary_factor_unavailable")?);
    let mut modules = Line::new(ours.into(), Deadline::after(pam::TIME));
    loop {
        match modules.receive() {
            Ok(Say::Verdict(Verdict::Accepted)) => return Ok(()),
            Ok(Say::Verdict(_)) => return Err("primary_factor"),
            Ok(Say::Show(text)) => person.show(&text),
            Ok(Say::Ask { prompt, echo }) => {
                let typed = person.ask(&prompt, echo).map_err(|_| "no_answer")?;
                modules.send(&Answer::Typed(typed)).map_err(|_| "primary_factor_unavailable")?;
            }
            Ok(_) | Err(_) => return Err("primary_factor_unavailable"),
        }
    }
}
