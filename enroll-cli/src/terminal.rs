//! The dialogue of an enrolment on standard input and output. Writes past std's buffer, which would keep the
//! secret.

use crate::cli::Qr;
use crate::input;
use crate::language::{catalogue, say};
use crate::no_echo::NoEcho;
use crate::picture::Appearance;
use crate::qr_style::{Drawing, Picture, TerminalFacts, choose};
use qrtotp_flow::{
    Choice, CodesDelivery, Dialog, Echo, EnrollDialog, NoAnswer, Offer, QrState, Reply, Typed, choice,
    host_name, shown_before,
};
use qrtotp_messages::{Catalogue, Message, text};
use qrtotp_otp::qr::{Level, Matrix, Polarity, Style, render};
use qrtotp_values::text::wrap;
use std::env;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use zeroize::Zeroizing;

/// Columns of the widest line, of a window of 80.
const WIDTH: usize = 77;

/// The terminal's abilities, from standard output and the environment.
pub fn place() -> TerminalFacts {
    let stdout = std::io::stdout();
    let size = terminal_size::terminal_size_of(&stdout);
    TerminalFacts {
        tty: stdout.is_terminal(),
        size: size.map(|(width, height)| (width.0.into(), height.0.into())).filter(|size| *size != (0, 0)),
        locale: ["LC_ALL", "LC_CTYPE", "LANG"].map(|name| env::var(name).ok()),
        term: env::var("TERM").ok(),
        no_color: env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
    }
}

/// Standard output without a buffer.
pub fn unbuffered_stdout() -> std::io::Result<File> {
    Ok(File::from(std::io::stdout().as_fd().try_clone_to_owned()?))
}

/// Talks to the person at standard input and output.
pub struct Terminal {
    out: File,
    place: TerminalFacts,
    qr: Qr,
    polarity: Polarity,
    user: String,
    contact: Option<String>,
    appearance: Appearance,
    acknowledged: bool,
}

impl Terminal {
    pub fn new(
        place: TerminalFacts,
        (qr, invert): (Qr, bool),
        user: &str,
        contact: Option<String>,
        appearance: Appearance,
    ) -> std::io::Result<Self> {
        let polarity = if invert { Polarity::Inverted } else { Polarity::Normal };
        let out = unbuffered_stdout()?;
        Ok(Self { out, place, qr, polarity, user: user.to_owned(), contact, appearance, acknowledged: false })
    }

    /// For dialogues without a picture.
    pub fn plain() -> std::io::Result<Self> {
        Self::new(place(), (Qr::None, false), "", None, Appearance::default())
    }

    /// Has the person type a part of one of their recovery codes, as at a login.
    #[must_use]
    pub fn acknowledged(self) -> Self {
        Self { acknowledged: true, ..self }
    }

    /// No first code is asked for any more: a picture on disk goes, unless it was confirmed and is to stay.
    pub fn end_picture(&mut self, confirmed: bool) {
        // A signal that ended the dialogue does its work only after this was said.
        if let Some((text, _interrupts)) = self.appearance.end(confirmed) {
            self.show_text(&text);
        }
    }

    /// Waits for what `other` has to say; where a picture lies on disk, a signal ends the waiting.
    pub fn wait_for(&self, other: impl AsFd) -> Result<(), NoAnswer> {
        self.appearance.wait_for(other)
    }

    fn put(&mut self, text: &str) -> Result<(), NoAnswer> {
        self.out.write_all(text.as_bytes()).map_err(|_| NoAnswer)
    }

    /// Sentences in lines that fit. A line with colours stays whole.
    fn put_wrapped(&mut self, text: &str) -> Result<(), NoAnswer> {
        let width = |line: &str| if line.contains('\x1b') { usize::MAX } else { WIDTH };
        text.lines()
            .flat_map(|line| wrap(line, width(line)))
            .try_for_each(|line| self.put(&format!("{line}\n")))
    }

    fn introduction(&self, offer: &Offer) -> String {
        let heading = say(&text::second_factor_for(&self.user, &host_name()));
        let secret = if self.appearance.saves() { text::KEEP_SECRET_SAVED } else { text::KEEP_SECRET };
        let mut introduction = format!(
            "\n{}\n{}\n\n{}\n\n{}\n{}\n",
            self.appearance.heading(&heading),
            say(&text::app_shows(&offer.issuer, &offer.account)),
            say(&text::THREE_STEPS),
            say(&secret),
            say(&text::NOBODY_ASKS_TO_SCAN),
        );
        let mut more = |message: &Message| {
            introduction.push_str(&say(message));
            introduction.push('\n');
        };
        if let Some(contact) = &self.contact {
            more(&text::help(contact));
        }
        if let Some(params) = offer.unusual {
            more(&text::unusual_warning(&params.algorithm(), &params.digits(), &params.period()));
        }
        introduction.push('\n');
        introduction
    }

    fn offer(&mut self, offer: &Offer) -> Result<(), NoAnswer> {
        let introduction = self.introduction(offer);
        self.put_wrapped(&introduction)?;
        match self.appearance.save(offer) {
            Ok(saved) => self.put(&saved)?,
            Err(problem) => {
                self.put(&format!("{problem}\n"))?;
                return Err(NoAnswer);
            }
        }
        // Above the picture, so that the question is the only line below it.
        self.key(offer, self.qr != Qr::Auto)?;
        self.picture(&offer.picture)
    }

