//! Users with accounts in a sandbox.

use crate::Sandbox;

/// The password of all users.
pub const PASSWORD: &str = "correct horse 7";
/// Its crypt form; a constant saves a second of hashing over the whole run.
const HASH: &str = "$6$rounds=1000$qrtotpharness$8zYZTh/Y.R5kjbVp6hSW8oKSTLGQvq2nSg8i0zJca7h6SefR9/EwVQrK3FTCZuOJIq2l.AlLfIP/YT/BtItpM/";

impl Sandbox {
    /// A host with alice and bobby, whose test service asks for codes.
    #[must_use]
    pub fn with_alice_and_bobby() -> Self {
        let sandbox = Self::new();
        sandbox.add_user("alice");
        sandbox.add_user("bobby");
        sandbox.stack("");
        sandbox
    }

    /// Adds a user with [`PASSWORD`], a home, a shell, and the right to use sudo. Returns the uid.
    pub fn add_user(&self, name: &str) -> u32 {
        let passwd = self.read("/etc/passwd");
        let uid = (3000..).find(|uid| !passwd.contains(&format!(":x:{uid}:"))).unwrap();
        self.add_user_with_uid(name, uid);
        uid
    }

    pub fn add_user_with_uid(&self, name: &str, uid: u32) {
        self.append("/etc/passwd", &format!("{name}:x:{uid}:{uid}::/home/{name}:/bin/bash\n"));
        self.append("/etc/group", &format!("{name}:x:{uid}:\n"));
        self.append("/etc/shadow", &format!("{name}:{HASH}:20000:0:99999:7:::\n"));
        self.append("/etc/sudoers.d/tests", &format!("{name} ALL=(ALL) ALL\n"));
        self.run(&["install", "-d", "-m", "700", "-o", name, "-g", name, &format!("/home/{name}")]).success();
    }

    /// Adds many users without homes: at every sandbox the same ones get the same uids.
    pub fn add_crowd(&self, names: &[String]) {
        let lines = |line: &dyn Fn(usize, &str) -> String| -> String {
            (10_000..).zip(names).map(|(uid, name)| line(uid, name)).collect()
        };
        self.append("/etc/passwd", &lines(&|uid, name| format!("{name}:x:{uid}:{uid}::/tmp:/bin/sh\n")));
        self.append("/etc/group", &lines(&|uid, name| format!("{name}:x:{uid}:\n")));
        self.append("/etc/shadow", &lines(&|_, name| format!("{name}:{HASH}:20000:0:99999:7:::\n")));
    }

    /// Removes the user's lines, as `userdel` would.
    pub fn delete_user(&self, name: &str) {
        for file in ["/etc/passwd", "/etc/group", "/etc/shadow"] {
            let kept: String = self
                .read(file)
                .lines()
                .filter(|line| !line.starts_with(&format!("{name}:")))
                .map(|line| format!("{line}\n"))
                .collect();
            self.overwrite(file, &kept);
        }
    }

    /// Neither pam_unix nor su waits after a failure: the tests check the refusals, not their delay.
    pub fn without_delays(&self) {
        let common = self.read("/etc/pam.d/common-auth");
        let swift = common.replace("pam_unix.so", "pam_unix.so nodelay");
        assert_ne!(swift, common);
        self.overwrite("/etc/pam.d/common-auth", &swift);
        let defaults = self.read("/etc/login.defs");
        let kept: Vec<&str> = defaults.lines().filter(|line| !line.starts_with("FAIL_DELAY")).collect();
        self.overwrite("/etc/login.defs", &format!("{}\nFAIL_DELAY 0\n", kept.join("\n")));
    }

    /// Lets root's ssh client in the sandbox log in as `name` with a key.
    pub fn authorize_key(&self, name: &str) {
        if !self.exists("/root/.ssh/id_ed25519") {
            self.run(&["install", "-d", "-m", "700", "/root/.ssh"]).success();
            self.run(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/root/.ssh/id_ed25519"])
                .success();
        }
        let ssh = format!("/home/{name}/.ssh");
        self.run(&["install", "-d", "-m", "700", "-o", name, "-g", name, &ssh]).success();
        let key = "/root/.ssh/id_ed25519.pub";
        self.run(&["install", "-m", "600", "-o", name, "-g", name, key, &format!("{ssh}/authorized_keys")])
            .success();
    }
}
