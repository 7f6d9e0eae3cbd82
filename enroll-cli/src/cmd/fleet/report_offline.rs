//! `qrtotp fleet report-offline`, on a login host: tells the verifiers which break-glass codes were used
//! while none of them answered. systemd starts it after a login without a verdict.

use crate::context::{Context, config_file};
use crate::error::{Exit, Failure};
use qrtotp_account::{Name, SetKind};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_fleet_tls::{hex, unhex, write_private};
use qrtotp_otp::random_bytes;
use qrtotp_policy::ConfigFile;
use qrtotp_store::Account;
use qrtotp_values::UnixTime;
use qrtotp_wire::{
    FleetResponse, OfflineUse, RELAY_SOCKET, Signed as _, VERDICT_KEY_LEN, VerdictKey, ask_relay,
};
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long one report may take: the relay tries for 2.7 s.
const LIMIT: Duration = Duration::from_secs(4);
const VERSION: u32 = 1;

/// The uses that this host knows of. They stay until the verifiers know them and the codes are replaced.
#[derive(Serialize, Deserialize)]
struct Spool {
    version: u32,
    sets: Vec<Set>,
}

/// The codes of one account that were made together.
#[derive(Serialize, Deserialize)]
struct Set {
    account: String,
    id: String,
    codes: u32,
    used: Vec<Use>,
    /// How many of them the verifiers know.
    reported: usize,
}

/// A used code.
#[derive(Clone, Serialize, Deserialize)]
struct Use {
    /// Random bytes in hexadecimal digits: the verifiers log each use once.
    id: String,
    /// When it was noticed.
    at: UnixTime,
}

impl Set {
    /// The next use to tell.
    fn next(&self) -> Option<OfflineUse> {
        let next = self.used.get(self.reported)?;
        let number = u32::try_from(self.reported).unwrap_or(u32::MAX);
        Some(OfflineUse {
            id: unhex(&next.id)?.try_into().ok()?,
            account: self.account.clone(),
            at: u32::try_from(next.at).unwrap_or(u32::MAX),
            left: self.codes.saturating_sub(number.saturating_add(1)),
            tag: [0; 32],
        })
    }
}

impl Spool {
    fn path(context: &Context) -> PathBuf {
        context.config.state_dir.0.join("offline-uses")
    }

    fn read(path: &Path) -> Result<Self, Failure> {
        let failed = |why: String| Failure::Error(format!("{}: {why}", path.display()));
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice::<Self>(&bytes)
                .ok()
                .filter(|spool| spool.version == VERSION)
                .ok_or_else(|| failed("it can't be read; remove it".into())),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(Self { version: VERSION, sets: Vec::new() })
            }
            Err(error) => Err(failed(error.to_string())),
        }
    }

    fn save(&self, path: &Path) -> Result<(), Failure> {
        let bytes = serde_json::to_vec(self).map_err(std::io::Error::from)?;
        Ok(write_private(path, &bytes)?)
    }

    /// Takes in what the host's store knows. True: there is something new.
    fn notice(&mut self, accounts: &[Account], now: UnixTime) -> Result<bool, Failure> {
        let mut changed = false;
        let mut present = Vec::new();
        for Account { record, state } in accounts {
            let Some(set) = record.recovery.as_ref().filter(|set| set.kind == SetKind::Offline) else {
                continue;
            };
            let (account, id) = (record.name.as_str(), set.id.to_string());
            let codes = u32::try_from(set.hashes.len()).unwrap_or(0);
            present.push((account.to_owned(), id.clone()));
            let used = usize::try_from(state.recovery_used(set.id)).unwrap_or(0);
            let known = self.sets.iter().position(|known| known.account == account && known.id == id);
            let at = known.unwrap_or(self.sets.len());
            if known.is_none() && used > 0 {
                let (account, used) = (account.to_owned(), Vec::new());
                self.sets.push(Set { account, id, codes, used, reported: 0 });
            }
            while let Some(set) = self.sets.get_mut(at).filter(|set| set.used.len() < used) {
                let id = random_bytes::<16>().map_err(|error| Failure::Error(error.to_string()))?;
                set.used.push(Use { id: hex(&id), at: now });
                changed = true;
            }
        }
        let before = self.sets.len();
        let is_needed = |set: &Set| {
            set.reported < set.used.len()
                || present.iter().any(|(account, id)| *account == set.account && *id == set.id)
        };
        self.sets.retain(is_needed);
        Ok(changed || self.sets.len() != before)
    }
}

pub fn run(named: &Path) -> Result<Exit, Failure> {
    let context = Context::load(named)?;
    if context.config.fleet.name.is_none() {
        return Err(Failure::Refused("this host is in no fleet".into()));
    }
    let Some(store) = context.store_if_made()? else { return Ok(Exit::Done) };
    let mut accounts = Vec::new();
    for name in store.names()?.collect::<Vec<Name>>() {
        accounts.extend(store.load(&name)?);
    }
    let path = Spool::path(&context);
    let mut spool = Spool::read(&path)?;
    if spool.notice(&accounts, SystemClock.now())? {
        spool.save(&path)?;
    }
    let key = verdict_key(named)?;
    let (mut reported, mut refused) = (0, None);
    for at in 0..spool.sets.len() {
        while let Some(used) = spool.sets.get(at).and_then(Set::next) {
            match tell(used, &key) {
                Err(failure @ Failure::Refused(_)) => {
                    refused = Some(failure); // of this account; others may be told
                    break;
                }
                other => other?,
            }
            if let Some(set) = spool.sets.get_mut(at) {
                set.reported += 1;
            }
            spool.save(&path)?;
            reported += 1;
        }
    }
    if reported > 0 {
        writeln!(std::io::stdout(), "Told the verifiers of {reported} used break-glass codes.")?;
    }
    refused.map_or(Ok(Exit::Done), Err)
}

fn verdict_key(named: &Path) -> Result<VerdictKey, Failure> {
    let source = ConfigFile::load(&config_file(named)?, SystemClock.now())
        .map_err(|error| Failure::Error(error.to_string()))?;
    let key = source.read_key_beside("verdict.key", VERDICT_KEY_LEN).ok().and_then(VerdictKey::new);
    key.ok_or_else(|| Failure::Error("root's verdict.key is missing; run `qrtotp fleet join`".into()))
}

fn tell(mut used: OfflineUse, key: &VerdictKey) -> Result<(), Failure> {
    used.sign(key).map_err(|error| Failure::Error(error.to_string()))?;
    match ask_relay(Path::new(RELAY_SOCKET), &qrtotp_wire::FleetRequest::OfflineUse(Box::new(used)), LIMIT) {
        Ok(FleetResponse::Done) => Ok(()),
        Ok(FleetResponse::Refused(text)) => Err(Failure::Refused(text)),
        Ok(_) => Err(Failure::Error("no verifier answers; try again later".into())),
        Err(error) => Err(Failure::Error(format!("{error}; is qrtotp-relay.socket enabled?"))),
    }
}
