//! One inner transaction: started with the login's items, answered by a conversation that gives the password
//! only to the first hidden question.

use crate::libpam::{
    Conversation, Handle, Message, PAM_BUF_ERR, PAM_CONV_ERR, PAM_ERROR_MSG, PAM_FAIL_DELAY,
    PAM_PROMPT_ECHO_OFF, PAM_RHOST, PAM_RUSER, PAM_SUCCESS, PAM_TEXT_INFO, PAM_TTY, PAM_USER, PAM_XDISPLAY,
    Response, pam_end, pam_get_item, pam_getenv, pam_getenvlist, pam_putenv, pam_set_item, pam_start,
    pam_strerror,
};
use crate::ours::Registered;
use crate::unproven::Unproven;
use std::cell::UnsafeCell;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::{ptr, slice};

/// Messages in one call of a conversation function (PAM_MAX_NUM_MSG).
const MESSAGES: usize = 32;
/// Longest answer in bytes, with its end (PAM_MAX_RESP_SIZE).
const ANSWER: usize = 512;
/// The items that describe a login's origin.
const ITEMS: [c_int; 4] = [PAM_RHOST, PAM_RUSER, PAM_TTY, PAM_XDISPLAY];

/// A login's origin, passed on to the modules of an inner transaction.
#[derive(Default)]
pub struct Context {
    items: Vec<(c_int, CString)>,
    environment: Vec<CString>,
}

impl Context {
    /// Copies the items and the PAM environment of a login's own transaction.
    ///
    /// # Safety
    /// `handle` is a live transaction that no other thread uses.
    #[must_use]
    pub unsafe fn of(handle: *mut Handle) -> Self {
        // SAFETY: as the caller promises.
        let item = |kind| unsafe { text_item(handle, kind) }.map(|text| (kind, text));
        let items = ITEMS.into_iter().filter_map(item).collect();
        let mut environment = Vec::new();
        // SAFETY: as the caller promises.
        let list = unsafe { pam_getenvlist(handle) };
        let mut entry = list;
        // SAFETY: the list ends with a null pointer, and no entry behind that is read.
        while let Some(text) = unsafe { entry.as_ref() }.copied().filter(|text| !text.is_null()) {
            // SAFETY: each entry is a C string.
            environment.push(unsafe { CStr::from_ptr(text) }.to_owned());
            // SAFETY: it is ours to free.
            unsafe { wipe_and_free(text) };
            entry = entry.wrapping_add(1);
        }
        // SAFETY: so is the list.
        unsafe { libc::free(list.cast()) };
        Self { items, environment }
    }

    /// The context of a request that `user` makes on this host.
    #[must_use]
    pub fn by(user: &CStr) -> Self {
        Self { items: vec![(PAM_RUSER, user.to_owned())], environment: Vec::new() }
    }
}

/// A copy of an item that is text, if it is set.
///
/// # Safety
/// `handle` is a live transaction that no other thread uses, and `kind` an item that is a C string.
#[must_use]
pub unsafe fn text_item(handle: *const Handle, kind: c_int) -> Option<CString> {
    let mut item = ptr::null();
    // SAFETY: as the caller promises.
    let status = unsafe { pam_get_item(handle, kind, &raw mut item) };
    // SAFETY: a C string, copied before the next call.
    (status == PAM_SUCCESS && !item.is_null()).then(|| unsafe { CStr::from_ptr(item.cast()) }.to_owned())
}

/// A copy of a variable of the PAM environment.
///
/// # Safety
/// `handle` is a live transaction that no other thread uses.
#[must_use]
pub unsafe fn variable(handle: *mut Handle, name: &CStr) -> Option<CString> {
    // SAFETY: as the caller promises.
    let value = unsafe { pam_getenv(handle, name.as_ptr()) };
    // SAFETY: a C string, copied before the next call.
    (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) }.to_owned())
}

/// The modules' questions and our answers.
#[derive(Default)]
struct Asked<'a> {
    password: Option<&'a [u8]>,
    answered: bool,
    /// A question was refused.
    more: bool,
}

/// A transaction that ends when it is dropped.
pub(crate) struct Transaction<'a> {
    handle: *mut Handle,
    registered: Option<Registered>,
    // On the heap: libpam keeps its address.
    asked: Box<UnsafeCell<Asked<'a>>>,
}

