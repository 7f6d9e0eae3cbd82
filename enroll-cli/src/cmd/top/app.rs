//! What `qrtotp top` knows and what a key does. Pure: no terminal, no store.

use qrtotp_account::Name;
use qrtotp_audit_log::{Entry, Trust};
use qrtotp_values::UnixTime;
use qrtotp_values::text::{clean, utc};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::collections::{BTreeMap, VecDeque};

/// So many events are kept.
const EVENTS: usize = 1000;
/// So many rules are counted: more than a configuration has.
const RULES: usize = 300;
/// Most characters of a line.
const LONGEST: usize = 1024;

/// An account as the console shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub name: Name,
    pub enrolment: &'static str,
    pub devices: usize,
    pub last_used: Option<UnixTime>,
    /// Failures that count: of strangers, at familiar places, of own processes, of recovery codes.
    pub strangers: u32,
    pub places: u32,
    pub own: u32,
    pub recovery: u32,
    /// Whether the lanes of strangers and of own processes are closed.
    pub closed: [bool; 2],
    pub disabled: bool,
    /// A live token: its id, who issued it, when it ends.
    pub token: Option<(String, Option<String>, UnixTime)>,
}

/// The action behind a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Unlock(Name),
    /// All devices.
    Revoke(Name),
    /// The same, and a code for a new one.
    Reissue(Name),
    RevokeToken(Name),
    Redraw,
    Quit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    Events,
    Accounts,
    Tokens,
    Rules,
}

/// How often a rule decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    pub accepted: u64,
    pub denied: u64,
    /// Let pass without a code.
    pub ignored: u64,
    pub last: Option<UnixTime>,
}

/// A question before something is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub action: Action,
    /// The text that confirms it.
    pub word: String,
    pub typed: String,
    pub text: String,
    /// A line above the question.
    pub warning: Option<String>,
}

pub struct App {
    pub host: String,
    /// The end of the events' heading: which verifier's they are.
    pub scope: &'static str,
    pub page: Page,
    pub events: VecDeque<String>,
    pub rows: Vec<Row>,
    pub unread: usize,
    pub read_at: UnixTime,
    /// The account that is chosen. By name: rows come and go.
    chosen: Option<Name>,
    /// Logins by the rule that decided them.
    pub rules: BTreeMap<String, Decided>,
    trust: Trust,
    /// How many events the page is scrolled up.
    pub back: usize,
    pub question: Option<Question>,
    pub message: String,
}

impl App {
    pub fn new(host: &str) -> Self {
        Self {
            host: clean(host, 64),
            scope: "",
            page: Page::Events,
            events: VecDeque::new(),
            rows: Vec::new(),
            rules: BTreeMap::new(),
            trust: Trust::default(),
            unread: 0,
            read_at: 0,
            chosen: None,
            back: 0,
            question: None,
            message: String::new(),
        }
    }

    /// A new event of the log.
    pub fn add(&mut self, entry: &Entry) {
        let when = entry.when();
        let time = if when == 0 { "        ".into() } else { utc(when.div_euclid(1_000_000)) };
        let time = time.get(11..19).unwrap_or("        ").to_owned();
        let counts = self.trust.counts(entry);
        let forged = match (counts, entry.is_forged()) {
            (true, _) => "",
            (false, true) => "FORGED ",
            (false, false) => "NOT PROVEN ",
        };
        if counts {
            self.count(entry);
        }
        // The link is of no use to a reader here.
        let line = entry.event.without_number();
        let line = line.strip_prefix("event=").unwrap_or(line);
        self.events.push_back(format!("{time} {forged}{}", clean(line, LONGEST)));
        if self.back > 0 {
            self.back += 1; // what is read stays where it is
        }
        if self.events.len() > EVENTS {
            self.events.pop_front();
            self.back = self.back.min(EVENTS);
        }
    }

    /// Counts a login for the rule that decided it.
    fn count(&mut self, entry: &Entry) {
        let (Some(rule), Some(result)) = (entry.event.get("rule"), entry.event.get("result")) else { return };
        if self.rules.len() >= RULES && !self.rules.contains_key(rule) {
            return;
        }
        let decided = self.rules.entry(rule.to_owned()).or_default();
        let of_result = match result {
            "accepted" => &mut decided.accepted,
            "denied" => &mut decided.denied,
            _ => &mut decided.ignored,
        };
        *of_result += 1;
        decided.last = Some(entry.when().div_euclid(1_000_000)).filter(|time| *time > 0).max(decided.last);
    }

    /// The rules of the applied configuration, which are shown though none of them decided.
    pub fn know_rules(&mut self, names: impl IntoIterator<Item = String>) {
        self.rules.extend(names.into_iter().map(|name| (name, Decided::default())));
    }

    /// The store's accounts and tokens now.
    pub fn refresh(&mut self, rows: Vec<Row>, unread: usize, now: UnixTime) {
        (self.rows, self.unread, self.read_at) = (rows, unread, now);
    }

    pub fn say(&mut self, text: String) {
        self.message = clean(&text, LONGEST);
    }

