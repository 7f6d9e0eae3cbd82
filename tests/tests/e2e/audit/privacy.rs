//! docs/PRIVACY.md's promises about erasing a person.

use qrtotp_tests::{
    Sandbox,
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};

#[test]
fn account_remove_leaves_no_trace_in_the_store_and_metrics_never_have_a_name() {
    let sandbox = Sandbox::new();
    sandbox.stack("");
    sandbox.add_user("alice");
    let phone = sandbox.import("alice");
    let login = |code: &str| {
        sandbox.login("alice").answer(code).arguments(&["--rhost", "192.0.2.7"]).run().authenticate()
    };
    assert_eq!(login(&phone.code()), PAM_SUCCESS);
    assert_eq!(login(&phone.wrong_code()), PAM_AUTH_ERR);
    let _ = sandbox.run(&["qrtotp", "token", "issue", "alice"]).success();
    let traces = || sandbox.run(&["grep", "-rlE", "alice|192\\.0\\.2\\.7", "/var/lib/qrtotp"]).stdout;
    assert!(traces().contains("/alice/state") && traces().contains("/alice/account.toml"), "{}", traces());
    let metrics = sandbox.run(&["qrtotp", "metrics"]).success().stdout;
    assert!(!metrics.contains("alice"), "{metrics}");
    let _ = sandbox.run(&["qrtotp", "account", "remove", "alice", "--yes"]).success();
    assert_eq!(traces(), "");
    let names = sandbox.run(&["find", "/var/lib/qrtotp", "-name", "*alice*"]).success().stdout;
    assert_eq!(names, "");
}
