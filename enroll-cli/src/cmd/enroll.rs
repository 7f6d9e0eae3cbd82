//! `qrtotp enroll`: shows a QR code and the key, asks for a first code, shows recovery codes.

use crate::cli::Enroll;
use crate::context::{Account, Context, known_user, named_or_self, syslog};
use crate::error::{Exit, Failure};
use crate::look::{Look, Request};
use crate::picture::needs_explicit_style;
use crate::terminal::{Terminal, place};
use nix::unistd::geteuid;
use qrtotp_core::account::Label;
use qrtotp_core::clock::SystemClock;
use qrtotp_core::flow::{Authority, Codes, Dialog, Enrollment, ExistingCode, Invitation};
use qrtotp_core::otp::Params;

pub fn run(context: &Context, args: Enroll) -> Result<Exit, Failure> {
    let typed = named_or_self(args.user, "enroll")?;
    let Account { name, uid } = known_user(&typed)?;
    let place = place();
    if needs_explicit_style(args.qr, &place) {
        return Err(Failure::not_on_a_pipe());
    }
    if args.no_verify && !geteuid().is_root() {
        return Err(Failure::only_root_skips());
    }
    let (subject, issuer) = (context.subject(name.as_str()), context.issuer());
    let account = context.account_label(name.as_str());
    let picture = args.save.as_deref().map(|path| Request {
        path,
        ephemeral: args.ephemeral,
        issuer: &issuer,
        account: &account,
    });
    let look = Look::new(&context.config.brand, place.tty, picture.as_ref())?;
    let store = context.store_or_new()?;
    let label = Label::new(args.label.as_deref().unwrap_or_default());
    let invitation = Invitation {
        name: &name,
        uid,
        label: &label,
        authority: Authority::Admin(match args.no_verify {
            true => ExistingCode::Skipped,
            false => ExistingCode::Required,
        }),
        subject: &subject,
        issuer: &issuer,
        account: &account,
        params: Params::default(),
    };
    let contact = context.config.brand.contact.clone();
    let mut terminal = Terminal::new(place, (args.qr, args.invert), name.as_str(), contact, look)?;
    let enrolled = Enrollment {
        invitation: &invitation,
        config: &context.config,
        store: &store,
        dialog: &mut terminal,
        clock: &SystemClock,
        audit: &mut syslog(),
    }
    .run();
    terminal.end_picture(enrolled.is_ok());
    let enrolled = enrolled.map_err(|error| Failure::enroll(&error, name.as_str()))?;
    let regenerate = format!("`qrtotp recovery regenerate {name}` makes new ones");
    match enrolled.codes {
        Codes::Kept => {}
        Codes::Unchanged => terminal.show(&format!("\nThe recovery codes stay as they are; {regenerate}.")),
        Codes::Lost => {
            return Err(Failure::Error(format!(
                "the device is enrolled, but its recovery codes could not be shown and kept; {regenerate}"
            )));
        }
    }
    let id = enrolled.credential;
    terminal.show(&format!("Done: {name} has a new device, {id}. From now on logins ask for its code."));
    Ok(Exit::Done)
}