    /// The rows of the page.
    pub fn listed(&self) -> Vec<&Row> {
        let all = self.rows.iter();
        match self.page {
            Page::Tokens => all.filter(|row| row.token.is_some()).collect(),
            _ => all.collect(),
        }
    }

    /// The place of the chosen row among the page's.
    pub fn place(&self) -> usize {
        let Some(chosen) = &self.chosen else { return 0 };
        let rows = self.listed();
        // Of one that is gone the next one by name.
        let place = rows.iter().position(|row| row.name >= *chosen).unwrap_or(rows.len());
        place.min(rows.len().saturating_sub(1))
    }

    pub fn key(&mut self, key: KeyEvent) -> Option<Action> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && matches!(key.code, KeyCode::Char('c')) {
            return Some(Action::Quit);
        }
        if control && matches!(key.code, KeyCode::Char('l')) {
            return Some(Action::Redraw);
        }
        if self.question.is_some() {
            return self.answer(key.code);
        }
        self.message.clear();
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Some(Action::Quit),
            KeyCode::Char('1') => self.page = Page::Events,
            KeyCode::Char('2') => self.page = Page::Accounts,
            KeyCode::Char('3') => self.page = Page::Tokens,
            KeyCode::Char('4') => self.page = Page::Rules,
            KeyCode::Tab => {
                self.page = match self.page {
                    Page::Events => Page::Accounts,
                    Page::Accounts => Page::Tokens,
                    Page::Tokens => Page::Rules,
                    Page::Rules => Page::Events,
                }
            }
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::PageDown => self.step(10),
            KeyCode::PageUp => self.step(-10),
            KeyCode::Char('g') => return Some(Action::Redraw),
            KeyCode::Char('u') => self.ask_unlock(),
            KeyCode::Char('r') => self.ask_revoke(),
            KeyCode::Char('i') => self.ask_reissue(),
            _ => {}
        }
        None
    }

    fn step(&mut self, by: isize) {
        if self.page == Page::Events {
            let most = self.events.len().saturating_sub(1);
            self.back = self.back.saturating_add_signed(-by).min(most);
            return;
        }
        let rows = self.listed();
        let place = self.place().saturating_add_signed(by).min(rows.len().saturating_sub(1));
        self.chosen = rows.get(place).map(|row| row.name.clone());
    }

    fn chosen(&self) -> Option<Row> {
        if matches!(self.page, Page::Events | Page::Rules) {
            return None;
        }
        self.listed().get(self.place()).map(|row| (*row).clone())
    }

    fn ask_unlock(&mut self) {
        let Some(row) = self.chosen() else { return self.say("Choose an account on page 2 first.".into()) };
        let text = format!("Unlock {}: forget its counted wrong codes? Type y: ", row.name);
        self.ask(Action::Unlock(row.name), "y".into(), text);
    }

    fn ask_revoke(&mut self) {
        let Some(row) = self.chosen() else { return self.say("Choose an account on page 2 first.".into()) };
        let name = row.name.to_string();
        if self.page == Page::Tokens {
            let text = format!("Revoke the token of {name}? Type its name: ");
            return self.ask(Action::RevokeToken(row.name), name, text);
        }
        if row.devices == 0 {
            return self.say(format!("{name} has no device."));
        }
        let text =
            format!("Revoke all {} devices of {name}, and deny its logins? Type its name: ", row.devices);
        self.ask(Action::Revoke(row.name), name, text);
    }

    fn ask_reissue(&mut self) {
        let Some(row) = self.chosen() else { return self.say("Choose an account on page 2 first.".into()) };
        let name = row.name.to_string();
        if row.devices == 0 {
            return self.say(format!("{name} has no device."));
        }
        let text = format!("Revoke {} devices of {name}, and show a new code? Type its name: ", row.devices);
        self.ask(Action::Reissue(row.name), name, text);
    }

    fn ask(&mut self, action: Action, word: String, text: String) {
        let text = clean(&text, LONGEST);
        self.question = Some(Question { action, word, typed: String::new(), text, warning: None });
    }

    /// The account that loses its devices if the open question is confirmed.
    pub fn losing(&self) -> Option<&Name> {
        match &self.question.as_ref()?.action {
            Action::Revoke(name) | Action::Reissue(name) => Some(name),
            _ => None,
        }
    }

    /// Shows a line above the open question.
    pub fn warn(&mut self, text: &str) {
        if let Some(question) = &mut self.question {
            question.warning = Some(clean(text, LONGEST));
        }
    }

    fn answer(&mut self, key: KeyCode) -> Option<Action> {
        let mut question = self.question.take()?;
        match key {
            KeyCode::Enter if question.typed == question.word => return Some(question.action),
            KeyCode::Enter | KeyCode::Esc => {
                self.say("Nothing was changed.".into());
                return None;
            }
            KeyCode::Backspace => drop(question.typed.pop()),
            KeyCode::Char(c) if question.typed.chars().count() < 256 => question.typed.push(c),
            _ => {}
        }
        self.question = Some(question);
        None
    }
}