    /// The key as text, and perhaps its URI.
    fn key(&mut self, offer: &Offer, uri: bool) -> Result<(), NoAnswer> {
        self.put(&say(&text::KEY))?;
        self.put(&offer.key)?;
        self.put("\n")?;
        if uri {
            self.put(&offer.uri)?; // in one line, to be copied
            self.put("\n\n")
        } else {
            self.put(&format!("{}\n\n", say(&text::ABOUT_KEY)))
        }
    }

    /// The picture, or a sentence in its place.
    fn picture(&mut self, uri: &str) -> Result<(), NoAnswer> {
        let Ok(matrix) = Matrix::encode(uri, Level::Low) else {
            return self.put(&format!("{}\n\n", say(&text::TEXT_TOO_LONG)));
        };
        match choose(self.qr, &self.place, &matrix) {
            Picture::None => Ok(()),
            Picture::Draw(Drawing { style, quiet, too_large, instead_of_plain }) => {
                if let Some((columns, rows)) = too_large {
                    self.put_wrapped(&say(&text::enlarge_window(&columns, &rows)))?;
                }
                if let Some((columns, rows)) = instead_of_plain {
                    self.put_wrapped(&say(&text::locale_not_utf8(&columns, &rows)))?;
                }
                // Ansi brings its own black and white: turned round, they would be a negative.
                let polarity = if matches!(style, Style::Ansi) { Polarity::Normal } else { self.polarity };
                self.put(&render(&matrix, style, polarity, quiet))
            }
            Picture::TooLarge(columns, rows) => {
                self.put_wrapped(&say(&text::window_too_small(&columns, &rows)))
            }
        }
    }
}

impl Dialog for Terminal {
    fn show_text(&mut self, text: &str) {
        let _ = self.put(&format!("{text}\n")); // best effort; a question that can't be put ends the dialogue
    }

    fn ask_text(&mut self, prompt: &str, echo: Echo) -> Result<Typed, NoAnswer> {
        let keyboard = std::io::stdin();
        let no_echo = match echo {
            Echo::On => None,
            Echo::Off => NoEcho::begin(keyboard.as_fd()).map_err(|_| NoAnswer)?,
        };
        self.put(prompt)?;
        let Some(no_echo) = no_echo else {
            return input::line_when(&keyboard, || self.appearance.wait_for(&keyboard));
        };
        let typed = no_echo.wait().and_then(|()| input::line(&keyboard));
        self.put("\n")?; // the person's own did not show
        typed
    }

    fn catalogue(&self) -> &Catalogue {
        catalogue()
    }
}

impl EnrollDialog for Terminal {
    fn first_code(&mut self, scanned: QrState<'_>, note: Option<&Message>) -> Result<Reply, NoAnswer> {
        match (note, scanned) {
            (Some(note), _) => self.show(note.clone()),
            (None, QrState::Now(offer)) => self.offer(offer)?,
            (None, QrState::Before { minutes }) => {
                self.put(&format!("\n{}\n", say(&shown_before(minutes))))?;
                self.show(text::IF_YOU_SCANNED_IT);
            }
        }
        loop {
            let question = match scanned {
                QrState::Now(_) => text::COMMAND_ASK_FIRST_CODE,
                QrState::Before { .. } => text::COMMAND_ASK_CODE,
            };
            let typed = self.ask(question, Echo::On)?;
            match (choice(&typed), scanned) {
                (Choice::Reply(reply), _) => return Ok(reply(typed)),
                (_, QrState::Before { .. }) => {
                    self.show(text::NOT_SHOWN_AGAIN);
                    continue;
                }
                (Choice::Text, QrState::Now(offer)) => {
                    self.key(offer, true)?;
                    continue;
                }
                (Choice::Invert, _) if self.qr == Qr::None => self.qr = Qr::Auto,
                (Choice::Invert, _) => self.polarity = self.polarity.other(),
                (Choice::Ascii, _) => self.qr = Qr::Ascii,
                (Choice::Small, _) => self.qr = Qr::Utf8,
            }
            if let QrState::Now(offer) = scanned {
                self.place = place(); // the window may be larger now
                self.picture(&offer.picture)?;
            }
        }
    }

    fn recovery_codes(
        &mut self,
        codes: &[Zeroizing<String>],
        note: Option<&Message>,
    ) -> Result<CodesDelivery, NoAnswer> {
        self.end_picture(true);
        match note {
            Some(note) => self.show(note.clone()),
            None => put_recovery_codes(&mut self.out, codes).map_err(|_| NoAnswer)?,
        }
        if self.acknowledged {
            self.ask(text::ACKNOWLEDGE, Echo::On).map(CodesDelivery::Typed)
        } else {
            Ok(CodesDelivery::Shown)
        }
    }
}

/// Shows recovery codes, each on its own line, with what they are for.
pub fn put_recovery_codes(out: &mut File, codes: &[Zeroizing<String>]) -> std::io::Result<()> {
    write!(out, "\n{}\n\n", say(&text::ABOUT_CODES))?;
    for code in codes {
        out.write_all(b"  ")?;
        out.write_all(code.as_bytes())?;
        out.write_all(b"\n")?;
    }
    out.write_all(b"\n")
}
