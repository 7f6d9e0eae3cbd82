//! The caller's language, from the environment.

use qrtotp_messages::{Catalogue, Message};
use std::sync::LazyLock;

static CATALOGUE: LazyLock<Catalogue> =
    LazyLock::new(|| qrtotp_flow::catalogue(&mut |_| None, &mut qrtotp_flow::variable));

/// The catalogue of the caller's language.
pub fn catalogue() -> &'static Catalogue {
    &CATALOGUE
}

/// A message in the caller's language.
pub fn say(message: &Message) -> String {
    CATALOGUE.text(message).into_owned()
}
