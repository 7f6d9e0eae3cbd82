#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use proptest::prelude::*;
use qrtotp_otp::{Algorithm, Params};

const KEY: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const HEX: &str = "3132333435363738393031323334353637383930";

fn read(text: &str) -> Vec<Entry> {
    parse(text.as_bytes(), Strength::Normal).unwrap()
}

#[test]
fn a_quotation_mark_that_is_not_closed_joins_no_rows() {
    for text in [
        format!("title,user,secret\na,root,{KEY}\n\"b,bin,{KEY}\nd\"x,daemon,{KEY}\n"),
        format!("user,secret,title\nroot,{KEY},\"a\nbin,{KEY},b\n"),
        format!("user,secret\nroot,\"{KEY}\n"),
    ] {
        assert!(parse(text.as_bytes(), Strength::Normal).is_err(), "{text}");
    }
    let fine =
        format!("user,secret,notes\nroot,\"{KEY}\",\"two\nlines, \"\"quoted\"\"\"\nbin,{KEY},5\" disk\n");
    assert_eq!(read(&fine).iter().filter(|entry| entry.found.is_ok()).count(), 2);
    let joined = &read("secret\n\"JBSWY3DPEHPK3PXP\nKRSXG5CTMVRXEZLU\"\n")[0];
    assert!(joined.found.is_err(), "two keys are not one");
}

#[test]
fn a_refused_row_shows_no_key_as_its_name() {
    for text in [
        format!("{KEY}\n"),
        format!("user,secret\n{KEY},root\n"),
        format!("title,user\nx,{KEY}\n").replace("title,user\n", ""),
    ] {
        let entries = read(&text);
        let shown = entries.iter().map(|e| format!("{} {}", e.place, e.shown_name())).collect::<String>();
        assert!(!shown.contains(KEY) && entries.iter().all(|entry| entry.found.is_err()), "{shown}");
    }
    for key in [&HEX[1..], &format!("0x{HEX}")] {
        assert!(read(&format!("user,secret\nroot,{key}\n"))[0].found.is_err(), "{key}");
    }
}

#[test]
fn a_hexadecimal_key_is_never_read_as_base32_whatever_separates_its_digits() {
    for blank in ['\u{a0}', '\u{2009}', '\u{2011}', '\u{200b}', ' ', '-', ':'] {
        let parts: Vec<_> = HEX.as_bytes().chunks(4).map(String::from_utf8_lossy).collect();
        let spaced = parts.join(&blank.to_string());
        let found = read(&format!("S1,{spaced},totp,6,30,sha1\n")).remove(0).found.unwrap();
        assert_eq!(found.secret.as_bytes(), b"12345678901234567890", "{blank:?}");
        for bad in [format!("0x{spaced}"), spaced.replacen('3', "", 1)] {
            let refused = &read(&format!("S1,{bad},totp,6,30,sha1\n"))[0];
            assert!(refused.found.is_err(), "{bad:?}");
        }
    }
    let short = parse(b"S1,3132333435363738,totp,6,30,sha1\n", Strength::AllowWeak).unwrap();
    assert!(short[0].found.is_err(), "8 bytes are not 10 others");
}

#[test]
fn with_a_header_a_row_whose_first_cell_begins_with_a_hash_is_a_row() {
    assert_eq!(read(&format!("title,user,secret\n#work,root,{KEY}\n")).len(), 1);
}

#[test]
fn columns_have_any_order_and_the_names_of_many_systems() {
    for text in [
        format!("user,label,secret,algorithm,digits,period\nalice,phone,{KEY},SHA-256,8,60\n"),
        format!("\u{feff}Time Step;OTPlen;Hash;Seed;User;Title\r\n60;8;HmacSHA256;{HEX};alice;phone\r\n"),
        format!(
            "\"User\"\t\"Serial Number\"\t\"Secret Key\"\t\"hashlib\"\t\"digits\"\t\"interval\"\nalice\tphone\t{KEY}\tsha256\t8\t60\n"
        ),
    ] {
        let entry = &read(&text)[0];
        assert_eq!((entry.user.as_deref(), entry.name.as_str()), (Some("alice"), "phone"), "{text}");
        let found = entry.found.as_ref().unwrap();
        assert_eq!(found.params, Params::new(Algorithm::Sha256, 8, 60).unwrap());
        assert_eq!(found.secret.as_bytes(), b"12345678901234567890");
    }
}

