//! System calls that fail while somebody logs in, and power cuts right after it: denied or let in, never half, and no code
//! twice. `cargo xtask proof faults power` does it with every call of everything, and a hundred times.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use qrtotp_tests::{
    Phone, Sandbox, State,
    deeds::{DEEDS, Deed, Host},
    faults::{Fault, SHORT},
    power::SWALLOWED,
    sweep::{Errors, Swept, false_write, sweep},
};

fn login() -> &'static Deed {
    DEEDS.iter().find(|deed| deed.name == "login").unwrap()
}

#[test]
fn a_login_where_one_call_fails_is_denied_or_done_and_the_next_one_works() {
    let only = ["read", "pread64", "pwrite64", "fdatasync", "flock", "rt_sigprocmask"];
    let Swept { tried, wrong, .. } = sweep(login(), &|call| only.contains(&call), Errors::One);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(tried.values().sum::<u32>() >= 8, "{tried:?}");
}

#[test]
fn a_login_where_one_read_or_write_is_cut_in_half_is_denied_or_done_and_the_next_one_works() {
    let only = ["pread64", "pwrite64"];
    let Swept { effects, wrong, .. } = sweep(login(), &|call| only.contains(&call), Errors::All);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(effects[SHORT] >= 3, "{effects:?}");
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
    let deed = DEEDS.iter().find(|deed| deed.name == "import that makes key and store").unwrap();
    let Swept { tried, wrong, .. } = sweep(deed, &|call| call == "close", Errors::One);
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
}

#[test]
fn a_write_that_claims_to_have_happened_is_found_out() {
    let wrong = false_write();
    assert!(wrong.iter().any(|wrong| wrong.contains("had been used")), "{wrong:?}");
}

#[test]
fn after_a_power_cut_everything_is_as_success_said_and_a_sync_that_does_nothing_is_found_out() {
    for name in ["login", "revocation"] {
        let deed = DEEDS.iter().find(|deed| deed.name == name).unwrap();
        let host = Host::new(deed, State::Ext4("32m"));
        let states = host.states(|_| Vec::new());
        for _ in 0..3 {
            assert_eq!(host.do_and_cut(&[], &states), Vec::<String>::new(), "{name}");
        }
        assert!(!host.do_and_cut(&SWALLOWED, &states).is_empty(), "{name}");
    }
}
