//! `qrtotp enroll`: shows a QR code and the key, asks for a first code, shows recovery codes.

use crate::cli::Enroll;
use crate::cmd::doctor::Files;
use crate::cmd::doctor::report::names;
use crate::context::{Context, HostUser, known_user, named_or_self, syslog};
use crate::error::{Exit, Failure};
use crate::picture::{Appearance, Request};
use crate::qr_style::needs_explicit_style;
use crate::terminal::{Terminal, place};
use nix::unistd::geteuid;
use qrtotp_account::Label;
use qrtotp_flow::{Authority, Codes, Dialog, EnrolmentRequest, ExistingCode, host_name};
use qrtotp_messages::text;
use qrtotp_policy::PROOF_SERVICE;

pub fn run(context: &Context, args: Enroll) -> Result<Exit, Failure> {
    let typed = named_or_self(args.user, "enroll")?;
    let HostUser { name, uid } = known_user(&typed)?;
    context.refuse_fleets(&name)?;
    let place = place();
    if needs_explicit_style(args.qr, &place) {
        return Err(Failure::not_on_a_pipe());
    }
    if args.no_verify && !geteuid().is_root() {
        return Err(Failure::only_root_skips());
    }
    let issuer = context.issuer();
    let account = context.account_label(name.as_str());
    let picture = args.save.as_deref().map(|path| Request {
        path,
        ephemeral: args.ephemeral,
        issuer: &issuer,
        account: &account,
    });
    let appearance = Appearance::new(&context.config.brand, place.tty, picture.as_ref())?;
    let store = context.store_or_new()?;
    let label = Label::new(args.label.as_deref().unwrap_or_default());
    let request = EnrolmentRequest {
        name: &name,
        uid,
        label: &label,
        authority: Authority::Admin(match args.no_verify {
            true => ExistingCode::Skipped,
            false => ExistingCode::Required,
        }),
        host: &host_name(),
    };
    let contact = context.config.brand.contact.clone();
    let mut terminal = Terminal::new(place, (args.qr, args.invert), name.as_str(), contact, appearance)?;
    let mut log = syslog();
    let mut ctx = context.flow(&*store, name.as_str(), &mut log);
    let enrolled =
        context.host_chain().noting(&*store, &name, || qrtotp_flow::enroll(&mut ctx, &mut terminal, request));
    terminal.end_picture(enrolled.is_ok());
    let enrolled = enrolled.map_err(|error| Failure::enroll(&error, name.as_str()))?;
    let regenerate = format!("`qrtotp recovery regenerate {name}` makes new ones");
    match enrolled.codes {
        Codes::Kept => {}
        Codes::Unchanged => {
            terminal.show_text(&format!("\n{} {regenerate}.", text::CODES_UNCHANGED));
        }
        Codes::Lost => {
            return Err(Failure::Error(format!(
                "the device is enrolled, but its recovery codes could not be shown and kept; {regenerate}"
            )));
        }
    }
    let id = enrolled.credential;
    terminal.show_text(&format!("Done: {name} has a new device, {id}. {}", where_asked(&Files::read())));
    Ok(Exit::Done)
}

/// The services that ask for its code.
fn where_asked(files: &Files) -> String {
    let service = |name: &&str| *name != PROOF_SERVICE && !name.starts_with("common-");
    let asking: Vec<&str> = files.services.keys().map(String::as_str).filter(service).collect();
    let asking: Vec<&str> = asking.into_iter().filter(|name| files.asks(name).is_some()).collect();
    match asking.is_empty() {
        true => "No PAM file names the module yet, so no login asks for its code: qrtotp setup sshd sudo su"
            .into(),
        false => format!("From now on its code is asked for at: {}.", names(&asking)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::doctor::tests::{DEBIAN, host};

    #[test]
    fn the_services_that_ask_are_named_and_where_none_does_that_is_said() {
        let proof = ("qrtotp", include_str!("../../../conf/pam.d/qrtotp"));
        let (_dir, files) = host(&[&DEBIAN[..], &[proof]].concat());
        assert!(where_asked(&files).contains("qrtotp setup"), "{}", where_asked(&files));
        let su = ("su", include_str!("../../../conf/pam.d/su-code"));
        let (_dir, files) = host(&[&DEBIAN[..], &[proof, su]].concat());
        assert_eq!(where_asked(&files), "From now on its code is asked for at: su, su-l.");
    }
}
