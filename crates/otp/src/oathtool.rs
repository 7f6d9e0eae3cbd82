//! Compares codes of random keys, times and parameters with those of oathtool, an independent implementation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{Algorithm, Params, Secret, Strength, code_at, random_bytes};
use std::process::{Command, Stdio};

/// A random key, time and supported parameters.
fn random() -> (Secret, Params, u64) {
    let [length, algorithm, digits, period, time @ ..]: [u8; 9] = random_bytes().unwrap();
    let algorithm = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512][usize::from(algorithm % 3)];
    let params = Params::new(algorithm, 6 + digits % 3, 15 + u32::from(period % 106)).unwrap();
    let key: [u8; 64] = random_bytes().unwrap();
    let secret = Secret::from_bytes(&key[..10 + usize::from(length % 55)], Strength::AllowWeak).unwrap();
    // To the year 2242.
    (secret, params, u64::from_be_bytes([0, 0, 0, time[0] & 1, time[1], time[2], time[3], time[4]]))
}

fn oathtool(secret: &Secret, params: Params, time: u64) -> String {
    use std::io::Write;
    let arguments = [
        format!("--totp={}", params.algorithm()),
        format!("--digits={}", params.digits()),
        format!("--time-step-size={}s", params.period()),
        format!("--now=@{time}"),
        "--base32".to_owned(),
        "-".to_owned(),
    ];
    let mut oathtool = Command::new("oathtool");
    let mut child =
        oathtool.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("oathtool");
    child.stdin.take().unwrap().write_all(secret.to_base32().as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap().trim().to_owned()
}

fn agree(cases: u32) {
    for _ in 0..cases {
        let (secret, params, time) = random();
        let ours = code_at(&secret, params, time / u64::from(params.period()));
        assert_eq!(
            ours.as_str(),
            oathtool(&secret, params, time),
            "{params:?} at {time}, key {}",
            *secret.to_base32()
        );
    }
}

#[test]
fn three_hundred_random_codes_are_oathtools() {
    agree(300);
}

#[test]
#[ignore = "takes a minute: cargo xtask proof oathtool"]
fn ten_thousand_random_codes_are_oathtools() {
    agree(10_000);
}
