//! `--save`: the QR code as a picture on disk, for as long as it is worth something and wanted.

use super::art::{Art, Format};
use super::file::NewFile;
use crate::error::{Failure, shown};
use crate::interrupt::{ENDING, Interrupts};
use crate::language::say;
use qrtotp_flow::{NoAnswer, Offer};
use qrtotp_messages::text;
use qrtotp_otp::{KeyUri, Params, Secret};
use qrtotp_policy::Brand;
use std::os::fd::AsFd;
use std::path::Path;
use zeroize::Zeroizing;

/// The request from the command line.
pub struct Request<'a> {
    pub path: &'a Path,
    pub ephemeral: bool,
    pub issuer: &'a str,
    pub account: &'a str,
}

/// A picture that nobody has confirmed yet. It goes when this is dropped.
pub struct Saved {
    file: NewFile,
    format: Format,
    art: Art,
    ephemeral: bool,
    written: bool,
    interrupts: Interrupts,
}

impl Saved {
    /// Makes the empty file. Refuses before any secret is made: names, places, colours and logos that will
    /// not do.
    pub fn prepare(request: &Request<'_>, brand: &Brand) -> Result<Self, Failure> {
        let format = Format::of(request.path).ok_or_else(|| Failure::Refused(say(&text::PICTURE_NAME)))?;
        let art = Art::new(brand).map_err(Failure::Refused)?;
        art.fit(&stand_in(request.issuer, request.account)?).map_err(Failure::Refused)?;
        let interrupts = Interrupts::hold(ENDING).map_err(std::io::Error::from)?;
        let file = NewFile::create(request.path)?;
        Ok(Self { file, format, art, ephemeral: request.ephemeral, written: false, interrupts })
    }

    /// Puts the picture into the file, in place of an earlier one, and says so.
    pub fn write(&mut self, offer: &Offer) -> Result<String, String> {
        let path = shown(&self.file.path);
        let title = format!("QR code of a secret: {}, {}", offer.issuer, offer.account);
        let picture = self.art.draw(self.format, &offer.uri, &title)?;
        self.file.write(&picture).map_err(|error| say(&text::picture_not_written(&path, &error)))?;
        self.written = true;
        let saved = match self.ephemeral {
            true => text::saved_ephemeral(&path),
            false => text::saved_for_good(&path, &offer.account),
        };
        Ok(say(&saved) + "\n")
    }

    /// Waits for input, or for a signal that ends the dialogue.
    pub fn wait_for(&self, input: impl AsFd) -> Result<(), NoAnswer> {
        self.interrupts.wait_for(input)
    }

    /// The dialogue has ended, or its first code was right. Says what became of the file.
    pub fn end(self, confirmed: bool) -> (String, Interrupts) {
        let path = shown(&self.file.path);
        let text = if confirmed && self.written && !self.ephemeral {
            self.file.keep();
            text::picture_still_there(&path)
        } else {
            match self.file.discard() {
                Ok(()) if self.written => text::picture_deleted(&path),
                Ok(()) => text::picture_not_saved(&path),
                Err(error) => text::picture_not_deleted(&path, &error),
            }
        };
        (say(&text), self.interrupts)
    }
}

/// A URI of the real one's length, for a look at whether a picture can be made of it. `account` may get the
/// number of a device.
pub fn stand_in(issuer: &str, account: &str) -> Result<Zeroizing<String>, Failure> {
    let secret = Secret::generate().map_err(|error| Failure::Error(error.to_string()))?;
    let (issuer, account) = (issuer.to_owned(), format!("{account} (10)"));
    Ok(KeyUri { issuer, account, secret, params: Params::default() }.to_uri())
}
