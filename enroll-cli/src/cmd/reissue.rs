//! `qrtotp reissue`: revokes devices and issues a new enrolment code for each account. A failure does not
//! stop the others, and a second run continues where the first one ended.

use super::bulk::{AccountResult, BulkCounts, BulkReport, Changed, Target, Targets, Which, confirm, is_over};
use super::config::count;
use super::token::advice;
use crate::cli::Reissue;
use crate::context::{Context, known_user, syslog};
use crate::error::{Exit, Failure};
use qrtotp_account::{Name, Token, TokenCode};
use qrtotp_flow::{AdminError, Issue};
use qrtotp_frontend::local;
use qrtotp_store::AccountStore;
use qrtotp_values::ConfigDuration;
use std::fs::File;
use std::io::{self, Write};
use zeroize::Zeroizing;

pub fn run(context: &Context, args: &Reissue) -> Result<Exit, Failure> {
    let store = context.store()?;
    match &args.user {
        Some(_) if args.bulk.is_any() => {
            let text = "name one account, or many with --group, --rule, --everyone or --enrolled-before";
            Err(Failure::Error(text.into()))
        }
        Some(user) => one(context, &*store, user, args),
        None if args.bulk.is_asked() => many(context, &*store, args),
        None => Err(Failure::Error("whose devices? Give a name, --group, --rule or --everyone".into())),
    }
}

fn one(context: &Context, store: &dyn AccountStore, user: &str, args: &Reissue) -> Result<Exit, Failure> {
    let name = context.record_name(user, store)?;
    let account = store.load(&name)?;
    let target = account.and_then(|account| Target::of(name.clone(), &account.record));
    let target = target.ok_or_else(|| Failure::admin(&AdminError::NotEnrolled(name.clone()), user))?;
    let mut report = BulkReport::new("reissue", &args.bulk)?;
    let reissued = reissue(context, store, &target, args.expires)?;
    report.put(&target, &reissued).map_err(|error| Failure::Error(reissued.not_shown(&target, &error)))?;
    report.end(&BulkCounts::one(), true, &advice_about(context, args.expires))?;
    Ok(Exit::Done)
}

fn many(context: &Context, store: &dyn AccountStore, args: &Reissue) -> Result<Exit, Failure> {
    let targets = Targets::find(context, store, &args.bulk, false)?;
    reissue_all(context, store, &targets, args)
}

/// Reissues the devices of these accounts, once the caller has confirmed their number.
pub fn reissue_all(
    context: &Context,
    store: &dyn AccountStore,
    targets: &Targets,
    args: &Reissue,
) -> Result<Exit, Failure> {
    let mut report = BulkReport::new("reissue", &args.bulk)?;
    if is_over(&args.bulk, targets, "reissue", &mut report)? {
        return Ok(BulkCounts::default().exit(targets));
    }
    let then = "logins of these accounts are denied until they enrol again with the code that is shown here";
    confirm(args.bulk.confirm, store, targets, "reissue", then)?;
    let outcome = report.change((context, "bulk_reissued", &args.bulk), &targets.all, |target| {
        reissue(context, store, target, args.expires)
    });
    let advice = if outcome.done > 0 { advice_about(context, args.expires) } else { String::new() };
    let text = format!("Reissued the devices of {}.\n{advice}", count(outcome.done as usize, "account"));
    report.end(&outcome, !targets.unread, &text)?;
    Ok(outcome.exit(targets))
}

/// How many devices are gone, and the new token with its code.
type Issued = (usize, Option<(Token, TokenCode)>);

/// The same, with the code as it is shown.
struct Reissued {
    gone: usize,
    issued: Option<(Token, Zeroizing<String>)>,
}

fn reissue(
    context: &Context,
    store: &dyn AccountStore,
    target: &Target,
    expires: Option<ConfigDuration>,
) -> Result<Reissued, Failure> {
    let Which::Devices { ids, .. } = &target.which else { return Ok(Reissued { gone: 0, issued: None }) };
    // Only a user of this host can enrol again.
    let uid = known_user(target.name.as_str())?.uid;
    let (gone, issued) = reissue_devices(context, store, (&target.name, uid), ids, expires)
        .map_err(|error| Failure::admin(&error, target.name.as_str()))?;
    Ok(Reissued { gone, issued: issued.map(|(token, code)| (token, code.display())) })
}

/// Revokes these devices; if none is left, issues a token with a code.
pub fn reissue_devices(
    context: &Context,
    store: &dyn AccountStore,
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

impl Changed for Reissued {
    fn put(&self, target: &Target, out: &mut File) -> io::Result<()> {
        write!(out, "{} {} revoked", target.column(), count(self.gone, "device"))?;
        match &self.issued {
            None => writeln!(out, "; a newer one is left, so there is no code"),
            Some((token, code)) => {
                write!(out, ", {} expires {} code ", token.id, local(token.expires))?;
                out.write_all(code.as_bytes())?;
                out.write_all(b"\n")
            }
        }
    }

    fn view<'a>(&'a self, target: &'a Target) -> AccountResult<'a> {
        let token = self.issued.as_ref().map(|(token, _)| token);
        AccountResult {
            devices: self.gone,
            token_revoked: false,
            token: token.map(|token| token.id.to_string()),
            expires: token.map(|token| token.expires),
            code: self.issued.as_ref().map(|(_, code)| code.as_str()),
            code_expires: token.and_then(|token| token.binding.as_ref()).map(|binding| binding.expires),
            ..AccountResult::of(target)
        }
    }

    fn not_shown(&self, Target { name, .. }: &Target, error: &io::Error) -> String {
        let gone = count(self.gone, "device");
        match self.issued {
            None => format!("{gone} revoked, but that was not shown: {error}"),
            Some(_) => format!(
                "{gone} revoked, but the new code was not shown: {error}; \
                 run `qrtotp token revoke {name}`, then `qrtotp token issue {name} --code`"
            ),
        }
    }
}

fn advice_about(context: &Context, expires: Option<ConfigDuration>) -> String {
    let enroll = &context.config.enroll;
    let lifetime = expires.unwrap_or(enroll.code_lifetime.min(enroll.token_lifetime));
    format!("{}\n", advice(&context.config, lifetime.as_seconds()))
}
