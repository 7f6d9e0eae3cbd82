//! libpam, asked about one user. Runs in a process of its own (see `primary.rs`) and talks over its standard input.
//! The only unsafe code of the broker.
#![allow(unsafe_code)]

use crate::talk::{Outcome, Talk};
use nix::sys::signal::Signal;
use qrtotp_core::clock::Deadline;
use qrtotp_core::flow::Echo;
use qrtotp_core::text::clean;
use qrtotp_core::wire::Line;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::ptr;
use std::time::Duration;
use zeroize::Zeroize;

/// /etc/pam.d/qrtotp.
pub const SERVICE: &CStr = c"qrtotp";
/// The longest that the broker lets us take; then, or if it is gone, it ends.
const TIME: Duration = Duration::from_secs(600);
/// What libpam itself allows in one call (PAM_MAX_NUM_MSG).
const MESSAGES: usize = 32;

const PAM_SUCCESS: c_int = 0;
const PAM_BUF_ERR: c_int = 5;
const PAM_CONV_ERR: c_int = 19;
const PAM_PROMPT_ECHO_OFF: c_int = 1;
const PAM_PROMPT_ECHO_ON: c_int = 2;
const PAM_ERROR_MSG: c_int = 3;
const PAM_TEXT_INFO: c_int = 4;
const PAM_USER: c_int = 2;
const PAM_RUSER: c_int = 8;
const PAM_FAIL_DELAY: c_int = 10;
const PAM_DISALLOW_NULL_AUTHTOK: c_int = 1;

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    answer: *mut c_char,
    code: c_int,
}

#[repr(C)]
struct Conversation {
    converse: unsafe extern "C" fn(c_int, *const *const Message, *mut *mut Response, *mut c_void) -> c_int,
    data: *mut c_void,
}

