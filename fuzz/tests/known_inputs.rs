//! Every committed input, run once: the seeds and former findings.

use std::fs;
use std::path::Path;

#[test]
fn what_was_found_once_and_what_fuzzing_begins_with_hold() {
    let mut count = 0;
    for (name, check) in qrtotp_fuzz::TARGETS {
        for kind in ["seeds", "regressions"] {
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(kind).join(name);
            let files = fs::read_dir(&directory).into_iter().flatten().flatten();
            for file in files {
                println!("{}", file.path().display());
                check(&fs::read(file.path()).expect("a file"));
                count += 1;
            }
        }
    }
    assert!(qrtotp_fuzz::accepted() >= 10, "the scripts of logins get nowhere");
    assert!(count >= qrtotp_fuzz::TARGETS.len() * 3, "the seeds are missing");
}
