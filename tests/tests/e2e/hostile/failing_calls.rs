//! System calls that fail during a login, and power cuts right after it: denied or let in, never half, and no
//! code twice. `cargo xtask proof faults power` does it with every call of every action, and a hundred times.

use qrtotp_tests::{
    Phone, Sandbox, State,
    actions::{ACTIONS, Action, COMMAND, Host},
    faults::{Fault, SHORT, WATCH, calls, effects},
    power::SWALLOWED,
    sandbox::STATE_DIR,
    sweep::{Errors, Swept, false_write, sweep},
};

fn login() -> &'static Action {
    action("login")
}

fn action(name: &str) -> &'static Action {
    ACTIONS.iter().find(|action| action.name == name).unwrap()
}

#[test]
fn a_login_where_one_call_fails_is_denied_or_done_and_the_next_one_works() {
    let only = ["read", "pread64", "pwrite64", "fdatasync", "flock", "rt_sigprocmask"];
    let Swept { tried, wrong, .. } = sweep(login(), &|call| only.contains(&call), Errors::One);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(tried.values().sum::<u32>() >= 8, "{tried:?}");
}

#[test]
fn an_import_of_three_keys_where_one_call_fails_brings_all_of_them_or_none() {
    let only = ["pwrite64", "fdatasync", "fsync", "flock", "renameat2", "renameat", "linkat"];
    let Swept { tried, wrong, .. } =
        sweep(action("import of three keys"), &|call| only.contains(&call), Errors::One);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(tried.values().sum::<u32>() >= 4, "{tried:?}");
}

#[test]
fn a_login_where_one_read_or_write_is_cut_in_half_is_denied_or_done_and_the_next_one_works() {
    let only = ["pread64", "pwrite64"];
    let Swept { effects, wrong, .. } = sweep(login(), &|call| only.contains(&call), Errors::All);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(effects[SHORT] >= 2, "{effects:?}");
}

#[test]
fn a_program_that_does_not_heed_a_short_read_loses_what_it_did_not_get() {
    let sandbox = Sandbox::bare(State::Tmpfs("size=1m"));
    sandbox.overwrite("/tmp/hundred", &"x".repeat(100));
    let copied = |nth| {
        let fault = Fault { call: "read".to_owned(), nth, effect: SHORT };
        let injector = fault.injector(&sandbox);
        let injector: Vec<&str> = injector.iter().map(String::as_str).collect();
        let dd = ["dd", "if=/tmp/hundred", "bs=100", "count=1", "status=none"];
        let output = sandbox.run(&[&injector[..], &dd].concat());
        Fault::hit(&sandbox).map(|hit| (hit, output.stdout.len()))
    };
    let all: Vec<_> = (1..).map_while(copied).collect();
    assert!(all.iter().any(|(hit, length)| hit.contains("50 of 100 bytes") && *length == 50), "{all:?}");
}

#[test]
fn a_file_that_cannot_be_closed_stops_no_command_that_makes_a_store() {
    let action = action("import that makes key and store");
    let Swept { tried, wrong, .. } = sweep(action, &|call| call == "close", Errors::One);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(tried["close"] >= 20, "{tried:?}");
}

#[test]
fn a_sealing_key_is_made_without_hard_links_and_a_file_system_that_can_not_do_it_safely_is_named() {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    let phone = Phone::random();
    let import = |faults: &[&str]| {
        let faults = faults.iter().flat_map(|fault| ["-e", *fault]);
        let strace: Vec<&str> = ["strace", "-f", "-o", "/dev/null"].into_iter().chain(faults).collect();
        let argv = [&strace[..], &["qrtotp", "import", "uri", "alice", "--unused"]].concat();
        sandbox.run_with_input(&argv, &(phone.uri("alice") + "\n"))
    };
    let no_links = "inject=linkat:error=EPERM";
    let refused = import(&[no_links, "inject=renameat2:error=EINVAL"]).exited(2).stderr;
    assert!(refused.contains("seal.key can't be made: its file system has neither"), "{refused}");
    let immutable = import(&[no_links, "inject=renameat2:error=EPERM"]).exited(2).stderr;
    assert!(immutable.contains("lsattr") && !immutable.contains("run it as root"), "{immutable}");
    assert_eq!(
        sandbox.run(&["ls", "-A", "/etc/qrtotp"]).stdout,
        "qrtotp.toml\nqrtotp.toml.applied\nqrtotp.toml.applied.d\n"
    );
    import(&[no_links]).success();
    sandbox.run(&["qrtotp", "status", "alice"]).success();
    // Nothing but the key ever needs it: a store that is there can move to any file system, and doctor has
    // nothing to try.
    sandbox.run(&["qrtotp", "account", "remove", "alice", "--yes"]).success();
    import(&[no_links, "inject=renameat2:error=EINVAL"]).success();
}

