//! The dialogue of an enrolment over single-line questions: PAM, over ssh.
//!
//! A question carries everything: picture, key and choices. Separate messages arrive garbled, late or not at
//! all with some ssh servers and clients. A client prints `(user@host) ` before a question, so it begins with
//! a new line. The terminal is mostly unknown: the picture is the smallest that works, the rest is ASCII, and
//! the last line is readable even below garbage. PuTTY, plink and psftp put `| ` before each line and wrap it
//! at 77 columns, so no line is wider than that.

use super::{CodesDelivery, Dialog, Echo, EnrollDialog, NoAnswer, Offer, QrState, Reply, Typed};
use qrtotp_messages::{Catalogue, Message, text};
use qrtotp_otp::qr::{Level, Matrix, Polarity, Style, quiet_zone, render, size};
use qrtotp_values::text::{ascii, wrap};
use std::time::Duration;
use zeroize::Zeroizing;

/// Most questions in one dialogue, well above any real use.
const QUESTIONS: u32 = 40;
/// Columns of the widest line: PuTTY wraps there.
const WIDTH: usize = 77;
/// The usual terminal, less the line of the question.
const ROWS: usize = 23;
/// Characters beside the picture of a usual code, which is 45 wide.
const BESIDE: usize = 31;

/// How the offer is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum View {
    Picture(Style),
    Text,
    /// Hidden until the user asks for it.
    Hidden,
}

/// Asks through a plain dialogue.
pub struct PromptDialog<'a> {
    dialog: &'a mut dyn Dialog,
    host: String,
    contact: Option<String>,
    view: View,
    polarity: Polarity,
    questions: u32,
    lead: Option<Message>,
}

impl<'a> PromptDialog<'a> {
    /// For logins to `host`. `tty` is PAM_TTY without `/dev/`; `contact` is where users get help.
    pub fn new(dialog: &'a mut dyn Dialog, host: &str, contact: Option<&str>, tty: &str) -> Self {
        let console =
            tty.strip_prefix("tty").is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()));
        Self {
            dialog,
            host: ascii(host, WIDTH - NAMES),
            contact: contact.map(|contact| ascii(contact, 100)),
            view: match tty {
                // Another program asks, such as `sudo -A`: it may get the question as an argument, which is
                // public.
                "" => View::Hidden,
                _ if console => View::Picture(Style::Blocks),
                _ => View::Picture(Style::Utf8),
            },
            polarity: Polarity::Normal,
            questions: 0,
            lead: None,
        }
    }

    /// Shows this before the recovery codes, on a separate line.
    #[must_use]
    pub fn with_lead(self, lead: Message) -> Self {
        Self { lead: Some(lead), ..self }
    }

    fn question(&mut self, text: &str) -> Result<Typed, NoAnswer> {
        self.questions += 1;
        if self.questions > QUESTIONS {
            return Err(NoAnswer);
        }
        self.dialog.ask_text(text, Echo::On)
    }

    #[inline(never)] // one copy in the module
    fn put(&self, out: &mut String, message: Message) {
        out.push_str(&self.dialog.catalogue().text(&message));
    }

    /// The same in lines.
    #[inline(never)]
    fn put_lines(&self, out: &mut String, message: Message) {
        let text = self.dialog.catalogue().text(&message);
        wrap(&text, WIDTH).into_iter().for_each(|line| push_line(out, line));
    }

    /// One question about an offer: the picture with its text, or the text alone.
    fn draw(&self, offer: &Offer) -> Zeroizing<String> {
        let mut out = Zeroizing::new(String::with_capacity(32 * 1024)); // never grows, so no part is left behind
        out.push('\n');
        let window = match self.view {
            View::Picture(style) => self.picture(&mut out, offer, style),
            View::Text => {
                self.key(&mut out, offer);
                None
            }
            View::Hidden => {
                self.put(&mut out, text::HIDDEN);
                return out;
            }
        };
        let question = match (window, self.view) {
            (None, _) => text::ASK_FIRST_CODE,
            (Some(rows), View::Picture(Style::Utf8)) => text::ask_cut_off_ascii(&rows),
            (Some(rows), View::Picture(Style::Blocks)) => text::ask_cut_off_small(&rows),
            (Some(rows), _) => text::ask_cut_off(&rows),
        };
        self.put(&mut out, question);
        out
    }

    /// The key and its URI.
    fn key(&self, out: &mut String, offer: &Offer) {
        self.side_text(offer, WIDTH).iter().for_each(|line| push_line(out, line));
        self.put_lines(out, text::URI_IN_LINES);
        wrap(&offer.uri, WIDTH).into_iter().for_each(|line| push_line(out, line));
    }

    /// The picture with its text beside or above it, so that the text can't scroll it away. Returns the rows
    /// that a window of 80 columns needs if the usual ones are too few.
    fn picture(&self, out: &mut String, offer: &Offer, style: Style) -> Option<usize> {
        let fitting = |uri: &str| {
            let matrix = Matrix::encode(uri, Level::Low).ok()?;
            let quiet = quiet_zone(&matrix, style, WIDTH, ROWS)?;
            Some((matrix, quiet))
        };
        let whole = fitting(&offer.picture);
        let named = whole.is_some();
        let unnamed =
            || [&offer.uri, &offer.picture].into_iter().find_map(|uri| fitting(&without_issuer(uri)));
        let Some((matrix, quiet)) = whole.or_else(unnamed) else {
            self.put_lines(out, text::TOO_LARGE_TYPE_KEY);
            self.key(out, offer);
            return None;
        };
        let picture = render(&matrix, style, self.polarity, quiet);
        let (columns, rows) = size(&matrix, style, quiet);
        if columns + 1 + BESIDE > WIDTH {
            self.side_text(offer, WIDTH).iter().for_each(|line| push_line(out, line));
            if !named {
                self.put_lines(out, text::ISSUER_LEFT_OUT);
            }
            out.push_str(&picture);
            return (rows > ROWS).then_some(rows + 1);
        }
        let beside = self.side_text(offer, BESIDE);
        let mut picture = picture.lines();
        let rows = rows.max(beside.len());
        for row in 0..rows {
            match picture.next() {
                Some(line) => out.push_str(line),
                None => (0..columns).for_each(|_| out.push(' ')),
            }
            out.push(' ');
            push_line(out, beside.get(row).map_or("", |line| line.as_str()));
        }
        (rows > ROWS).then_some(rows + 1)
    }

    /// The text beside or above the picture, no line wider than `width`.
    fn side_text(&self, offer: &Offer, width: usize) -> Vec<Zeroizing<String>> {
        let mut lines = Lines { dialog: &*self.dialog, lines: Vec::with_capacity(32) };
        lines.add("", text::SECOND_FACTOR, width);
        lines.push("", width);
        lines.name(text::HOST, &self.host, width);
        lines.name(text::ACCOUNT, &offer.account, width);
        lines.name(text::ISSUER, &offer.issuer, width);
        lines.push("", width);
        lines.add("", text::SCAN, BESIDE);
        for half in halves(&offer.key) {
            lines.push(half, width);
        }
        if let Some(params) = offer.unusual {
            let unusual = text::unusual(&params.algorithm(), &params.digits(), &params.period());
            lines.add("", unusual, width);
        }
        lines.add("", text::THEN_TYPE, width);
        lines.push("", width);
        lines.add("i  ", text::KEY_INVERT, width);
        lines.add("n  ", text::KEY_ANOTHER, width);
        lines.add("q  ", text::KEY_GIVE_UP, width);
        lines.push("", width);
        if let Some(contact) = &self.contact {
            lines.add("", text::help(contact), width);
        }
        lines.add("", text::NOBODY_SENDS_ONE, BESIDE);
        lines.lines
    }
}

