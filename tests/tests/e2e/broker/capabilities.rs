//! The broker has no capability that it doesn't use. Its unit tells which it has: those that the unit grants,
//! and those that its first comment assigns to drop-ins for some PAM modules.

use std::time::Duration;

use qrtotp_tests::{
    Phone, Sandbox, artefacts,
    broker::{DEVICE_QUESTION, ENROLS, PROGRAM, SOCKET, as_user},
    clock,
    host::PAM_SUCCESS,
    person,
    users::PASSWORD,
};

/// Capabilities that the unit lists together.
#[derive(Debug, PartialEq)]
struct Set {
    /// The line of the comment that says where a drop-in grants them; empty for those of the unit itself.
    place: String,
    capabilities: Vec<String>,
}

/// The actions on a host; returns the names of those that failed.
type Actions = fn(&Sandbox) -> Vec<&'static str>;

/// `None`: the unit has no limit, so systemd grants all.
fn sets(unit: &str) -> Option<Vec<Set>> {
    let mut limited = false;
    let mut sets = vec![Set { place: String::new(), capabilities: Vec::new() }];
    let mut place = "";
    for line in unit.lines() {
        place = line.strip_prefix("# - ").unwrap_or(place);
        let setting = line.trim_start_matches(['#', ' ']);
        let Some((name, value)) = setting.split_once('=') else { continue };
        if !["CapabilityBoundingSet", "AmbientCapabilities"].contains(&name) {
            continue;
        }
        assert!(!value.contains('~'), "this test does not know what is left of all: {line}");
        let words = value.split_whitespace().map(|word| word.strip_prefix("CAP_").unwrap().to_lowercase());
        if line.starts_with('#') {
            sets.push(Set { place: place.to_owned(), capabilities: words.collect() });
        } else {
            limited |= name == "CapabilityBoundingSet";
            sets[0].capabilities.extend(words);
        }
    }
    limited.then_some(sets)
}

fn shipped() -> Vec<Set> {
    let unit = std::fs::read_to_string(artefacts::sources().join("../conf/systemd/qrtotpd.service")).unwrap();
    sets(&unit).expect("without CapabilityBoundingSet= systemd grants all")
}

/// A host that needs the set, and the actions to run there.
fn host(place: &str) -> (Sandbox, Actions) {
    let sandbox =
        Sandbox::with_broker(&format!("{ENROLS}[verify]\nwindow_back = 10\n[enroll]\nmax_devices = 1\n"));
    match place {
        "" => (sandbox, everything),
        place if place.starts_with("pam_faillock") => {
            let before = "auth required pam_faillock.so preauth\nauth [success=1 default=ignore] pam_unix.so nodelay\n";
            let after =
                "auth [default=die] pam_faillock.so authfail\nauth required pam_faillock.so authsucc\n";
            let account = "account required pam_faillock.so\naccount required pam_unix.so\n";
            sandbox.pam("qrtotp", &format!("{before}{after}{account}"));
            (sandbox, everything_and_counting)
        }
        place if place.starts_with("a /etc/shadow") => {
            sandbox.run(&["chmod", "0000", "/etc/shadow"]).success();
            (sandbox, everything)
        }
        other => panic!("no action here needs the capabilities for {other:?}"),
    }
}

/// The users' actions through the broker.
fn everything(sandbox: &Sandbox) -> Vec<&'static str> {
    let seen = sandbox.log.lines().len();
    let status = sandbox.own_output("alice", &["status"]).stdout;
    let phone = enrol(sandbox);
    let code = |age| phone.as_ref().map(|phone| phone.code_of_step(phone.step() - age));
    let screen = code(3).map(|code| sandbox.login("alice").answer(&code).under(&as_user("alice")).run());
    let revoked = code(1).is_some_and(|code| {
        let mut pty = sandbox.own("alice", &["revoke"]);
        pty.meet(&[DEVICE_QUESTION], Duration::from_secs(10));
        pty.send(&code);
        pty.finish().0.success()
    });
    // The line may arrive after the command has ended.
    let logged = clock::poll(Duration::from_secs(2), || {
        let lines = sandbox.log.lines().split_off(seen);
        lines.iter().any(|line| line.contains("event=credential_revoked")).then_some(())
    });
    let actions = [
        ("status", status.contains("unenrolled")),
        ("enrolment with the password", phone.is_some()),
        ("a code at a screen locker", screen.is_some_and(|screen| screen.authenticate() == PAM_SUCCESS)),
        ("revocation", revoked),
        ("the log", logged.is_some()),
    ];
    actions.into_iter().filter_map(|(name, done)| (!done).then_some(name)).collect()
}

