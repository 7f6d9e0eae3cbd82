//! Tables: exports of password managers, and the seed files of hardware tokens as privacyIDEA and LinOTP take them. With a header,
//! columns have names and any order; without one they are serial number, key, type, digits, period, algorithm.

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
#[path = "csv_tests.rs"]
mod tests;