/// Lines in the user's language.
struct Lines<'d> {
    dialog: &'d dyn Dialog,
    lines: Vec<Zeroizing<String>>,
}

impl Lines<'_> {
    #[inline(never)]
    fn push(&mut self, text: &str, width: usize) {
        self.lines.extend(wrap(text, width).into_iter().map(|line| Zeroizing::new(line.to_owned())));
    }

    #[inline(never)]
    fn name(&mut self, name: Message, value: &str, width: usize) {
        let value = ascii(value, width - NAMES);
        self.push(&format!("{:NAMES$}{value}", self.dialog.catalogue().text(&name)), width);
    }

    #[inline(never)]
    fn add(&mut self, before: &str, message: Message, width: usize) {
        let mut text = before.to_owned();
        text.push_str(&self.dialog.catalogue().text(&message));
        self.push(&text, width);
    }
}

/// Columns of the word before the name of a host, an account or an issuer.
const NAMES: usize = 9;

/// A key URI without the issuer, for the smallest QR code.
fn without_issuer(uri: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(uri.len()));
    let Some((label, parameters)) = uri.split_once('?') else { return out };
    let (path, label) = label.rsplit_once('/').unwrap_or(("", label));
    let account = label.rsplit_once(':').map_or(label, |(_, account)| account);
    for part in [path, "/", account] {
        out.push_str(part);
    }
    for (index, parameter) in parameters.split('&').filter(|part| !part.starts_with("issuer=")).enumerate() {
        out.push(if index == 0 { '?' } else { '&' });
        out.push_str(parameter);
    }
    out
}

fn push_line(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

/// Eight groups of four in two lines, so that they fit beside the picture.
fn halves(key: &str) -> impl Iterator<Item = &str> {
    let middle = key.match_indices(' ').nth(3).map_or(key.len(), |(at, _)| at);
    let (first, second) = key.split_at(middle);
    [first, second.trim_start()].into_iter().filter(|half| !half.is_empty())
}

impl Dialog for PromptDialog<'_> {
    fn show_text(&mut self, text: &str) {
        self.dialog.show_text(text);
    }

    fn ask_text(&mut self, prompt: &str, echo: Echo) -> Result<Typed, NoAnswer> {
        self.dialog.ask_text(prompt, echo)
    }

    fn catalogue(&self) -> &Catalogue {
        self.dialog.catalogue()
    }

    fn wait(&mut self, time: Duration) {
        self.dialog.wait(time);
    }
}

