//! `qrtotp token issue`: for one account, the members of a group, or the names in a file.

use super::json::{JsonList, put_json};
use super::keys::{BoundKey, Keys, keys_now};
use super::users::{Names, in_file, in_group};
use crate::cli;
use crate::context::{Context, HostUser, known_user, syslog};
use crate::error::{Exit, Failure};
use crate::terminal::unbuffered_stdout;
use qrtotp_account::{EnrolmentStatus, KeyFingerprint, Name};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_flow::Issue;
use qrtotp_frontend::{Syslog, Versioned, local};
use qrtotp_policy::Config;
use qrtotp_store::AccountStore;
use qrtotp_values::ConfigDuration;
use qrtotp_values::UnixTime;
use qrtotp_values::text::clean;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use zeroize::Zeroizing;

/// A token that was issued just now.
struct Issued {
    name: Name,
    token: String,
    expires: UnixTime,
    /// The code, and the first second at which it is worth nothing.
    code: Option<(Zeroizing<String>, UnixTime)>,
    /// The ssh keys that it is bound to, and the keys left out.
    keys: Keys,
}

#[derive(Serialize)]
struct View<'a> {
    user: &'a str,
    token: Option<&'a str>,
    expires: Option<UnixTime>,
    code: Option<&'a str>,
    code_expires: Option<UnixTime>,
    /// The ssh keys that it is bound to.
    keys: &'a [BoundKey],
    keys_left_out: &'a [String],
    /// Why nothing was to be done.
    skipped: Option<&'a str>,
    error: Option<&'a str>,
}

impl<'a> View<'a> {
    fn of(issued: &'a Issued) -> Self {
        let code = issued.code.as_ref();
        Self {
            user: issued.name.as_str(),
            token: Some(&issued.token),
            expires: Some(issued.expires),
            code: code.map(|(code, _)| code.as_str()),
            code_expires: code.map(|(_, expires)| *expires),
            keys: &issued.keys.bound,
            keys_left_out: &issued.keys.left_out,
            ..Self::without_token(issued.name.as_str())
        }
    }

    fn without_token(user: &'a str) -> Self {
        Self {
            user,
            token: None,
            expires: None,
            code: None,
            code_expires: None,
            keys: &[],
            keys_left_out: &[],
            skipped: None,
            error: None,
        }
    }
}

/// Issues tokens that are all of one kind.
struct Issuer<'a> {
    context: &'a Context,
    store: Box<dyn AccountStore>,
    lifetime: ConfigDuration,
    code: Option<ConfigDuration>,
    keys_now: bool,
    keys: Vec<KeyFingerprint>,
    /// Notes already shown: most are the same for all accounts.
    noted: BTreeSet<String>,
    log: Syslog,
}

const ENROLLED: &str = "has a device already, so no token was issued";

impl Issuer<'_> {
    /// Accounts that need no ssh key to enrol their first device.
    fn skips(&self, account: &HostUser) -> Result<bool, Failure> {
        let found = if self.keys_now { self.store.load(&account.name)? } else { None };
        Ok(found.is_some_and(|account| account.record.enrolment_status() == EnrolmentStatus::Enrolled))
    }

    /// The keys to bind.
    fn keys_of(&mut self, account: &HostUser) -> Result<Keys, Failure> {
        let mut keys = if self.keys_now { keys_now(account)? } else { Keys::default() };
        for given in &self.keys {
            if keys.bound.iter().all(|key| key.fingerprint != *given) {
                keys.bound.push(BoundKey::given(*given));
            }
        }
        let first_login = self.context.config.defaults.first_login;
        if !keys.bound.is_empty() && !first_login.enrols() {
            keys.notes.push(
                "nobody enrols at a login yet: set first_login = \"token\" in the configuration".into(),
            );
        }
        for note in std::mem::take(&mut keys.notes) {
            if !self.noted.contains(&note) {
                let _ = writeln!(std::io::stderr(), "qrtotp: {note}");
                self.noted.insert(note);
            }
        }
        if self.keys_now && keys.bound.is_empty() {
            return Err(Failure::Refused(format!(
                "no ssh key can be bound: {}; add an unrestricted one, name one with --key SHA256:…, or issue a token with --code",
                keys.left_out.join("; ")
            )));
        }
        Ok(keys)
    }

    fn issue(&mut self, account: &HostUser) -> Result<Issued, Failure> {
        let HostUser { name, uid } = account;
        self.context.refuse_fleets(name)?;
        let max_shows = self.context.config.enroll.max_shows;
        let keys = self.keys_of(account)?;
        let fingerprints: Vec<KeyFingerprint> = keys.bound.iter().map(|key| key.fingerprint).collect();
        let (lifetime, code) = (self.lifetime, self.code);
        let issue = Issue { name, uid: *uid, lifetime, max_shows, code, keys: &fingerprints };
        let ctx = &mut self.context.flow(&*self.store, name.as_str(), &mut self.log);
        let issue = || qrtotp_flow::issue_token(ctx, &issue);
        let (token, code) = self
            .context
            .host_chain()
            .noting(&*self.store, name, issue)
            .map_err(|error| Failure::admin(&error, name.as_str()))?;
        let code_expires = token.binding.as_ref().map(|binding| binding.expires);
        Ok(Issued {
            name: name.clone(),
            token: token.id.to_string(),
            expires: token.expires,
            code: code.map(|code| code.display()).zip(code_expires),
            keys,
        })
    }
}