#[test]
fn a_password_managers_rows_without_a_key_are_passed_over() {
    let text = format!(
        "\"Group\",\"Title\",\"Username\",\"Password\",\"URL\",\"Notes\",\"TOTP\"\n\
         \"Root\",\"mail\",\"me\",\"x\",\"\",\"two\nlines\",\"\"\n\
         \"Root\",\"web1\",\"me\",\"x\",\"\",\"\",\"otpauth://totp/web1:me?secret={KEY}&period=60\"\n"
    );
    let entries = read(&text);
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].name.as_str(), entries[0].label.as_str()), ("web1:me", "me"));
    assert_eq!(entries[0].found.as_ref().unwrap().params.period(), 60);
    assert_eq!(entries[0].user, None, "a user name of a web site is nobody here");
}

#[test]
fn a_seed_file_without_a_header_is_serial_key_type_digits_and_period() {
    let text = format!(
        "# seeds, of 2026\n\nTOK1,{HEX},TOTP,6,30\nTOK2,{KEY},totp\nTOK3,{HEX},HOTP,6\nTOK4,,totp\nTOK5,{HEX},totp,6,x\n"
    );
    let entries = read(&text);
    let seen: Vec<_> = entries.iter().map(|e| (e.place.as_str(), e.name.as_str(), e.found.is_ok())).collect();
    assert_eq!(
        seen,
        [
            ("line 3", "TOK1", true),
            ("line 4", "TOK2", true),
            ("line 5", "TOK3", false),
            ("line 6", "TOK4", false),
            ("line 7", "TOK5", false)
        ]
    );
    assert_eq!(*entries[2].found.as_ref().unwrap_err(), Refusal::Counter);
}

#[test]
fn the_algorithm_is_taken_from_the_sixth_column_and_from_any_column_that_is_named_so() {
    for text in [
        format!("TOK1,{HEX},TOTP,8,60,SHA256\n"),
        format!("#  version: 2\nalice,resolver,realm,TOK1,{HEX},totp,8,60,sha256\n"),
        format!("owner,seed,hash algorithm,number of digits,time step (s)\nx,{HEX},sha-256,8,60\n"),
        format!("secret,HMAC,code_length,refreshInterval\n{KEY},HmacSHA256,8,60\n"),
    ] {
        let found = read(&text).remove(0).found.map(|found| found.params).expect(&text);
        assert_eq!(found, Params::new(Algorithm::Sha256, 8, 60).unwrap(), "{text}");
    }
    let refused = read(&format!("TOK1,{HEX},TOTP,8,60,SHA3\n"));
    assert!(refused[0].found.as_ref().unwrap_err().to_string().contains("SHA3"));
    let version_2 = read(&format!("# version: 2\nalice,,,TOK1,{HEX},totp\n"));
    assert_eq!((version_2[0].user.as_deref(), version_2[0].name.as_str()), (Some("alice"), "TOK1"));
}

#[test]
fn cells_behind_the_known_columns_are_refused_without_a_header() {
    let refused = read(&format!("TOK1,{HEX},totp,6,30,sha1,100\nTOK2,{HEX},totp,6,30,sha1,,\n"));
    assert!(refused[0].found.is_err() && refused[1].found.is_ok());
}

#[test]
fn exports_of_password_managers_are_read() {
    let uri = format!("otpauth://totp/web1:me?secret={KEY}");
    for text in [
        format!(
            "folder,favorite,type,name,notes,fields,reprompt,login_uri,login_username,login_password,login_totp\n\
             ,,note,n,,,0,,,,\n,,login,web1,,,0,,me,pw,{KEY}\n"
        ),
        format!(
            "type,name,url,email,username,password,note,totp,createTime,modifyTime,vault\nlogin,web1,,,me,pw,,{uri},1,1,v\n"
        ),
        format!("Title,Url,Username,Password,OTPAuth,Favorite,Archived,Tags,Notes\nweb1,,me,pw,{uri},,,,\n"),
        format!("url,username,password,totp,extra,name,grouping,fav\nhttp://x,me,pw,{KEY},,web1,,0\n"),
        format!("username,title,password,note,url,category,otpUrl\nme,web1,pw,,,,{uri}\n"),
    ] {
        let entries = read(&text);
        assert!(entries.len() == 1 && entries[0].name.starts_with("web1"), "{text}: {entries:?}");
        assert!(entries[0].found.is_ok() && entries[0].user.is_none(), "{text}: {entries:?}");
    }
}

#[test]
fn a_key_that_begins_as_a_uri_does_is_a_key() {
    let entries = read("secret\nOTPAUTHVGY3TQOJQGEZDGNBVGY3TQOJQ\n");
    assert_eq!(entries[0].found.as_ref().unwrap().secret.as_bytes().len(), 20);
}