/// From the password to the recovery codes.
fn enrol(sandbox: &Sandbox) -> Option<Phone> {
    let mut pty = sandbox.own("alice", &["enroll", "--qr", "none"]);
    pty.meet(&["assword: "], Duration::from_secs(10))?;
    pty.send(PASSWORD);
    let played = person::enrol(sandbox, pty);
    played.phone.filter(|_| played.exit == Some(0))
}

/// The same, and pam_faillock's reaction to a wrong password.
fn everything_and_counting(sandbox: &Sandbox) -> Vec<&'static str> {
    let file = "/run/faillock/alice";
    // Whether it was counted, and the file's owner: read first, because the command `faillock` changes it.
    let counted = |prepare: &[&str]| {
        let _ = sandbox.run(&["rm", "-f", file]);
        sandbox.run(prepare).success();
        let mut wrong = sandbox.own("alice", &["enroll"]);
        wrong.expect("assword: ");
        wrong.send("wrong horse");
        wrong.failure();
        let owner = sandbox.run(&["stat", "-c", "%U", file]).stdout;
        let tally = sandbox.run(&["faillock", "--user", "alice"]).stdout;
        (tally.lines().any(|line| line.starts_with("20")), owner)
    };
    let (in_theirs, _) = counted(&["install", "-D", "-m", "600", "-o", "alice", "/dev/null", file]);
    let (in_new, owner) = counted(&["mkdir", "-p", "/run/faillock"]);
    let actions = [
        ("counting in a file of the user's", in_theirs),
        ("counting in a new file", in_new),
        ("giving that to the user", owner == "alice\n"),
    ];
    let failed = actions.into_iter().filter_map(|(name, done)| (!done).then_some(name));
    failed.chain(everything(sandbox)).collect()
}

/// The actions that fail if the broker has these capabilities and no others.
fn undone(sandbox: &Sandbox, actions: Actions, capabilities: &[&str]) -> Vec<&'static str> {
    let _ = sandbox.run(&["rm", "-rf", "/var/lib/qrtotp/accounts/alice"]);
    let bounding: String = capabilities.iter().map(|name| format!(",+{name}")).collect();
    let bounding = format!("--bounding-set=-all{bounding}");
    let none = ["setpriv", "--no-new-privs", "--inh-caps=-all", "--ambient-caps=-all", &bounding, "--"];
    let _broker = sandbox.start_broker_with(&[&none[..], &[PROGRAM, "--listen", SOCKET]].concat());
    actions(sandbox)
}

/// The capabilities without which everything still succeeds.
fn unused(sandbox: &Sandbox, actions: Actions, capabilities: &[&str]) -> Vec<String> {
    let mut unused = Vec::new();
    for one in capabilities {
        let others: Vec<&str> = capabilities.iter().filter(|other| *other != one).copied().collect();
        let undone = undone(sandbox, actions, &others);
        println!("without {one}: {undone:?} fail");
        if undone.is_empty() {
            unused.push((*one).to_owned());
        }
    }
    unused
}

#[test]
fn with_the_capabilities_that_the_unit_names_everything_is_done_and_without_any_one_of_them_something_is_not()
{
    let each = |set: Set| {
        let (sandbox, actions) = host(&set.place);
        let capabilities: Vec<&str> = set.capabilities.iter().map(String::as_str).collect();
        assert_eq!(undone(&sandbox, actions, &capabilities), [""; 0], "{set:?}");
        assert_eq!(unused(&sandbox, actions, &capabilities), [""; 0], "{set:?}");
    };
    // Most of the time is spent waiting.
    std::thread::scope(|scope| {
        for set in shipped() {
            scope.spawn(|| each(set));
        }
    });
}

#[test]
fn a_capability_that_nothing_needs_is_noticed() {
    let unit = "# - pam_faillock, say:\n#       CapabilityBoundingSet=CAP_CHOWN\n[Service]\nCapabilityBoundingSet=CAP_NET_ADMIN\nAmbientCapabilities=\n";
    let set = |place: &str, name: &str| Set { place: place.to_owned(), capabilities: vec![name.to_owned()] };
    assert_eq!(sets(unit), Some(vec![set("", "net_admin"), set("pam_faillock, say:", "chown")]));
    assert_eq!(sets(&unit.replace("\nCapabilityBoundingSet=CAP_NET_ADMIN", "")), None);
    let (sandbox, actions) = host("");
    assert_eq!(unused(&sandbox, actions, &["net_admin"]), ["net_admin"]);
}