impl EnrollDialog for PromptDialog<'_> {
    fn first_code(&mut self, scanned: QrState<'_>, note: Option<&Message>) -> Result<Reply, NoAnswer> {
        let mut above = Zeroizing::new(String::new());
        if let Some(note) = note {
            self.above(&mut above, note.clone());
        }
        let QrState::Now(offer) = scanned else {
            return self.resumed(scanned, above);
        };
        let mut redraw = note.is_none();
        loop {
            let text = if redraw {
                self.draw(offer)
            } else {
                self.put(&mut above, text::ASK_FIRST_CODE);
                std::mem::take(&mut above)
            };
            let typed = self.question(&text)?;
            match choice(&typed) {
                // Nothing was shown yet, so this is no code.
                Choice::Reply(_)
                    if self.view == View::Hidden && !matches!(typed.trim_ascii(), b"q" | b"Q") => {}
                Choice::Reply(reply) => return Ok(reply(typed)),
                Choice::Invert if matches!(self.view, View::Picture(_)) => {
                    self.polarity = self.polarity.other()
                }
                Choice::Invert | Choice::Small => self.view = View::Picture(Style::Utf8),
                Choice::Ascii => self.view = View::Picture(Style::Ascii),
                Choice::Text => self.view = View::Text,
            }
            redraw = true;
        }
    }

    fn recovery_codes(
        &mut self,
        codes: &[Zeroizing<String>],
        note: Option<&Message>,
    ) -> Result<CodesDelivery, NoAnswer> {
        let mut text = Zeroizing::new(String::with_capacity(2048));
        match (note, &self.lead) {
            (Some(note), _) => self.above(&mut text, note.clone()),
            (None, lead) => {
                match lead {
                    Some(lead) => self.above(&mut text, lead.clone()),
                    None => text.push('\n'),
                }
                self.put(&mut text, text::ABOUT_CODES);
                text.push_str("\n\n");
                for pair in codes.chunks(2) {
                    for code in pair {
                        text.push_str("    ");
                        text.push_str(code);
                    }
                    text.push('\n');
                }
                text.push('\n');
            }
        }
        // Only for a part of a code, because the answer is echoed and the code stays valid.
        self.put(&mut text, text::ACKNOWLEDGE);
        self.question(&text).map(CodesDelivery::Typed)
    }
}

impl PromptDialog<'_> {
    /// A message in lines above a question.
    fn above(&self, out: &mut String, message: Message) {
        out.push('\n');
        self.put_lines(out, message);
    }

    /// About a QR code that is not shown again.
    fn resumed(&mut self, scanned: QrState<'_>, mut text: Zeroizing<String>) -> Result<Reply, NoAnswer> {
        let QrState::Before { minutes } = scanned else { return Err(NoAnswer) };
        loop {
            self.above(&mut text, shown_before(minutes));
            self.put(&mut text, text::ASK_RESUMED);
            let typed = self.question(&text)?;
            match choice(&typed) {
                Choice::Reply(reply) => return Ok(reply(typed)),
                Choice::Invert | Choice::Small | Choice::Ascii | Choice::Text => {
                    text.clear();
                    self.above(&mut text, text::NOT_SHOWN_AGAIN);
                }
            }
        }
    }
}

/// When a QR code was shown.
#[must_use]
pub fn shown_before(minutes: i64) -> Message {
    match minutes {
        ..=0 => text::SHOWN_JUST_NOW,
        1 => text::SHOWN_A_MINUTE_AGO,
        minutes => text::shown_before(&minutes),
    }
}

/// The typed reply to the question for the first code.
#[derive(Clone, Copy)]
pub enum Choice {
    /// An answer to the offer.
    Reply(fn(Typed) -> Reply),
    /// `i`: light and dark exchanged.
    Invert,
    /// `h`: half blocks.
    Small,
    /// `a`: a picture in plain ASCII.
    Ascii,
    /// `k`: the key as text.
    Text,
}

/// The same letters at a login and in the command.
#[must_use]
pub fn choice(typed: &[u8]) -> Choice {
    match typed.trim_ascii() {
        b"i" | b"I" => Choice::Invert,
        b"h" | b"H" => Choice::Small,
        b"a" | b"A" => Choice::Ascii,
        b"k" | b"K" => Choice::Text,
        b"n" | b"N" => Choice::Reply(|_| Reply::Fresh),
        b"q" | b"Q" => Choice::Reply(|_| Reply::GiveUp),
        _ => Choice::Reply(Reply::Code),
    }
}
