//! The PAM application as our core sees it. Whatever PAM hands out is copied before the next PAM call: an application
//! may replace an item while it answers a question.

use crate::alloc::wipe_stack;
use crate::mark;
use pam::constants::{PAM_PROMPT_ECHO_OFF, PAM_PROMPT_ECHO_ON, PAM_TEXT_INFO, PamMessageStyle};
use pam::conv::Conv;
use pam::items::{AuthTok, RHost, RUser, Service, Tty, User};
use pam::module::PamHandle;
use pam::secret::SecretBytes;
use qrtotp_core::audit::{AuditSink, Priority, Subject};
use qrtotp_core::flow::{Dialog, Echo, LoginHost, Mark, NoAnswer, Typed};
use qrtotp_core::policy::{OurLine, guard};
use qrtotp_core::text::clean;
use std::borrow::Cow;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI64, Ordering};
use zeroize::{Zeroize, Zeroizing};

/// Bytes of the longest answer that we look at; PAM's own limit is 512.
const LONGEST_ANSWER: usize = 1024;
/// Services that never saw an ssh key, whatever their PAM environment says.
const NO_SSH: [&str; 6] = ["sudo", "sudo-i", "su", "su-l", "login", "other"];
const PAM_AUTHTOK: c_int = 6;
const LOG_ERR: c_int = 3;
const LOG_WARNING: c_int = 4;
const LOG_NOTICE: c_int = 5;
const LOG_INFO: c_int = 6;
const LOG_DEBUG: c_int = 7;

unsafe extern "C" {
    fn pam_set_item(pamh: *mut PamHandle, item_type: c_int, item: *const c_void) -> c_int;
    fn pam_syslog(pamh: *const PamHandle, priority: c_int, format: *const c_char, ...);
}

/// When this image was loaded, in nanoseconds of Unix time. libpam loads modules while it reads the service's file, long
/// before the first of them is called: sshd does it in the parent of the process that asks.
static LOADED: AtomicI64 = AtomicI64::new(0);

extern "C" fn note_loading() {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: libc writes the time into our own variable.
    if unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut now) } == 0 {
        LOADED.store(now.tv_sec.saturating_mul(1_000_000_000).saturating_add(now.tv_nsec), Ordering::Relaxed);
    }
}

#[used]
// SAFETY: the loader calls what is listed here, once, before anything else of this image runs.
#[unsafe(link_section = ".init_array")]
static NOTE_LOADING: extern "C" fn() = note_loading;

/// When libpam read the PAM file. 0, which is before every file, if that is not known.
fn loaded_at() -> i64 {
    LOADED.load(Ordering::Relaxed)
}

/// The syslog of this PAM transaction, facility AUTHPRIV. Lives no longer than the hook that it was made in.
pub(crate) struct Log {
    pamh: NonNull<PamHandle>,
    debug: bool,
}

impl Log {
    pub(crate) fn new(pamh: &mut PamHandle) -> Self {
        Self { pamh: NonNull::from(pamh), debug: false }
    }

    pub(crate) fn set_debug(&mut self, debug: bool) {
        self.debug = debug;
    }

    fn write(&self, priority: c_int, line: &str) {
        let Ok(line) = CString::new(line) else { return };
        // SAFETY: the handle is PAM's own for the whole hook; the format takes exactly one C string, which is ours.
        unsafe { pam_syslog(self.pamh.as_ptr(), priority, c"%s".as_ptr(), line.as_ptr()) };
    }
}

impl AuditSink for Log {
    fn record(&mut self, priority: Priority, line: &str) {
        let priority = match priority {
            Priority::Error => LOG_ERR,
            Priority::Warning => LOG_WARNING,
            Priority::Notice => LOG_NOTICE,
            Priority::Info => LOG_INFO,
        };
        self.write(priority, line);
    }

    fn debug(&mut self, line: &str) {
        if self.debug {
            self.write(LOG_DEBUG, &clean(line, 512));
        }
    }
}

/// A PAM transaction.
pub(crate) struct Host<'a> {
    pamh: &'a mut PamHandle,
    silent: bool,
    /// PAM_USER when the hook began.
    user: String,
    /// What a login must know to let somebody enrol.
    enrolling: Option<Enrolling<'a>>,
}

/// Where the guard of enrolment at login looks.
struct Enrolling<'a> {
    config: &'a Path,
    services: &'a [Cow<'static, str>],
}

impl<'a> Host<'a> {
    /// `silent`: the application asked for no messages (PAM_SILENT). Questions are asked all the same.
    pub(crate) fn new(pamh: &'a mut PamHandle, silent: bool, user: &str) -> Self {
        Self { pamh, silent, user: user.to_owned(), enrolling: None }
    }

