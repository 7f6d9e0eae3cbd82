//! Actions of users and admins on an account, each repeatable from the same state: for tests that break
//! something in the middle.

use crate::{
    Phone, Sandbox, State,
    host::{PAM_SUCCESS, SERVICE, value},
    invariants::ActionReport,
    person::{self, Played},
};

/// The account's owner.
pub const USER: &str = "alice";
const SAVED: &str = "/root/saved";

/// Steps before the current one whose codes are accepted.
const WINDOW: u64 = 10;

/// Marks of the first call that is ours: in a PAM application the module's, in the command the first after
/// its loader and runtime.
const MODULE: &str = "pam_qrtotp.so";
pub const COMMAND: &str = "PR_SET_DUMPABLE";

const STACK: &str = "auth required pam_qrtotp.so\nauth required pam_permit.so\naccount required pam_permit.so\n\
                     session required pam_permit.so\n";
/// An ssh key in sshd's words, and its fingerprint: it proves the primary factor of an enrolment here.
const KEY: &str = "SSH_AUTH_INFO_0=publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIiWhSJ5rOH64KLgS23/qefvr/v3ma5tK8j+sN9bUVox";
const FINGERPRINT: &str = "SHA256:KaSVbDRGIj/71My3xBIR2mgI/wnC0MdkcrccUkQjRRM";

pub struct Action {
    pub name: &'static str,
    /// The mark in the trace of its program at which our part begins.
    pub start: &'static str,
    /// Prepares the state before it.
    before: fn(&Sandbox, &mut Known),
    act: fn(&Host, &[&str]) -> ActionReport,
}

impl Action {
    /// Whether it runs in a PAM application, which is not ours.
    #[must_use]
    pub fn is_in_application(&self) -> bool {
        self.start == MODULE
    }
}

/// A user's device and codes from before.
#[derive(Default)]
pub struct Known {
    pub phone: Option<Phone>,
    pub recovery_codes: Vec<String>,
}

pub const ACTIONS: [Action; 9] = [
    Action { name: "login", start: MODULE, before: enrolled, act: log_in },
    Action { name: "login with a recovery code", start: MODULE, before: with_recovery_codes, act: recover },
    Action { name: "use of a token at a login", start: MODULE, before: with_token, act: use_token },
    Action { name: "enrolment by root", start: COMMAND, before: unenrolled, act: enroll },
    Action { name: "import into a store that is there", start: COMMAND, before: unenrolled, act: import },
    Action { name: "import that makes key and store", start: COMMAND, before: without_store, act: import },
    Action { name: "import of three keys", start: COMMAND, before: with_room, act: import_three },
    Action { name: "issue of a token", start: COMMAND, before: enrolled, act: issue },
    Action { name: "revocation", start: COMMAND, before: enrolled, act: revoke },
];

/// `devices` times all codes of the window must not be more than 15.
fn configuration(window: u64, devices: u8) -> String {
    format!(
        "[defaults]\nfirst_login = \"token\"\n[verify]\nwindow_back = {window}\n[throttle]\nfree_failures = 20\n\
         [enroll]\nmax_devices = {devices}\nmax_shows = 10\nservices = [\"{SERVICE}\"]\nkey_services = [\"{SERVICE}\"]\n"
    )
}

/// A private host that repeats one action.
pub struct Host {
    pub sandbox: Sandbox,
    pub action: &'static Action,
    pub known: Known,
}

impl Host {
    #[must_use]
    pub fn new(action: &'static Action, state: State) -> Self {
        let sandbox = Sandbox::with_state(state);
        sandbox.configure(&configuration(WINDOW, 1));
        // libpam reads this file for every service; Debian's loads five more modules.
        sandbox.pam("other", "");
        sandbox.pam(SERVICE, STACK);
        sandbox.add_user(USER);
        let mut known = Known::default();
        (action.before)(&sandbox, &mut known);
        let saving =
            format!("mkdir {SAVED} && cp -a /var/lib/qrtotp {SAVED}/store && cp -a /etc/qrtotp {SAVED}/etc");
        sandbox.run(&["sh", "-c", &saving]).success();
        Self { sandbox, action, known }
    }

    /// Restores everything on the disk as it was before the action, durably.
    pub fn restore(&self) {
        let restoring = format!(
            "cd /var/lib/qrtotp && find . -mindepth 1 -delete && cp -a {SAVED}/store/. . && rm -r /etc/qrtotp && \
             cp -a {SAVED}/etc /etc/qrtotp && sync -f /var/lib/qrtotp"
        );
        self.sandbox.run(&["sh", "-c", &restoring]).success();
    }

    /// Runs the action, under other programs.
    #[must_use]
    pub fn act(&self, under: &[&str]) -> ActionReport {
        (self.action.act)(self, under)
    }

    fn pam_host(&self, under: &[&str], more: &[&str]) -> Vec<String> {
        self.sandbox
            .login(USER)
            .arguments(&["--phases", "amo", "--strict"])
            .arguments(more)
            .under(under)
            .argv()
    }

