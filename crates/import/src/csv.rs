//! Tables: KeePassXC's export, and the seed files of hardware tokens as privacyIDEA takes them. With a header, columns have
//! names and any order; without one they are serial number, key, type, digits, period.

use crate::{
    Entry, FileError, MAX_ENTRIES, Refusal, Settings, account_of, bounded, device, device_of_text,
    entry_of_uri, full_name, hexadecimal, text,
};
use ::csv::{ReaderBuilder, StringRecord, Trim};
use qrtotp_core::import::Foreign;
use qrtotp_core::otp::Strength;

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
const NAMES: [(Column, &[&str]); 9] = [
    (Column::User, &["user"]),
    (Column::Name, &["name", "title", "label", "account", "description"]),
    (Column::Issuer, &["issuer"]),
    (Column::Serial, &["serial", "serialnumber", "serialno"]),
    (Column::Key, &["secret", "secretkey", "key", "seed", "totp", "totpsecret", "otpauth", "uri", "otpkey"]),
    (Column::Kind, &["type", "tokentype", "otptype"]),
    (Column::Algorithm, &["algorithm", "algo", "hash", "hashlib"]),
    (Column::Digits, &["digits", "otplen", "length"]),
    (Column::Period, &["period", "timestep", "timeinterval", "interval", "step"]),
];

/// The columns of a file without a header.
const WITHOUT_HEADER: [Column; 5] =
    [Column::Serial, Column::Key, Column::Kind, Column::Digits, Column::Period];

/// Reads a file. Rows without a key are passed over where the file has a header: a password manager has many.
///
/// # Errors
/// Not such a table.
pub fn parse(bytes: &[u8], strength: Strength) -> Result<Vec<Entry>, FileError> {
    let text = text(bytes)?;
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let delimiter =
        [b',', b';', b'\t'].into_iter().max_by_key(|mark| first.bytes().filter(|b| b == mark).count());
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .delimiter(delimiter.unwrap_or(b','))
        .from_reader(text.as_bytes());
    let mut columns: Option<Vec<Column>> = None;
    let mut entries = Vec::new();
    for row in reader.records() {
        // The error's own text may quote the file.
        let row = row.map_err(|_| FileError::from("the file is no table of comma-separated values"))?;
        if row.get(0).is_some_and(|cell| cell.starts_with('#')) {
            continue;
        }
        let Some(columns) = &columns else {
            let header: Vec<Column> = row.iter().map(column).collect();
            // `totp` alone is the type of a token in a row without a header.
            let known = header.iter().filter(|column| **column != Column::Other).count();
            let named = header.contains(&Column::Key) && (known > 1 || header.len() == 1);
            columns = Some(if named { header } else { WITHOUT_HEADER.to_vec() });
            if !named {
                entries.push(entry(place(text, &row), &row, &WITHOUT_HEADER, strength));
            }
            continue;
        };
        let has_key = !cell(&row, columns, Column::Key).is_empty();
        if has_key || columns.as_slice() == WITHOUT_HEADER {
            entries.push(entry(place(text, &row), &row, columns, strength));
        }
        if entries.len() > MAX_ENTRIES {
            break;
        }
    }
    bounded(entries)
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

fn column(name: &str) -> Column {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let plain = plain.to_ascii_lowercase();
    NAMES
        .iter()
        .find(|(_, names)| names.contains(&plain.as_str()))
        .map_or(Column::Other, |(column, _)| *column)
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
    let label = account_of(issuer, name).to_owned();
    let shown = full_name(issuer, &label);
    let name = if shown.is_empty() { of(Column::Serial).to_owned() } else { shown };
    Entry { place, name, label, user, found: found(&of, key, strength) }
}

fn found<'a>(of: &impl Fn(Column) -> &'a str, key: &str, strength: Strength) -> Result<Foreign, Refusal> {
    let number = |column, wrong| match of(column) {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| Refusal::Form(wrong)),
    };
    let settings = Settings {
        kind: of(Column::Kind),
        algorithm: of(Column::Algorithm),
        digits: number(Column::Digits, "a number of digits that is no number")?,
        period: number(Column::Period, "a period that is no number")?,
    };
    if key.is_empty() {
        return Err(Refusal::Form("there is no key"));
    }
    match hexadecimal(key) {
        Some(bytes) => device(&bytes, Vec::new(), &settings, strength),
        None => device_of_text(key, &settings, strength),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use qrtotp_core::otp::{Algorithm, Params};

    const KEY: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    const HEX: &str = "3132333435363738393031323334353637383930";

    fn read(text: &str) -> Vec<Entry> {
        parse(text.as_bytes(), Strength::Normal).unwrap()
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
