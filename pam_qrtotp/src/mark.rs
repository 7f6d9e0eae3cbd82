//! What one part of the module leaves for the others, in PAM's memory and, because sshd authenticates in a process of its
//! own, in the PAM environment. As text in libc's memory: PAM may unload the module and load it again in between.

use pam::module::PamHandle;
use qrtotp_core::flow::{Due, Mark};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

const NAME: &CStr = c"pam_qrtotp_mark";
const SEEN: &CStr = c"pam_qrtotp_seen";
const VARIABLE: &CStr = c"PAM_QRTOTP_ENROLLMENT";
const ASSIGNMENT: &CStr = c"PAM_QRTOTP_ENROLLMENT=due";
const PAM_SUCCESS: c_int = 0;

type Cleanup = extern "C" fn(*mut PamHandle, *mut c_void, c_int);

unsafe extern "C" {
    fn pam_set_data(
        pamh: *mut PamHandle,
        name: *const c_char,
        data: *mut c_void,
        cleanup: Option<Cleanup>,
    ) -> c_int;
    fn pam_get_data(pamh: *const PamHandle, name: *const c_char, data: *mut *const c_void) -> c_int;
    fn pam_putenv(pamh: *mut PamHandle, assignment: *const c_char) -> c_int;
    fn pam_getenv(pamh: *mut PamHandle, name: *const c_char) -> *const c_char;
}

/// PAM did what it was not expected to do; deny.
pub(crate) struct Unexpected;

/// Leaves a mark. One for an enrolment is in the PAM environment as well. There is no clean-up function, for it would have
/// to lie in the module: a mark that nobody clears costs the application some bytes, once.
pub(crate) fn set(pamh: &mut PamHandle, mark: &Mark) -> Result<(), Unexpected> {
    let text = CString::new(mark.to_text()).map_err(|_| Unexpected)?;
    // SAFETY: a C string of ours; the copy is libc's.
    let copy = unsafe { libc::strdup(text.as_ptr()) };
    if copy.is_null() {
        return Err(Unexpected);
    }
    // SAFETY: the handle is PAM's own for the whole hook; PAM keeps the pointer, and nobody but `clear` frees it.
    if unsafe { pam_set_data(pamh, NAME.as_ptr(), copy.cast(), None) } != PAM_SUCCESS {
        // SAFETY: PAM did not take it.
        unsafe { libc::free(copy.cast()) };
        return Err(Unexpected);
    }
    // SAFETY: PAM copies the string.
    if mark.due == Due::Enrollment && unsafe { pam_putenv(pamh, ASSIGNMENT.as_ptr()) } != PAM_SUCCESS {
        return Err(Unexpected);
    }
    Ok(())
}

/// Removes every mark.
pub(crate) fn clear(pamh: &mut PamHandle) -> Result<(), Unexpected> {
    let kept = data(pamh);
    if !kept.is_null() {
        // SAFETY: the handle is PAM's own; PAM forgets the pointer.
        if unsafe { pam_set_data(pamh, NAME.as_ptr(), ptr::null_mut(), None) } != PAM_SUCCESS {
            return Err(Unexpected);
        }
        // SAFETY: from `strdup`, and nobody else has it now.
        unsafe { libc::free(kept.cast_mut().cast()) };
    }
    // PAM logs an error where there is nothing to remove.
    // SAFETY: a name without `=` removes the variable; PAM only reads the string.
    if is_in_environment(pamh) && unsafe { pam_putenv(pamh, VARIABLE.as_ptr()) } != PAM_SUCCESS {
        return Err(Unexpected);
    }
    Ok(())
}

/// Leaves word that the auth or the account part of this transaction came by.
pub(crate) fn remember_us(pamh: &mut PamHandle) {
    // SAFETY: the handle is PAM's own for the whole hook. The pointer is only ever compared with null.
    let _ = unsafe { pam_set_data(pamh, SEEN.as_ptr(), SEEN.as_ptr().cast_mut().cast(), None) };
}

/// Whether one of them did.
pub(crate) fn came_by(pamh: &PamHandle) -> bool {
    let mut data: *const c_void = ptr::null();
    // SAFETY: PAM writes a pointer that it keeps, or leaves ours as it is; it is not followed.
    unsafe { pam_get_data(pamh, SEEN.as_ptr(), &raw mut data) == PAM_SUCCESS && !data.is_null() }
}

/// What PAM keeps for us, or null.
fn data(pamh: &PamHandle) -> *const c_char {
    let mut data: *const c_void = ptr::null();
    // SAFETY: PAM writes a pointer that it keeps, or leaves ours as it is.
    match unsafe { pam_get_data(pamh, NAME.as_ptr(), &raw mut data) } {
        PAM_SUCCESS => data.cast(),
        _ => ptr::null(),
    }
}

fn is_in_environment(pamh: &mut PamHandle) -> bool {
    // SAFETY: PAM only reads the name; of the answer nothing but whether there is one is looked at.
    !unsafe { pam_getenv(pamh, VARIABLE.as_ptr()) }.is_null()
}

/// A copy of the mark.
pub(crate) fn read(pamh: &PamHandle) -> Option<Mark> {
    let data = data(pamh);
    if data.is_null() {
        return None;
    }
    // SAFETY: the only data under our name is a C string, and it lives until `clear`.
    Mark::from_text(unsafe { CStr::from_ptr(data) }.to_str().ok()?)
}

/// A copy of the mark of an enrolment.
pub(crate) fn of_enrollment(pamh: &PamHandle) -> Option<Mark> {
    read(pamh).filter(|mark| mark.due == Due::Enrollment)
}

/// True if an enrolment is due according to either place.
pub(crate) fn is_enrollment_due(pamh: &mut PamHandle) -> bool {
    is_in_environment(pamh) || of_enrollment(pamh).is_some()
}

/// What sshd puts into the PAM environment before each part of PAM, be it empty, and nobody else does: how somebody
/// proved who they are. Or null.
fn ssh_info(pamh: &mut PamHandle) -> *const c_char {
    // SAFETY: PAM only reads the name.
    unsafe { pam_getenv(pamh, c"SSH_AUTH_INFO_0".as_ptr()) }
}

/// Whether it is there. A user's own environment file may have put it there, too, where pam_env reads such.
pub(crate) fn has_ssh_info(pamh: &mut PamHandle) -> bool {
    !ssh_info(pamh).is_null()
}

/// Whether sshd accepted a key on this connection.
pub(crate) fn key_was_accepted(pamh: &mut PamHandle) -> bool {
    let info = ssh_info(pamh);
    if info.is_null() {
        return false;
    }
    // SAFETY: PAM gives a C string, which is read before the next PAM call.
    let info = unsafe { CStr::from_ptr(info) }.to_bytes();
    info.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"publickey "))
}
