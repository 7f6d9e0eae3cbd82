//! Tables: exports of password managers, and the seed files of hardware tokens as privacyIDEA and LinOTP take them. With a header,
//! columns have names and any order; without one they are serial number, key, type, digits, period, algorithm.

use crate::Foreign;
use crate::text;
use crate::{
    Entry, FileError, MAX_ENTRIES, Refusal, Settings, account_of, bounded, device, device_of_text,
    entry_of_uri, full_name, hexadecimal,
};
use ::csv::{ReaderBuilder, StringRecord, Trim};
use qrtotp_otp::Strength;

/// What a column says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    User,
    Name,
    Issuer,
    Serial,
    Key,
    Kind,
    Algorithm,
    Digits,
    Period,
    Other,
}

/// Names of columns in lower case, letters and digits only.
const NAMES: [(Column, &[&str]); 6] = [
    (Column::User, &["user"]),
    (Column::Name, &["name", "title", "label", "account", "description"]),
    (Column::Issuer, &["issuer"]),
    (Column::Serial, &["serial", "serialnumber", "serialno", "tokenserial"]),
    (
        Column::Key,
        &[
            "secret",
            "secretkey",
            "key",
            "seed",
            "totp",
            "totpsecret",
            "otpauth",
            "uri",
            "otpkey",
            "otpsecret",
            "otpurl",
            "logintotp",
        ],
    ),
    (Column::Kind, &["type", "tokentype", "otptype"]),
];

/// Words in the names of columns on which codes depend: none of these may be passed over.
const WORDS: [(Column, &[&str]); 3] = [
    (Column::Algorithm, &["algo", "hash", "hmac", "digest"]),
    (Column::Digits, &["digit", "otplen", "length"]),
    (Column::Period, &["period", "step", "interval"]),
];

/// The columns of a file without a header.
const WITHOUT_HEADER: [Column; 6] =
    [Column::Serial, Column::Key, Column::Kind, Column::Digits, Column::Period, Column::Algorithm];

/// The columns that privacyIDEA's version 2 has in front of those: the user's name, resolver and realm.
const VERSION_2: [Column; 3] = [Column::User, Column::Other, Column::Other];

/// Reads a file. Rows without a key are passed over where the file has a header: a password manager has many.
///
/// # Errors
/// Not such a table.
pub fn parse(bytes: &[u8], strength: Strength) -> Result<Vec<Entry>, FileError> {
    let text = text(bytes)?;
    let is_row = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
    let first = text.lines().find(is_row).unwrap_or_default();
    let delimiter =
        [b'\t', b';', b','].into_iter().max_by_key(|mark| first.bytes().filter(|b| b == mark).count());
    let delimiter = delimiter.unwrap_or(b',');
    if !quotes_fit(text, delimiter) {
        let why = "a quotation mark is not closed, or something follows one that is: rows would run into each other";
        return Err(why.into());
    }
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    let (mut columns, mut has_header) = (None::<Vec<Column>>, false);
    let mut entries = Vec::new();
    for row in reader.records() {
        // The error's own text may quote the file.
        let row = row.map_err(|_| FileError::from("the file is no table of comma-separated values"))?;
        if let Some(comment) = row.get(0).and_then(|cell| cell.strip_prefix('#')) {
            if comment.replace(' ', "") == "version:2" {
                columns = Some([&VERSION_2[..], &WITHOUT_HEADER].concat());
            }
            continue;
        }
        if columns.is_none()
            && let Some(header) = header(&row)
        {
            columns = Some(header);
            has_header = true;
            continue;
        }
        let columns = columns.get_or_insert_with(|| WITHOUT_HEADER.to_vec());
        if !has_header || !cell(&row, columns, Column::Key).is_empty() {
            entries.push(entry(place(text, &row), &row, columns, strength));
        }
        if entries.len() > MAX_ENTRIES {
            break;
        }
    }
    bounded(entries)
}

/// Whether each quoted cell ends where the cell ends (RFC 4180 §2). The reader itself would join rows in silence.
fn quotes_fit(text: &str, delimiter: u8) -> bool {
    let (mut quoted, mut at_start) = (false, true);
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if quoted && bytes.peek() == Some(&b'"') => {
                bytes.next();
            }
            b'"' if quoted => {
                quoted = false;
                if bytes.peek().is_some_and(|next| ![delimiter, b'\n', b'\r', b' '].contains(next)) {
                    return false;
                }
            }
            b'"' if at_start => quoted = true,
            _ if quoted => {}
            other => at_start = other == delimiter || other == b'\n' || other == b'\r',
        }
    }
    !quoted
}

/// The line in which a row begins: the reader counts empty lines before it to it.
fn place(text: &str, row: &StringRecord) -> String {
    let line = row.position().map_or(0, |position| {
        let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
        let rest = text.as_bytes().get(start..).unwrap_or_default();
        let empty = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).filter(|byte| **byte == b'\n');
        position.line() + empty.count() as u64
    });
    format!("line {line}")
}

/// The columns, if the row names them.
fn header(row: &StringRecord) -> Option<Vec<Column>> {
    let columns: Vec<Column> = row.iter().map(column).collect();
    let known = columns.iter().filter(|column| **column != Column::Other).count();
    // `totp` alone may be the type of a token in a row without a header.
    let names_key = !cell(row, &columns, Column::Key).eq_ignore_ascii_case("totp");
    (columns.contains(&Column::Key) && (known > 1 || row.len() == 1 || names_key)).then_some(columns)
}

