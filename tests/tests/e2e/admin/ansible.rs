//! conf/ansible: the role, run by ansible-playbook on a host that has nothing of ours yet.

use qrtotp_tests::{
    Output, Sandbox, State, artefacts,
    shipped::{INSIDE, Knowledge},
    users::PASSWORD,
};

const ROLE: &str = "/root/ansible";

/// alice and robot may become root; alice has a password, robot a key. `more`: variables of the role, besides
/// services and users.
fn host(more: &str) -> Sandbox {
    let sandbox = Sandbox::bare(State::Tmpfs("size=4m"));
    sandbox.make_writable("/usr");
    for user in ["alice", "robot"] {
        sandbox.add_user(user);
    }
    sandbox.authorize_key("robot");
    sandbox.overwrite("/etc/ssh/sshd_config", "Include /usr/share/openssh/sshd_config\n");
    sandbox
        .run(&[
            "sh",
            "-ec",
            "ssh-keygen -A; usermod -aG sudo alice; usermod -aG sudo robot; mkdir -p /var/cache/apt/archives",
        ])
        .success();
    let role = artefacts::sources().join("../conf/ansible");
    let copied = std::process::Command::new("cp").arg("-r").arg(role).arg(sandbox.path(ROLE)).status();
    assert!(copied.unwrap().success());
    let play = format!(
        "- hosts: localhost\n  connection: local\n  gather_facts: false\n  roles: [pam_qrtotp]\n  vars:\n    qrtotp_services: [sshd, sudo]\n    \
         qrtotp_exempt_users: [robot]\n    {more}\n"
    );
    sandbox.overwrite(&format!("{ROLE}/play.yml"), &play);
    sandbox
}

/// A host that gets the .deb files.
fn host_with_files() -> Sandbox {
    let files: Vec<String> = artefacts::packages()
        .iter()
        .map(|package| format!("/root/{}", package.file_name().unwrap().display()))
        .collect();
    let sandbox = host(&format!("qrtotp_debs: [{}]", files.join(", ")));
    for (package, file) in artefacts::packages().iter().zip(files) {
        sandbox.install(package, &file, 0o644);
    }
    sandbox
}

/// Runs the play, and gives the number of its tasks that changed something, or would.
fn play(sandbox: &Sandbox, options: &[&str]) -> (Output, u32) {
    let play = format!("{ROLE}/play.yml");
    let run = sandbox
        .run(
            &[&["env", "ANSIBLE_PIPELINING=1", "ansible-playbook", "-i", "localhost,", &play], options]
                .concat(),
        )
        .success();
    let recap = run.stdout.split("changed=").nth(1).expect("no recap");
    let changed = recap.split_whitespace().next().unwrap().parse().unwrap();
    (run, changed)
}

fn files(sandbox: &Sandbox) -> String {
    let list =
        "find /etc /usr/bin /usr/lib/x86_64-linux-gnu/security -type f -printf '%p %m %s %T@\\n' | sort";
    sandbox.run(&["sh", "-c", list]).success().stdout
}

#[test]
fn a_second_run_changes_nothing_a_check_tells_what_would_change_and_users_need_a_code() {
    let sandbox = host_with_files();
    let before = files(&sandbox);
    let (said, changed) = play(&sandbox, &["--check"]);
    assert!(changed > 0 && files(&sandbox) == before, "{said:?}");
    assert!(play(&sandbox, &[]).1 > 3);
    let set_up = files(&sandbox);
    let (said, changed) = play(&sandbox, &[]);
    assert_eq!(changed, 0, "{said:?}");
    assert_eq!(files(&sandbox), set_up);
    asks_for_codes(&sandbox);
    an_edited_file_is_set_up_again(&sandbox);
    a_setting_that_is_refused_is_an_error_and_logins_go_on_as_before(&sandbox);
}

fn asks_for_codes(sandbox: &Sandbox) {
    let phone = sandbox.import("alice");
    let _sshd = sandbox.start_hosts_sshd();
    let remote = format!("echo {}", INSIDE.replace(' ', "' '"));
    let gets_in = |code: &str| {
        sandbox.keep_secret(code);
        sandbox.ssh("alice", &remote).answer(Knowledge { password: PASSWORD, code }).inside
    };
    assert!(!gets_in(&phone.wrong_code()));
    assert!(gets_in(&phone.code()));
    sandbox.ssh_with("robot", &["BatchMode=yes"], "true").success();
}

fn an_edited_file_is_set_up_again(sandbox: &Sandbox) {
    sandbox.run(&["sed", "-i", "/pam_qrtotp/d", "/etc/pam.d/sudo"]).success();
    let (said, changed) = play(sandbox, &["--check", "--diff"]);
    assert!(changed == 1 && said.stdout.contains("+auth       required     pam_qrtotp.so"), "{said:?}");
    assert_eq!(play(sandbox, &[]).1, 1);
    assert!(sandbox.read("/etc/pam.d/sudo").contains("pam_qrtotp"));
}

fn a_setting_that_is_refused_is_an_error_and_logins_go_on_as_before(sandbox: &Sandbox) {
    let play = format!("{ROLE}/play.yml");
    let faulty = ["ansible-playbook", "-i", "localhost,", &play, "-e", "qrtotp_first_login=nonsense"];
    let refused = sandbox.run(&faulty).exited(2);
    assert!(refused.stdout.contains("unknown variant `nonsense`"), "{refused:?}");
    let said = sandbox.run(&["qrtotp", "config", "show"]).success().stdout;
    assert!(said.contains("exempt-users"), "{said}");
}

#[test]
fn the_packages_come_from_the_site_s_repository() {
    let _one_at_a_time = super::package::REPOSITORY.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    super::package::signed_repository();
    let repository = "qrtotp_repository: file:/root/repo\n    qrtotp_repository_key: /root/repo/qrtotp.gpg";
    let sandbox = host(repository);
    let made = artefacts::target_directory().join("repo");
    let copied =
        std::process::Command::new("cp").arg("-r").arg(made).arg(sandbox.path("/root/repo")).status();
    assert!(copied.unwrap().success());
    let alone =
        "chmod 755 /root; rm -rf /etc/apt/sources.list.d/* /var/lib/apt/lists/*; : >/etc/apt/sources.list";
    sandbox.run(&["sh", "-ec", alone]).success();
    assert!(play(&sandbox, &["--check"]).1 > 0);
    assert!(play(&sandbox, &[]).1 > 3);
    let (said, changed) = play(&sandbox, &[]);
    assert_eq!(changed, 0, "{said:?}");
}
