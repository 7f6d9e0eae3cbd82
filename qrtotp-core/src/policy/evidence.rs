//! Whether PAM_AUTHTOK is a sign of a right password. PAM sets it before the password's module has judged it, so a stack
//! that forgets that module's failure would let anybody enrol. Every way through an auth part is followed on which it may
//! still succeed, into the files that it includes, too; what is not understood is a refusal.

use super::control::{Action, Actions};
use super::pam_file::{Entry, Line, MODULE, read_line};

/// How many files we follow from a service's own, each as often as it is included. libpam ends at so many inside each
/// other, or at none.
const MOST_INCLUDED: u8 = 32;

/// What a module that takes a password is called; the usual ones.
const PASSWORD_MODULES: [&str; 11] = [
    "pam_himmelblau.so",
    "pam_krb5.so",
    "pam_ldap.so",
    "pam_mysql.so",
    "pam_pgsql.so",
    "pam_radius_auth.so",
    "pam_sss.so",
    "pam_systemd_home.so",
    "pam_unix.so",
    "pam_userdb.so",
    "pam_winbind.so",
];

/// With these, and with all that begin with `ignore_`, they have no opinion on a password that they took, so it may be
/// wrong.
const FORGIVING: [&str; 2] = ["localifdown", "unknown_ok"];

/// Modules that take a password and succeed whatever it is: they judge something else, or do what an administrator wrote.
const JUDGE_NONE: [&str; 13] = [
    "pam_cryptsetup.so",
    "pam_ecryptfs.so",
    "pam_exec.so",
    "pam_fscrypt.so",
    "pam_gnome_keyring.so",
    "pam_google_authenticator.so",
    "pam_kwallet.so",
    "pam_kwallet5.so",
    "pam_mount.so",
    "pam_oath.so",
    "pam_script.so",
    "pam_yubico.so",
    "pam_zfs_key.so",
];

/// Modules of which none takes a password. Any other may.
const TAKE_NONE: [&str; 29] = [
    "pam_access.so",
    "pam_cap.so",
    "pam_debug.so",
    "pam_echo.so",
    "pam_env.so",
    "pam_faildelay.so",
    "pam_faillock.so",
    "pam_fprintd.so",
    "pam_group.so",
    "pam_issue.so",
    "pam_keyinit.so",
    "pam_lastlog.so",
    "pam_limits.so",
    "pam_listfile.so",
    "pam_localuser.so",
    "pam_loginuid.so",
    "pam_nologin.so",
    "pam_permit.so",
    "pam_rootok.so",
    "pam_securetty.so",
    "pam_selinux.so",
    "pam_sepermit.so",
    "pam_shells.so",
    "pam_succeed_if.so",
    "pam_time.so",
    "pam_u2f.so",
    "pam_usertype.so",
    "pam_warn.so",
    "pam_wheel.so",
];

/// What is known of the password on one way through the stack.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Password {
    /// No entry took one.
    Unasked,
    /// One took it, and did not find it right.
    Wrong,
    /// One found it right; whatever others think of it.
    Right,
}

/// A way through the entries so far, on which none of them made the stack fail.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Way {
    /// How many of the next entries it leads over.
    over: usize,
    password: Password,
}

/// Gives the text of an included file, or why it can't be gone by.
pub(super) type Files<'f> = dyn FnMut(&str) -> Result<Vec<u8>, String> + 'f;

/// All ways through an auth part.
pub(super) struct Ways<'f> {
    files: &'f mut Files<'f>,
    left: u8,
    ways: Vec<Way>,
    /// In a substack: those that ended it, and go on behind it.
    ended: Option<Vec<Way>>,
    /// We came.
    ours: bool,
}

impl<'f> Ways<'f> {
    /// At the beginning.
    pub fn new(files: &'f mut Files<'f>) -> Self {
        let start = Way { over: 0, password: Password::Unasked };
        Self { files, left: MOST_INCLUDED, ways: vec![start], ended: None, ours: false }
    }

    /// We are asked in it, as far as it was read.
    pub fn have_us(&self) -> bool {
        self.ours
    }

    /// Goes through a service's file to its end.
    ///
    /// # Errors
    /// It may let somebody with a wrong password come to us, or end well; or we can't tell.
    pub fn pass(&mut self, text: &[u8]) -> Result<(), String> {
        self.lines(text)?;
        if self.ways.iter().any(|way| way.password == Password::Wrong) {
            return Err("a wrong password could succeed; make its module requisite".into());
        }
        Ok(())
    }

