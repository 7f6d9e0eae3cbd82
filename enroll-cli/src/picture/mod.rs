//! The organisation's branding: the heading's colours, and pictures of QR codes with its colours and logo.
//! Only the command draws it, never a login.

mod accent;
mod art;
mod codewords;
mod contrast;
mod draw;
mod encode;
mod file;
mod fit;
mod logo;
mod png;
mod saved;
mod svg;

pub use saved::Request;

use crate::error::Failure;
use crate::interrupt::Interrupts;
use accent::Depth;
use art::Art;
use qrtotp_flow::{NoAnswer, Offer};
use qrtotp_policy::{Brand, Finding, Severity};
use saved::Saved;
use std::os::fd::AsFd;

/// How a dialogue looks. Without more: plain.
#[derive(Default)]
pub struct Appearance {
    brand: Brand,
    depth: Depth,
    saved: Option<Saved>,
}

impl Appearance {
    /// For standard output, which may be a terminal, and with a picture where one was asked for.
    pub fn new(brand: &Brand, tty: bool, request: Option<&Request<'_>>) -> Result<Self, Failure> {
        if let Some(problem) = accent::problem(brand) {
            return Err(Failure::Refused(format!("brand.accent and brand.accent_text: {problem}")));
        }
        let depth = accent::depth(tty, |name| std::env::var(name).ok());
        let saved = request.map(|request| Saved::prepare(request, brand)).transpose()?;
        Ok(Self { brand: brand.clone(), depth, saved })
    }

    /// `text` as a heading.
    pub fn heading(&self, text: &str) -> String {
        accent::heading(text, &self.brand, self.depth)
    }

    /// Saves the picture, if one was asked for, and says so.
    pub fn save(&mut self, offer: &Offer) -> Result<String, String> {
        self.saved.as_mut().map_or(Ok(String::new()), |saved| saved.write(offer))
    }

    /// Whether a picture lies on disk on request.
    pub fn saves(&self) -> bool {
        self.saved.is_some()
    }

    /// Waits for input. If a picture is on disk, a signal ends the wait.
    pub fn wait_for(&self, input: impl AsFd) -> Result<(), NoAnswer> {
        self.saved.as_ref().map_or(Ok(()), |saved| saved.wait_for(input))
    }

    /// No code is asked for any more. Says, once, what became of the picture.
    pub fn end(&mut self, confirmed: bool) -> Option<(String, Interrupts)> {
        self.saved.take().map(|saved| saved.end(confirmed))
    }
}

/// Faults of `[brand]` that make `qrtotp enroll` refuse it. `longest` is the account in the app for the
/// longest name that useradd makes: a logo that fits it fits all shorter ones.
pub fn findings(brand: &Brand, issuer: &str, longest: &str) -> Vec<Finding> {
    let finding = |key, reason| Finding { severity: Severity::Danger, key, reason };
    let accent = accent::problem(brand).map(|problem| finding("brand.accent", problem));
    let picture = Art::new(brand).and_then(|art| {
        let text = saved::stand_in(issuer, longest).map_err(|error| error.to_string())?;
        art.fit(&text).map(|_| ())
    });
    let picture = picture.err().map(|problem| finding("brand", problem));
    accent.into_iter().chain(picture).collect()
}