    fn answered(&self, under: &[&str], code: String) -> ActionReport {
        self.sandbox.keep_secret(&code);
        let argv = self.pam_host(under, &["--answer", &code]);
        let output = self.sandbox.run(&with_limit(&argv));
        let done = ["authenticate", "acct_mgmt", "open_session"]
            .iter()
            .all(|call| value(&output.stdout, call) == Some(&PAM_SUCCESS.to_string()));
        let orderly = output.status.code() == Some(0) && value(&output.stdout, "end").is_some();
        let disorder = (!orderly).then(|| format!("{:?}: {}{}", output.status, output.stdout, output.stderr));
        ActionReport {
            done,
            disorder,
            code: Some(code),
            phone: self.known.phone.clone(),
            shown: output.stdout,
        }
    }

    fn command(&self, under: &[&str], argv: &[&str], input: &str) -> ActionReport {
        let argv: Vec<String> = under.iter().chain(argv).map(|word| (*word).to_owned()).collect();
        let output = self.sandbox.run_with_input(&with_limit(&argv), input);
        let shown = format!("{}{}", output.stdout, output.stderr);
        ended(output.status.code(), shown, None, self.known.phone.clone())
    }
}

/// A result; a signal or a hang is not an orderly end: `timeout` reports them as 124 and more.
fn ended(exit: Option<i32>, shown: String, code: Option<String>, phone: Option<Phone>) -> ActionReport {
    // Without memory a Rust program aborts. The command is a separate process; the module must never do that.
    let orderly = matches!(exit, Some(0..=2)) || shown.contains("memory allocation of");
    ActionReport {
        done: exit == Some(0),
        disorder: (!orderly).then(|| format!("{exit:?}: {shown}")),
        code,
        phone,
        shown,
    }
}

fn with_limit(argv: &[String]) -> Vec<&str> {
    ["timeout", "--kill-after=2", "25"].into_iter().chain(argv.iter().map(String::as_str)).collect()
}

fn without_store(_: &Sandbox, known: &mut Known) {
    known.phone = Some(Phone::random());
}

fn unenrolled(sandbox: &Sandbox, known: &mut Known) {
    sandbox.make_store();
    known.phone = Some(Phone::random());
}

fn with_room(sandbox: &Sandbox, known: &mut Known) {
    sandbox.configure(&configuration(3, 3));
    unenrolled(sandbox, known);
}

fn enrolled(sandbox: &Sandbox, known: &mut Known) {
    known.phone = Some(sandbox.import(USER));
}

fn with_recovery_codes(sandbox: &Sandbox, known: &mut Known) {
    enrolled(sandbox, known);
    known.recovery_codes = sandbox.new_recovery_codes(USER);
}

fn with_token(sandbox: &Sandbox, _: &mut Known) {
    sandbox.make_store();
    sandbox.run(&["qrtotp", "token", "issue", USER, "--key", FINGERPRINT]).success();
}

fn phone(host: &Host) -> &Phone {
    host.known.phone.as_ref().unwrap()
}

fn log_in(host: &Host, under: &[&str]) -> ActionReport {
    let phone = phone(host);
    host.answered(under, phone.code_of_step(phone.step() - 5))
}

fn recover(host: &Host, under: &[&str]) -> ActionReport {
    host.answered(under, host.known.recovery_codes[0].clone())
}

fn use_token(host: &Host, under: &[&str]) -> ActionReport {
    let argv = host.pam_host(under, &["--putenv", KEY, "--tty", "pts/0", "--ask"]);
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let Played { shown, exit, phone, code } = played(host, &argv);
    let lines: String = shown.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    let done = value(&lines, "open_session") == Some("0");
    let orderly = exit == Some(0) && value(&lines, "end").is_some();
    ActionReport { done, disorder: (!orderly).then(|| format!("{exit:?}: {shown}")), code, phone, shown }
}

fn enroll(host: &Host, under: &[&str]) -> ActionReport {
    let argv = [under, &["qrtotp", "enroll", USER, "--qr", "none"]].concat();
    let Played { shown, exit, phone, code } = played(host, &argv);
    ended(exit, shown, code, phone)
}

fn played(host: &Host, argv: &[&str]) -> Played {
    person::enrol(&host.sandbox, host.sandbox.pty_unrecorded(argv))
}

fn import(host: &Host, under: &[&str]) -> ActionReport {
    let phone = phone(host);
    host.sandbox.keep_secret(&phone.key);
    host.command(under, &["qrtotp", "import", "uri", USER, "--unused"], &format!("{}\n", phone.uri(USER)))
}

fn import_three(host: &Host, under: &[&str]) -> ActionReport {
    let phones = [phone(host).clone(), Phone::random(), Phone::random()];
    phones.iter().for_each(|phone| host.sandbox.keep_secret(&phone.key));
    let uris: String = phones.iter().map(|phone| format!("{}\n", phone.uri(USER))).collect();
    host.command(under, &["qrtotp", "import", "uri", USER, "--unused"], &uris)
}

fn issue(host: &Host, under: &[&str]) -> ActionReport {
    host.command(under, &["qrtotp", "token", "issue", USER], "")
}

fn revoke(host: &Host, under: &[&str]) -> ActionReport {
    host.command(under, &["qrtotp", "revoke", USER, "--all"], "")
}