#[test]
fn a_write_that_claims_to_have_happened_is_found_out() {
    let wrong = false_write();
    assert!(wrong.iter().any(|wrong| wrong.contains("had been used")), "{wrong:?}");
}

#[test]
fn after_a_power_cut_everything_is_as_success_said_and_a_sync_that_does_nothing_is_found_out() {
    for name in ["login", "revocation"] {
        let action = ACTIONS.iter().find(|action| action.name == name).unwrap();
        let host = Host::new(action, State::Ext4("32m"));
        let states = host.states(|_| Vec::new());
        for _ in 0..3 {
            assert_eq!(host.do_and_cut(&[], &states), Vec::<String>::new(), "{name}");
        }
        assert!(!host.do_and_cut(&SWALLOWED, &states).is_empty(), "{name}");
    }
}

/// A configuration of one rule, applied under other programs.
fn apply(sandbox: &Sandbox, path: &str, rule: &str, under: &[&str]) -> bool {
    sandbox.overwrite(path, &format!("[[rule]]\nname = \"{rule}\"\nuser = [\"x\"]\nthen = \"deny\"\n"));
    let apply = ["qrtotp", "--config", path, "config", "apply"];
    sandbox.run(&[under, &apply].concat()).status.success()
}

/// Whether logins use this rule; anything but one of the two fails.
fn is_in_force(sandbox: &Sandbox, path: &str, [new, old]: [&str; 2]) -> bool {
    let shown = sandbox.run(&["qrtotp", "--config", path, "config", "show"]).success().stdout;
    let has = |rule: &str| shown.contains(&format!("rule {rule}\n"));
    assert!(has(new) != has(old), "{new}, {old}: {shown}");
    has(new)
}

fn fails_at_calls_of_an_apply(wanted: impl Fn(&str) -> bool, least: usize) {
    let (sandbox, path) = (Sandbox::new(), "/etc/qrtotp/qrtotp.toml");
    assert!(apply(&sandbox, path, "old", &WATCH));
    let mut met = 0;
    for (call, places) in calls(&sandbox, COMMAND, |_| true).iter().filter(|(call, _)| wanted(call)) {
        for (place, effect) in places.iter().zip(effects(call).into_iter().cycle()) {
            let fault = Fault { call: call.clone(), nth: place.nth, effect };
            let injector = fault.injector(&sandbox);
            let done = apply(&sandbox, path, "new", &injector.iter().map(String::as_str).collect::<Vec<_>>());
            let new = is_in_force(&sandbox, path, ["new", "old"]);
            assert!(new || !done, "success was reported, and the old policy is in force: {fault:?}");
            met += usize::from(Fault::hit(&sandbox).is_some());
            assert!(apply(&sandbox, path, "old", &[]), "nothing can be applied after {fault:?}");
        }
    }
    assert!(met >= least, "{met} faults were met");
}

#[test]
fn an_apply_where_a_write_or_sync_fails_leaves_all_of_the_old_or_all_of_the_new_policy() {
    fails_at_calls_of_an_apply(
        |call| ["write", "fsync", "fdatasync", "rename", "renameat", "flock"].contains(&call),
        6,
    );
}

