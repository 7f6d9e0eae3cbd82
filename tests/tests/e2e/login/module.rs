//! The shared object as a guest in another program's process.

use std::{path::Path, process::Command};

use qrtotp_tests::{
    Phone, Sandbox, artefacts,
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};

/// Any error, and any leaked memory, fails the run.
const VALGRIND: [&str; 5] =
    ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite"];

fn host(arguments: &str) -> (Sandbox, Phone) {
    let sandbox = Sandbox::new();
    sandbox.configure("[throttle]\nfree_failures = 20\n");
    sandbox.stack(arguments);
    sandbox.add_user("alice");
    sandbox.add_user("bobby");
    let phone = sandbox.import("alice");
    (sandbox, phone)
}

#[test]
fn the_module_exports_exactly_the_six_hooks() {
    let output = Command::new("nm").args(["-D", "--defined-only"]).arg(artefacts::module()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut names: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().last()).collect();
    names.sort_unstable();
    let hooks = ["acct_mgmt", "authenticate", "chauthtok", "close_session", "open_session", "setcred"];
    assert_eq!(names, hooks.map(|hook| format!("pam_sm_{hook}")));
}

/// The hardening that a file lacks of what every compiler and linker offers, as readelf(1) shows it.
fn unhardened(file: &Path) -> Vec<&'static str> {
    let output = Command::new("readelf")
        .args(["--wide", "--program-headers", "--dynamic"])
        .arg(file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", file.display());
    let text = String::from_utf8(output.stdout).unwrap();
    let segments =
        |kind: &str| text.lines().map(str::trim).filter(move |line| line.starts_with(kind)).collect();
    let (stacks, loads): (Vec<&str>, Vec<&str>) = (segments("GNU_STACK "), segments("LOAD "));
    let dynamic = |tag: &str| text.lines().any(|line| line.contains(&format!("({tag})")));
    let checks = [
        ("position independent", text.contains("file type is DYN")),
        ("read-only after relocation", text.lines().any(|line| line.trim().starts_with("GNU_RELRO "))),
        ("bound before it begins", text.contains("BIND_NOW") || text.contains("Flags: NOW")),
        ("a stack without code", stacks.len() == 1 && stacks.iter().all(|line| line.contains(" RW  "))),
        (
            "no code that can be written",
            !loads.is_empty() && loads.iter().all(|line| !line.contains(" RWE ")),
        ),
        ("no relocation in code", !dynamic("TEXTREL") && !text.contains("TEXTREL")),
        ("libraries from the system's places", !dynamic("RPATH") && !dynamic("RUNPATH")),
    ];
    checks.into_iter().filter_map(|(what, holds)| (!holds).then_some(what)).collect()
}

#[test]
fn module_command_and_broker_are_hardened() {
    for file in [artefacts::module(), artefacts::command(), artefacts::broker()] {
        assert_eq!(unhardened(&file), [""; 0], "{}", file.display());
    }
    let weak = "-Wl,-z,norelro,-z,lazy,-z,execstack,-z,notext,-rpath,/tmp";
    let library = artefacts::compile("unhardened.c", "unhardened.so", &["-shared", weak]);
    let place = "-Wl,--defsym=elsewhere=0";
    let program = artefacts::compile("unhardened.c", "unhardened", &["-no-pie", weak, place]);
    let missing = [library, program].map(|planted| unhardened(&planted));
    let both = [
        "read-only after relocation",
        "bound before it begins",
        "a stack without code",
        "no code that can be written",
        "libraries from the system's places",
    ];
    assert_eq!(missing[0], [&both[..4], &["no relocation in code", both[4]]].concat());
    assert_eq!(missing[1], [&["position independent"], &both[..]].concat());
}

