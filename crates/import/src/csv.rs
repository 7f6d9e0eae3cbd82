//! Tables: exports of password managers, and the seed files of hardware tokens as privacyIDEA and LinOTP take
//! them. With a header, columns have names and any order; without one they are serial number, key, type,
//! digits, period, algorithm.

use crate::Foreign;
use crate::columns::{Column, Columns, VERSION_2, WITHOUT_HEADER};
use crate::{
    Entry, FileError, MAX_ENTRIES, Refusal, Settings, account_of, bounded, device, device_of_text,
    entry_of_uri, full_name, hexadecimal, is_steam, may_hold_key, params, text,
};
use ::csv::{ReaderBuilder, StringRecord, Trim};
use qrtotp_otp::{Strength, is_separator};
use qrtotp_values::text::clean;
use zeroize::Zeroizing;

/// Reads a file. If it has a header, rows without a key and a user of this host's are skipped: a password
/// manager has many.
///
/// # Errors
/// Not such a table.
pub fn parse(bytes: &[u8], strength: Strength) -> Result<Vec<Entry>, FileError> {
    let text = &*text(bytes)?;
    let is_row = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
    let first = text.lines().find(is_row).unwrap_or_default();
    let delimiter = delimiter(first);
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
    let mut columns = None::<Columns>;
    let mut entries = Vec::new();
    for row in reader.records() {
        // The error's own text may quote the file.
        let row = row.map_err(|_| FileError::from("the file is no table of comma-separated values"))?;
        let is_named = columns.as_ref().is_some_and(|columns| columns.names.is_some());
        if let Some(comment) = row.get(0).and_then(|cell| cell.strip_prefix('#')).filter(|_| !is_named) {
            if comment.replace(' ', "") == "version:2" {
                columns = Some(Columns { columns: [&VERSION_2[..], &WITHOUT_HEADER].concat(), names: None });
            }
            continue;
        }
        if columns.is_none() {
            let first = row.get(0).unwrap_or_default();
            // Excel's line for Excel.
            if first.eq_ignore_ascii_case("sep=") {
                continue;
            }
            is_other_format(first)?;
        }
        if columns.is_none()
            && let Some(header) = Columns::named_by(&row)
        {
            columns = Some(header);
            continue;
        }
        if columns.is_none() && Columns::lacks_key(&row) {
            return Err("no column of the first line is known as the key's; call it `secret`".into());
        }
        let columns =
            columns.get_or_insert_with(|| Columns { columns: WITHOUT_HEADER.to_vec(), names: None });
        let says = |column| !columns.cell(&row, column).is_empty();
        if columns.names.is_none() || says(Column::Key) || says(Column::User) {
            entries.push(entry(place(text, &row), &row, columns, strength));
        }
        if entries.len() > MAX_ENTRIES {
            break;
        }
    }
    bounded(entries)
}

/// The separator that makes most known names of columns of the first line, or else most cells.
fn delimiter(first: &str) -> u8 {
    if let Some(&[mark @ (b';' | b',' | b'\t')]) =
        first.trim_end_matches(['\r', '\n']).strip_prefix("sep=").map(str::as_bytes)
    {
        return mark;
    }
    let cells = |mark: &u8| {
        let mut reader =
            ReaderBuilder::new().has_headers(false).delimiter(*mark).from_reader(first.as_bytes());
        let row = reader.records().next().and_then(Result::ok).unwrap_or_default();
        (Columns::known_in(&row), row.len())
    };
    [b'\t', b';', b','].into_iter().max_by_key(cells).unwrap_or(b',')
}

/// Refuses a list of URIs, by its first cell.
fn is_other_format(cell: &str) -> Result<(), FileError> {
    let cell = cell.to_ascii_lowercase();
    if cell.starts_with("otpauth://") {
        return Err("this is a list of key URIs: give it to `qrtotp import uri`".into());
    }
    if cell.starts_with("otpauth-migration://") {
        return Err(
            "this is an export of Google Authenticator: give it to `qrtotp import otpauth-migration`".into(),
        );
    }
    Ok(())
}

/// True if each closing quote ends its cell (RFC 4180 §2). The CSV reader itself would silently join rows.
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

