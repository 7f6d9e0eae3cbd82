//! The PAM application behind our flows' interfaces. Every item from PAM is copied before the next PAM call,
//! because an application may replace it while it answers a question.

use crate::alloc::wipe_stack;
use inner_pam::libpam::{self, PAM_AUTHTOK, PAM_USER, pam_set_item, pam_syslog};
use inner_pam::{Context, SERVICE, text_item, variable};
use pam::constants::{PAM_PROMPT_ECHO_OFF, PAM_PROMPT_ECHO_ON, PAM_TEXT_INFO, PamMessageStyle};
use pam::conv::Conv;
use pam::items::{AuthTok, RHost, RUser, Service, Tty, User};
use pam::module::PamHandle;
use pam::secret::SecretBytes;
use qrtotp_account::Name;
use qrtotp_audit::{AuditSink, Entry, Subject, journal};
use qrtotp_flow::{Dialog, Echo, LoginHost, NoAnswer, Typed, Unproven, catalogue, catalogue_of};
use qrtotp_messages::Catalogue;
use qrtotp_policy::check_proof_service;
use qrtotp_values::text::clean;
use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};
use zeroize::{Zeroize, Zeroizing};

const ADVICE: &str = "compare /etc/pam.d/qrtotp with the one that the package ships (conf/pam.d/qrtotp)";
/// Longest answer in bytes; PAM's own limit is 512.
const LONGEST_ANSWER: usize = 1024;

/// The same transaction, for libpam's own functions.
fn raw(pamh: &mut PamHandle) -> *mut libpam::Handle {
    ptr::from_mut(pamh).cast()
}

/// A variable of the PAM environment, which the application and pam_env set.
fn environment(pamh: &mut PamHandle, name: &CStr) -> Option<CString> {
    // SAFETY: the handle is PAM's own for the whole hook.
    unsafe { variable(raw(pamh), name) }
}

/// Whether we, or the broker, began this transaction to prove a password. Then all its other modules decide.
pub(crate) fn is_inner_transaction(pamh: &mut PamHandle) -> bool {
    let handle = raw(pamh);
    if inner_pam::is_ours(handle) {
        return true;
    }
    let service = pamh.get_item::<Service<'_>>().ok().flatten();
    // Searching the program's symbols is needed only for the one service that the broker uses.
    service.is_some_and(|item| item.0 == SERVICE) && inner_pam::is_ours_or_the_brokers(handle)
}

/// Sets a flag that [`PamHandle::set_data`] keeps for us.
pub(crate) fn set_flag(pamh: &PamHandle, name: &str, value: bool) {
    if let Some(flag) = flag_of(pamh, name) {
        flag.store(value, Ordering::Relaxed);
    }
}

/// Whether a flag is set.
pub(crate) fn flag(pamh: &PamHandle, name: &str) -> bool {
    flag_of(pamh, name).is_some_and(|flag| flag.load(Ordering::Relaxed))
}

fn flag_of<'h>(pamh: &'h PamHandle, name: &str) -> Option<&'h AtomicBool> {
    // SAFETY: data under our names is always an `AtomicBool`.
    unsafe { pamh.get_data::<AtomicBool>(name) }.ok()
}

/// The log of this PAM transaction, facility AUTHPRIV. Lives no longer than the hook that it was made in.
pub(crate) struct Log {
    pamh: NonNull<PamHandle>,
    service: String,
    /// The part of the PAM stack.
    part: &'static str,
    debug: bool,
}

impl Log {
    /// `service` and `part` (`auth` or `account`) as pam_syslog names them.
    pub(crate) fn new(pamh: &mut PamHandle, service: &str, part: &'static str) -> Self {
        Self { pamh: NonNull::from(pamh), service: service.to_owned(), part, debug: false }
    }

    pub(crate) fn set_debug(&mut self, debug: bool) {
        self.debug = debug;
    }