fn column(name: &str) -> Column {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let plain = plain.to_ascii_lowercase();
    let mut names = NAMES.iter().filter(|(_, names)| names.contains(&plain.as_str()));
    let mut words = WORDS.iter().filter(|(_, words)| words.iter().any(|word| plain.contains(word)));
    names.next().or_else(|| words.next()).map_or(Column::Other, |(column, _)| *column)
}

/// The first cell of a column that is not empty.
fn cell<'a>(row: &'a StringRecord, columns: &[Column], wanted: Column) -> &'a str {
    let mut cells = columns.iter().zip(row).filter(|(column, cell)| **column == wanted && !cell.is_empty());
    cells.next().map_or("", |(_, cell)| cell)
}

fn entry(place: String, row: &StringRecord, columns: &[Column], strength: Strength) -> Entry {
    let of = |wanted| cell(row, columns, wanted);
    let user = Some(of(Column::User)).filter(|user| !user.is_empty()).map(str::to_owned);
    let key = of(Column::Key);
    // A base32 key may begin with these letters, too.
    let begins =
        |scheme: &str| key.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    if begins("otpauth:") || begins("otpauth-migration:") {
        let mut entry = entry_of_uri(place, key, strength);
        if entry.name.is_empty() {
            of(Column::Name).clone_into(&mut entry.name);
        }
        return Entry { user, ..entry };
    }
    let (issuer, name) = (of(Column::Issuer), of(Column::Name));
    let is_longer = row.iter().skip(columns.len()).any(|cell| !cell.is_empty());
    let label = account_of(issuer, name).to_owned();
    let shown = full_name(issuer, &label);
    let name = if shown.is_empty() { of(Column::Serial).to_owned() } else { shown };
    let found = if is_longer {
        Err(Refusal::Form("the row has more cells than the file has columns; name them in a first line"))
    } else {
        found(&of, key, strength)
    };
    if found.is_err() {
        // Without the right columns the key may stand there.
        let hidden = |text: String| if may_be_key(&text) { String::new() } else { text };
        return Entry { place, name: hidden(name), label: hidden(label), user: user.map(hidden), found };
    }
    Entry { place, name, label, user, found }
}

/// Whether a text may be a key or a key URI, in base32 or hexadecimal.
fn may_be_key(text: &str) -> bool {
    let plain: String =
        text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '=' | ':')).collect();
    text.to_ascii_lowercase().contains("otpauth")
        || (plain.len() >= 16 && plain.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn found<'a>(of: &impl Fn(Column) -> &'a str, key: &str, strength: Strength) -> Result<Foreign, Refusal> {
    let number = |column, wrong| match of(column) {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| Refusal::Form(wrong)),
    };
    // Password managers call a row with a password so.
    let kind = Some(of(Column::Kind)).filter(|kind| !kind.eq_ignore_ascii_case("login"));
    let settings = Settings {
        kind: kind.unwrap_or_default(),
        algorithm: of(Column::Algorithm),
        digits: number(Column::Digits, "a number of digits that is no number")?,
        period: number(Column::Period, "a period that is no number")?,
    };
    if key.is_empty() {
        return Err(Refusal::Form("there is no key"));
    }
    if key.contains(['\n', '\r']) {
        return Err(Refusal::Form("a line break in the key"));
    }
    // Base32 reads 0, 1 and 8 as the letters that they look like, so digits gone wrong would make another key.
    let digits = key.strip_prefix("0x").or(key.strip_prefix("0X")).unwrap_or(key);
    let is_hex = digits.len() >= 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex
        && (digits.len() != key.len() || (digits.len() % 2 == 1 && digits.contains(['0', '1', '8', '9'])))
    {
        return Err(Refusal::Form("hexadecimal with `0x` before it, or with an odd number of digits"));
    }
    match hexadecimal(key) {
        Some(bytes) => device(&bytes, Vec::new(), &settings, strength),
        None => device_of_text(key, &settings, strength),
    }
}

#[cfg(test)]
mod tests {
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
            format!("otpauth://totp/I:root?secret={KEY}&issuer=I\n"),
        ] {
            let entries = read(&text);
            let shown =
                entries.iter().map(|e| format!("{} {:?} {}", e.name, e.user, e.label)).collect::<String>();
            assert!(!shown.contains(KEY) && entries.iter().all(|entry| entry.found.is_err()), "{shown}");
        }
        for key in [&HEX[1..], &format!("0x{HEX}")] {
            assert!(read(&format!("user,secret\nroot,{key}\n"))[0].found.is_err(), "{key}");
        }
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
        let seen: Vec<_> =
            entries.iter().map(|e| (e.place.as_str(), e.name.as_str(), e.found.is_ok())).collect();
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
            format!(
                "Title,Url,Username,Password,OTPAuth,Favorite,Archived,Tags,Notes\nweb1,,me,pw,{uri},,,,\n"
            ),
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
        for text in
            [format!("secret\n{KEY}!!\n"), format!("secret,digits\n{KEY},{KEY}\n"), format!("x,{KEY}9\n")]
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
}
