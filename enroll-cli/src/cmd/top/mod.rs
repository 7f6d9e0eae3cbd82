//! `qrtotp top`: a console over events, accounts and tokens. Its changes go through the flows of `unlock` and
//! `revoke`, with their events. Keyboard only; nothing is said by colour alone.

mod app;
mod view;

use super::audit::sources;
use super::config::no_admin_is_left;
use super::reissue::reissue_devices;
use crate::cli::Sources;
use crate::context::{Context, known_user, syslog};
use crate::error::{Exit, Failure};
use crate::terminal::unbuffered_stdout;
use app::{Action, App, Row};
use qrtotp_account::{EnrolmentStatus, Name, TokenCode};
use qrtotp_audit_log::Entry;
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_flow::{AdminError, Selection};
use qrtotp_store::{Account, AccountStore};
use qrtotp_values::UnixTime;
use ratatui::crossterm::event::{self, Event, KeyCode};
use std::io::{IsTerminal, Write};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

/// Events of so long ago are shown at the start.
const HISTORY: i64 = 3600;
/// So many events may wait to be shown.
const WAITING: usize = 1000;
/// More accounts than these are not listed; `qrtotp list` has them all.
const ACCOUNTS: usize = 10_000;
/// The store is read again so often, in milliseconds, and at most a tenth of the time is spent on it.
const REFRESH: Duration = Duration::from_secs(5);
/// Empties the screen; the cursor goes to its corner.
const CLEAR: &str = "\x1b[2J\x1b[H";
const TICK: Duration = Duration::from_millis(200);

pub fn run(context: &Context) -> Result<Exit, Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        let text = "qrtotp top needs a terminal; for a pipe take `qrtotp audit --follow` and `qrtotp list`";
        return Err(Failure::Error(text.into()));
    }
    let store = context.store()?;
    let host = nix::unistd::gethostname().unwrap_or_default();
    let mut app = App::new(&host.to_string_lossy());
    app.scope = context.log_scope(&Sources::default());
    app.know_rules(context.config.rules.rules().unwrap_or_default().into_iter().map(|rule| rule.name));
    let events = follow(SystemClock.now() - HISTORY);
    let mut terminal = ratatui::try_init()
        .map_err(|error| Failure::Error(format!("the terminal can't be used: {error}")))?;
    let ended = console(context, &*store, &mut app, &events, &mut terminal);
    ratatui::restore();
    ended.map(|()| Exit::Done)
}

fn console(
    context: &Context,
    store: &dyn AccountStore,
    app: &mut App,
    events: &Receiver<Entry>,
    terminal: &mut ratatui::DefaultTerminal,
) -> Result<(), Failure> {
    let mut due = Instant::now();
    loop {
        if Instant::now() >= due {
            let began = Instant::now();
            refresh(context, store, app)?;
            due = Instant::now() + REFRESH.max(began.elapsed() * 10);
        }
        events.try_iter().take(WAITING).for_each(|entry| app.add(&entry));
        terminal.draw(|frame| view::draw(app, frame))?;
        if !event::poll(TICK)? {
            continue;
        }
        let Event::Key(key) = event::read()? else { continue };
        let had_question = app.question.is_some();
        match app.key(key) {
            None if had_question => {}
            None => warn_of_last_admin(store, app),
            Some(Action::Quit) => return Ok(()),
            Some(Action::Redraw) => {
                terminal.clear()?;
                due = Instant::now();
            }
            Some(action) => {
                let said = act(context, store, &action);
                app.say(said?);
                // A message of the system log on standard error would stay in the picture otherwise.
                terminal.clear()?;
                due = Instant::now();
            }
        }
    }
}

/// Says above a new question that nobody who can become root keeps a device, as the commands do.
fn warn_of_last_admin(store: &dyn AccountStore, app: &mut App) {
    let Some(name) = app.losing() else { return };
    if no_admin_is_left(store, |admin| admin == name.as_str()) {
        app.warn(&format!("{name} is the only account with a device that can become root."));
    }
}

