//! `qrtotp reissue`: revokes devices and issues a new enrolment code for each account. A failure does not
//! stop the others, and a second run continues where the first one ended.

use super::bulk::{Outcome, Target, Targets, Which, confirm, is_over};
use super::token::advice;
use crate::cli::Reissue;
use crate::context::{Context, known_user, record_name, syslog};
use crate::error::{Exit, Failure};
use crate::terminal::unbuffered_stdout;
use qrtotp_account::{Name, Token, TokenCode};
use qrtotp_flow::{AdminError, Issue};
use qrtotp_frontend::local;
use qrtotp_store::{FileStore, Store};
use qrtotp_values::ConfigDuration;
use std::fs::File;
use std::io::Write;

pub fn run(context: &Context, args: &Reissue) -> Result<Exit, Failure> {
    let store = context.store()?;
    // A code passes through, and std's own standard output would keep it in its buffer.
    let mut out = unbuffered_stdout()?;
    match &args.user {
        Some(_) if args.bulk.is_any() => {
            let text = "name one account, or many with --group, --rule, --everyone or --enrolled-before";
            Err(Failure::Error(text.into()))
        }
        Some(user) => one(context, &store, user, args.expires, &mut out),
        None if args.bulk.is_asked() => many(context, &store, args, &mut out),
        None => Err(Failure::Error("whose devices? Give a name, --group, --rule or --everyone".into())),
    }
}

fn one(
    context: &Context,
    store: &FileStore,
    user: &str,
    expires: Option<ConfigDuration>,
    out: &mut File,
) -> Result<Exit, Failure> {
    let name = record_name(user, store)?;
    let account = store.load(&name)?;
    let target = account.and_then(|account| Target::of(name.clone(), &account.record));
    let target = target.ok_or_else(|| Failure::admin(&AdminError::NotEnrolled(name.clone()), user))?;
    let issued = reissue(context, store, &target, expires)?;
    put(out, &target, &issued)?;
    put_advice(context, expires, out)?;
    Ok(Exit::Done)
}

fn many(context: &Context, store: &FileStore, args: &Reissue, out: &mut File) -> Result<Exit, Failure> {
    let targets = Targets::find(context, store, &args.bulk, false)?;
    let mut outcome = Outcome::default();
    if is_over(&args.bulk, &targets, "reissue")? {
        return Ok(outcome.exit(&targets));
    }
    let then = "their logins are denied until they enrol again with the code that is shown here";
    confirm(args.bulk.confirm, &targets, "reissue", then)?;
    for target in &targets.all {
        match reissue(context, store, target, args.expires) {
            Ok(issued) => {
                outcome.done += 1;
                if let Err(error) = put(out, target, &issued) {
                    outcome.fail(&target.name, &not_shown(&target.name, &issued, &error));
                }
            }
            Err(failure) => outcome.fail(&target.name, &failure),
        }
    }
    let count = outcome.done.to_string();
    context.host_chain().log_new("bulk_reissued", &[("count", &count)], &outcome.detail(&args.bulk));
    writeln!(out, "Reissued devices of {count} accounts.")?;
    if outcome.done > 0 {
        put_advice(context, args.expires, out)?;
    }
    Ok(outcome.exit(&targets))
}

/// How many devices are gone, and the new token with its code.
type Issued = (usize, Option<(Token, TokenCode)>);

fn reissue(
    context: &Context,
    store: &FileStore,
    target: &Target,
    expires: Option<ConfigDuration>,
) -> Result<Issued, Failure> {
    let Which::Devices { ids, .. } = &target.which else { return Ok((0, None)) };
    // Only a user of this host can enrol again.
    let uid = known_user(target.name.as_str())?.uid;
    reissue_devices(context, store, (&target.name, uid), ids, expires)
        .map_err(|error| Failure::admin(&error, target.name.as_str()))
}

/// Revokes these devices; if none is left, issues a token with a code.
pub fn reissue_devices(
    context: &Context,
    store: &FileStore,
    (name, uid): (&Name, u32),
    devices: &[qrtotp_account::CredentialId],
    expires: Option<ConfigDuration>,
) -> Result<Issued, AdminError> {
    let enroll = &context.config.enroll;
    let issue = Issue {
        name,
        uid,
        lifetime: expires.unwrap_or(enroll.token_lifetime),
        max_shows: enroll.max_shows,
        code: Some(expires.unwrap_or(enroll.code_lifetime)),
        keys: &[],
    };
    let mut log = syslog();
    qrtotp_flow::reissue(&mut context.flow(store, name.as_str(), &mut log), &issue, devices)
}

fn put(out: &mut File, target: &Target, (gone, issued): &Issued) -> std::io::Result<()> {
    write!(out, "{:<20} {gone} devices revoked", target.name.as_str())?;
    match issued {
        None => writeln!(out, "; a newer one is left, so there is no code"),
        Some((token, code)) => {
            write!(out, ", {} expires {} code ", token.id, local(token.expires))?;
            out.write_all(code.display().as_bytes())?;
            out.write_all(b"\n")
        }
    }
}

/// What to do about an account whose line could not be written.
fn not_shown(name: &Name, (gone, issued): &Issued, error: &std::io::Error) -> String {
    match issued {
        None => format!("{gone} devices revoked, but that was not shown: {error}"),
        Some(_) => format!(
            "{gone} devices revoked, but the new code was not shown: {error}; \
             run `qrtotp token revoke {name}`, then `qrtotp token issue {name} --code`"
        ),
    }
}

fn put_advice(context: &Context, expires: Option<ConfigDuration>, out: &mut File) -> std::io::Result<()> {
    let enroll = &context.config.enroll;
    let lifetime = expires.unwrap_or(enroll.code_lifetime.min(enroll.token_lifetime));
    writeln!(out, "{}", advice(lifetime.as_seconds()))
}
