//! Many users who call the broker at the same moment.

use qrtotp_tests::{Sandbox, broker::frame};

#[test]
fn two_hundred_neighbours_who_come_at_once_are_all_served() {
    let sandbox = Sandbox::with_broker("");
    let people: String = (5000..5200).map(|uid| format!("u{uid}:x:{uid}:{uid}::/:/bin/bash\n")).collect();
    sandbox.append("/etc/passwd", &people);
    let _broker = sandbox.start_broker();
    let heard = sandbox.send_as_crowd(5000, 200, &frame(1, 2, &[0]));
    for uid in 5000..5200 {
        assert!(heard.contains(&format!("u{uid}: unenrolled")), "{uid}: {heard}");
    }
}
