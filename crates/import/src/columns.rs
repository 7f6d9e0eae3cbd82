//! The columns of a table: what each says, by its name or its place. A column that is not known may change
//! the codes.

use crate::{Refusal, may_hold_key};
use ::csv::StringRecord;
use qrtotp_values::text::clean;

/// The meaning of a column.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    User,
    Name,
    Issuer,
    Serial,
    Key,
    Kind,
    Algorithm,
    Digits,
    Period,
    /// Nothing that codes depend on.
    Harmless,
    Unknown,
}

/// Names of columns in lower case, letters and digits only.
const NAMES: [(Column, &[&str]); 7] = [
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
            "secretbase32",
            "secrethex",
            "sharedsecret",
            "seedhex",
            "seedbase32",
            "totpseed",
            "timeotpsecretbase32",
            "timeotpsecrethex",
            "otp",
            "2fa",
        ],
    ),
    (Column::Kind, &["type", "tokentype", "otptype"]),
    (Column::Harmless, &["id", "extra", "reprompt", "fields", "number", "line"]),
];

/// Words in the names of columns. What codes depend on is looked for first.
const WORDS: [(Column, &[&str]); 4] = [
    (Column::Algorithm, &["algo", "hash", "hmac", "digest"]),
    (Column::Digits, &["digit", "otplen", "codelen"]),
    (Column::Period, &["period", "step", "interval"]),
    (
        Column::Harmless,
        &[
            "name",
            "login",
            "mail",
            "password",
            "pwd",
            "url",
            "uri",
            "web",
            "site",
            "note",
            "comment",
            "remark",
            "group",
            "folder",
            "collection",
            "categor",
            "tag",
            "fav",
            "archiv",
            "vault",
            "icon",
            "image",
            "color",
            "creat",
            "modif",
            "updat",
            "changed",
            "lastused",
            "realm",
            "resolver",
            "owner",
            "department",
            "manufacturer",
            "vendor",
            "model",
            "phone",
            "address",
            "guid",
            "uuid",
        ],
    ),
];

/// The columns of a file without a header.
pub(crate) const WITHOUT_HEADER: [Column; 6] =
    [Column::Serial, Column::Key, Column::Kind, Column::Digits, Column::Period, Column::Algorithm];

/// The columns that privacyIDEA's version 2 has in front of those: the user's name, resolver and realm.
pub(crate) const VERSION_2: [Column; 3] = [Column::User, Column::Harmless, Column::Harmless];

/// The columns of a file.
pub(crate) struct Columns {
    pub columns: Vec<Column>,
    /// Their names, if a header gives them.
    pub names: Option<StringRecord>,
}

impl Columns {
    /// As a header names them, if the row is one.
    pub(crate) fn named_by(row: &StringRecord) -> Option<Self> {
        let found = Self { columns: row.iter().map(column).collect(), names: Some(row.clone()) };
        let known = Self::known_in(row);
        // `totp` alone may be the type of a token in a row without a header.
        let names_key = !found.cell(row, Column::Key).eq_ignore_ascii_case("totp");
        let has_key = found.columns.contains(&Column::Key);
        (has_key && (known > 1 || row.len() == 1 || names_key)).then_some(found)
    }

    /// How many cells of a row are names of columns that matter here.
    pub(crate) fn known_in(row: &StringRecord) -> usize {
        row.iter().filter(|cell| !matches!(column(cell), Column::Harmless | Column::Unknown)).count()
    }

    /// True if a row names columns, but none for the key.
    pub(crate) fn lacks_key(row: &StringRecord) -> bool {
        let is_name = |cell| matches!(named(cell), Some(column) if column != Column::Harmless);
        row.len() > 1
            && row.iter().any(is_name)
            && !row.iter().any(|cell| column(cell) == Column::Key || may_hold_key(cell))
    }

    fn cells<'a>(&self, row: &'a StringRecord, wanted: Column) -> impl Iterator<Item = (usize, &'a str)> {
        let all = (1..).zip(self.columns.iter().zip(row));
        all.filter(move |(_, (column, cell))| **column == wanted && !cell.is_empty())
            .map(|(number, (_, cell))| (number, cell))
    }

    /// The first cell of a column that is not empty.
    pub(crate) fn cell<'a>(&self, row: &'a StringRecord, wanted: Column) -> &'a str {
        self.cells(row, wanted).next().map_or("", |(_, cell)| cell)
    }

    /// Whether the row says one thing only, and nothing in a column that is not known.
    pub(crate) fn check(&self, row: &StringRecord) -> Result<(), Refusal> {
        if row.iter().skip(self.columns.len()).any(|cell| !cell.is_empty()) {
            let why = "the row has more cells than the file has columns; name them in a first line";
            return Err(Refusal::Form(why));
        }
        for wanted in
            [Column::User, Column::Key, Column::Kind, Column::Algorithm, Column::Digits, Column::Period]
        {
            let first = self.cell(row, wanted);
            if self.cells(row, wanted).any(|(_, cell)| cell != first) {
                return Err(Refusal::Form(
                    "two columns say different things of its user, key, type, algorithm, digits or period; take one out",
                ));
            }
        }
        let says_something = |cell: &str| !["0", "false", "no"].contains(&cell.to_ascii_lowercase().as_str());
        match self.cells(row, Column::Unknown).find(|(_, cell)| says_something(cell)) {
            None => Ok(()),
            Some((number, _)) => {
                let name = self.names.as_ref().and_then(|names| names.get(number - 1)).unwrap_or_default();
                let name =
                    if may_hold_key(name) { String::new() } else { format!(" (\"{}\")", clean(name, 40)) };
                Err(Refusal::Column { number, name })
            }
        }
    }
}

fn column(name: &str) -> Column {
    let plain = plain(name);
    let mut words = WORDS.iter().filter(|(_, words)| words.iter().any(|word| plain.contains(word)));
    named(name).or_else(|| words.next().map(|(column, _)| *column)).unwrap_or(Column::Unknown)
}

/// A column by its whole name.
fn named(name: &str) -> Option<Column> {
    let plain = plain(name);
    NAMES.iter().find(|(_, names)| names.contains(&plain.as_str())).map(|(column, _)| *column)
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase()
}
