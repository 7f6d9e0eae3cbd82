//! The console's picture at 80x24, and what its keys do.
#![allow(clippy::unwrap_used)]

use super::super::app::{Action, App, Row};
use super::draw;
use qrtotp_account::Name;
use qrtotp_audit_log::{Writer, from_syslog};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

fn row(name: &str) -> Row {
    Row {
        name: Name::new(name).unwrap(),
        enrolment: "enrolled",
        devices: 2,
        last_used: Some(1_795_946_400),
        strangers: 3,
        places: 2,
        own: 0,
        recovery: 1,
        closed: [name == "alice", false],
        disabled: name == "bob",
        token: (name == "bob").then(|| ("t-9QX0AB".into(), Some("anna".into()), 1_795_950_000)),
    }
}

fn app() -> App {
    let mut app = App::new("web1");
    app.refresh(vec![row("alice"), row("bob"), row("zoë-with-a-very-long-name-indeed")], 0, 1_795_946_400);
    let event = "event=login result=denied reason=wrong_code user=\"\\u001b[2J<b>\u{202e}\" service=sshd seq=3 at=1795946400 \
                 chain=00112233445566778899aabbccddeeff00112233";
    app.add(
        &from_syslog(&format!("2026-11-29T10:00:00Z h sshd[1]: pam_qrtotp(sshd:auth): {event}")).unwrap(),
    );
    app
}

/// The picture, line by line, which uses no colour.
fn picture(app: &App) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    terminal.draw(|frame| draw(app, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    assert!(buffer.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    let cells: Vec<&str> = buffer.content.iter().map(|cell| cell.symbol()).collect();
    cells.chunks(80).map(|line| line.concat().trim_end().to_owned()).collect()
}

fn press(app: &mut App, keys: &str) -> Option<Action> {
    let mut last = None;
    for c in keys.chars() {
        let code = if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) };
        last = app.key(KeyEvent::new(code, KeyModifiers::NONE));
    }
    last
}

#[test]
fn each_page_fits_80x24_without_colour_and_no_name_moves_the_cursor() {
    let mut app = app();
    let events = picture(&app);
    assert!(events[0].starts_with("qrtotp top  [1 Events] 2 Accounts"), "{events:#?}");
    assert!(events[2].starts_with("10:00:00 login result=denied reason=wrong_code"), "{events:#?}");
    assert!(!events[2].contains('\u{202e}') && !events[2].contains("chain="), "{events:#?}");
    let _ = press(&mut app, "2j");
    let accounts = picture(&app);
    let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(cells(&accounts[1])[5..], ["strangers", "places", "own", "recovery"], "{accounts:#?}");
    assert_eq!(cells(&accounts[3])[..3], [">", "bob", "DISABLED"], "{accounts:#?}");
    assert_eq!(cells(&accounts[3])[6..], ["3", "2", "0", "1"], "{accounts:#?}");
    assert!(accounts[4].starts_with("  zoë-with-a-very-l enrolled "), "{accounts:#?}");
    assert_eq!(cells(&accounts[2])[5..], ["3!", "2", "0", "1"], "{accounts:#?}");
    let _ = press(&mut app, "3");
    let tokens = picture(&app);
    assert!(tokens[2].contains("t-9QX0AB") && tokens[2].contains("anna"), "{tokens:#?}");
    for page in [events, accounts, tokens] {
        assert!(page[23].contains("q quit"), "{page:#?}");
    }
}

#[test]
fn nothing_is_changed_before_the_right_word_is_typed() {
    let name = || Name::new("bob").unwrap();
    for (keys, action) in [
        ("u", None),
        ("2juy\n", Some(Action::Unlock(name()))),
        ("2jun\n", None),
        ("2ju\n", None),
        ("2jrbob\n", Some(Action::Revoke(name()))),
        ("2jrbo\n", None),
        ("2jralice\n", None),
        ("2jr\n", None),
        ("3rbob\n", Some(Action::RevokeToken(name()))),
        ("2jibob\n", Some(Action::Reissue(name()))),
        ("2jialice\n", None),
        ("4i", None),
        ("2jrq", None),
        ("q", Some(Action::Quit)),
    ] {
        assert_eq!(press(&mut app(), keys), action, "{keys}");
    }
    let mut asked = app();
    let _ = press(&mut asked, "2jrbo");
    assert!(picture(&asked)[22].ends_with("Type its name: bo_"), "{:#?}", picture(&asked));
}

#[test]
fn a_warning_stands_above_the_question_that_it_belongs_to() {
    let mut app = app();
    for (keys, losing) in [("2ju", None), ("\nr", Some("bob")), ("\ni", Some("bob")), ("\n3r", None)] {
        let _ = press(&mut app, keys);
        assert_eq!(app.losing().map(Name::as_str), losing, "{keys}");
    }
    let _ = press(&mut app, "\n2r");
    app.warn("bob is the last one.");
    assert_eq!(picture(&app)[21], "bob is the last one.");
    let _ = press(&mut app, "\n");
    app.warn("there is no question");
    assert_eq!(picture(&app)[21], "");
}

#[test]
fn the_choice_stays_at_its_account_when_others_come_and_go() {
    let mut app = app();
    let _ = press(&mut app, "2j");
    app.refresh(vec![row("aaron"), row("alice"), row("bob")], 1, 1_795_946_400);
    let shown = picture(&app);
    assert!(shown[4].starts_with("> bob") && shown[22].starts_with("1 ACCOUNTS CAN'T BE READ"), "{shown:#?}");
    app.refresh(vec![row("alice"), row("carol")], 0, 1_795_946_400);
    assert_eq!(press(&mut app, "uy\n"), Some(Action::Unlock(Name::new("carol").unwrap())));
}

#[test]
fn rules_are_counted_by_result_and_those_that_never_decided_are_shown() {
    let mut app = app();
    app.know_rules(["unused".to_owned()]);
    for result in ["denied", "denied", "ignored"] {
        let event = format!("event=login result={result} reason=rule_denied user=bob rule=office");
        let line = format!("2026-11-29T10:00:00Z h sshd[1]: pam_qrtotp(sshd:auth): {event}");
        let mut entry = from_syslog(&line).unwrap();
        app.add(&entry);
        entry.writer = Writer::Ended(1000);
        app.add(&entry);
    }
    assert_eq!(app.events.iter().filter(|line| line.contains(" NOT PROVEN ")).count(), 3);
    let _ = press(&mut app, "4");
    let rules = picture(&app);
    let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(cells(&rules[2]), ["office", "0", "2", "1", "10:00"], "{rules:#?}");
    assert_eq!(cells(&rules[3]), ["unused", "0", "0", "0", "-"], "{rules:#?}");
}
