//! libFuzzer's entry. `QRTOTP_FUZZ_TARGET` names the target, `QRTOTP_FUZZ_PLANTED` plants its fault.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

static CHECK: OnceLock<fn(&[u8])> = OnceLock::new();

fn choose() -> fn(&[u8]) {
    let name = std::env::var("QRTOTP_FUZZ_TARGET").unwrap_or_default();
    if std::env::var_os("QRTOTP_FUZZ_PLANTED").is_some() {
        qrtotp_fuzz::plant();
    }
    qrtotp_fuzz::target(&name).unwrap_or_else(|| panic!("QRTOTP_FUZZ_TARGET names no target"))
}

fuzz_target!(|data: &[u8]| CHECK.get_or_init(choose)(data));
