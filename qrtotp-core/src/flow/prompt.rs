//! The dialogue of an enrolment where all there is is a line to ask in: PAM, over ssh.
//!
//! A question carries everything: picture, key and choices. Messages of their own arrive garbled, late or not at all
//! with some ssh servers and clients, and a client prints `(user@host) ` in front of a question, so it begins with
//! a new line. Nothing is known of the terminal behind it: the picture is the smallest that works, the rest is ASCII,
//! and the last line can be read by whoever sees garbage above it.

use super::{Dialog, Echo, EnrollDialog, Handed, NoAnswer, Offer, Reply, Scanned, Typed};
use crate::qr::{Level, Matrix, Polarity, Style, render, size};
use crate::text::ascii;
use std::time::Duration;
use zeroize::Zeroizing;

/// Asks whether recovery codes were kept. For a part of one, because the answer is shown and the code stays good.
pub const ACKNOWLEDGE: &str = "To go on, type the last group of one of them, or skip: ";
/// Questions in one dialogue; nobody needs that many.
const QUESTIONS: u32 = 40;
/// The usual terminal, less the line of the question.
const ROWS: usize = 23;
/// Characters beside the picture on a terminal of 80 columns.
const BESIDE: usize = 33;

/// How the offer is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum View {
    Picture(Style),
    Text,
}

/// Asks through a plain dialogue.
pub struct PromptDialog<'a, D> {
    dialog: &'a mut D,
    host: String,
    contact: Option<String>,
    view: View,
    polarity: Polarity,
    questions: u32,
    lead: &'static str,
}

impl<'a, D: Dialog> PromptDialog<'a, D> {
    /// For logins to `host`; `contact` is whom to ask for help.
    pub fn new(dialog: &'a mut D, host: &str, contact: Option<&str>) -> Self {
        Self {
            dialog,
            host: ascii(host, BESIDE - 9),
            contact: contact.map(|contact| ascii(contact, 100)),
            view: View::Picture(Style::Utf8),
            polarity: Polarity::Normal,
            questions: 0,
            lead: "",
        }
    }

    /// Says this before the recovery codes, on a line of its own.
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
        let matrix = match self.view {
            View::Picture(style) => {
                Matrix::encode(&offer.picture, Level::Low).ok().map(|matrix| (matrix, style))
            }
            View::Text => None,
        };
        match matrix {
            None => {
                self.side_text(offer).iter().for_each(|line| push_line(&mut out, line));
                push_line(&mut out, "URI for apps that take one:");
                push_line(&mut out, &offer.uri);
            }
            Some((matrix, style)) => {
                let picture = render(&matrix, style, self.polarity);
                let beside = self.side_text(offer);
                let (columns, rows) = size(&matrix, style);
                if style == Style::Utf8 {
                    let mut picture = picture.lines();
                    for row in 0..rows.max(beside.len()) {
                        match picture.next() {
                            Some(line) => out.push_str(line),
                            None => (0..columns).for_each(|_| out.push(' ')),
                        }
                        out.push(' ');
                        push_line(&mut out, beside.get(row).map_or("", |line| line.as_str()));
                    }
                } else {
                    out.push_str(&picture);
                    beside.iter().for_each(|line| push_line(&mut out, line));
                }
                if style != Style::Utf8 || rows > ROWS {
                    let rows = if style == Style::Utf8 { rows + 2 } else { rows + 22 };
                    push_line(
                        &mut out,
                        &format!("(Cut off? Make the window {} by {rows}, or type k.)", columns.max(79)),
                    );
                }
            }
        }
        out
    }

    /// What stands beside the picture, at most [`BESIDE`] characters wide and as many lines as the smallest picture.
    fn side_text(&self, offer: &Offer) -> Vec<Zeroizing<String>> {
        let mut lines: Vec<Zeroizing<String>> = Vec::with_capacity(24);
        let mut add = |text: &str| lines.push(Zeroizing::new(text.to_owned()));
        add("A second factor for your logins");
        add("");
        add(&format!("host     {}", self.host));
        add(&format!("account  {}", ascii(&offer.account, BESIDE - 9)));
        add(&format!("issuer   {}", ascii(&offer.issuer, BESIDE - 9)));
        add("");
        add("Scan the QR code with an");
        add("authenticator app on your phone,");
        add("or type this key into the app:");
        for half in halves(&offer.key) {
            add(half);
        }
        if let Some(params) = offer.unusual {
            add(&format!("({}, {} digits, {} s)", params.algorithm(), params.digits(), params.period()));
        }
        add("Then type the code that it shows.");
        add("");
        add("i  swap light and dark");
        add("n  another QR code");
        add("q  give up");
        add("");
        match &self.contact {
            Some(contact) => add(&ascii(&format!("Help: {contact}"), BESIDE)),
            None => add(""),
        }
        add("Nobody will ever send you a QR");
        add("code by mail or chat.");
        lines
    }
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

impl<D: Dialog> Dialog for PromptDialog<'_, D> {
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

impl<D: Dialog> EnrollDialog for PromptDialog<'_, D> {
    fn first_code(&mut self, scanned: Scanned<'_>, note: Option<&str>) -> Result<Reply, NoAnswer> {
        let note = note.map(|note| format!("\n{note}\n")).unwrap_or_default();
        let Scanned::Now(offer) = scanned else {
            return self.resumed(scanned, &note);
        };
        let mut redraw = note.is_empty();
        loop {
            let mut text = if redraw { self.draw(offer) } else { Zeroizing::new(note.clone()) };
            text.push_str(CHOICES);
            let typed = self.question(&text)?;
            match choice(&typed) {
                Choice::Reply(reply) => return Ok(reply(typed)),
                Choice::Invert => {
                    self.polarity = match self.polarity {
                        Polarity::Normal => Polarity::Inverted,
                        Polarity::Inverted => Polarity::Normal,
                    };
                    if self.view == View::Text {
                        self.view = View::Picture(Style::Utf8);
                    }
                }
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
    ) -> Result<Handed, NoAnswer> {
        let mut text = Zeroizing::new(String::with_capacity(2048));
        match note {
            Some(note) => {
                text.push('\n');
                push_line(&mut text, note);
            }
            None => {
                text.push('\n');
                if !self.lead.is_empty() {
                    push_line(&mut text, self.lead);
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
        self.question(&text).map(Handed::Typed)
    }
}

impl<D: Dialog> PromptDialog<'_, D> {
    /// About a QR code that is not shown again.
    fn resumed(&mut self, scanned: Scanned<'_>, note: &str) -> Result<Reply, NoAnswer> {
        let Scanned::Before { minutes } = scanned else { return Err(NoAnswer) };
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
                Choice::Invert | Choice::Ascii | Choice::Text => {
                    note = "\nThat one is not shown again; n makes another.\n".to_owned();
                }
            }
        }
    }
}

enum Choice {
    Reply(fn(Typed) -> Reply),
    Invert,
    Ascii,
    Text,
}

fn choice(typed: &[u8]) -> Choice {
    match typed.trim_ascii() {
        b"i" | b"I" => Choice::Invert,
        b"a" | b"A" => Choice::Ascii,
        b"k" | b"K" => Choice::Text,
        b"n" | b"N" => Choice::Reply(|_| Reply::Fresh),
        b"q" | b"Q" => Choice::Reply(|_| Reply::GiveUp),
        _ => Choice::Reply(Reply::Code),
    }
}
