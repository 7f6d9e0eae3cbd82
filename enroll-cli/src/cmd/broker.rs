//! Commands of people who are not root: the broker does the work, and this terminal is its dialogue.

use crate::cli::{Device, Enroll, Rename, Revoke, Status};
use crate::error::{Exit, Failure};
use crate::language::{catalogue, say};
use crate::picture::{Appearance, Request as Picture};
use crate::qr_style::needs_explicit_style;
use crate::terminal::{Terminal, place};
use nix::unistd::{User, geteuid};
use qrtotp_account::Label;
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_flow::{CodesDelivery, Dialog, EnrollDialog, NoAnswer, QrState, Reply, host_name};
use qrtotp_messages::{Message, text};
use qrtotp_policy::{ConfigFile, DEFAULT_PATH};
use qrtotp_wire::{
    CallerAnswer, ConnectError, Connection, DEFAULT_SOCKET, Devices, FrameError, Opening, Request, Response,
    connect,
};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long to wait for a place in the broker's queue.
const CONNECT: Duration = Duration::from_secs(5);
/// Longer than the broker keeps any connection: it is the one who ends it.
const PATIENCE: Duration = Duration::from_secs(3 * 3600);
/// How long its last word may take once a signal has come.
const LAST_WORD: Duration = Duration::from_secs(2);

/// The broker's socket, where it has to do what is asked for: for people who are not root on the host's own
/// accounts.
pub fn socket(config: &Path) -> Option<PathBuf> {
    (config == Path::new(DEFAULT_PATH) && !geteuid().is_root()).then(|| DEFAULT_SOCKET.into())
}

pub fn enroll(socket: &Path, config: &Path, args: Enroll) -> Result<Exit, Failure> {
    let place = place();
    if needs_explicit_style(args.qr, &place) {
        return Err(Failure::not_on_a_pipe());
    }
    if args.no_verify {
        return Err(Failure::only_root_skips());
    }
    // It is only looks, so a configuration that the person may not read is none.
    let config = ConfigFile::load(config, SystemClock.now()).map(|source| source.config).unwrap_or_default();
    let user = own_account(args.user)?;
    let (issuer, account) = (config.issuer_on(&host_name()), config.account_on(&host_name(), &user));
    let picture = args.save.as_deref().map(|path| Picture {
        path,
        ephemeral: args.ephemeral,
        issuer: &issuer,
        account: &account,
    });
    let appearance = Appearance::new(&config.brand, place.tty, picture.as_ref())?;
    let terminal = Terminal::new(place, (args.qr, args.invert), &user, config.brand.contact, appearance)?;
    let mut terminal = terminal.acknowledged();
    let label = Label::new(&args.label.unwrap_or_default()).as_str().to_owned();
    let ended = converse(socket, &Request::Enroll { label }, &mut terminal);
    terminal.end_picture(ended.is_ok());
    ended
}

pub fn status(socket: &Path, args: Status) -> Result<Exit, Failure> {
    plain(socket, args.user, &Request::Status { json: args.json })
}

pub fn regenerate(socket: &Path, user: Option<String>) -> Result<Exit, Failure> {
    plain(socket, user, &Request::Regenerate)
}

pub fn device(socket: &Path, what: Device) -> Result<Exit, Failure> {
    let (user, request) = match what {
        Device::List { user, json } => (user, Request::Devices { json }),
        Device::Rename(Rename { user, credential, label }) => {
            (user, Request::Rename { id: credential, label: Label::new(&label).as_str().to_owned() })
        }
        Device::Revoke(Revoke { user, credential, all, .. }) => {
            let which = match (credential, all) {
                (Some(id), _) => Devices::One(id),
                (None, true) => Devices::All,
                (None, false) => Devices::Only,
            };
            (user, Request::Revoke { which })
        }
    };
    plain(socket, user, &request)
}

pub fn resync(socket: &Path, user: Option<String>) -> Result<Exit, Failure> {
    plain(socket, user, &Request::Resync)
}

/// The caller's own account: the broker serves no other.
fn own_account(user: Option<String>) -> Result<String, Failure> {
    let own = User::from_uid(geteuid()).ok().flatten().map(|user| user.name);
    if user.is_some() && user != own {
        return Err(Failure::Refused(say(&text::OWN_ACCOUNT_ONLY)));
    }
    Ok(own.unwrap_or_default())
}