    /// Lets accounts without a credential be marked for an enrolment, at these services.
    pub(crate) fn allow_enrolling(&mut self, config: &'a Path, services: &'a [Cow<'static, str>]) {
        self.enrolling = Some(Enrolling { config, services });
    }

    fn send(&self, style: PamMessageStyle, text: &str) -> Result<Option<SecretBytes>, NoAnswer> {
        let conv = self.pamh.get_item::<Conv<'_>>().ok().flatten().ok_or(NoAnswer)?;
        wipe_stack(); // the application may take its time
        conv.send(style, text).map_err(|_| NoAnswer)
    }
}

impl Dialog for Host<'_> {
    fn show(&mut self, text: &str) {
        if !self.silent {
            let _ = self.send(PAM_TEXT_INFO, text); // best effort: some applications answer messages with nothing
        }
    }

    fn ask(&mut self, prompt: &str, echo: Echo) -> Result<Typed, NoAnswer> {
        let style = match echo {
            Echo::On => PAM_PROMPT_ECHO_ON,
            Echo::Off => PAM_PROMPT_ECHO_OFF,
        };
        let answer = self.send(style, prompt)?.ok_or(NoAnswer)?;
        if answer.len() > LONGEST_ANSWER || !self.is_same_user() {
            return Err(NoAnswer);
        }
        Ok(Zeroizing::new(answer.as_bytes().to_vec()))
    }
}

impl LoginHost for Host<'_> {
    fn is_same_user(&self) -> bool {
        let now = self.pamh.get_item::<User<'_>>().ok().flatten();
        now.is_some_and(|now| now.0.to_bytes() == self.user.as_bytes())
    }

    fn password(&mut self) -> Option<Typed> {
        let item = self.pamh.get_item::<AuthTok<'_>>().ok().flatten()?;
        Some(Zeroizing::new(item.as_bytes().to_vec())).filter(|password| password.len() <= LONGEST_ANSWER)
    }

    fn forward_password(&mut self, password: &[u8]) -> Result<(), NoAnswer> {
        let text = CString::new(password).map_err(|_| NoAnswer)?;
        // SAFETY: the handle is PAM's own for the whole hook; PAM copies the string before it returns.
        let result = unsafe { pam_set_item(self.pamh, PAM_AUTHTOK, text.as_ptr().cast()) };
        text.into_bytes().zeroize();
        if result == 0 { Ok(()) } else { Err(NoAnswer) }
    }

    fn key_was_accepted(&mut self) -> bool {
        is_sshd(self.pamh) && mark::key_was_accepted(self.pamh)
    }

    fn guard(&mut self, password_only: bool) -> Result<(), String> {
        let Some(Enrolling { config, services }) = &self.enrolling else {
            return Err("nobody enrols here".into());
        };
        let service = self.pamh.get_item::<Service<'_>>().ok().flatten();
        let service = service.map(|item| item.0.to_string_lossy().into_owned()).unwrap_or_default();
        let line = OurLine { service: &service, config, password_only, read_at: loaded_at() };
        guard(&line, services).map_err(|error| error.to_string())
    }

    fn remembers(&mut self) -> bool {
        !is_sshd(self.pamh)
    }

    fn mark(&mut self, mark: Mark) -> Result<(), NoAnswer> {
        mark::set(self.pamh, &mark).map_err(|mark::Unexpected| NoAnswer)
    }
}

fn owned(item: Option<&CStr>) -> String {
    item.map(|text| clean(&text.to_string_lossy(), 256)).unwrap_or_default()
}

/// Who and where, as the application says.
pub(crate) fn subject(pamh: &PamHandle, user: Option<&CStr>) -> Subject {
    let user = owned(user);
    let service = owned(pamh.get_item::<Service<'_>>().ok().flatten().map(|item| item.0));
    let rhost = owned(pamh.get_item::<RHost<'_>>().ok().flatten().map(|item| item.0));
    let tty = owned(pamh.get_item::<Tty<'_>>().ok().flatten().map(|item| item.0));
    let ruser = owned(pamh.get_item::<RUser<'_>>().ok().flatten().map(|item| item.0));
    let tty = tty.strip_prefix("/dev/").unwrap_or(&tty).to_owned();
    // What a remote side claims to be is no fact; su and sudo say who called them.
    let by = if rhost.is_empty() { ruser } else { String::new() };
    Subject { user, service, rhost, tty, by }
}

/// Whether the application is sshd: it says so before each part of PAM, and has no service that is another's.
pub(crate) fn is_sshd(pamh: &mut PamHandle) -> bool {
    let service = pamh.get_item::<Service<'_>>().ok().flatten();
    let others = service.is_none_or(|item| NO_SSH.iter().any(|name| name.as_bytes() == item.0.to_bytes()));
    !others && mark::has_ssh_info(pamh)
}
