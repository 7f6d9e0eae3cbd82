#![allow(clippy::unwrap_used)]
use super::*;

const RECORD: &str = r#####"version = 1
name = "alice"
uid = 1000
record = "E42RUOCQIPNFB5I5PGK2WT6SEU"
revoked = 1795509000
recovery_due = true

[[credential]]
id = "c-KESAY4"
label = "it's \"x\""
algorithm = "SHA1"
digits = 6
period = 30
created = 1795509008
origin = "imported"
sealed = "SIJSCANG2KDWSII2PBYN7OYVLTFJSRDE"

[[credential]]
id = "c-6FCS4P"
label = "a \"b\"\\"
algorithm = "SHA256"
digits = 8
period = 60
created = 1795509009
origin = "enrolled"
sealed = "7ILF3GDKLCUZ3TDKIMSR3LLJZJBS6VVY"

[[credential]]
id = "c-XK8TFW"
label = "a'b\\c"
algorithm = "SHA512"
digits = 7
period = 15
created = 1795509010
origin = "enrolled"
sealed = "IIK7KKELYCAWQVOOL24JTJOPLKSNKZEB"

[[credential]]
id = "c-C8501K"
label = "it''''s \"\"\"\""
algorithm = "SHA1"
digits = 6
period = 30
created = 1795509011
origin = "imported"
sealed = "S4RS7L7Q5UQMTBTDWBS4MTYALWUZOERE"

[recovery]
id = "s-NCZJNE"
created = 1795509008
kdf = "argon2id-19456-2-1"
salt = "V6M7IJKCLTZXK4XBDLR33EEGVQ"
hashes = "W2KCBALI6BUOXZFFIO33VZNTTDSKUQJDGXIWUMHTZRXKLE4WSGNA"

[token]
id = "t-RQNK6T"
state = "shown"
at = 1795508999
issued = 1795508992
issued_by = "root"
expires = 1795595392
shows = 1
max_shows = 3

[token.code]
kdf = "argon2id-19456-2-1"
salt = "4UTFSJRCMHVWY64QXDOFHKLSFE"
hash = "PQLXUL6UEWPXFN74ASATQZPQXU"
expires = 1795509592
failures = 2

[pending]
token = "t-RQNK6T"
guesses = 1

[pending.credential]
id = "c-NAG5QA"
label = "new"
algorithm = "SHA1"
digits = 6
period = 30
created = 1795508999
origin = "enrolled"
sealed = "6F3OCEALLWARQIYDHHCEB3G5OFYCEMAJ"
"#####;