/// A conversation without a picture.
fn plain(socket: &Path, user: Option<String>, request: &Request) -> Result<Exit, Failure> {
    own_account(user)?;
    let mut terminal = Terminal::plain()?.acknowledged();
    converse(socket, request, &mut terminal)
}

fn converse(socket: &Path, request: &Request, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let mut line = connect(socket, CONNECT).map_err(|error| absent(error, socket))?;
    line.last(PATIENCE);
    let language = catalogue().language();
    if !language.is_empty() {
        let _ = line.send(&Opening::Language(language.to_owned())); // a failure is the request's, too
    }
    line.request(request).map_err(broken)?;
    loop {
        if terminal.wait_for(&line).is_err() {
            line.last(LAST_WORD);
        }
        let say = line.receive::<Response>().map_err(broken)?;
        match ended(&say, terminal) {
            Some(end) => return end,
            None => reply(&mut line, say, terminal)?,
        }
    }
}

/// The last word.
fn ended(response: &Response, terminal: &mut Terminal) -> Option<Result<Exit, Failure>> {
    match response {
        Response::Done(text) => {
            if !text.is_empty() {
                terminal.show_text(text);
            }
            Some(Ok(Exit::Done))
        }
        Response::Refused(text) => Some(Err(Failure::Refused(text.clone()))),
        Response::Failed(text) => Some(Err(Failure::Error(text.clone()))),
        Response::Verdict(_) => Some(Err(Failure::Error(say(&text::BROKER_MAKES_NO_SENSE)))),
        _ => None,
    }
}

/// Shows what is said, and answers if it is a question. No answer of the person is an answer to the broker.
fn reply(line: &mut Connection, say: Response, terminal: &mut Terminal) -> Result<(), Failure> {
    let answer = match say {
        Response::Output(text) => return Ok(std::io::stdout().write_all(text.as_bytes())?),
        Response::Ask { prompt, echo } => terminal.ask_text(&prompt, echo).map(CallerAnswer::Typed),
        Response::Offer { offer, note } => first_code(terminal, QrState::Now(&offer), note),
        Response::Resumed { minutes, note } => {
            first_code(terminal, QrState::Before { minutes: minutes.into() }, note)
        }
        Response::RecoveryCodes { codes, note } => {
            let note = note.map(Message::verbatim); // translated by the broker
            match terminal.recovery_codes(&codes, note.as_ref()) {
                Ok(CodesDelivery::Typed(typed)) => Ok(CallerAnswer::Typed(typed)),
                Ok(CodesDelivery::Shown) | Err(NoAnswer) => Err(NoAnswer),
            }
        }
        Response::Show(text) => {
            terminal.show_text(&text);
            return Ok(());
        }
        Response::PasswordLength(_)
        | Response::Verdict(_)
        | Response::Done(_)
        | Response::Refused(_)
        | Response::Failed(_) => {
            return Ok(());
        }
    };
    // A broker that has ended meanwhile has said why.
    line.request(&answer.unwrap_or(CallerAnswer::GiveUp)).map_err(broken)
}

fn first_code(
    terminal: &mut Terminal,
    scanned: QrState<'_>,
    note: Option<String>,
) -> Result<CallerAnswer, NoAnswer> {
    let note = note.map(Message::verbatim); // translated by the broker
    Ok(match terminal.first_code(scanned, note.as_ref())? {
        Reply::Code(typed) => CallerAnswer::Typed(typed),
        Reply::Fresh => CallerAnswer::Fresh,
        Reply::GiveUp => CallerAnswer::GiveUp,
    })
}

pub fn absent(error: ConnectError, socket: &Path) -> Failure {
    let socket = &socket.display();
    Failure::Error(say(&match error {
        ConnectError::Absent => text::broker_absent(socket),
        ConnectError::Busy => text::broker_busy(socket),
        ConnectError::Untrusted => text::broker_untrusted(socket),
        ConnectError::Io(errno) => text::broker_unreachable(socket, &errno),
    }))
}

fn broken(error: FrameError) -> Failure {
    Failure::Error(say(&match error {
        FrameError::Closed => text::BROKER_CLOSED,
        other => text::broker_failed(&other),
    }))
}