#[test]
fn no_refusal_quotes_the_file() {
    for text in [format!("secret\n{KEY}!!\n"), format!("secret,digits\n{KEY},{KEY}\n"), format!("x,{KEY}9\n")]
    {
        let refusal = format!("{:?}", read(&text)[0].found.as_ref().unwrap_err());
        assert!(!refusal.contains(&KEY[..8]), "{refusal}");
    }
    assert!(parse(b"", Strength::Normal).is_err() && parse(b"\xff", Strength::Normal).is_err());
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "(secret|user|totp|[A-Z2-7]{0,40}|[,;\"\n#]){0,40}") {
        let _ = parse(text.as_bytes(), Strength::AllowWeak);
    }
}

#[test]
fn a_row_without_a_type_or_with_an_unsaid_algorithm_is_refused_as_seed_files_differ() {
    let long = format!("{HEX}{HEX}{HEX}{HEX}");
    for (text, why) in [
        (format!("T1,{KEY}\n"), "write totp in its third column"),
        (format!("T1,{HEX},,6,30\n"), "write totp in its third column"),
        (format!("# version: 2\nalice,,,T1,{HEX}\n"), "write totp in its third column"),
        (format!("T1,{HEX},hmac,6\n"), "it counts"),
        (format!("T1,{},totp,6,30\n", &long[..64]), "its sixth column"),
        (format!("T1,{},totp\n", &long[..128]), "its sixth column"),
    ] {
        let refusal = read(&text)[0].found.as_ref().unwrap_err().to_string();
        assert!(refusal.contains(why), "{text}: {refusal}");
    }
    assert!(read(&format!("T1,{},totp,6,30,sha1\n", &long[..64]))[0].found.is_ok());
    assert!(read(&format!("secret\n{}\n", &long[..64]))[0].found.is_ok());
}

#[test]
fn a_column_that_may_change_the_codes_is_never_passed_over() {
    for (column, cell, why) in [
        ("encoder", "steam", "column 3 (\"encoder\")"),
        ("Encoding", "steam", "column 3 (\"Encoding\")"),
        ("counter", "7", "column 3 (\"counter\")"),
        ("initial_counter", "7", "column 3"),
        ("offset", "-30", "column 3"),
        ("t0", "1000", "column 3"),
        ("start time", "1000", "column 3"),
        ("expires", "2020-01-01", "column 3"),
        ("Zähler", "7", "column 3"),
        ("PIN", "1234", "column 3"),
        ("secret2", HEX, "column 3"),
        (KEY, "x", "column 3 "),
        ("seed", HEX, "two columns"),
        ("otpauth", "otpauth://totp/a?secret=KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU", "two columns"),
        ("user", "alice", "two columns"),
    ] {
        let refusal = read(&format!("user,secret,{column}\nbob,{KEY},{cell}\n")).remove(0).found;
        let refusal = refusal.expect_err(column).to_string();
        assert!(refusal.contains(why) && !refusal.contains(&KEY[..8]), "{column}: {refusal}");
        let uri = format!("user,secret,{column}\nbob,otpauth://totp/a?secret={KEY},{cell}\n");
        assert!(read(&uri)[0].found.is_err(), "{column}");
    }
    for (columns, cells) in [
        ("counter,offset,t0,encoder,expires", "0,0,0,,"),
        ("seed,user", &*format!("{KEY},bob")),
        ("Username,Password,login_uri,Last Modified,E-Mail,Notes", "a,b,c,d,e,f"),
    ] {
        let entry = read(&format!("user,secret,{columns}\nbob,{KEY},{cells}\n")).remove(0);
        assert!(entry.found.is_ok(), "{columns}: {entry:?}");
    }
}

#[test]
fn columns_that_contradict_each_other_or_the_key_uri_are_refused() {
    let uri = format!("otpauth://totp/a?secret={KEY}&algorithm=SHA256&digits=8&period=60");
    for (columns, key, cells, fine) in [
        ("digits,otplen", KEY, "6,8", false),
        ("digits,otplen", KEY, "8,8", true),
        ("algorithm,hash", KEY, "sha1,sha256", false),
        ("type,tokentype", KEY, "totp,hotp", false),
        ("key length", KEY, "20", false),
        ("OTP length", KEY, "6", true),
        ("digits", &uri, "6", false),
        ("period", &uri, "30", false),
        ("algorithm", &uri, "SHA1", false),
        ("type", &uri, "hotp", false),
        ("type,algorithm,digits,period", &uri, "login,sha-256,8,60", true),
        ("type,algorithm,digits,period", &uri, "totp,,,", true),
    ] {
        let entry = read(&format!("secret,{columns}\n{key},{cells}\n")).remove(0);
        assert_eq!(entry.found.is_ok(), fine, "{columns}: {cells}: {entry:?}");
    }
    let longer = read(&format!("name,secret\nx,{uri},60\n"));
    assert!(longer[0].found.is_err());
}

