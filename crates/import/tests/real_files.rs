//! Files that other programs wrote, with made-up keys: keepassxc-cli 2.7.4 (`import -p` of a database,
//! `export -f csv`), python-pskc 1.2, and protoc 3.21 from the published description of Google
//! Authenticator's export.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use qrtotp_import::{Entry, parse_csv, parse_migration, parse_pskc};
use qrtotp_otp::{Algorithm, Params, Strength};

const NOW: i64 = 1_790_000_010; // 2026-09-21

fn params(algorithm: Algorithm, digits: u8, period: u32) -> Params {
    Params::new(algorithm, digits, period).unwrap()
}

fn said(entry: &Entry) -> String {
    entry.found.as_ref().expect_err("it is taken").to_string()
}

#[test]
fn keepassxcs_table_gives_its_keys_and_refuses_steams() {
    let file = include_bytes!("real/keepassxc.csv");
    let entries = parse_csv(file, Strength::Normal).unwrap();
    let [web1, steam, old] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((web1.name.as_str(), web1.label.as_str()), ("web1:nobody", "nobody"));
    assert_eq!(web1.found.as_ref().unwrap().params, params(Algorithm::Sha256, 8, 30));
    assert!(said(steam).contains("\"encoder\""));
    assert_eq!(old.found.as_ref().unwrap().params, params(Algorithm::Sha1, 8, 60));
}

#[test]
fn python_pskcs_file_gives_its_token_and_refuses_what_can_not_be_kept() {
    let entries = parse_pskc(include_bytes!("real/python-pskc.xml"), NOW, Strength::Normal).unwrap();
    let [first, expired, hotp, pin] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((first.name.as_str(), first.user.as_deref()), ("TOK1", Some("nobody")));
    let found = first.found.as_ref().unwrap();
    assert_eq!((found.params, found.drift), (params(Algorithm::Sha256, 8, 60), -4));
    assert_eq!(found.secret.as_bytes(), b"12345678901234567890");
    assert!(found.notes[0].to_string().contains("2036-01-31"));
    assert!(said(expired).contains("ExpiryDate is over") && expired.user.as_deref() == Some("bin"));
    assert!(said(hotp).contains("HOTP") && said(pin).contains("PIN"));
    let encrypted =
        parse_pskc(include_bytes!("real/python-pskc-encrypted.xml"), NOW, Strength::Normal).unwrap();
    assert!(said(&encrypted[0]).contains("encrypted"));
}

#[test]
fn protocs_export_of_two_qr_codes_gives_all_keys() {
    let file = include_bytes!("real/protobuf.txt");
    let entries = parse_migration(file, Strength::Normal).unwrap();
    let labels: Vec<_> = entries.iter().map(|entry| entry.label.as_str()).collect();
    assert_eq!(labels, ["nobody", "bin@web1", "daemon", "Ünï cødé"]);
    let found: Vec<_> = entries.iter().map(|entry| entry.found.as_ref().unwrap()).collect();
    let expected =
        [(Algorithm::Sha1, 6), (Algorithm::Sha256, 8), (Algorithm::Sha512, 6), (Algorithm::Sha1, 8)];
    for ((found, (algorithm, digits)), last) in found.iter().zip(expected).zip(b'a'..) {
        assert_eq!(found.params, params(algorithm, digits, 30));
        assert_eq!(found.secret.as_bytes(), [&b"1234567890123456789"[..], &[last]].concat());
    }
    let first = file.split(|byte| *byte == b'\n').next().unwrap();
    assert!(parse_migration(first, Strength::Normal).is_err(), "half an export");
}