/// Does it as the command would, and says the same.
fn act(context: &Context, store: &dyn AccountStore, action: &Action) -> std::io::Result<String> {
    let mut log = syslog();
    let done = match action {
        Action::Unlock(name) => {
            qrtotp_flow::unlock(&mut context.flow(store, name.as_str(), &mut log), store, name)
                .map(|failures| format!("Unlocked {name}: {failures} failures in a row are forgotten."))
        }
        Action::Revoke(name) => {
            qrtotp_flow::revoke(&mut context.flow(store, name.as_str(), &mut log), name, Selection::All)
                .map(|gone| format!("Revoked {} devices of {name}; its logins are denied.", gone.len()))
        }
        Action::Reissue(name) => match reissue(context, store, name) {
            Ok((gone, code)) => {
                if let Some(code) = code {
                    show_code(name, &code)?;
                }
                Ok(format!("Revoked {gone} devices of {name}."))
            }
            Err(failure) => return Ok(failure.to_string()),
        },
        Action::RevokeToken(name) => {
            qrtotp_flow::revoke_token(&mut context.flow(store, name.as_str(), &mut log), name)
                .map(|id| format!("Revoked the token of {name} ({id})."))
        }
        Action::Quit | Action::Redraw => return Ok(String::new()),
    };
    Ok(done.unwrap_or_else(|error| match action {
        Action::Unlock(name) | Action::Revoke(name) | Action::Reissue(name) | Action::RevokeToken(name) => {
            Failure::admin(&error, name.as_str()).to_string()
        }
        Action::Quit | Action::Redraw => error.to_string(),
    }))
}

/// Revokes all devices. Gives their number, and the code for a new one.
fn reissue(
    context: &Context,
    store: &dyn AccountStore,
    name: &Name,
) -> Result<(usize, Option<TokenCode>), Failure> {
    let failed = |error: AdminError| Failure::admin(&error, name.as_str());
    // Only a user of this host can enrol again.
    let uid = known_user(name.as_str())?.uid;
    let account = store.load(name)?.ok_or_else(|| failed(AdminError::NotEnrolled(name.clone())))?;
    let devices: Vec<_> = account.record.ids().collect();
    let (gone, issued) = reissue_devices(context, store, (name, uid), &devices, None).map_err(failed)?;
    Ok((gone, issued.map(|(_, code)| code)))
}

/// Shows a code on an empty screen until a key is pressed. Past the console's buffers, which are not wiped.
fn show_code(name: &Name, code: &TokenCode) -> std::io::Result<()> {
    let mut out = unbuffered_stdout()?;
    write!(out, "{CLEAR}The code with which {name} enrols a new device, shown only now:\r\n\r\n    ")?;
    out.write_all(code.display().as_bytes())?;
    out.write_all(b"\r\n\r\nTell it to the user, then press Enter. ")?;
    while !matches!(event::read()?, Event::Key(key) if key.code == KeyCode::Enter) {}
    out.write_all(CLEAR.as_bytes())
}

/// Reads the store anew.
fn refresh(context: &Context, store: &dyn AccountStore, app: &mut App) -> Result<(), Failure> {
    let now = SystemClock.now();
    let (mut rows, mut unread) = (Vec::new(), 0_usize);
    for name in store.names()?.take(ACCOUNTS) {
        match store.load(&name) {
            Ok(Some(account)) => rows.push(row(context, name, &account, now)),
            Ok(None) => {} // gone since its name was read
            Err(_) => unread += 1,
        }
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    app.refresh(rows, unread, now);
    Ok(())
}

fn row(
    context: &Context,
    name: qrtotp_account::Name,
    Account { record, state }: &Account,
    now: UnixTime,
) -> Row {
    let marks = record.credentials.iter().filter_map(|device| state.credential_state(device.id));
    let rules = context.config.throttle.rules();
    let mut throttle = state.throttle.clone();
    throttle.advance(now, &rules);
    Row {
        name,
        enrolment: match record.enrolment_status() {
            EnrolmentStatus::Enrolled => "enrolled",
            EnrolmentStatus::Unenrolled => "no device",
            EnrolmentStatus::Revoked => "revoked",
        },
        devices: record.ids().count(),
        last_used: marks.map(|mark| mark.last_used).max().filter(|time| *time > 0),
        strangers: throttle.strangers.lane.failures,
        places: throttle.all_places().iter().map(|place| place.lane.failures).sum(),
        own: throttle.own.lane.failures,
        recovery: throttle.recovery.failures,
        closed: throttle.closed(&rules),
        disabled: throttle.is_disabled(&rules),
        token: record
            .token
            .as_ref()
            .filter(|token| token.is_live(now))
            .map(|token| (token.id.to_string(), token.issued_by.clone(), token.expires)),
    }
}

/// The log's events, read by a thread of its own: it waits for lines.
fn follow(since: UnixTime) -> Receiver<Entry> {
    let (send, receive) = sync_channel(WAITING);
    std::thread::spawn(move || {
        // Without a log there are no events; accounts and tokens are shown all the same.
        let Ok(entries) = sources::since_and_follow(since.saturating_mul(1_000_000)) else { return };
        for entry in entries {
            if send.send(entry).is_err() {
                return;
            }
        }
    });
    receive
}