    fn write(&self, severity: u8, line: &str) {
        let prefix = ["pam_qrtotp(", &self.service, ":", self.part, "): "];
        if journal::send(program, &prefix, severity, line) {
            return;
        }
        let Ok(line) = CString::new(line) else { return };
        // SAFETY: the handle is PAM's own for the whole hook; the format takes exactly one C string, which is
        // ours.
        unsafe { pam_syslog(self.pamh.as_ptr().cast(), severity.into(), c"%s".as_ptr(), line.as_ptr()) };
    }
}

impl AuditSink for Log {
    fn record(&mut self, entry: &Entry<'_>) {
        self.write(entry.priority().severity(), &entry.line());
    }

    fn debug(&mut self, line: &str) {
        if self.debug {
            self.write(journal::DEBUG, &clean(line, 512));
        }
    }
}

/// The name of this program's file. The name that syslog(3) shows is not to be had; mostly it is the same.
fn program() -> String {
    let path = fs::read_link("/proc/self/exe").unwrap_or_default();
    let name = path.as_os_str().as_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let name = name.strip_suffix(b" (deleted)").unwrap_or(name); // replaced since it was started
    clean(&String::from_utf8_lossy(name), 64)
}

/// A PAM transaction.
pub(crate) struct Host<'a> {
    pamh: &'a mut PamHandle,
    silent: bool,
    /// PAM_USER when the hook began.
    user: String,
    /// The user's language.
    catalogue: Catalogue,
}

impl<'a> Host<'a> {
    /// `silent`: the application asked for no messages (PAM_SILENT). Questions are still asked.
    pub(crate) fn new(pamh: &'a mut PamHandle, silent: bool, user: &str) -> Self {
        Self { pamh, silent, user: user.to_owned(), catalogue: Catalogue::default() }
    }

    /// Speaks this language from now on, or that of the PAM environment, else of the process.
    pub(crate) fn speak(&mut self, language: Option<&str>) {
        let of_pam = &mut |name: &CStr| environment(self.pamh, name).map(CString::into_bytes);
        self.catalogue = match language {
            Some(language) => catalogue_of(language),
            None => catalogue(of_pam, &mut qrtotp_flow::variable),
        };
    }

    fn send(&self, style: PamMessageStyle, text: &str) -> Result<Option<SecretBytes>, NoAnswer> {
        let conv = self.pamh.get_item::<Conv<'_>>().ok().flatten().ok_or(NoAnswer)?;
        wipe_stack(); // the application may take its time
        conv.send(style, text).map_err(|_| NoAnswer)
    }
}

impl Dialog for Host<'_> {
    fn show_text(&mut self, text: &str) {
        if !self.silent {
            let _ = self.send(PAM_TEXT_INFO, text); // best effort: some applications answer messages with nothing
        }
    }

    fn ask_text(&mut self, prompt: &str, echo: Echo) -> Result<Typed, NoAnswer> {
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

    fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }
}

