//! The familiar places of an account, for root: an unknown one made familiar for a day, known ones forgotten.

use super::{AdminError, Ctx};
use qrtotp_account::{Name, Place, PlaceId, Side};
use qrtotp_audit::{ChainedLines, Event, Kind};
use qrtotp_policy::Network;
use qrtotp_store::{SealKey, StoreExt as _};

/// A place as an admin names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedPlace {
    /// A network within one place.
    Network(Network),
    /// A place of the account, by its digest.
    Known(PlaceId),
}

impl NamedPlace {
    /// Parses a network, an address, or the digest that `qrtotp place list` shows.
    ///
    /// # Errors
    /// None of these, or a network of several places; says what to give.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() == 16
            && let Ok(number) = u64::from_str_radix(text, 16)
        {
            return Ok(Self::Known(PlaceId(number.to_be_bytes())));
        }
        let network: Network = match text.parse::<std::net::IpAddr>() {
            Ok(address) if address.is_ipv4() => format!("{address}/32").parse(),
            Ok(address) => format!("{address}/128").parse(),
            Err(_) => text.parse(),
        }
        .map_err(|_| "give an address, a network such as 192.0.2.0/24, or a place of `qrtotp place list`")?;
        let narrowest = if network.first().is_ipv4() { 24 } else { 56 };
        match network.prefix() < narrowest {
            true => {
                Err("a place is a /24 of IPv4 or a /56 of IPv6; name such a network, or an address in it")
            }
            false => Ok(Self::Network(network)),
        }
    }

    fn id(self, key: &SealKey, record: qrtotp_account::RecordId) -> Option<PlaceId> {
        match self {
            Self::Known(id) => Some(id),
            Self::Network(network) => match Place::network(network.first(), None) {
                Place::Apart(what) => key.digest(record, what).first_chunk().copied().map(PlaceId),
                Place::Own | Place::Nowhere => None,
            },
        }
    }
}

/// Makes a place familiar for a day, with no failures counted there. False if it is no network and the
/// account has no such place.
///
/// # Errors
/// No such account; the store.
pub fn trust_place(
    ctx: &mut Ctx<'_>,
    name: &Name,
    (place, shown): (NamedPlace, &str),
) -> Result<bool, AdminError> {
    let (now, subject, store) = (ctx.now(), &ctx.subject, ctx.store);
    let rules = ctx.config.throttle.rules();
    let mut lines = ChainedLines::default();
    let done = store.update_state(name, |record, state| {
        lines.clear();
        let Some(id) = place.id(store.key(), record.id) else { return false };
        let is_known = state.throttle.all_places().iter().any(|known| known.id == id);
        if matches!(place, NamedPlace::Known(_)) && !is_known {
            return false;
        }
        state.throttle.trust(id, now, &rules);
        lines.add(&Event::new(Kind::PlaceTrusted, subject), now, state);
        true
    })?;
    let done = done.ok_or_else(|| AdminError::NotEnrolled(name.clone()))?;
    lines.emit_with(Kind::PlaceTrusted, &format!("{shown} is familiar for a day"), ctx.audit);
    Ok(done)
}

/// Forgets a place (`None`: all of them), and the codes that rules with `remember` need not ask for again
/// there. Returns how many places there were.
///
/// # Errors
/// No such account; the store.
pub fn forget_places(ctx: &mut Ctx<'_>, name: &Name, place: Option<NamedPlace>) -> Result<usize, AdminError> {
    let (now, subject, store) = (ctx.now(), &ctx.subject, ctx.store);
    let mut lines = ChainedLines::default();
    let gone = store.update_state(name, |record, state| {
        lines.clear();
        let before = state.throttle.all_places().len();
        match place {
            None => state.throttle.forget_places(),
            Some(place) => {
                if let Some(id) = place.id(store.key(), record.id) {
                    state.throttle.forget_place(Side::Place(id));
                }
            }
        }
        let gone = before - state.throttle.all_places().len();
        if gone > 0 {
            lines.add(&Event::new(Kind::PlacesForgotten, subject), now, state);
        }
        gone
    })?;
    let gone = gone.ok_or_else(|| AdminError::NotEnrolled(name.clone()))?;
    lines.emit_with(Kind::PlacesForgotten, &format!("{gone} places"), ctx.audit);
    Ok(gone)
}