#[test]
#[ignore = "takes minutes: `cargo xtask proof apply`"]
fn an_apply_where_any_call_fails_leaves_all_of_the_old_or_all_of_the_new_policy() {
    fails_at_calls_of_an_apply(|_| true, 200);
}

/// Kills an apply just before each of these calls. Then, if `cut`, the power fails, too.
fn is_killed_at_calls_of_an_apply(cut: bool, wanted: impl Fn(&str) -> bool, least: usize) {
    let sandbox = if cut { Sandbox::with_state(State::Ext4("32m")) } else { Sandbox::new() };
    let directory = if cut { format!("{STATE_DIR}/policy") } else { "/etc/qrtotp".to_owned() };
    sandbox.run(&["mkdir", "-p", &directory]).success();
    let path = &format!("{directory}/qrtotp.toml");
    assert!(apply(&sandbox, path, "old", &WATCH));
    let (mut kills, mut news) = (0, 0);
    for (call, places) in calls(&sandbox, COMMAND, |_| true).iter().filter(|(call, _)| wanted(call)) {
        for place in places {
            let fault = Fault { call: call.clone(), nth: place.nth, effect: "signal=KILL" };
            let injector = fault.injector(&sandbox);
            let _ = apply(&sandbox, path, "new", &injector.iter().map(String::as_str).collect::<Vec<_>>());
            kills += usize::from(sandbox.read("/tmp/trace").trim_end().ends_with(" = ?"));
            if cut {
                sandbox.cut_power();
            }
            news += usize::from(is_in_force(&sandbox, path, ["new", "old"]));
            assert!(apply(&sandbox, path, "old", &[]), "nothing can be applied after {fault:?}");
        }
    }
    println!("{kills} kills, after {news} of them the new policy was in force");
    assert!(kills >= least && news > 0 && news < kills, "{kills} kills, {news} new");
}

/// Calls that change, lock or sync files.
fn changes(call: &str) -> bool {
    ["write", "fsync", "fdatasync", "rename", "renameat", "renameat2", "flock", "unlinkat"].contains(&call)
}

#[test]
fn an_apply_that_is_killed_at_a_change_leaves_all_of_the_old_or_all_of_the_new_policy() {
    is_killed_at_calls_of_an_apply(false, changes, 9);
}

#[test]
fn an_apply_that_a_power_cut_ends_at_a_change_leaves_all_of_the_old_or_all_of_the_new_policy() {
    is_killed_at_calls_of_an_apply(true, changes, 7);
}

#[test]
#[ignore = "takes minutes: `cargo xtask proof apply`"]
fn an_apply_that_is_killed_at_any_call_leaves_all_of_the_old_or_all_of_the_new_policy() {
    is_killed_at_calls_of_an_apply(false, |_| true, 100);
}

#[test]
#[ignore = "takes minutes: `cargo xtask proof apply`"]
fn an_apply_that_a_power_cut_ends_at_any_call_leaves_all_of_the_old_or_all_of_the_new_policy() {
    is_killed_at_calls_of_an_apply(true, |_| true, 100);
}

#[test]
fn after_a_power_cut_the_policy_that_was_applied_is_in_force_and_a_sync_that_does_nothing_is_found_out() {
    let (sandbox, path) =
        (Sandbox::with_state(State::Ext4("32m")), &format!("{STATE_DIR}/policy/qrtotp.toml"));
    sandbox.run(&["mkdir", &format!("{STATE_DIR}/policy")]).success();
    let rules = ["a", "b", "c", "d", "e"];
    assert!(apply(&sandbox, path, rules[0], &[]));
    for pair in rules.windows(2) {
        assert!(apply(&sandbox, path, pair[1], &[]));
        sandbox.cut_power();
        assert!(is_in_force(&sandbox, path, [pair[1], pair[0]]), "{pair:?}");
    }
    assert!(apply(&sandbox, path, "lost", &SWALLOWED));
    sandbox.cut_power();
    let kept = sandbox.run(&["qrtotp", "--config", path, "config", "show"]);
    assert!(!kept.stdout.contains("rule lost\n"), "{kept:?}");
}