#[test]
fn a_row_of_a_user_without_a_key_is_named() {
    let entries = read(&format!("user,secret\nalice,{KEY}\nbob,\ncarol;{KEY}\n,\n"));
    let seen: Vec<_> = entries.iter().map(|e| (e.place.as_str(), e.found.is_ok())).collect();
    assert_eq!(seen, [("line 2", true), ("line 3", false), ("line 4", false)]);
}

#[test]
fn base64_is_never_read_as_base32() {
    let refusal =
        read("user,secret\nbob,HoDqktokFpRbCXnubPWCqtXXooj=\n").remove(0).found.unwrap_err().to_string();
    assert!(refusal.contains("base64"), "{refusal}");
}

#[test]
fn a_table_is_read_in_the_forms_that_spreadsheets_write() {
    let text = format!("user,secret\nalice,{KEY}\nbob,\"{KEY}\"\n");
    let utf16 =
        |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let marked = format!("\u{feff}{text}");
    for bytes in [
        text.clone().into_bytes(),
        text.replace('\n', "\r").into_bytes(),
        utf16(&marked, u16::to_le_bytes),
        utf16(&marked, u16::to_be_bytes),
        utf16(&marked.replace('\n', "\r"), u16::to_le_bytes),
    ] {
        let entries = parse(&bytes, Strength::Normal).unwrap();
        let seen: Vec<_> =
            entries.iter().map(|e| (e.place.as_str(), e.user.as_deref(), e.found.is_ok())).collect();
        assert_eq!(seen, [("line 2", Some("alice"), true), ("line 3", Some("bob"), true)]);
    }
    for text in [
        format!("sep=;\r\nuser;secret\r\nalice;{KEY}\r\n"),
        format!("sep=,\nuser,secret\nalice,{KEY}\n"),
        format!("\"user\";\"secret\";\"note, or, two\"\nalice;{KEY};x\n"),
        format!("user;secret;a,b,c\nalice;{KEY};0\n"),
    ] {
        let entry = read(&text).remove(0);
        assert!(entry.user.as_deref() == Some("alice") && entry.found.is_ok(), "{text}: {entry:?}");
    }
}

#[test]
fn a_key_s_column_is_known_by_many_names_and_missed_by_name() {
    for name in [
        "Secret (Base32)",
        "shared secret",
        "seed",
        "Seed (HEX)",
        "secret_hex",
        "TimeOtp-Secret-Base32",
        "TOTP Seed",
        "otp",
        "2FA",
    ] {
        assert!(read(&format!("user,{name}\nalice,{KEY}\n"))[0].found.is_ok(), "{name}");
    }
    for (text, why) in [
        (format!("user,material\nalice,{KEY}\n"), "call it `secret`"),
        (format!("otpauth://totp/I:root?secret={KEY}&issuer=I\n"), "`qrtotp import uri`"),
        ("otpauth-migration://offline?data=CgA\n".to_owned(), "`qrtotp import otpauth-migration`"),
    ] {
        let error = parse(text.as_bytes(), Strength::Normal).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn a_type_is_known_by_many_names_and_refused_by_its_own() {
    for kind in ["TIME", "time-based", "OATH-TOTP", "TOTP Token", "totp"] {
        assert!(read(&format!("S1,{HEX},{kind},6,30,sha1\n"))[0].found.is_ok(), "{kind}");
    }
    for (kind, why) in [
        ("event-based", "it counts"),
        ("OATH-HOTP", "it counts"),
        ("smartcard", "type \"smartcard\" is not known; write totp or hotp"),
        (KEY, "its type is not known; write totp or hotp"),
        ("steam", "Steam"),
    ] {
        let refusal = read(&format!("S1,{HEX},{kind},6,30,sha1\n")).remove(0).found.unwrap_err().to_string();
        assert!(refusal.contains(why), "{kind}: {refusal}");
    }
    for text in [format!("name,secret\nx,steam://{KEY}\n"), format!("issuer,secret\nSteam,{KEY}\n")] {
        assert_eq!(*read(&text)[0].found.as_ref().unwrap_err(), Refusal::Kind, "{text}");
    }
}