impl<'a> Transaction<'a> {
    pub(crate) fn start(
        service: &CStr,
        user: &CStr,
        context: &Context,
        password: Option<&'a [u8]>,
    ) -> Result<Self, Unproven> {
        if password.is_some_and(|password| password.len() >= ANSWER || password.contains(&0)) {
            return Err(Unproven::Wrong); // libpam could not take it
        }
        let asked = Box::new(UnsafeCell::new(Asked { password, ..Asked::default() }));
        let conversation = Conversation { converse, data: asked.get().cast() };
        let mut handle = ptr::null_mut();
        // SAFETY: libpam copies the strings and the struct; the target of `data` lives as long as the
        // transaction.
        let status =
            unsafe { pam_start(service.as_ptr(), user.as_ptr(), &raw const conversation, &raw mut handle) };
        if status != PAM_SUCCESS || handle.is_null() {
            return Err(Unproven::Unavailable(format!("pam_start failed with code {status}")));
        }
        let mut transaction = Self { handle, registered: None, asked };
        transaction.registered = Registered::new(handle);
        if transaction.registered.is_none() {
            return Err(Unproven::Unavailable("too many enrolments begin at the same time".into()));
        }
        // SAFETY: the handle is live and only this thread uses it; libpam copies strings, `no_delay` exists
        // as long as this image does.
        let set = |kind, item: *const c_void| unsafe { pam_set_item(handle, kind, item) } == PAM_SUCCESS;
        // SAFETY: the same.
        let put = |variable: &CString| unsafe { pam_putenv(handle, variable.as_ptr()) } == PAM_SUCCESS;
        let set = set(PAM_FAIL_DELAY, no_delay as *const c_void)
            && context.items.iter().all(|(kind, text)| set(*kind, text.as_ptr().cast()))
            && context.environment.iter().all(put);
        set.then_some(transaction).ok_or_else(|| Unproven::Unavailable("libpam takes no items".into()))
    }

    pub(crate) fn handle(&self) -> *mut Handle {
        self.handle
    }

    /// Checks the conversation. A service that succeeds without asking for the password, or that asks more,
    /// proves nothing.
    pub(crate) fn exactly_one_hidden_question(&self, succeeded: bool) -> Result<(), Unproven> {
        // SAFETY: libpam uses it only while one of its functions runs.
        let asked = unsafe { &*self.asked.get() };
        match (asked.answered, asked.more) {
            (_, true) => Err(Unproven::NotAsked("it asks for more than one password")),
            (false, false) if succeeded => {
                Err(Unproven::NotAsked("it succeeds without asking for a password"))
            }
            _ => Ok(()),
        }
    }

    /// # Errors
    /// A module has replaced the user.
    pub(crate) fn is_still(&self, user: &CStr) -> Result<(), Unproven> {
        // SAFETY: the handle is live, and only this thread uses it.
        let now = unsafe { text_item(self.handle, PAM_USER) };
        match now.as_deref() == Some(user) {
            true => Ok(()),
            false => Err(Unproven::Unavailable("a module changed PAM_USER".into())),
        }
    }

    pub(crate) fn error_text(&self, status: c_int) -> String {
        // SAFETY: libpam returns a C string that lives forever.
        unsafe { CStr::from_ptr(pam_strerror(self.handle, status)) }.to_string_lossy().into_owned()
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        self.registered = None; // first: another transaction may get the address at once
        // SAFETY: the handle is not used any more.
        unsafe { pam_end(self.handle, PAM_SUCCESS) };
    }
}

/// Replaces libpam's delay after a failure: the login has its own.
unsafe extern "C" fn no_delay(_: c_int, _: c_uint, _: *mut c_void) {}

/// The conversation function: the password for the first hidden question, silence for messages, PAM_CONV_ERR
/// for the rest.
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
    // SAFETY: the pointer that `start` gave to libpam; nothing else uses it while a libpam function runs.
    let asked = unsafe { &mut *data.cast::<Asked<'_>>() };
    // SAFETY: plain allocation; null is checked below.
    let replies: *mut Response = unsafe { libc::calloc(count, size_of::<Response>()) }.cast();
    if replies.is_null() {
        return PAM_BUF_ERR;
    }
    // SAFETY: zeroed memory for so many, which is that many empty responses.
    let answers = unsafe { slice::from_raw_parts_mut(replies, count) };
    // SAFETY: libpam gives `count` pointers to messages that live while this function runs (pam_conv(3)).
    let messages = unsafe { slice::from_raw_parts(messages, count) };
    let mut refused = false;
    for (message, reply) in messages.iter().zip(answers.iter_mut()) {
        // SAFETY: the same.
        let style = unsafe { message.as_ref() }.map_or(0, |message| message.style);
        match (style, asked.password) {
            (PAM_TEXT_INFO | PAM_ERROR_MSG, _) => {}
            (PAM_PROMPT_ECHO_OFF, Some(password)) if !asked.answered => {
                asked.answered = true;
                // SAFETY: reads no more bytes than there are; none of them is 0.
                reply.answer = unsafe { libc::strndup(password.as_ptr().cast(), password.len()) };
                refused |= reply.answer.is_null();
            }
            _ => {
                asked.more = true;
                refused = true;
            }
        }
    }
    if refused {
        for reply in answers.iter().filter(|reply| !reply.answer.is_null()) {
            // SAFETY: strndup's, and not given to libpam.
            unsafe { wipe_and_free(reply.answer) };
        }
        // SAFETY: allocated here, and not given to libpam.
        unsafe { libc::free(replies.cast()) };
        return PAM_CONV_ERR;
    }
    // SAFETY: not null; libpam takes over the array.
    unsafe { *responses = replies };
    PAM_SUCCESS
}

/// Wipes and frees a text.
///
/// # Safety
/// It is a C string of malloc's.
unsafe fn wipe_and_free(text: *mut c_char) {
    // SAFETY: as the caller promises.
    unsafe { libc::explicit_bzero(text.cast(), libc::strlen(text)) };
    // SAFETY: the same.
    unsafe { libc::free(text.cast()) };
}
