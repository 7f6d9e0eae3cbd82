//! The dialogue of an enrolment over single-line questions: PAM, over ssh.
//!
//! A question carries everything: picture, key and choices. Separate messages arrive garbled, late or not at
//! all with some ssh servers and clients. A client prints `(user@host) ` before a question, so it begins with
//! a new line. The terminal is mostly unknown: the picture is the smallest that works, the rest is ASCII, and
//! the last line is readable even below garbage. PuTTY, plink and psftp put `| ` before each line and wrap it
//! at 77 columns, so no line is wider than that.

use super::{CodesDelivery, Dialog, Echo, EnrollDialog, NoAnswer, Offer, QrState, Reply, Typed};
use qrtotp_otp::qr::{Level, Matrix, Polarity, Style, quiet_zone, render, size};
use qrtotp_values::text::{ascii, wrap};
use std::time::Duration;
use zeroize::Zeroizing;

/// Asks whether recovery codes were kept. Asks only for a part of one, because the answer is echoed and the
/// code stays valid.
pub const ACKNOWLEDGE: &str = "To go on, type the last group of one of them, or skip: ";
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
    lead: &'static str,
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
            lead: "",
        }
    }

    /// Shows this before the recovery codes, on a separate line.
    #[must_use]
    pub fn with_lead(self, lead: &'static str) -> Self {
        Self { lead, ..self }
    }

    fn question(&mut self, text: &str) -> Result<Typed, NoAnswer> {
        self.questions += 1;
        if self.questions > QUESTIONS {
            return Err(NoAnswer);
        }
        self.dialog.ask(text, Echo::On)
    }

    /// One question about an offer: the picture with its text, or the text alone.
    fn draw(&self, offer: &Offer) -> Zeroizing<String> {
        let mut out = Zeroizing::new(String::with_capacity(32 * 1024)); // never grows, so no part is left behind
        out.push('\n');
        let window = match self.view {
            View::Picture(style) => self.picture(&mut out, offer, style),
            View::Text => {
                self.text(&mut out, offer);
                None
            }
            View::Hidden => {
                out.push_str(HIDDEN);
                return out;
            }
        };
        match (window, self.view) {
            (None, _) => out.push_str(CHOICES),
            (Some(rows), view) => {
                let smaller = match view {
                    View::Picture(Style::Utf8) => "a: ASCII, ",
                    View::Picture(Style::Blocks) => "h: small, a: ASCII, ",
                    _ => "",
                };
                out.push_str(&format!("Code (cut off? needs 80x{rows}; {smaller}k: key as text, i, n, q): "));
            }
        }
        out
    }

    /// The key and its URI.
    fn text(&self, out: &mut String, offer: &Offer) {
        self.side_text(offer, WIDTH).iter().for_each(|line| push_line(out, line));
        push_line(out, "URI for apps that take one, without the line breaks:");
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
            push_line(out, "The QR code is too large for this window: type the key into the app.");
            self.text(out, offer);
            return None;
        };
        let picture = render(&matrix, style, self.polarity, quiet);
        let (columns, rows) = size(&matrix, style, quiet);
        if columns + 1 + BESIDE > WIDTH {
            self.side_text(offer, WIDTH).iter().for_each(|line| push_line(out, line));
            if !named {
                push_line(out, "The QR code leaves out the issuer: with it, it would be too large.");
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
        let mut lines: Vec<Zeroizing<String>> = Vec::with_capacity(32);
        let mut add = |text: &str| lines.push(Zeroizing::new(text.to_owned()));
        add("A second factor for your logins");
        add("");
        for (name, value) in [("host", &self.host), ("account", &offer.account), ("issuer", &offer.issuer)] {
            add(&format!("{name:NAMES$}{}", ascii(value, width - NAMES)));
        }
        add("");
        add("Scan the QR code with an");
        add("authenticator app on a phone,");
        add("or type this key into the app:");
        for half in halves(&offer.key) {
            add(half);
        }
        if let Some(params) = offer.unusual {
            add(&format!("({}, {} digits, {} s)", params.algorithm(), params.digits(), params.period()));
        }
        add("Then type the code it shows.");
        add("");
        add("i  swap light and dark");
        add("n  another QR code");
        add("q  give up");
        add("");
        if let Some(contact) = &self.contact {
            wrap(&format!("Help: {contact}"), width).into_iter().for_each(&mut add);
        }
        add("Nobody will ever send you a QR");
        add("code by mail or chat.");
        lines
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

const CHOICES: &str = "Code from the app (a: plain ASCII picture, k: key as text, i, n, q): ";
const HIDDEN: &str = "You need a second factor: an app on your phone that scans a QR code.\n\
     This login names no terminal. If another program asks you this, it may let\n\
     others on its machine read what it shows, and the QR code is a secret.\n\
     Type i to see it all the same, q to give up: ";

impl Dialog for PromptDialog<'_> {
    fn show(&mut self, text: &str) {
        self.dialog.show(text);
    }

    fn ask(&mut self, prompt: &str, echo: Echo) -> Result<Typed, NoAnswer> {
        self.dialog.ask(prompt, echo)
    }

    fn wait(&mut self, time: Duration) {
        self.dialog.wait(time);
    }
}

impl EnrollDialog for PromptDialog<'_> {
    fn first_code(&mut self, scanned: QrState<'_>, note: Option<&str>) -> Result<Reply, NoAnswer> {
        let note = note.map(|note| format!("\n{}\n", wrap(note, WIDTH).join("\n"))).unwrap_or_default();
        let QrState::Now(offer) = scanned else {
            return self.resumed(scanned, &note);
        };
        let mut redraw = note.is_empty();
        loop {
            let text = if redraw { self.draw(offer) } else { Zeroizing::new(format!("{note}{CHOICES}")) };
            let typed = self.question(&text)?;
            match choice(&typed) {
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
        note: Option<&str>,
    ) -> Result<CodesDelivery, NoAnswer> {
        let mut text = Zeroizing::new(String::with_capacity(2048));
        match note {
            Some(note) => {
                text.push('\n');
                wrap(note, WIDTH).into_iter().for_each(|line| push_line(&mut text, line));
            }
            None => {
                text.push('\n');
                if !self.lead.is_empty() {
                    wrap(self.lead, WIDTH).into_iter().for_each(|line| push_line(&mut text, line));
                }
                text.push_str(
                    "Recovery codes. Each one replaces a code of the app, once: for the day when\n\
                     the phone is lost. Write them down and keep them apart from the phone.\n\
                     They are not shown again.\n\n",
                );
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
        text.push_str(ACKNOWLEDGE);
        self.question(&text).map(CodesDelivery::Typed)
    }
}

impl PromptDialog<'_> {
    /// About a QR code that is not shown again.
    fn resumed(&mut self, scanned: QrState<'_>, note: &str) -> Result<Reply, NoAnswer> {
        let QrState::Before { minutes } = scanned else { return Err(NoAnswer) };
        let when = match minutes {
            ..=0 => "less than a minute ago".to_owned(),
            1 => "a minute ago".to_owned(),
            minutes => format!("{minutes} minutes ago"),
        };
        let mut note = note.to_owned();
        loop {
            let text = format!(
                "{note}\nYou were shown a QR code {when}.\n\
                 If you scanned it, type the code that the app shows now.\n\
                 Code from the app (n: another QR code, q: give up): "
            );
            let typed = self.question(&text)?;
            match choice(&typed) {
                Choice::Reply(reply) => return Ok(reply(typed)),
                Choice::Invert | Choice::Small | Choice::Ascii | Choice::Text => {
                    note = "\nThat one is not shown again; n makes another.\n".to_owned();
                }
            }
        }
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