pub fn run(context: &Context, args: cli::Issue) -> Result<Exit, Failure> {
    let enroll = &context.config.enroll;
    let issuer = |store| Issuer {
        context,
        store,
        lifetime: args.expires.unwrap_or(enroll.token_lifetime),
        // At a fleet's login host nothing else proves who the user is.
        code: (args.code || context.is_verifier()).then_some(enroll.code_lifetime),
        keys_now: args.keys_now,
        keys: args.key,
        noted: BTreeSet::new(),
        log: syslog(),
    };
    let cli::TokenUsers { user, group, from_file } = args.users;
    // A code passes through, and std's own standard output would keep it in its buffer.
    let out = unbuffered_stdout()?;
    match (user, group, from_file) {
        (Some(user), ..) => {
            let account = known_user(&user)?;
            one(issuer(context.store_or_new()?), &account, args.json, out)
        }
        (None, Some(group), _) => {
            let names = in_group(&group)?;
            many(issuer(context.store_or_new()?), names, args.json, out)
        }
        (None, None, Some(path)) => {
            let names = in_file(&path)?;
            many(issuer(context.store_or_new()?), names, args.json, out)
        }
        (None, None, None) => {
            Err(Failure::Error("no user is named; give a name, --group or --from-file".into()))
        }
    }
}

fn one(mut issuer: Issuer<'_>, account: &HostUser, json: bool, mut out: File) -> Result<Exit, Failure> {
    let issued = issuer.issue(account)?;
    put_one(&issuer, &issued, json, &mut out)
        .map_err(|error| Failure::Error(not_shown(account.name.as_str(), &error)))?;
    Ok(Exit::Done)
}

/// A token that nobody has seen.
fn not_shown(user: &str, error: &std::io::Error) -> String {
    format!(
        "the token of {user} was not shown: {error}; run `qrtotp token revoke {user}`, then `qrtotp token issue {user}` \
         as before"
    )
}

fn put_one(issuer: &Issuer<'_>, issued: &Issued, json: bool, out: &mut File) -> std::io::Result<()> {
    if json {
        put_json(out, |line| Ok(serde_json::to_writer_pretty(line, &Versioned::new(View::of(issued)))?))?;
        return out.write_all(b"\n");
    }
    let Issued { name, token, expires, code, keys } = issued;
    writeln!(out, "Issued {token} for {name}; it is worth nothing after {}.", local(*expires))?;
    put_keys(out, keys)?;
    match code {
        None if !keys.bound.is_empty() => writeln!(out, "{WITH_A_KEY}"),
        None => writeln!(out, "`qrtotp enroll` uses it, and a login where first_login lets people enrol."),
        Some((code, expires)) => {
            out.write_all(b"Code: ")?;
            out.write_all(code.as_bytes())?;
            writeln!(out, "\n{}", advice(&issuer.context.config, *expires - SystemClock.now()))
        }
    }
}

const WITH_A_KEY: &str =
    "To enrol, the user logs in over ssh with a bound key and presses Enter at the question for the code.";

/// Bound keys, and those that were left out.
fn put_keys(out: &mut File, keys: &Keys) -> std::io::Result<()> {
    for key in &keys.bound {
        writeln!(out, "  bound to {}", key.line())?;
    }
    for left_out in &keys.left_out {
        writeln!(out, "  not bound: {left_out}")?;
    }
    Ok(())
}

