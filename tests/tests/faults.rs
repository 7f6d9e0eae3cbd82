//! System calls that fail while somebody logs in, and power cuts right after it: denied or let in, never half, and no code
//! twice. `cargo xtask proof faults power` does it with every call of everything, and a hundred times.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use qrtotp_tests::{
    State,
    deeds::{DEEDS, Deed, Host},
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
fn a_file_that_cannot_be_closed_stops_no_command_that_makes_a_store() {
    let deed = DEEDS.iter().find(|deed| deed.name == "import that makes key and store").unwrap();
    let Swept { tried, wrong, .. } = sweep(deed, &|call| call == "close", Errors::One);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(tried["close"] >= 20, "{tried:?}");
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