    fn lines(&mut self, text: &[u8]) -> Result<(), String> {
        // What is not UTF-8 is not ASCII either, and refused where it matters.
        for (number, raw) in (1..).zip(String::from_utf8_lossy(text).split('\n')) {
            match read_line(raw).map_err(|problem| format!("line {number} {problem}"))? {
                Line::Include(name) => self.include(name),
                Line::Entry(entry) if entry.kind == "auth" => self.entry(&entry),
                _ => Ok(()),
            }
            .map_err(|problem| format!("line {number}: {problem}"))?;
        }
        Ok(())
    }

    /// The lines of another file, as if they were here.
    fn include(&mut self, name: &str) -> Result<(), String> {
        self.left = self.left.checked_sub(1).ok_or("too many files are included, or one includes itself")?;
        let text = (self.files)(name)?;
        self.lines(&text).map_err(|problem| format!("{name}, {problem}"))
    }

    /// The same, but no way leads out of them before their end, and it counts as one entry for those that lead over it.
    fn substack(&mut self, name: &str) -> Result<(), String> {
        let (inside, over): (Vec<_>, Vec<_>) = self.ways.drain(..).partition(|way| way.over == 0);
        self.ways = inside;
        let outer = self.ended.replace(Vec::new());
        self.include(name)?;
        let ended = std::mem::replace(&mut self.ended, outer).unwrap_or_default();
        // Those that would lead out of it fail there. To let them go on is no less strict.
        for Way { password, .. } in std::mem::take(&mut self.ways).into_iter().chain(ended) {
            add(&mut self.ways, 0, password);
        }
        for way in over {
            add(&mut self.ways, way.over - 1, way.password);
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), String> {
        match entry.control.to_ascii_lowercase().as_str() {
            "include" => return self.include(entry.module),
            "substack" => return self.substack(entry.module),
            _ => {}
        }
        let name = entry.module_name();
        if entry.is_ours() {
            self.ours = true;
            if self.ways.contains(&Way { over: 0, password: Password::Wrong }) {
                return Err("a wrong password could get this far; make its module requisite".into());
            }
        } else if self.ours && name == "pam_permit.so" {
            return Err(format!("with {name} behind {MODULE}, a wrong password could get this far"));
        }
        let unclear = "its control is not understood, or makes PAM forget a wrong password";
        let actions = entry.actions().ok_or(unclear)?;
        let mut next = Vec::new();
        for way in &self.ways {
            if way.over > 0 {
                add(&mut next, way.over - 1, way.password);
                continue;
            }
            if entry.optional_module {
                add(&mut next, 0, way.password); // it may be missing
            }
            for (action, password) in results(entry, &actions, way.password) {
                match (action, &mut self.ended) {
                    (Action::GoesOn, _) => add(&mut next, 0, password),
                    (Action::LeadsOver(over), _) => add(&mut next, over, password),
                    (Action::Done, Some(ended)) => add(ended, 0, password),
                    (Action::Done, None) if password == Password::Wrong => {
                        return Err("it could end this part well after a wrong password".into());
                    }
                    (Action::Done, None) | (Action::Fails, _) => {}
                }
            }
        }
        self.ways = next;
        Ok(())
    }
}

/// They are few: all that differs is how far they lead.
fn add(ways: &mut Vec<Way>, over: usize, password: Password) {
    let way = Way { over, password };
    if !ways.contains(&way) {
        ways.push(way);
    }
}

/// What an entry may come to, and what is known of the password then.
fn results(entry: &Entry<'_>, actions: &Actions, before: Password) -> Vec<(Action, Password)> {
    let name = entry.module_name();
    let known = entry.takes_a_password();
    let may_take = known || !(entry.is_ours() || TAKE_NONE.contains(&name));
    let wrong = if may_take { before.max(Password::Wrong) } else { before };
    let forgiving = known && entry.arguments.iter().any(|argument| forgives(argument));
    let as_failed = |list: &[Action]| list.iter().map(|action| (*action, wrong)).collect::<Vec<_>>();
    let mut results = as_failed(&actions.failure);
    if name == "pam_deny.so" {
        return results;
    }
    let succeeded = match name {
        _ if known => Password::Right,
        name if JUDGE_NONE.contains(&name) => wrong,
        _ => before,
    };
    results.extend(actions.success.iter().map(|action| (*action, succeeded)));
    match (forgiving, known) {
        (true, _) => results.extend(as_failed(&actions.ignore)),
        (false, true) => {} // these always have an opinion
        (false, false) => results.extend(actions.ignore.iter().map(|action| (*action, before))),
    }
    results
}

/// libpam takes the brackets off, and what was in them may be anything.
fn forgives(argument: &str) -> bool {
    FORGIVING.contains(&argument) || argument.starts_with("ignore_") || argument.contains('[')
}

impl Entry<'_> {
    pub fn takes_a_password(&self) -> bool {
        PASSWORD_MODULES.contains(&self.module_name())
    }
}

#[cfg(test)]
mod tests;
