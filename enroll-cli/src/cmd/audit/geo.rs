//! `qrtotp audit --geo`: country and network operator of an address, by databases in MaxMind's format. Only
//! readers of the log look there, never a login.

use crate::error::Failure;
use maxminddb::{MaxMindDbError, Reader};
use qrtotp_audit_log::Entry;
use qrtotp_values::text::clean;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// Characters of a database's text that are shown.
const LONGEST: usize = 128;

/// The databases, each with some of the facts.
pub struct Geo(Vec<Reader<Vec<u8>>>);

/// The databases' facts about an address.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// ISO 3166-1 alpha-2.
    country: Option<String>,
    /// The number of the autonomous system.
    number: Option<u32>,
    /// The name of its operator.
    operator: Option<String>,
}

/// A record of a database of countries, cities or autonomous systems.
#[derive(Deserialize)]
struct Record {
    country: Option<Country>,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<String>,
}

#[derive(Deserialize)]
struct Country {
    iso_code: Option<String>,
}

impl Geo {
    /// # Errors
    /// A file can't be read, or is no such database.
    pub fn open(files: &[PathBuf]) -> Result<Self, Failure> {
        let open = |path: &PathBuf| {
            Reader::open_readfile(path).map_err(|error| {
                let why = match error {
                    MaxMindDbError::Io(error) => error.to_string(),
                    other => format!("it is no database in MaxMind's format: {other}"),
                };
                Failure::Error(format!("cannot read {}: {why}", path.display()))
            })
        };
        files.iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    /// The facts about the entry's remote address. A damaged record is as none.
    pub fn origin(&self, entry: &Entry) -> Option<Origin> {
        let address: IpAddr = entry.event.get("rhost")?.parse::<IpAddr>().ok()?.to_canonical();
        let record = |database: &Reader<Vec<u8>>| -> Option<Record> {
            // An error, too: IPv6 in a database of IPv4.
            database.lookup(address).ok()?.decode().ok()?
        };
        let mut origin = Origin::default();
        for record in self.0.iter().filter_map(record) {
            let code = record.country.and_then(|country| country.iso_code);
            origin.country = origin.country.or(code.map(|code| clean(&code, LONGEST)));
            origin.number = origin.number.or(record.autonomous_system_number);
            let operator = record.autonomous_system_organization;
            origin.operator = origin.operator.or(operator.map(|operator| clean(&operator, LONGEST)));
        }
        (origin != Origin::default()).then_some(origin)
    }
}

impl Origin {
    /// Adds it to an event of our own schema.
    pub fn put_plain(self, event: &mut Map<String, Value>) {
        event.extend(self.country.map(|country| ("country".to_owned(), country.into())));
        event.extend(self.number.map(|number| ("as_number".to_owned(), number.into())));
        event.extend(self.operator.map(|operator| ("as_organization".to_owned(), operator.into())));
    }

    /// Adds it to an ECS document.
    pub fn put_ecs(self, document: &mut Value) {
        let source = &mut document["source"];
        if let Some(country) = self.country {
            source["geo"] = json!({ "country_iso_code": country });
        }
        if let Some(number) = self.number {
            source["as"]["number"] = number.into();
        }
        if let Some(operator) = self.operator {
            source["as"]["organization"] = json!({ "name": operator });
        }
    }