fn entry(place: String, row: &StringRecord, columns: &Columns, strength: Strength) -> Entry {
    let of = |wanted| columns.cell(row, wanted);
    let user = Some(of(Column::User)).filter(|user| !user.is_empty()).map(str::to_owned);
    let key = of(Column::Key);
    // A base32 key may begin with these letters, too.
    let begins =
        |scheme: &str| key.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    let mut entry = if begins("otpauth:") || begins("otpauth-migration:") {
        let mut entry = entry_of_uri(place, key, strength);
        entry.found = entry.found.and_then(|found| agrees(&of, found));
        if entry.name.is_empty() {
            of(Column::Name).clone_into(&mut entry.name);
        }
        entry
    } else {
        let (issuer, name) = (of(Column::Issuer), of(Column::Name));
        let label = account_of(issuer, name).to_owned();
        let shown = full_name(issuer, &label);
        let name = if shown.is_empty() { of(Column::Serial).to_owned() } else { shown };
        Entry { place, name, label, user: None, found: found(&of, key, columns.names.is_some(), strength) }
    };
    entry.user = user;
    if begins("steam://") || is_steam(of(Column::Issuer)) {
        entry.found = Err(Refusal::Kind);
    }
    if let Err(refusal) = columns.check(row) {
        entry.found = Err(refusal);
    }
    entry
}

/// The settings in the columns beside the key.
fn settings<'a>(of: &impl Fn(Column) -> &'a str) -> Result<Settings<'a>, Refusal> {
    let number = |column, wrong| match of(column) {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| Refusal::Form(wrong)),
    };
    Ok(Settings {
        kind: kind(of(Column::Kind))?,
        algorithm: of(Column::Algorithm),
        digits: number(Column::Digits, "a number of digits that is no number")?,
        period: number(Column::Period, "a period that is no number")?,
    })
}

/// A type under the name that [`params`] knows.
fn kind(text: &str) -> Result<&'static str, Refusal> {
    let plain: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
    match plain.to_ascii_lowercase().as_str() {
        // Password managers call a row with a password `login`.
        "" | "login" => Ok(""),
        "totp" | "time" | "timebased" | "oathtotp" | "totptoken" => Ok("totp"),
        "hotp" | "hmac" | "event" | "eventbased" | "oathhotp" | "hotptoken" => Ok("hotp"),
        "steam" | "yandex" | "motp" => Err(Refusal::Kind),
        _ if may_hold_key(text) => Err(Refusal::Type("its type".into())),
        _ => Err(Refusal::Type(format!("its type \"{}\"", clean(text, 40)))),
    }
}

/// Returns the content of a key URI, unless the columns beside it contradict it.
fn agrees<'a>(of: &impl Fn(Column) -> &'a str, found: Foreign) -> Result<Foreign, Refusal> {
    if params(&settings(of)?, found.params)? == found.params {
        Ok(found)
    } else {
        Err(Refusal::Form(
            "the columns beside its key URI have another algorithm, period or number of digits",
        ))
    }
}

fn found<'a>(
    of: &impl Fn(Column) -> &'a str,
    key: &str,
    has_header: bool,
    strength: Strength,
) -> Result<Foreign, Refusal> {
    let settings = settings(of)?;
    if key.is_empty() {
        return Err(Refusal::Form("there is no key"));
    }
    if key.contains(['\n', '\r']) {
        return Err(Refusal::Form("a line break in the key"));
    }
    if !has_header && settings.kind.is_empty() {
        return Err(Refusal::Form(
            "it has no type, and privacyIDEA and LinOTP take it for HOTP then; if it is TOTP, write totp in its third column",
        ));
    }
    // Base32 reads 0, 1 and 8 as the letters that they look like, so digits gone wrong would make another
    // key.
    let joined: Zeroizing<String> =
        Zeroizing::new(key.chars().filter(|c| !is_separator(*c) && *c != ':').collect());
    let digits = joined.strip_prefix("0x").or(joined.strip_prefix("0X")).unwrap_or(&joined);
    let is_hex = digits.len() >= 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_no_base32 = is_hex && digits.contains(['0', '1', '8', '9']);
    if is_hex && (digits.len() != joined.len() || (digits.len() % 2 == 1 && is_no_base32)) {
        return Err(Refusal::Form("hexadecimal with `0x` before it, or with an odd number of digits"));
    }
    let found = match hexadecimal(digits) {
        Some(bytes) => device(&bytes, Vec::new(), &settings, strength),
        None if is_no_base32 => Err(Refusal::Form("hexadecimal of fewer than 20 digits")),
        None => device_of_text(key, &settings, strength),
    }?;
    // LinOTP goes by the length then, privacyIDEA does not.
    if !has_header && settings.algorithm.is_empty() && matches!(found.secret.as_bytes().len(), 32 | 64) {
        return Err(Refusal::Form(
            "its algorithm may be SHA1, or SHA256 or SHA512 by the length of its key; write it in its sixth column",
        ));
    }
    Ok(found)
}

#[cfg(test)]
#[path = "csv_tests.rs"]
mod tests;
