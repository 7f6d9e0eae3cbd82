//! Values that an older fleet key sealed, for sealing with the current one.

use crate::error::FleetError;
use crate::keys;
use crate::ring::Ring;
use crate::values::{RecordValue, Value};
use qrtotp_store::SealKey;
use zeroize::Zeroizing;

/// The bytes of a key's value as the current fleet key will seal them: a record's secrets are sealed anew.
pub(crate) fn renewed(
    ring: &Ring,
    key: &str,
    plain: Zeroizing<Vec<u8>>,
    sealed_with: &SealKey,
) -> Result<Zeroizing<Vec<u8>>, FleetError> {
    if sealed_with.id() == ring.current().id() || keys::account_of_record(key).is_none() {
        return Ok(plain);
    }
    let damaged = |why| FleetError::Damaged { key: key.to_owned(), why };
    let mut value =
        RecordValue::from_bytes(&plain).map_err(|_| damaged("not a record of a known version"))?;
    ring.renew(&mut value.record, sealed_with).map_err(|_| damaged("a secret does not open"))?;
    Ok(Zeroizing::new(value.to_bytes()))
}