impl LoginHost for Host<'_> {
    fn is_same_user(&self) -> bool {
        let now = self.pamh.get_item::<User<'_>>().ok().flatten();
        now.is_some_and(|now| now.0.to_bytes() == self.user.as_bytes())
    }

    fn password(&mut self) -> Option<Typed> {
        let item = self.pamh.get_item::<AuthTok<'_>>().ok().flatten()?;
        // At any length: a password that was taken must never count as none.
        Some(Zeroizing::new(item.as_bytes().to_vec()))
    }

    fn forward_password(&mut self, password: &[u8]) -> Result<(), NoAnswer> {
        let text = CString::new(password).map_err(|_| NoAnswer)?;
        // SAFETY: the handle is PAM's own for the whole hook; PAM copies the string before it returns.
        let result = unsafe { pam_set_item(raw(self.pamh), PAM_AUTHTOK, text.as_ptr().cast()) };
        text.into_bytes().zeroize();
        if result == 0 { Ok(()) } else { Err(NoAnswer) }
    }

    fn withhold_password(&mut self) {
        // SAFETY: the handle is PAM's own for the whole hook; libpam wipes and frees its copy.
        let _ = unsafe { pam_set_item(raw(self.pamh), PAM_AUTHTOK, ptr::null()) };
    }

    fn prove_password(&mut self, name: &Name, password: &[u8]) -> Result<(), Unproven> {
        check_proof_service().map_err(|error| unavailable(format!("{error}; {ADVICE}")))?;
        let user = CString::new(name.as_str()).map_err(|error| unavailable(error.to_string()))?;
        let context = self.context();
        wipe_stack(); // the modules' code may be slow
        inner_pam::prove_password(&user, password, &context).map_err(|why| explain(why, "qrtotp"))
    }

    fn ssh_auth_info(&mut self) -> Option<Vec<u8>> {
        environment(self.pamh, c"SSH_AUTH_INFO_0").map(CString::into_bytes)
    }

    fn session(&self) -> Option<String> {
        let session = fs::read_to_string("/proc/self/sessionid").ok()?;
        let is_one = session.trim().parse::<u32>().is_ok_and(|number| number != u32::MAX);
        is_one
            .then(|| fs::read_to_string("/proc/sys/kernel/random/boot_id").ok())
            .flatten()
            .map(|boot| session + &boot)
    }

    fn would_let_in(&mut self) -> Result<(), Unproven> {
        let handle = raw(self.pamh);
        let service = self.pamh.get_item::<Service<'_>>().ok().flatten().map(|item| item.0.to_owned());
        // SAFETY: the handle is PAM's own for the whole hook.
        let user = unsafe { text_item(handle, PAM_USER) };
        let (Some(service), Some(user)) = (service, user) else {
            return Err(unavailable("PAM names no service or no user".into()));
        };
        let asked = inner_pam::would_let_in(&service, &user, &self.context());
        asked.map_err(|why| explain(why, &service.to_string_lossy()))
    }
}

impl Host<'_> {
    fn context(&mut self) -> Context {
        // SAFETY: the handle is PAM's own for the whole hook.
        unsafe { Context::of(raw(self.pamh)) }
    }
}

fn unavailable(detail: String) -> Unproven {
    Unproven { reason: "primary_factor_unavailable", detail }
}

fn explain(why: inner_pam::Unproven, service: &str) -> Unproven {
    let service = clean(service, 64);
    match why {
        inner_pam::Unproven::Wrong => {
            let detail = format!("the PAM service {service} refuses the password");
            Unproven { reason: "primary_factor", detail }
        }
        inner_pam::Unproven::Account(why) => {
            let detail = format!("the account part of the PAM service {service}: {}", clean(&why, 200));
            Unproven { reason: "account_refused", detail }
        }
        inner_pam::Unproven::NotAsked(why) => {
            unavailable(format!("the PAM service {service} proves nothing: {why}; {ADVICE}"))
        }
        inner_pam::Unproven::Unavailable(why) => unavailable(clean(&why, 200)),
    }
}

fn owned(item: Option<&CStr>) -> String {
    item.map(|text| clean(&text.to_string_lossy(), 256)).unwrap_or_default()
}

/// Account, service and origin, as the application reports them.
pub(crate) fn subject(pamh: &PamHandle, user: Option<&CStr>) -> Subject {
    let user = owned(user);
    let service = owned(pamh.get_item::<Service<'_>>().ok().flatten().map(|item| item.0));
    let rhost = owned(pamh.get_item::<RHost<'_>>().ok().flatten().map(|item| item.0));
    let tty = owned(pamh.get_item::<Tty<'_>>().ok().flatten().map(|item| item.0));
    let ruser = owned(pamh.get_item::<RUser<'_>>().ok().flatten().map(|item| item.0));
    let tty = tty.strip_prefix("/dev/").unwrap_or(&tty).to_owned();
    // A remote side's claim proves nothing; su and sudo name their caller.
    let by = if rhost.is_empty() { ruser } else { String::new() };
    Subject { user, service, rhost, tty, by, ..Subject::default() }
}