#[test]
fn the_module_needs_libpam_and_the_c_library_and_no_other() {
    let output =
        Command::new("readelf").args(["--wide", "--dynamic"]).arg(artefacts::module()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let needed = text.lines().filter(|line| line.contains("(NEEDED)"));
    let needed: Vec<&str> = needed.filter_map(|line| line.split(['[', ']']).nth(1)).collect();
    assert!(needed.contains(&"libpam.so.0"), "{needed:?}");
    let known =
        |name: &&str| ["libpam.so.", "libc.so.", "ld-linux"].iter().any(|known| name.starts_with(known));
    assert!(needed.iter().all(known), "{needed:?}");
}

#[test]
fn every_outcome_is_clean_under_valgrind() {
    let (sandbox, phone) = host("debug");
    let recovery = sandbox.new_recovery_codes("alice");
    for (user, answer, expected) in [
        ("alice", phone.wrong_code(), PAM_AUTH_ERR),
        ("alice", phone.previous_code(), PAM_SUCCESS),
        ("alice", phone.previous_code(), PAM_AUTH_ERR),
        ("alice", recovery[0].clone(), PAM_SUCCESS),
        ("alice", "no code at all".to_owned(), PAM_AUTH_ERR),
        ("bobby", phone.code(), PAM_AUTH_ERR),
        ("ghost", phone.code(), PAM_AUTH_ERR),
    ] {
        let login =
            sandbox.login(user).answer(&answer).arguments(&["--phases", "acmoxp", "--rhost", "192.0.2.1"]);
        assert_eq!(login.under(&VALGRIND).run().authenticate(), expected, "{user}");
    }
}

#[test]
fn a_hostile_application_gets_a_denial_and_no_crash() {
    let (sandbox, phone) = host("");
    let code = phone.code();
    for mode in [
        &["--mode", "null-array"][..],
        &["--mode", "null-response"],
        &["--mode", "conv-err"],
        &["--mode", "invalid-utf8"],
        &["--mode", "change-user", "--argument", "bobby"],
        &["--mode", "change-items", "--argument", "other"],
        &["--answer-size", "1048576"],
    ] {
        let output = sandbox.login("alice").answer(&code).arguments(mode).under(&VALGRIND).output();
        let output = output.success();
        let result = qrtotp_tests::host::value(&output.stdout, "authenticate").unwrap();
        assert_ne!(result, "0", "{mode:?}: {output:?}");
    }
    // The answer ends at a NUL.
    let login = sandbox.login("alice").answer(&code).arguments(&["--mode", "after-nul"]);
    assert_eq!(
        login.under(&VALGRIND).run().authenticate(),
        PAM_SUCCESS,
        "none of the attempts used the code up"
    );
}

#[test]
fn names_that_are_no_names_are_denied_and_make_no_files() {
    let (sandbox, phone) = host("nullok");
    let before = sandbox.run(&["find", "/var/lib/qrtotp"]).stdout;
    let long = "x".repeat(5000);
    for name in [
        "",
        "../../etc/passwd",
        "..",
        "DOMAIN\\user",
        "user@corp",
        "a\nevent=login result=accepted",
        "\u{1b}[31m",
        &long,
    ] {
        let report = sandbox.login(name).answer(&phone.code()).run();
        assert_ne!(report.authenticate(), PAM_SUCCESS, "{name:?}");
    }
    assert_eq!(sandbox.run(&["find", "/var/lib/qrtotp"]).stdout, before);
    assert!(sandbox.log.events().iter().all(|event| !event.starts_with("event=login result=accepted")));
}

#[test]
fn ten_thousand_loads_in_one_process_leave_nothing_behind() {
    let (sandbox, _) = host("nullok");
    let report = sandbox.login("bobby").arguments(&["--repeat", "10000", "--quiet", "--phases", "acm"]).run();
    assert_eq!(report.count(PAM_SUCCESS), 10_000);
    let grown: i64 = report.value("grown_kib").parse().unwrap();
    assert!(grown < 512, "grown by {grown} KiB over 9,000 loads");
}

#[test]
fn an_application_that_may_not_ask_for_the_clock_is_not_ended_by_a_wrong_code() {
    let (sandbox, phone) = host("");
    let filter = sandbox.install_c("no_clock_calls.c", &[]);
    for (code, expected) in [(phone.wrong_code(), PAM_AUTH_ERR), (phone.code(), PAM_SUCCESS)] {
        let login = sandbox.login("alice").answer(&code).under(&[&filter]);
        assert_eq!(login.run().authenticate(), expected);
    }
}