#[repr(C)]
struct Handle {
    _private: [u8; 0],
}

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_start(
        service: *const c_char,
        user: *const c_char,
        conversation: *const Conversation,
        handle: *mut *mut Handle,
    ) -> c_int;
    fn pam_set_item(handle: *mut Handle, kind: c_int, item: *const c_void) -> c_int;
    fn pam_get_item(handle: *const Handle, kind: c_int, item: *mut *const c_void) -> c_int;
    fn pam_authenticate(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_acct_mgmt(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_strerror(handle: *mut Handle, code: c_int) -> *const c_char;
    fn pam_end(handle: *mut Handle, status: c_int) -> c_int;
}

unsafe extern "C" {
    fn calloc(count: usize, size: usize) -> *mut c_void;
    fn free(memory: *mut c_void);
}

/// The child: asks libpam about `name` and says what came of it.
pub fn child(name: &str) -> ExitCode {
    // The thread that started us waits for us. Should the broker be killed, a module that hangs goes, too.
    if nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).is_err() {
        return ExitCode::FAILURE;
    }
    // Modules of others may give up capabilities.
    qrtotp_face::unlock_memory();
    let (Ok(socket), Ok(user)) = (std::io::stdin().as_fd().try_clone_to_owned(), CString::new(name)) else {
        return ExitCode::FAILURE;
    };
    let mut talk = Talk::new(Line::new(socket, Deadline::after(TIME)));
    let outcome = check(&user, &mut talk);
    talk.conclude(outcome).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

/// What the service's auth and account parts say about `user`.
fn check(user: &CStr, talk: &mut Talk) -> Outcome {
    let talk = ptr::from_mut(talk);
    let conversation = Conversation { converse, data: talk.cast() };
    let mut handle = ptr::null_mut();
    // SAFETY: all pointers live until pam_end; libpam copies the strings and the struct.
    if unsafe { pam_start(SERVICE.as_ptr(), user.as_ptr(), &raw const conversation, &raw mut handle) }
        != PAM_SUCCESS
    {
        return Outcome::Wrong;
    }
    // SAFETY: the handle is what pam_start gave, used by this thread alone; the items are a C string, which libpam copies,
    // and a function that is there for ever.
    let status = unsafe {
        pam_set_item(handle, PAM_RUSER, user.as_ptr().cast());
        pam_set_item(handle, PAM_FAIL_DELAY, delay as *const c_void);
        pam_authenticate(handle, PAM_DISALLOW_NULL_AUTHTOK)
    };
    if status != PAM_SUCCESS {
        // SAFETY: the handle is not used any more.
        unsafe { pam_end(handle, status) };
        return Outcome::Wrong;
    }
    // SAFETY: as above; libpam does not use `talk` between two calls. pam_strerror gives a C string that is there for ever.
    let (status, why) = unsafe {
        (*talk).over = true;
        let status = pam_acct_mgmt(handle, PAM_DISALLOW_NULL_AUTHTOK);
        (status, CStr::from_ptr(pam_strerror(handle, status)).to_string_lossy())
    };
    let same = is_still(user, handle);
    // SAFETY: as above; the handle is not used any more.
    unsafe { pam_end(handle, status) };
    match (status, same) {
        (PAM_SUCCESS, true) => Outcome::Held,
        (PAM_SUCCESS, false) => {
            Outcome::NotThisAccount("a module put somebody else in the user's place".into())
        }
        _ => Outcome::NotThisAccount(clean(&why, 200)),
    }
}

/// Keeps how long a failure should wait. libpam calls it at the end of the auth part, whether or not that failed (and
/// then does not wait itself); the account part's failures must wait as long.
unsafe extern "C" fn delay(_: c_int, microseconds: c_uint, data: *mut c_void) {
    // SAFETY: `data` is what `check` gave to pam_start, and nobody else uses it while libpam runs.
    if let Some(talk) = unsafe { data.cast::<Talk>().as_mut() } {
        talk.delay = Duration::from_micros(microseconds.into());
    }
}

/// False if a module has put somebody else in the user's place.
fn is_still(user: &CStr, handle: *const Handle) -> bool {
    let mut item = ptr::null();
    // SAFETY: the handle is live; PAM_USER is a C string or null, and is looked at before the next call.
    unsafe {
        pam_get_item(handle, PAM_USER, &raw mut item) == PAM_SUCCESS
            && !item.is_null()
            && CStr::from_ptr(item.cast()) == user
    }
}

/// The conversation function. (A panic in it aborts this process, which is no verdict.)
unsafe extern "C" fn converse(
    count: c_int,
    messages: *const *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    let count = usize::try_from(count).unwrap_or(0);
    if !(1..=MESSAGES).contains(&count) || messages.is_null() || responses.is_null() || data.is_null() {
        return PAM_CONV_ERR;
    }
    // SAFETY: `data` is what `check` gave to pam_start, and nobody else uses it while libpam runs.
    let talk = unsafe { &mut *data.cast::<Talk>() };
    // SAFETY: plain allocation; null is looked for.
    let replies: *mut Response = unsafe { calloc(count, size_of::<Response>()) }.cast();
    if replies.is_null() {
        return PAM_BUF_ERR;
    }
    for at in 0..count {
        // SAFETY: libpam gives `count` pointers to messages that live while this function runs (pam_conv(3)).
        let answer = unsafe { (*messages.add(at)).as_ref() }.and_then(|message| handle(talk, message));
        match answer {
            // SAFETY: `at` is within what was allocated.
            Some(answer) => unsafe { (*replies.add(at)).answer = answer },
            None => {
                // SAFETY: allocated here, zeroed, `count` long; not given to libpam.
                unsafe { discard(replies, count) };
                return PAM_CONV_ERR;
            }
        }
    }
    // SAFETY: not null; libpam takes what it points to over and frees it.
    unsafe { *responses = replies };
    PAM_SUCCESS
}

/// Wipes and frees replies that libpam will not get.
///
/// # Safety
/// `replies` has `count` elements of calloc's, their answers null or C strings of calloc's.
unsafe fn discard(replies: *mut Response, count: usize) {
    for at in 0..count {
        // SAFETY: as the caller promises.
        unsafe {
            let answer = (*replies.add(at)).answer;
            if !answer.is_null() {
                let length = CStr::from_ptr(answer).count_bytes();
                std::slice::from_raw_parts_mut(answer.cast::<u8>(), length).zeroize();
                free(answer.cast());
            }
        }
    }
    // SAFETY: as the caller promises.
    unsafe { free(replies.cast()) };
}

/// Shows a message (a null answer), or asks a question (a C string). `None`: no answer.
fn handle(talk: &mut Talk, message: &Message) -> Option<*mut c_char> {
    let text = if message.text.is_null() {
        String::new()
    } else {
        // SAFETY: not null, so a C string that lives while the conversation function runs (pam_conv(3)).
        unsafe { CStr::from_ptr(message.text) }.to_string_lossy().into_owned()
    };
    let text: Vec<String> = text.split('\n').map(|line| clean(line, 1000)).collect();
    let text = text.join("\n");
    let echo = match message.style {
        PAM_PROMPT_ECHO_ON => Echo::On,
        PAM_PROMPT_ECHO_OFF => Echo::Off,
        PAM_ERROR_MSG | PAM_TEXT_INFO => return talk.show(text).map(|()| ptr::null_mut()),
        _ => return None,
    };
    let typed = talk.ask(text, echo)?;
    // SAFETY: plain allocation, one byte longer than what is copied, zeroed.
    unsafe {
        let copy: *mut u8 = calloc(typed.len() + 1, 1).cast();
        if copy.is_null() {
            return None;
        }
        ptr::copy_nonoverlapping(typed.as_ptr(), copy, typed.len());
        Some(copy.cast())
    }
}
