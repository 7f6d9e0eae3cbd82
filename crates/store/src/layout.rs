//! The names of files and directories of a store, and of the key beside the configuration.

pub(super) const KEY_FILE: &str = "seal.key";
pub(super) const ACCOUNTS: &str = "accounts";
pub(super) const TEMPORARY: &str = "tmp";
pub(super) const RECORD: &str = "account.toml";
pub(super) const RECORD_NEW: &str = "account.toml.new";
pub(super) const STATE: &str = "state";
/// Most bytes of a key file or a marker.
pub(super) const SMALL_LIMIT: usize = 1024;