    /// Adds it to the endpoint of an OCSF event, wherever its class has that.
    pub fn put_ocsf(self, event: &mut Value) {
        let paths = ["/src_endpoint", "/evidences/0/src_endpoint"];
        let Some(path) = paths.into_iter().find(|path| event.pointer(path).is_some()) else { return };
        let Some(endpoint) = event.pointer_mut(path) else { return };
        if let Some(country) = self.country {
            endpoint["location"] = json!({ "country": country });
        }
        if let Some(number) = self.number {
            endpoint["autonomous_system"]["number"] = number.into();
        }
        if let Some(operator) = self.operator {
            endpoint["autonomous_system"]["name"] = operator.into();
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number.map(|number| format!("AS{number}"));
        let words = [&self.country, &number, &self.operator];
        let words: Vec<&str> = words.into_iter().filter_map(|word| word.as_deref()).collect();
        f.write_str(&clean(&words.join(" "), LONGEST))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qrtotp_audit_log::{ecs, from_syslog, ocsf};

    /// A value of the database's data section.
    enum Data<'d> {
        Text(&'d str),
        Short(u16),
        Number(u32),
        Long(u64),
        Map(&'d [(&'d str, Data<'d>)]),
        List(&'d [Data<'d>]),
    }

    /// By the specification of the format 2.0: the kind in the upper three bits, or in a byte of its own.
    fn put(data: &Data<'_>, out: &mut Vec<u8>) {
        let control = |kind: u8, length: usize| kind << 5 | u8::try_from(length).unwrap();
        match data {
            Data::Text(text) if text.len() < 29 => {
                out.push(control(2, text.len()));
                out.extend_from_slice(text.as_bytes());
            }
            Data::Text(text) => {
                out.extend_from_slice(&[control(2, 29), u8::try_from(text.len() - 29).unwrap()]);
                out.extend_from_slice(text.as_bytes());
            }
            Data::Short(number) => {
                out.push(control(5, 2));
                out.extend_from_slice(&number.to_be_bytes());
            }
            Data::Long(number) => {
                out.extend_from_slice(&[control(0, 8), 9 - 7]);
                out.extend_from_slice(&number.to_be_bytes());
            }
            Data::Number(number) => {
                out.push(control(6, 4));
                out.extend_from_slice(&number.to_be_bytes());
            }
            Data::Map(entries) => {
                out.push(control(7, entries.len()));
                for (key, value) in *entries {
                    put(&Data::Text(key), out);
                    put(value, out);
                }
            }
            Data::List(items) => {
                out.extend_from_slice(&[control(0, items.len()), 11 - 7]);
                items.iter().for_each(|item| put(item, out));
            }
        }
    }

    /// A database of IPv4 that has one network, 203.0.113.0/24.
    fn database(record: &Data<'_>) -> Vec<u8> {
        let (network, nodes) = (u32::from_be_bytes([203, 0, 113, 0]), 24_u32);
        let mut bytes = Vec::new();
        for node in 0..nodes {
            let next = if node + 1 == nodes { nodes + 16 } else { node + 1 };
            let is_right = network >> (31 - node) & 1 == 1;
            for side in if is_right { [nodes, next] } else { [next, nodes] } {
                bytes.extend_from_slice(&side.to_be_bytes()[1..]);
            }
        }
        bytes.extend_from_slice(&[0; 16]);
        put(record, &mut bytes);
        bytes.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
        let about = [
            ("binary_format_major_version", Data::Short(2)),
            ("binary_format_minor_version", Data::Short(0)),
            ("build_epoch", Data::Long(1)),
            ("database_type", Data::Text("Test")),
            ("description", Data::Map(&[])),
            ("ip_version", Data::Short(4)),
            ("languages", Data::List(&[])),
            ("node_count", Data::Number(nodes)),
            ("record_size", Data::Short(24)),
        ];
        put(&Data::Map(&about), &mut bytes);
        bytes
    }

    fn geo() -> Geo {
        let dir = tempfile::tempdir().unwrap();
        let country = Data::Map(&[("country", Data::Map(&[("iso_code", Data::Text("NL"))]))]);
        let operator = Data::Map(&[
            ("autonomous_system_number", Data::Number(64_500)),
            ("autonomous_system_organization", Data::Text("Example")),
        ]);
        let files: Vec<PathBuf> = [("country", country), ("as", operator)]
            .map(|(name, record)| {
                let file = dir.path().join(name);
                std::fs::write(&file, database(&record)).unwrap();
                file
            })
            .into();
        Geo::open(&files).unwrap()
    }

    fn entry(event: &str) -> Entry {
        from_syslog(&format!("2026-11-29T10:00:00Z h sshd[1]: pam_qrtotp(sshd:auth): {event}")).unwrap()
    }

    const LOGIN: &str = "event=login result=denied user=alice service=sshd rhost";

    #[test]
    fn a_remote_address_has_the_country_and_the_operator_that_the_databases_name() {
        let geo = geo();
        for (host, found) in [
            ("203.0.113.9", Some("NL AS64500 Example")),
            ("::ffff:203.0.113.9", Some("NL AS64500 Example")),
            ("203.0.114.9", None),
            ("2001:db8::7", None),
            ("h.example.net", None),
        ] {
            let origin = geo.origin(&entry(&format!("{LOGIN}={host}")));
            assert_eq!(origin.map(|origin| origin.to_string()).as_deref(), found, "{host}");
        }
        assert_eq!(geo.origin(&entry("event=login result=denied user=alice")), None);
    }

    #[test]
    fn each_form_of_json_has_it_in_the_place_that_its_schema_names() {
        let geo = geo();
        let login = entry(&format!("{LOGIN}=203.0.113.9"));
        let origin = || geo.origin(&login).unwrap();
        let mut plain = Map::new();
        origin().put_plain(&mut plain);
        assert_eq!(
            Value::Object(plain),
            json!({ "country": "NL", "as_number": 64_500, "as_organization": "Example" })
        );
        let mut document = ecs(&login);
        origin().put_ecs(&mut document);
        assert_eq!(document["source"]["geo"]["country_iso_code"], "NL");
        assert_eq!(
            document["source"]["as"],
            json!({ "number": 64_500, "organization": { "name": "Example" } })
        );
        assert_eq!(document["source"]["ip"], "203.0.113.9");
        let anomaly = entry("event=anomaly severity=alert reason=intercepted user=alice rhost=203.0.113.9");
        for (event, path) in [(&login, "/src_endpoint"), (&anomaly, "/evidences/0/src_endpoint")] {
            let mut event = ocsf(event);
            origin().put_ocsf(&mut event);
            let endpoint = event.pointer(path).unwrap();
            assert_eq!(
                (&endpoint["location"]["country"], &endpoint["ip"]),
                (&json!("NL"), &json!("203.0.113.9"))
            );
            assert_eq!(endpoint["autonomous_system"], json!({ "number": 64_500, "name": "Example" }));
        }
    }

    #[test]
    fn a_file_that_is_no_database_is_refused_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("other");
        std::fs::write(&file, "x").unwrap();
        for (path, why) in [(file, "no database"), (dir.path().join("none"), "No such file")] {
            let error = Geo::open(std::slice::from_ref(&path)).err().unwrap().to_string();
            assert!(error.contains(why) && error.contains(&*path.to_string_lossy()), "{error}");
        }
    }

    #[test]
    fn a_damaged_database_never_panics() {
        let login = entry(&format!("{LOGIN}=203.0.113.9"));
        let whole = database(&Data::Map(&[("country", Data::Map(&[("iso_code", Data::Text("NL"))]))]));
        for at in 0..whole.len() {
            for value in [0, 0xff, whole[at] ^ 0x20] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                if let Ok(reader) = Reader::from_source(bytes) {
                    let _ = Geo(vec![reader]).origin(&login);
                }
            }
        }
        let reader = Reader::from_source(whole).unwrap();
        assert!(Geo(vec![reader]).origin(&login).is_some());
    }
}
