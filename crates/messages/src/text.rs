//! Every message that users read. `cargo xtask messages` writes po/qrtotp.pot from here; the comments are for
//! the translators, who find them there.
//!
//! A message is a whole sentence or line, so that it can be translated. Values have names in braces, and the
//! compiler checks them. There are no plural forms: a translation takes a wording that fits every number.

use super::Message;
use std::fmt::Display;

/// A message as translators get it.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// For the translator.
    pub note: &'static str,
    /// The English text.
    pub english: &'static str,
    /// The placeholders.
    pub values: &'static [&'static str],
}

macro_rules! messages {
    ($($(#[doc = $note:literal])+ $kind:ident $name:ident $(($($value:ident),+))? = $english:literal;)*) => {
        $(messages! { @$kind $(#[doc = $note])+ $name $(($($value),+))? = $english })*

        /// All messages.
        pub const ALL: &[Source] = &[$(Source { note: concat!($($note),+), english: $english, values: &[$($(stringify!($value)),+)?] }),*];
    };
    (@text $(#[doc = $note:literal])+ $name:ident = $english:literal) => {
        $(#[doc = $note])+
        pub const $name: Message = Message::plain($english);
    };
    (@with $(#[doc = $note:literal])+ $name:ident ($($value:ident),+) = $english:literal) => {
        $(#[doc = $note])+
        #[must_use]
        pub fn $name($($value: &dyn Display),+) -> Message {
            let _checked_by_the_compiler = || format!($english, $($value = $value),+);
            Message::with($english, &[$($value),+])
        }
    };
}

messages! {
    // The question at a login.

    /// The usual question at a login. The cursor stands behind it.
    text QUESTION = "Verification code: ";
    /// The question at a login in which a user without a device can set one up by pressing Enter.
    text QUESTION_OR_ENROL = "Verification code (Enter: none yet): ";
    /// The question where password and code are typed as one text.
    text QUESTION_WITH_PASSWORD = "Password & verification code: ";
    /// The question where one code is not enough: two that the app shows one after the other.
    text QUESTION_TWO_CODES = "Two codes in a row, such as 123456 234567: ";
    /// Before the question for two codes in a row.
    text NETWORK_GUESSES = "Too many wrong codes came from your network today.";
    /// The same, after an accepted code was given again from another place: somebody may have seen it.
    text CODE_GIVEN_TWICE = "A code of yours was given at two places, so new places need two codes today.";

    // The end of a login.

    /// Something on this host is broken.
    text UNAVAILABLE = "Verification is not possible now. Try again, or ask your administrator.";
    /// A host of a fleet, while none of the verifiers that check codes can be reached. Break-glass codes were
    /// handed out by the administrator, for use at this host only.
    text NO_VERIFIER = "No verifier answers. Use a break-glass code, or log in at the console.";
    /// A refusal after an attempt to enrol. The same for every reason. Lines of at most 77 columns.
    text NOT_ENROLLED_HERE = "That did not work.\nCheck your password, or ask your administrator to let you enrol.";
    /// sudo remembers an earlier login, but here a new code is needed. `sudo -k` is a command.
    text NEW_CODE_NEEDED = "A new code is needed for this. With sudo: run `sudo -k` and try again.";
    /// A login by a program that asks for no code.
    text CODE_NOT_ASKED = "A verification code is needed here, and this way in asks for none.";
    /// The end of an enrolment at a login.
    text ENROLLED = "Enrolled. From now on logins ask for a code of the app.";
    /// The end of an enrolment at a login, if the recovery codes were not kept. Lines of at most 77 columns.
    text ENROLLED_CODES_LOST = "Enrolled.\nThe recovery codes were not confirmed and are not valid;\nthe next login makes new ones.";
    /// After a login with a recovery code.
    with recovery_code_used(left) = "That was a recovery code; {left} are left. If your device is lost, have it revoked.";
    /// A login without a second factor, on the last day that allows it. `qrtotp enroll` is a command.
    /// Lines of at most 77 columns.
    text GRACE_LAST_DAY = "Today is the last day to log in without a second factor.\n`qrtotp enroll` sets one up; it takes two minutes.";
    /// A login without a second factor, on a day on which that is still allowed. At least 2 days.
    with grace_days(days) = "{days} days are left to log in without a second factor. `qrtotp enroll` sets one up; it takes two minutes.";
    /// After a login: one wrong code, perhaps an attacker's. `since` is a date and time.
    with one_wrong_code(since) = "1 wrong code since {since}.";
    /// The same; `network` is an address such as 192.0.2.0/24.
    with one_wrong_code_from(since, network) = "1 wrong code since {since}, the last from {network}.";
    /// The same for several: `count` is 2 or more.
    with wrong_codes(count, since) = "{count} wrong codes since {since}.";
    /// The same.
    with wrong_codes_from(count, since, network) = "{count} wrong codes since {since}, the last from {network}.";
    /// The same; `elsewhere` is how many came from places where the user does not usually log in.
    with wrong_codes_elsewhere(count, since, elsewhere) = "{count} wrong codes since {since}, {elsewhere} of them from elsewhere.";
    /// The same.
    with wrong_codes_elsewhere_from(count, since, elsewhere, network) = "{count} wrong codes since {since}, {elsewhere} of them from elsewhere, the last from {network}.";

    // The enrolment dialogue.

    /// Heading beside the QR code: at most 31 columns.
    text SECOND_FACTOR = "A second factor for your logins";
    /// Before the name of the host: at most 8 columns.
    text HOST = "host";
    /// Before the name of the account: at most 8 columns.
    text ACCOUNT = "account";
    /// Before the name of the organisation (the issuer, in the app): at most 8 columns.
    text ISSUER = "issuer";
    /// Beside the QR code, broken into lines of 31 columns: at most 3 lines. The key follows.
    text SCAN = "Scan the QR code with an authenticator app on a phone, or type this key into the app:";
    /// Beside the QR code, for unusual codes such as (SHA256, 8 digits, 60 s): at most 31 columns.
    with unusual(algorithm, digits, period) = "({algorithm}, {digits} digits, {period} s)";
    /// Beside the QR code: at most 31 columns.
    text THEN_TYPE = "Then type the code it shows.";
    /// The effect of the key i on the QR code: at most 28 columns.
    text KEY_INVERT = "swap light and dark";
    /// The effect of the key n: at most 28 columns.
    text KEY_ANOTHER = "another QR code";
    /// The effect of the key q: at most 28 columns.
    text KEY_GIVE_UP = "give up";
    /// Where users get help, in the organisation's own words.
    with help(contact) = "Help: {contact}";
    /// Beside the QR code, broken into lines of 31 columns: at most 2 lines.
    text NOBODY_SENDS_ONE = "Nobody will ever send you a QR code by mail or chat.";
    /// Above the key URI (otpauth://…), which is broken into lines.
    text URI_IN_LINES = "URI for apps that take one, without the line breaks:";
    /// In place of the QR code: at most 77 columns.
    text TOO_LARGE_TYPE_KEY = "The QR code is too large for this window: type the key into the app.";
    /// Beside the QR code: at most 77 columns.
    text ISSUER_LEFT_OUT = "The QR code leaves out the issuer: with it, it would be too large.";
    /// The question below the QR code: at most 71 columns. Keep the letters: they are keys.
    text ASK_FIRST_CODE = "Code from the app (a: plain ASCII picture, k: key as text, i, n, q): ";
    /// The question below a QR code that may not fit into the window: at most 71 columns. Keep the letters.
    with ask_cut_off(rows) = "Code (cut off? needs 80x{rows}; k: key as text, i, n, q): ";
    /// The same, if a picture in ASCII would be smaller: at most 77 columns. Keep the letters.
    with ask_cut_off_ascii(rows) = "Code (cut off? needs 80x{rows}; a: ASCII, k: key as text, i, n, q): ";
    /// The same, if pictures in half blocks or ASCII would be smaller: at most 77 columns. Keep the letters.
    with ask_cut_off_small(rows) = "Code (cut off? needs 80x{rows}; h: small, a: ASCII, k: key as text, i, n, q): ";
    /// Instead of a QR code, where another program asks. Lines of at most 77 columns. Keep the letters.
    text HIDDEN = "You need a second factor: an app on your phone that scans a QR code.\nThis login names no terminal. If another program asks you this, it may let\nothers on its machine read what it shows, and the QR code is a secret.\nType i to see it all the same, q to give up: ";
    /// After an empty answer to the question for the first code.
    text TYPE_THE_DIGITS = "Type the digits that the app shows.";
    /// After a wrong first code.
    text NOT_THE_CODE = "That was not the code. Wait for the next one and type that.";
    /// The dialogue goes on after the connection was lost.
    text SHOWN_JUST_NOW = "You were shown a QR code less than a minute ago.";
    /// The same.
    text SHOWN_A_MINUTE_AGO = "You were shown a QR code a minute ago.";
    /// The same, at least 2 minutes.
    with shown_before(minutes) = "You were shown a QR code {minutes} minutes ago.";
    /// Below the last ones. Keep the letters: they are keys.
    text ASK_RESUMED = "If you scanned it, type the code that the app shows now.\nCode from the app (n: another QR code, q: give up): ";
    /// After a key that would show the last QR code again. Keep the letter.
    text NOT_SHOWN_AGAIN = "That one is not shown again; n makes another.";
    /// Above the recovery codes: lines of at most 77 columns.
    text ABOUT_CODES = "Recovery codes: each one replaces a code of the app once, for the day when\nthe phone is lost or broken. Write them down or print them, and keep them\napart from the phone. They are not shown again.";
    /// Below the recovery codes, which have groups of four characters. Keep the word `skip`: users type it.
    text ACKNOWLEDGE = "To go on, type the last group of one of them, or skip: ";
    /// After a wrong answer to that.
    text NO_SUCH_GROUP = "That is the last group of none of them: it has four characters.";
    /// Above new recovery codes.
    text CODES_WERE_LOST = "Your last recovery codes were never confirmed, so they are not valid. Here are new ones.";
    /// An error after recovery codes were shown.
    text CODES_NOT_KEPT = "These recovery codes could not be kept: do not use them. The next login makes new ones.";
    /// The same, if there are old ones.
    text CODES_NOT_REPLACED = "These recovery codes could not be kept: do not use them. The old ones are still valid.";
    /// After an enrolment.
    text CODES_UNCHANGED = "The recovery codes stay as they are.";
    /// After an enrolment.
    text CODES_NOT_CONFIRMED = "The recovery codes were not confirmed and are not valid; the next login makes new ones.";

    // Proofs.

    /// The question for the code that an administrator gave the user, for the enrolment.
    text ASK_TOKEN_CODE = "One-time code from your administrator: ";
    /// Before a wait.
    with wait_for_check(seconds) = "Wrong codes were typed before: this one is checked in {seconds} s.";
    /// After a wrong answer.
    text NOT_RIGHT = "That was not right.";
    /// The question for a proof that the user owns the account.
    text ASK_DEVICE_CODE = "Code of a device that is enrolled already (or a recovery code): ";
    /// The question for the password, by the broker.
    text ASK_PASSWORD = "Password: ";
    /// The question for the first of two codes.
    text ASK_CODE_NOW = "The code that the app shows now: ";
    /// The question for the second one.
    text ASK_NEXT_CODE = "The next one, as soon as it shows it: ";
    /// The end of `qrtotp resync`. `device` is an id such as c-7F3K2M.
    with resynced_in_step(device) = "Done: the clock of {device} is in step with this host's. From now on its codes are taken as its clock goes.";
    /// The same.
    with resynced_ahead(device, seconds) = "Done: the clock of {device} is {seconds} s ahead of this host's. From now on its codes are taken as its clock goes.";
    /// The same.
    with resynced_behind(device, seconds) = "Done: the clock of {device} is {seconds} s behind this host's. From now on its codes are taken as its clock goes.";

    // Refusals. They stand behind "qrtotp: ", and a step may follow behind a semicolon.

    /// A refusal. A token is the right to enrol a device once, from an administrator.
    text TOKEN_CONSUMED = "the enrolment token was already used; ask an administrator for a new one";
    /// A refusal.
    text TOKEN_EXPIRED = "the enrolment token has expired; ask an administrator for a new one";
    /// A refusal.
    text TOKEN_REVOKED = "the enrolment token was revoked; ask an administrator for a new one";
    /// A refusal.
    text TOKEN_SHOWS_USED_UP = "the enrolment token's QR code was shown as often as allowed; ask an administrator for a new one";
    /// A refusal.
    text TOKEN_NOT_SHOWN = "no QR code of this enrolment token was shown yet";
    /// A refusal.
    text TOKEN_CODE_EXPIRED = "the code that belongs to the enrolment token has expired; ask an administrator for a new token";
    /// A refusal.
    text TOKEN_CODE_TRIES_USED_UP = "too many wrong codes for the enrolment token; ask an administrator for a new one";
    /// A refusal.
    text TOKEN_CODE_WRONG = "that is not the code of the enrolment token";
    /// A refusal.
    text TOKEN_SHOWN_AGAIN = "a newer QR code of this enrolment token was shown; use that one, or start again";
    /// A refusal.
    with too_many_devices(count) = "{count} devices are enrolled already, as many as allowed; revoke one first";
    /// A refusal.
    text DEVICE_NOT_PROVEN = "that was not a code of an enrolled device; nothing was changed";
    /// A refusal.
    text THREE_WRONG_CODES = "three wrong codes; no device was added. Check the clock of the phone and start again";
    /// A refusal.
    text TIME_UP = "the QR code waited for too long and is no longer valid; start again";
    /// A refusal.
    text NO_ANSWER = "the dialogue ended without an answer";
    /// The user ended it.
    text GIVEN_UP = "given up; no device was added";
    /// A refusal.
    text ENROLLING_NOT_ALLOWED = "enrolling needs an administrator: ask for an enrolment token";
    /// A refusal.
    text FORMER_USER = "the record belongs to a former user of this name; an administrator must enrol the account again";
    /// A refusal.
    text CHANGED_MEANWHILE = "the account was changed in the meantime; start again";
    /// A refusal. `device` is an id such as c-7F3K2M.
    with secret_known(device) = "this secret is enrolled already as {device}";
    /// A refusal.
    with not_enrolled(user) = "{user} is not enrolled; `qrtotp enroll {user}` enrols a device";
    /// A refusal. `device` is an id such as c-7F3K2M.
    with no_such_device(user, device) = "{user} has no credential {device}; `qrtotp status {user}` lists them";
    /// A refusal. The label is the name of a device.
    text EMPTY_LABEL = "the new label is empty; give one that tells the device apart from the others";
    /// A refusal. `devices` is a list of ids.
    with several_devices(user, devices) = "{user} has several devices ({devices}); say which with --credential ID";
    /// A refusal.
    text NEW_CODES_NOT_CONFIRMED = "the new recovery codes were not confirmed; the old ones stay as they are";
    /// A refusal.
    with former_user_of(user, uid) = "the record of {user} belongs to uid {uid}, a former user of that name; `qrtotp enroll {user}` replaces it, and if it is the same person, `qrtotp account adopt-uid {user}` keeps it";
    /// A refusal.
    text NOT_TWO_CODES = "those were not two consecutive codes of an enrolled device, unused, with a clock at most ten minutes off; check the phone's clock, wait for a new code, and try again";
    /// A refusal.
    with two_codes_too_soon(seconds) = "too soon after wrong codes, so these were not checked; wait {seconds} s and give two new ones";
    /// A refusal.
    text CODES_DISABLED = "codes are disabled after too many wrong ones; a recovery code at a login, or `qrtotp unlock`, lifts it";
    /// A refusal.
    text NEEDS_PASSWORD_OR_TOKEN = "enrolling needs your password, or a token with a code from an administrator";
    /// A refusal.
    with wrong_passwords_wait(seconds) = "too many wrong passwords; try again in {seconds} s";
    /// A refusal.
    text WRONG_PASSWORDS_DISABLED = "too many wrong passwords; an administrator has to unlock that, or issue a token";

    // The broker.

    /// A refusal.
    text USER_NOT_KNOWN = "this user is not known on the broker's host";
    /// A refusal.
    text USER_CANNOT_LOG_IN = "your user has no account on this host that could log in";
    /// A refusal.
    text USERS_NOT_ANSWERED = "the user database does not answer; try again";
    /// A refusal.
    text TOO_MANY_CALLERS = "too many callers at once; try again";
    /// A refusal.
    text TOO_MANY_CONNECTIONS = "too many connections of yours are open; close some and try again";
    /// A refusal.
    text TOO_MANY_PASSWORDS = "too many passwords are being asked for just now; try again in a few minutes";
    /// A refusal.
    text ACCOUNT_BUSY = "your account is in use by another login or request; try again";
    /// An error, on a host of a fleet: verifiers keep all accounts.
    text FLEET_NOT_REACHED = "no verifier of the fleet can be reached; nothing was changed. Try again later";
    /// An error, on a host of a fleet. Keep the command.
    text FLEET_LOST = "the connection to the verifier was lost; start again. `qrtotp status` shows what was kept";
    /// After an enrolment on a host of a fleet. Keep the command.
    text CODES_LOST_AT_HOST = "The recovery codes were not confirmed and are not valid; `qrtotp recovery regenerate` makes new ones.";
    /// A refusal, on a host of a fleet.
    text FLEET_REFUSES = "the fleet does not let this host speak for your account; ask your administrator";
    /// The end of an enrolment. `device` is an id such as c-7F3K2M.
    with new_device(user, device) = "Done: {user} has a new device, {device}. Services that ask for codes take its codes from now on.";
    /// After new recovery codes were made.
    text OLD_CODES_INVALID = "The old recovery codes are no longer valid.";
    /// `label` is in quotation marks.
    with device_renamed(device, label) = "{device} is called {label} now.";
    /// `device` is an id such as c-7F3K2M.
    with device_revoked(device) = "Revoked {device}.";
    /// After the last device was revoked.
    text NO_DEVICE_LEFT = "No device is left: logins are denied until an administrator issues a token.";
    /// An error of the command.
    text OWN_ACCOUNT_ONLY = "the broker serves only your own account; for another one, run this as root without --socket";
    /// An error of the command. `socket` is a path; keep the commands.
    with broker_absent(socket) = "nobody listens at {socket}: the broker is not running; `systemctl enable --now qrtotpd.socket` starts it (as root); or run this command as root, for example: sudo qrtotp …";
    /// An error of the command.
    with broker_busy(socket) = "{socket}: the broker is too busy; try again";
    /// An error of the command.
    with broker_untrusted(socket) = "{socket}: the process that listens there is not root, so it is not the broker";
    /// An error of the command. `error` is the system's.
    with broker_unreachable(socket, error) = "{socket}: the broker can't be reached: {error}";
    /// An error of the command.
    text BROKER_CLOSED = "the broker ended the connection; start again, and see its log if it happens again";
    /// An error of the command. `error` is in English.
    with broker_failed(error) = "the broker: {error}; start again";
    /// An error of the command.
    text BROKER_MAKES_NO_SENSE = "the broker's answer makes no sense here";

    // The command's enrolment dialogue.

    /// Heading. `user` and `host` are names.
    with second_factor_for(user, host) = "A second factor for {user} on {host}.";
    /// Below the heading. Lines are broken at 77 columns.
    with app_shows(issuer, account) = "The app will show it as \"{issuer}\", account \"{account}\".";
    /// Three steps, the later lines of each indented by 3 blanks: lines of at most 77 columns.
    text THREE_STEPS = "1. Install an authenticator app on your phone, if you have none.\n   Any app for TOTP codes will do.\n2. In the app, choose to add an account and scan the QR code below,\n   or type the key.\n3. Type the digits that the app shows for it. Only then is anything kept.";
    /// Below the steps: lines of at most 77 columns.
    text KEEP_SECRET = "The QR code is a secret, like a password: scan it yourself, from this screen,\nand save no picture of it.";
    /// The same, if the user had a picture saved: lines of at most 77 columns.
    text KEEP_SECRET_SAVED = "The QR code is a secret, like a password: scan it yourself, from this screen,\nand keep no picture of it.";
    /// Below that: lines of at most 77 columns.
    text NOBODY_ASKS_TO_SCAN = "Nobody will ever send you a QR code by mail or chat, or ask you to scan one\nfrom there.";
    /// Lines are broken at 77 columns.
    with unusual_warning(algorithm, digits, period) = "Warning: the codes are not of the usual kind ({algorithm}, {digits} digits, {period} s). Some apps take no notice of that and show wrong codes; then use another app.";
    /// Before the key.
    text KEY = "Key: ";
    /// Below the key.
    text ABOUT_KEY = "(for apps that can't scan: type it without the spaces; kind: time-based)";
    /// In place of the QR code.
    text TEXT_TOO_LONG = "There is no QR code for a text that long; type the key instead.";
    /// Above the QR code. Keep the letter.
    with enlarge_window(columns, rows) = "If the picture is torn: enlarge the window to {columns}x{rows} characters and type i.";
    /// Above the QR code. Keep the letter, LANG=C.UTF-8 and --qr utf8.
    with locale_not_utf8(columns, rows) = "The locale is not UTF-8, and a plain picture needs a window of {columns}x{rows} characters. If this one is torn, enlarge the window and type a. LANG=C.UTF-8 or --qr utf8 draws it without this note.";
    /// In place of the QR code. Keep the letter and the options.
    with window_too_small(columns, rows) = "The QR code needs a window of {columns}x{rows} characters: enlarge this one and type i, type h for the smallest picture, or type the key into the app.";
    /// The question below the QR code. Keep the letters: they are keys.
    text COMMAND_ASK_FIRST_CODE = "(a: plain ASCII picture, k: key as text, i, n, q) Code: ";
    /// The question for the code of a QR code that was shown before.
    text COMMAND_ASK_CODE = "Code: ";
    /// The dialogue goes on after it broke off: lines of at most 77 columns. Keep the letters.
    text IF_YOU_SCANNED_IT = "If you scanned it, type the code that the app shows now; n shows another QR\ncode, q gives up.";
    /// A saved picture. `path` is a file.
    with saved_ephemeral(path) = "The QR code is in {path}, too, until the first code was right or this dialogue ends.";
    /// A saved picture: lines of at most 79 columns. Keep --ephemeral.
    with saved_for_good(path, account) = "The QR code is in {path}, too, and stays there.\nWarning: that file is a standing key. Anyone who gets hold of it or of a backup\nhas the codes of {account}\nuntil the device is revoked. Delete it as soon as it was scanned; --ephemeral\ndoes that by itself.";
    /// A saved picture.
    with picture_still_there(path) = "The picture {path} is still there: delete it once it was scanned.";
    /// A saved picture.
    with picture_deleted(path) = "The picture {path} was deleted.";
    /// A saved picture.
    with picture_not_saved(path) = "No QR code was shown, so {path} was not saved.";
    /// A saved picture. `error` is the system's.
    with picture_not_deleted(path, error) = "Warning: {path} could not be deleted ({error}); delete it yourself.";
    /// An error. `error` is the system's.
    with picture_not_written(path, error) = "can't write {path}: {error}";
    /// An error.
    text PICTURE_NAME = "--save takes a name that ends in .svg or .png";
    /// An error.
    with picture_no_place(path) = "{path} belongs to somebody else, or others may write to it: no place for a secret; save it in a directory of your own";
    /// An error.
    with picture_there_already(path) = "{path} is there already, and nothing is overwritten; give another name";
    /// An error. `error` is the system's.
    with picture_not_made(path, error) = "can't make {path}: {error}; save it in another directory";
    /// An error.
    with picture_no_path(path) = "{path} is not a file's path";

    // Errors of the command.

    /// An error. Keep --qr utf8, ascii, ansi, none.
    text NOT_ON_A_PIPE = "the output is not a terminal, and a secret goes there only on request: add --qr utf8, ascii, ansi or none";
    /// An error. Keep --no-verify.
    text ONLY_ROOT_SKIPS = "only root may use --no-verify; leave it out, or run it with sudo";
    /// An error.
    text RUN_AS_ROOT = "run it as root, for example: sudo qrtotp …";
    /// An error. `error` is the system's.
    with output_failed(error) = "can't write the output: {error}; free some space or use another place";
    /// An error. Keep the options.
    text NAME_ONE_OR_MANY = "name one account, or many with --group, --rule, --everyone or --enrolled-before";
    /// An error. Keep --socket.
    text ONLY_ROOT_REVOKES_MANY = "only root can revoke devices of many accounts: run it with sudo, and without --socket";
    /// An error. Keep --socket.
    text BROKER_CAN = "the broker can enroll, show the status, look after devices and make recovery codes; leave out --socket";
    /// A step after an error. `user` is a name; keep the command.
    with step_revoke_token(refusal, user) = "{refusal}; `qrtotp token revoke {user}` takes a live one back; then start again";
    /// A step after an error. Keep --no-verify.
    with step_enrolled_device(refusal) = "{refusal}; start again with a code of an enrolled device; if all are lost, root can add --no-verify";
    /// A step after an error.
    with step_start_again(refusal) = "{refusal}; start again";

    // `qrtotp status` and `qrtotp device list`.

    /// The state of an account, behind its name.
    text ACCOUNT_ENROLLED = "enrolled";
    /// The same: never enrolled.
    text ACCOUNT_UNENROLLED = "unenrolled";
    /// The same: all its devices were revoked.
    text ACCOUNT_REVOKED = "revoked";
    /// The same. `at` is a date and time.
    with account_revoked_on(at) = "revoked on {at}";
    /// `device` is the description of a device.
    with status_device(device) = "Device {device}";
    /// `key` is the description of a key.
    with status_key(key) = "Hardware ssh key {key}";
    /// `left` is a number.
    with status_recovery(left) = "Recovery codes left: {left}";
    /// The same; another system made them.
    with status_recovery_imported(left) = "Recovery codes left: {left} (imported, of 8 digits)";
    /// `lock` is the description of a lock, which delays codes after wrong ones.
    with status_lock(lock) = "Lock: {lock}";
    /// The same.
    with status_recovery_lock(lock) = "Lock of recovery codes: {lock}";
    /// `count` is a number of places from which the user logs in.
    with status_places(count) = "Familiar places: {count}";
    /// An accepted code was given again from another place. `until` is a date and time.
    with status_two_codes(until) = "A code was given at two places: new places need two codes until {until}";
    /// The account has no enrolment token.
    text STATUS_NO_TOKEN = "Token: none";
    /// `token` is the description of a token.
    with status_token(token) = "Token: {token}";
    /// The state of a lock.
    with lock_disabled(failures) = "disabled after {failures} failures; a recovery code or `qrtotp unlock` lifts it";
    /// The state of a lock.
    with lock_waiting_new_place(seconds, failures) = "the next answer from a new place counts in {seconds} s ({failures} failures)";
    /// The state of a lock.
    with lock_waiting(seconds, failures) = "the next answer counts in {seconds} s ({failures} failures)";
    /// The state of a lock.
    with lock_open(failures) = "open ({failures} failures)";
    /// No device.
    text LIST_EMPTY = "No device is enrolled.";
    /// Heading of a column, in capitals.
    text HEAD_USER = "USER";
    /// Heading of a column: the device's id.
    text HEAD_DEVICE = "DEVICE";
    /// Heading of a column: what kind of device it is.
    text HEAD_KIND = "KIND";
    /// Heading of a column: when the device was enrolled.
    text HEAD_SINCE = "SINCE";
    /// Heading of a column: when a code of the device was last accepted.
    text HEAD_LAST_USED = "LAST USED";
    /// Heading of a column: the name that the user gave the device.
    text HEAD_LABEL = "LABEL";
    /// Heading of a column: anything unusual.
    text HEAD_NOTE = "NOTE";
    /// The kind of an authenticator app, in a table.
    with kind_app(algorithm, digits, period) = "{algorithm}, {digits} digits, {period} s";
    /// The kind of an ssh key, in a table. `kind` is a word of OpenSSH's.
    with list_key(kind) = "ssh key {kind}";
    /// An ssh key. `name` is an id and perhaps a label, `since` a date.
    with ssh_key(name, kind, fingerprint, since) = "{name}: {kind}, {fingerprint}; registered {since}";
    /// A device. `name` is an id, perhaps with a label; `origin` is one of the next words with a date.
    with device(name, algorithm, digits, period, origin, used) = "{name}: {algorithm}, {digits} digits, {period} s; {origin}, last used {used}";
    /// When a device was enrolled.
    with enrolled_on(at) = "enrolled {at}";
    /// When a device was imported from another system.
    with imported_on(at) = "imported {at}";
    /// A device that was not used yet: last used "never".
    text NEVER = "never";
    /// Of a device, behind a comma or in a table.
    with clock_ahead(seconds) = "clock {seconds} s ahead of this host's";
    /// Of a device, behind a comma or in a table.
    with clock_behind(seconds) = "clock {seconds} s behind this host's";
    /// Of a device. `back` and `ahead`: how many codes before and after the present one are taken.
    with own_window(back, ahead) = "own window {back} back to {ahead} ahead";
    /// A token. `state` is one of the next words with a date, `issuer` a user, `shows` a number.
    with token(id, state, issued, issuer, expires, shows, most) = "{id} {state}; issued {issued} by {issuer}, expires {expires}, QR code shown {shows} of {most} times";
    /// The state of a token.
    with token_issued(at) = "issued {at}";
    /// The state of a token.
    with token_shown(at) = "shown {at}";
    /// The state of a token.
    with token_consumed(at) = "consumed {at}";
    /// The state of a token.
    with token_expired(at) = "expired {at}";
    /// The state of a token.
    with token_revoked(at) = "revoked {at}";
    /// Behind a token.
    with token_code_good(token, at) = "{token}; its code is good until {at}";
    /// Behind a token.
    with token_code_ended(token, failures) = "{token}; its code ended after {failures} wrong ones";
    /// Behind a token.
    with token_code_expired(token, at) = "{token}; its code expired {at}";
    /// Behind a token. `keys` is a list of fingerprints of ssh keys.
    with token_keys(token, keys) = "{token}; bound to {keys}";
    /// Behind a token. `device` is an id such as c-7F3K2M.
    with token_pending(token, device, at) = "{token}; the QR code of {device} waits for its first code until {at}";
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::ALL;
    use crate::message::placeholders;
    use std::collections::BTreeSet;

    #[test]
    fn the_values_of_a_message_stand_in_the_order_of_its_placeholders() {
        for source in ALL {
            assert_eq!(placeholders(source.english).unwrap(), source.values, "{}", source.english);
        }
    }

    #[test]
    fn no_message_stands_here_twice() {
        let texts: BTreeSet<&str> = ALL.iter().map(|source| source.english).collect();
        assert_eq!(texts.len(), ALL.len());
    }

    #[test]
    fn no_message_is_empty_or_has_characters_that_a_catalogue_may_not_have() {
        for source in ALL {
            assert!(!source.english.is_empty());
            assert!(source.english.chars().all(|c| c == '\n' || !c.is_control()), "{}", source.english);
            assert!(!source.note.trim().is_empty());
        }
    }
}