/// Instructions for a code.
pub fn advice(config: &Config, seconds: i64) -> String {
    let lifetime = in_words(seconds);
    let asked_by = if config.defaults.first_login.enrols() {
        "`qrtotp enroll` and a first login ask for it."
    } else {
        "`qrtotp enroll` asks for it, and a login where first_login lets people enrol."
    };
    format!(
        "The code is shown only now and is good for {lifetime}. Tell it to the person over another channel \
         than\nthe one they enrol through; {asked_by}"
    )
}

/// A lifetime in days, hours or minutes, whichever is whole; seconds are rounded up.
fn in_words(seconds: i64) -> String {
    let minutes = (seconds + 59) / 60;
    let (count, unit) = match minutes {
        _ if minutes % 1440 == 0 => (minutes / 1440, "day"),
        _ if minutes % 60 == 0 => (minutes / 60, "hour"),
        _ => (minutes, "minute"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// A line for each account as soon as it has its token. What went wrong with one stops no other.
fn many(mut issuer: Issuer<'_>, names: Names, json: bool, mut out: File) -> Result<Exit, Failure> {
    let mut list = JsonList::of_tokens(json);
    let mut exit = Exit::Done;
    let mut any = false;
    let mut seen = BTreeSet::new();
    for typed in names {
        let typed = typed?;
        let account = known_user(&typed);
        if let Ok(account) = &account
            && !seen.insert(account.name.clone())
        {
            continue; // named twice
        }
        let issued = account.and_then(|account| match issuer.skips(&account)? {
            true => Ok(Err(account.name)),
            false => issuer.issue(&account).map(Ok),
        });
        any |= matches!(issued, Ok(Ok(_)));
        if issued.is_err() && exit == Exit::Done {
            exit = Exit::Refused;
        }
        let user = clean(&typed, 64);
        if let Err(error) = put(&mut out, json.then_some(&mut list), &user, &issued) {
            exit = Exit::Error;
            let text = match issued {
                Ok(Ok(_)) => not_shown(&user, &error),
                _ => format!("{user}: the result was not shown: {error}"),
            };
            let _ = writeln!(std::io::stderr(), "qrtotp: {text}");
        }
    }
    if exit == Exit::Error {
        return Ok(exit); // the output failed
    }
    if seen.is_empty() && exit == Exit::Done {
        let text = "nobody is named, so no token was issued; a group without members here may have some in a directory \
                    that does not list them: name them with --from-file";
        return Err(Failure::Refused(text.into()));
    }
    list.end(&mut out)?;
    if let Some(code) = issuer.code.filter(|_| any && !json) {
        writeln!(out, "{}", advice(&issuer.context.config, code.min(issuer.lifetime).as_seconds()))?;
    } else if any && !json && issuer.keys_now {
        writeln!(out, "{WITH_A_KEY}")?;
    }
    Ok(exit)
}

/// Says what became of one of many accounts: a token, none because it has a device, or a failure.
fn put(
    out: &mut File,
    list: Option<&mut JsonList>,
    user: &str,
    issued: &Result<Result<Issued, Name>, Failure>,
) -> std::io::Result<()> {
    let Some(list) = list else {
        return match issued {
            Ok(Ok(issued)) => put_line(out, issued),
            Ok(Err(name)) => writeln!(out, "{:<20} {ENROLLED}", name.as_str()),
            Err(failure) => writeln!(std::io::stderr(), "qrtotp: {user}: {failure}"),
        };
    };
    let error = issued.as_ref().err().map(ToString::to_string);
    let view = match issued {
        Ok(Ok(issued)) => View::of(issued),
        Ok(Err(name)) => View { skipped: Some(ENROLLED), ..View::without_token(name.as_str()) },
        Err(_) => View { error: error.as_deref(), ..View::without_token(user) },
    };
    put_json(out, |line| list.item(line, &view))
}

fn put_line(out: &mut File, issued: &Issued) -> std::io::Result<()> {
    let Issued { name, token, expires, code, keys } = issued;
    write!(out, "{:<20} {token} expires {}", name.as_str(), local(*expires))?;
    if let Some((code, _)) = code {
        out.write_all(b" code ")?;
        out.write_all(code.as_bytes())?;
    }
    out.write_all(b"\n")?;
    put_keys(out, keys)
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn a_lifetime_is_told_in_the_largest_unit_that_is_whole() {
        for (seconds, words) in [
            (600, "10 minutes"),
            (60, "1 minute"),
            (5400, "90 minutes"),
            (3600, "1 hour"),
            (7199, "2 hours"),
            (86_400, "1 day"),
            (604_799, "7 days"),
        ] {
            assert_eq!(in_words(seconds), words);
        }
    }
}
