//! Systems with different versions of OpenSSH: this machine, and Debian releases that `cargo xtask` unpacks;
//! and a user who enrols over ssh between two of them.

use std::path::PathBuf;

use crate::{
    Pty, Sandbox, artefacts,
    decoders::{self, Reading},
    first_login::INSIDE,
    screen::{Background, photograph},
    sshd::Sshd,
};

/// Without and with the option that hides messages.
pub const OPTIONS: [&[&str]; 2] = [&[], &["-q"]];
/// The usual terminal.
pub const GEOMETRY: &str = "80x24";

const USER: &str = "alice";
const KNOWN_HOSTS: &str = "/etc/ssh/ssh_known_hosts";

pub struct System {
    /// Its own name, and its OpenSSH.
    pub name: String,
    pub openssh: String,
    root: Option<PathBuf>,
}

/// A private host of such a system, whose users may enrol over ssh.
pub struct Server {
    pub host: Sandbox,
    _sshd: Sshd,
}

/// The newest of Debian's supported releases: tests take programs from it on every machine.
pub const NEWEST: &str = "trixie";

/// Whether this machine's system is older than that release. If it is the same, there is no other: binaries
/// built here do not run on older ones, whose libc is too old.
#[must_use]
pub fn is_older() -> bool {
    !std::fs::read_to_string("/etc/os-release").unwrap().contains(&format!("VERSION_CODENAME={NEWEST}"))
}

/// The directory of a Debian release, once it is unpacked.
#[must_use]
pub fn unpacked(release: &str) -> PathBuf {
    artefacts::target_directory().join("debian").join(release)
}

impl System {
    #[must_use]
    pub fn this_machine() -> Self {
        Self::of(None)
    }

    #[must_use]
    pub fn debian(release: &str) -> Self {
        let missing = |_| panic!("Debian {release} is missing: run `cargo xtask test`, which unpacks it");
        Self::of(Some(unpacked(release).canonicalize().unwrap_or_else(missing)))
    }

    fn of(root: Option<PathBuf>) -> Self {
        let mut system = Self { name: String::new(), openssh: String::new(), root };
        let sandbox = system.sandbox(None);
        let release = sandbox.run(&["sh", "-c", ". /etc/os-release; echo \"$PRETTY_NAME\""]).success().stdout;
        release.trim().clone_into(&mut system.name);
        let version = sandbox.run(&["ssh", "-V"]).success().stderr;
        let version = version.split([' ', ',']).next().and_then(|word| word.strip_prefix("OpenSSH_"));
        version.expect("`ssh -V` names no version").clone_into(&mut system.openssh);
        system
    }

    /// A private host with this system's programs, in the network of `beside`.
    #[must_use]
    pub fn sandbox(&self, beside: Option<&Sandbox>) -> Sandbox {
        let root = self.root.as_deref();
        Sandbox::on_root(root, beside, &artefacts::module(), &artefacts::command())
    }

    #[must_use]
    pub fn server(&self) -> Server {
        let host = self.sandbox(None);
        host.configure("[defaults]\nfirst_login = \"enroll\"\n");
        host.add_user(USER);
        host.make_store();
        host.password_and_enrolment("sshd");
        let sshd = host.start_sshd("");
        Server { host, _sshd: sshd }
    }

    /// A private host of this system that knows the server.
    #[must_use]
    pub fn client(&self, server: &Server) -> Sandbox {
        let client = self.sandbox(Some(&server.host));
        client.overwrite(KNOWN_HOSTS, &server.host.read(KNOWN_HOSTS));
        client
    }

    /// Major and minor.
    #[must_use]
    pub fn version(&self) -> (u32, u32) {
        let mut numbers =
            self.openssh.split(|c: char| !c.is_ascii_digit()).map_while(|word| word.parse().ok());
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }
}

impl Server {
    /// A user without a device, at the picture of their first login from `client`.
    #[must_use]
    pub fn at_the_picture(&self, client: &Sandbox, options: &[&str]) -> Pty {
        let _ = self.host.run(&["rm", "-rf", &format!("/var/lib/qrtotp/accounts/{USER}")]);
        let options = [&["PubkeyAuthentication=no"], options].concat();
        let mut login = client.ssh_to_enrol(&[], USER, &options, &format!("echo {INSIDE}"));
        login.at_the_picture();
        login
    }

    /// From the picture into the host, with the phone that scanned `uri`.
    pub fn enrols(&self, mut login: Pty, uri: &str) {
        assert!(uri.starts_with("otpauth://totp/"), "the picture holds something else");
        let seen = self.host.log.lines().len();
        login.enrol_by(&self.host, uri);
        login.expect(INSIDE);
        login.success();
        let _ = self.host.log.wait_after(seen, &["event=login result=accepted reason=enrolled"]);
    }
}

/// The decoders' readings of a terminal that shows the login's output.
#[must_use]
pub fn read(login: &Pty, background: Background) -> Vec<Reading> {
    decoders::read_png(&photograph(&login.transcript(), background, GEOMETRY))
}
