//! A real sshd in the sandbox, and its real client.

use rustix::process::{Pid, Signal, kill_process};
use std::process::{Child, Stdio};

use crate::{Pty, Sandbox, pty::child_of, users::PASSWORD};

const CONFIG: &str = "/etc/ssh/tests_sshd_config";
const HOST_KEY: &str = "/etc/ssh/tests_host_key";

/// Stopped when dropped.
pub struct Sshd(Child);

impl Sandbox {
    /// Starts sshd with PAM, with `more` lines of configuration before ours.
    #[must_use]
    pub fn start_sshd(&self, more: &str) -> Sshd {
        self.start_sshd_at("127.0.0.1", more)
    }

    /// The same at another address of the sandbox, which others in its network can reach.
    #[must_use]
    pub fn start_sshd_at(&self, address: &str, more: &str) -> Sshd {
        let config =
            format!("{more}\nUsePAM yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication no\n");
        self.start_sshd_configured(address, &config)
    }

    /// Starts sshd as its Debian package configures it, with the files in `/etc/ssh/sshd_config.d`.
    #[must_use]
    pub fn start_debians_sshd(&self) -> Sshd {
        self.start_sshd_configured("127.0.0.1", "Include /usr/share/openssh/sshd_config")
    }

    /// Starts sshd with the host's own `/etc/ssh/sshd_config`.
    #[must_use]
    pub fn start_hosts_sshd(&self) -> Sshd {
        self.start_sshd_configured("127.0.0.1", "Include /etc/ssh/sshd_config")
    }

    /// Starts sshd and waits until it listens. `config` alone decides which users it asks.
    fn start_sshd_configured(&self, address: &str, config: &str) -> Sshd {
        if !self.exists(HOST_KEY) {
            self.run(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", HOST_KEY]).success();
            let key = self.read(&format!("{HOST_KEY}.pub"));
            self.overwrite("/etc/ssh/ssh_known_hosts", &format!("localhost {key}"));
        }
        let config = format!(
            "{config}\nListenAddress {address}:22\nHostKey {HOST_KEY}\nLogLevel VERBOSE\nMaxStartups 200\n\
             PrintLastLog no\nPrintMotd no\nUseDNS no\n"
        );
        // OpenSSH 9.8 and later penalises many failures from one address, which would disturb the tests.
        self.overwrite(CONFIG, &format!("{config}PerSourcePenalties no\n"));
        if !self.run(&["/usr/sbin/sshd", "-t", "-f", CONFIG]).status.success() {
            self.overwrite(CONFIG, &config);
        }
        let seen = self.log.lines().len();
        let child = self
            .command(None, &["/usr/sbin/sshd", "-D", "-f", CONFIG])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let _ = self.log.wait_after(seen, &[&format!("Server listening on {address}")]);
        Sshd(child)
    }

    /// A client that logs in as `user`, in one attempt, and runs `remote`; the caller has its terminal.
    #[must_use]
    pub fn ssh(&self, user: &str, remote: &str) -> Pty {
        self.ssh_with(user, &["PubkeyAuthentication=no"], remote)
    }

    /// Such a client at the question for the code, after the password.
    #[must_use]
    pub fn ssh_at_the_code_prompt(&self, user: &str, remote: &str) -> Pty {
        let mut client = self.ssh(user, remote);
        client.expect("assword: ");
        client.send(PASSWORD);
        client.expect("Verification code: ");
        client
    }

    #[must_use]
    pub fn ssh_with(&self, user: &str, options: &[&str], remote: &str) -> Pty {
        self.pty(None, &words(&ssh_arguments(user, options, remote)))
    }

    /// A client for an enrolment, so its output holds a secret on purpose. `before` are words before `ssh`:
    /// `env LC_ALL=C`.
    #[must_use]
    pub fn ssh_to_enrol(&self, before: &[&str], user: &str, options: &[&str], remote: &str) -> Pty {
        let argv = ssh_arguments(user, options, remote);
        self.pty_unrecorded(&[before, &words(&argv)].concat())
    }
}

fn words(argv: &[String]) -> Vec<&str> {
    argv.iter().map(String::as_str).collect()
}

fn ssh_arguments(user: &str, options: &[&str], remote: &str) -> Vec<String> {
    let mut argv: Vec<String> =
        ["ssh", "-F", "none", "-o", "StrictHostKeyChecking=yes"].map(str::to_owned).into();
    for option in options.iter().chain(&["NumberOfPasswordPrompts=1"]) {
        match option.strip_prefix('-') {
            Some(_) => argv.push((*option).to_owned()),
            None => argv.extend(["-o".to_owned(), (*option).to_owned()]),
        }
    }
    argv.extend([format!("{user}@localhost"), remote.to_owned()]);
    argv
}

impl Sshd {
    /// Halts it, until [`Sshd::go_on`].
    pub fn halt(&self) {
        self.signal(Signal::STOP);
    }

    /// nsenter halts together with it.
    pub fn go_on(&self) {
        let _ = kill_process(Pid::from_child(&self.0), Signal::CONT);
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = child_of(self.0.id()) {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        let _ = self.0.wait();
    }
}