#[test]
fn a_record_is_read_and_written_as_it_was() {
    let record = read(RECORD).unwrap();
    let labels: Vec<&str> = record.credentials.iter().map(|known| known.label.as_str()).collect();
    assert_eq!(labels, [r#"it's "x""#, r#"a "b"\"#, r"a'b\c", "it''''s \"\"\"\""]);
    assert_eq!(record.recovery.as_ref().unwrap().hashes.len(), 2);
    assert_eq!(record.token.as_ref().unwrap().state, TokenState::Shown(1_795_508_999));
    assert_eq!(record.pending.as_ref().unwrap().credential.label.as_str(), "new");
    assert_eq!(write(&record), RECORD);
    assert!(RECORD.parse::<toml::Table>().is_ok(), "it is TOML");
}

#[test]
fn the_kind_of_a_recovery_set_is_kept() {
    let mut record = read(RECORD).unwrap();
    assert_eq!(record.recovery.as_ref().unwrap().kind, SetKind::Ours);
    record.recovery.as_mut().unwrap().kind = SetKind::Imported;
    assert_eq!(read(&write(&record)).unwrap(), record);
}

#[test]
fn a_window_of_a_devices_own_is_kept_in_both_its_halves_and_its_bounds() {
    let mut record = read(RECORD).unwrap();
    assert!(record.credentials.iter().all(|known| known.window.is_none()));
    record.credentials[1].window = Some(Window { back: 3, ahead: 0 });
    let written = write(&record);
    let lines = "origin = \"enrolled\"\nwindow_back = 3\nwindow_ahead = 0\nsealed";
    assert!(written.contains(lines), "{written}");
    assert_eq!(read(&written).as_ref(), Ok(&record));
    for (other, error) in [
        ("window_back = 4\nwindow_ahead = 0\n", Value("credential.window_back")),
        ("window_back = 3\nwindow_ahead = 4\n", Value("credential.window_back")),
        ("window_back = 3\n", Value("credential.window_back")),
        ("window_ahead = 0\n", Value("credential.window_back")),
        ("window_back = -1\nwindow_ahead = 0\n", RecordError::Syntax),
        ("window_back = 256\nwindow_ahead = 0\n", RecordError::Syntax),
    ] {
        let text = written.replace("window_back = 3\nwindow_ahead = 0\n", other);
        assert_eq!(read(&text), Err(error), "{other}");
    }
}

#[test]
fn the_keys_that_a_token_is_bound_to_are_kept_and_bounded() {
    let mut record = read(RECORD).unwrap();
    assert_eq!(record.token.as_ref().unwrap().keys, []);
    let key = "SHA256:KaSVbDRGIj/71My3xBIR2mgI/wnC0MdkcrccUkQjRRM";
    let other = "SHA256:RsUFG7zAviMBtUkv9XUrbYRu4xonVzD+uCZmD7H2ezM";
    record.token.as_mut().unwrap().keys = vec![key.parse().unwrap(), other.parse().unwrap()];
    let written = write(&record);
    let line = format!("keys = \"{key} {other}\"");
    assert!(written.contains(&line), "{written}");
    assert_eq!(read(&written).as_ref(), Ok(&record));
    let with = |keys: &str| read(&written.replace(&line, &format!("keys = \"{keys}\"")));
    let many = |count| vec![key; count].join(" ");
    assert_eq!(with(&many(32)).unwrap().token.unwrap().keys.len(), 32);
    for keys in [
        "",
        key.trim_start_matches("SHA256:"),
        &format!("{key}  {other}"),
        &format!("{key},{other}"),
        &many(33),
    ] {
        assert_eq!(with(keys), Err(Value("token.keys")), "{keys}");
    }
}

const SSH_KEY_TABLE: &str = r#"[[credential]]
id = "c-9QX0AB"
kind = "ssh-key"
label = "blue"
type = "sk-ssh-ed25519@openssh.com"
fingerprint = "SHA256:KaSVbDRGIj/71My3xBIR2mgI/wnC0MdkcrccUkQjRRM"
created = 1795509012

[recovery]"#;

#[test]
fn ssh_keys_are_kept_beside_apps_and_bounded() {
    let text = RECORD.replace("[recovery]", SSH_KEY_TABLE);
    let record = read(&text).unwrap();
    assert_eq!((record.credentials.len(), record.ssh_keys.len()), (4, 1));
    let key = &record.ssh_keys[0];
    assert_eq!(
        (key.label.as_str(), key.kind, key.created),
        ("blue", HardwareKeyType::Ed25519, 1_795_509_012)
    );
    assert_eq!(write(&record), text);
    assert!(text.parse::<toml::Table>().is_ok(), "it is TOML");
    for (old, new, error) in [
        ("c-9QX0AB", "c-KESAY4", Value("credential.id")),
        ("c-9QX0AB", "c-NAG5QA", Value("pending.credential.id")),
        ("\"ssh-key\"", "\"passkey\"", Value("credential.kind")),
        ("\"ssh-key\"", "\"totp\"", Value("credential.kind")),
        ("sk-ssh-ed25519@openssh.com", "ssh-ed25519", Value("credential.type")),
        (
            "sk-ssh-ed25519@openssh.com",
            "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
            Value("credential.type"),
        ),
        ("SHA256:KaSV", "MD5:KaSV", Value("credential.fingerprint")),
        ("label = \"blue\"", "label = \"blue\"\nsealed = \"ME\"", RecordError::Syntax),
        ("label = \"new\"", "kind = \"ssh-key\"\nlabel = \"new\"", RecordError::Syntax),
    ] {
        assert_eq!(read(&text.replacen(old, new, 1)), Err(error), "{new}");
    }
    let mut many = record.clone();
    let ids = (0..Record::MAX_SSH_KEYS as u8).map(|n| crate::CredentialId::from_random([n; 6]));
    many.ssh_keys = ids.map(|id| SshKey { id, ..key.clone() }).collect();
    assert_eq!(read(&write(&many)).as_ref(), Ok(&many));
    many.ssh_keys.push(key.clone());
    assert_eq!(read(&write(&many)), Err(Value("credential")));
    let alone = Record { credentials: Vec::new(), ..record };
    assert_eq!(read(&write(&alone)), Err(Value("credential.kind")), "without an app");
}

#[test]
fn no_line_may_be_missing_twice_there_or_unknown() {
    let record = read(RECORD).unwrap();
    let lines: Vec<&str> = RECORD.lines().collect();
    for (place, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        let with = |new: &[&str]| read(&[&lines[..place], new, &lines[place + 1..]].concat().join("\n"));
        assert_eq!(with(&[line]).as_ref(), Ok(&record));
        assert_ne!(with(&[]).as_ref(), Ok(&record), "without {line}");
        assert!(with(&[line, line]).is_err(), "twice {line}");
        assert!(with(&[line, "unknown = 1"]).is_err(), "unknown key after {line}");
        assert!(with(&["[unknown]", line]).is_err(), "unknown table before {line}");
    }
}

#[test]
fn values_out_of_their_bounds_are_refused_by_key() {
    for (old, new, error) in [
        ("version = 1", "version = 2", RecordError::Version),
        ("uid = 1000", "uid = 4294967296", RecordError::Syntax),
        ("c-6FCS4P", "c-KESAY4", Value("credential.id")),
        ("c-NAG5QA", "c-KESAY4", Value("pending.credential.id")),
        ("SHA512", "MD5", Value("credential.algorithm")),
        ("digits = 7", "digits = 9", Value("credential.digits")),
        ("\"imported\"", "\"found\"", Value("credential.origin")),
        ("W2KCBALI", "MY", Value("recovery.hashes")),
        ("argon2id-19456-2-1", "md5", Value("recovery.kdf")),
        ("[recovery]", "[recovery]\nkind = \"ours\"", Value("recovery.kind")),
        ("state = \"shown\"", "state = \"issued\"", Value("token.state")),
        ("shows = 1", "shows = 256", RecordError::Syntax),
    ] {
        assert_eq!(read(&RECORD.replacen(old, new, 1)), Err(error), "{new}");
    }
}
