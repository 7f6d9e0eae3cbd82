//! The parts of libpam's C interface that pam-bindings lacks (pam_start(3), pam_set_item(3), pam_conv(3)),
//! declared once for the module and the broker.

use std::ffi::{c_char, c_int, c_void};

pub const PAM_SUCCESS: c_int = 0;
pub const PAM_BUF_ERR: c_int = 5;
pub const PAM_NEW_AUTHTOK_REQD: c_int = 12;
pub const PAM_CONV_ERR: c_int = 19;

pub const PAM_PROMPT_ECHO_OFF: c_int = 1;
pub const PAM_ERROR_MSG: c_int = 3;
pub const PAM_TEXT_INFO: c_int = 4;

pub const PAM_USER: c_int = 2;
pub const PAM_TTY: c_int = 3;
pub const PAM_RHOST: c_int = 4;
pub const PAM_AUTHTOK: c_int = 6;
pub const PAM_RUSER: c_int = 8;
pub const PAM_FAIL_DELAY: c_int = 10;
pub const PAM_XDISPLAY: c_int = 11;

pub const PAM_DISALLOW_NULL_AUTHTOK: c_int = 1;
pub const PAM_SILENT: c_int = 0x8000;

/// A transaction (`pam_handle_t`).
#[repr(C)]
pub struct Handle {
    _private: [u8; 0],
}

#[repr(C)]
pub struct Message {
    pub style: c_int,
    pub text: *const c_char,
}

#[repr(C)]
pub struct Response {
    pub answer: *mut c_char,
    pub code: c_int,
}

#[repr(C)]
pub struct Conversation {
    pub converse:
        unsafe extern "C" fn(c_int, *const *const Message, *mut *mut Response, *mut c_void) -> c_int,
    pub data: *mut c_void,
}

#[link(name = "pam")]
unsafe extern "C" {
    pub fn pam_start(
        service: *const c_char,
        user: *const c_char,
        conversation: *const Conversation,
        handle: *mut *mut Handle,
    ) -> c_int;
    pub fn pam_end(handle: *mut Handle, status: c_int) -> c_int;
    pub fn pam_authenticate(handle: *mut Handle, flags: c_int) -> c_int;
    pub fn pam_acct_mgmt(handle: *mut Handle, flags: c_int) -> c_int;
    pub fn pam_set_item(handle: *mut Handle, kind: c_int, item: *const c_void) -> c_int;
    pub fn pam_get_item(handle: *const Handle, kind: c_int, item: *mut *const c_void) -> c_int;
    pub fn pam_putenv(handle: *mut Handle, assignment: *const c_char) -> c_int;
    pub fn pam_getenv(handle: *mut Handle, name: *const c_char) -> *const c_char;
    pub fn pam_getenvlist(handle: *mut Handle) -> *mut *mut c_char;
    pub fn pam_strerror(handle: *mut Handle, code: c_int) -> *const c_char;
    pub fn pam_syslog(handle: *const Handle, priority: c_int, format: *const c_char, ...);
}
