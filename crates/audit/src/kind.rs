//! The kinds of events, each with its word, and how urgent they are.

use qrtotp_values::Verdict;

/// How urgent a line is, as syslog counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Somebody must look at once: LOG_ALERT.
    Alert,
    /// Something is broken: LOG_ERR.
    Error,
    /// Access was refused: LOG_WARNING.
    Warning,
    /// Something changed: LOG_NOTICE.
    Notice,
    /// As usual: LOG_INFO.
    Info,
}

impl Priority {
    /// The severity of an anomaly in its line.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Error | Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
        }
    }
}

macro_rules! kinds {
    ($($kind:ident $word:literal,)*) => {
        /// The kind of an event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)] // docs/AUDIT.md describes each; the word is the documentation
        pub enum Kind {
            $($kind,)*
        }

        impl Kind {
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$kind),*];

            /// The event's word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $word,)*
                }
            }
        }
    };
}

kinds! {
    Login "login",
    DeviceProof "device_proof",
    PasswordTried "password_tried",
    Anomaly "anomaly",
    EnrollmentStarted "enrollment_started",
    EnrollmentResumed "enrollment_resumed",
    EnrollmentConfirmed "enrollment_confirmed",
    EnrollmentAbandoned "enrollment_abandoned",
    EnrollmentExpired "enrollment_expired",
    EnrollmentRefused "enrollment_refused",
    CredentialImported "credential_imported",
    ImportRepeated "import_repeated",
    CredentialRenamed "credential_renamed",
    CredentialResynchronized "credential_resynchronized",
    KeyRegistered "key_registered",
    TokenIssued "token_issued",
    TokenShown "token_shown",
    TokenConsumed "token_consumed",
    TokenExpired "token_expired",
    TokenRevoked "token_revoked",
    TokenCodeRefused "token_code_refused",
    CredentialRevoked "credential_revoked",
    AccountRenamed "account_renamed",
    AccountUidAdopted "account_uid_adopted",
    AccountRemoved "account_removed",
    AccountImported "account_imported",
    RecoveryIssued "recovery_issued",
    RecoveryLost "recovery_lost",
    RecoveryUsed "recovery_used",
    RecoveryRegenerated "recovery_regenerated",
    ThrottleEngaged "throttle_engaged",
    ThrottleLifted "throttle_lifted",
    PlaceTrusted "place_trusted",
    PlacesForgotten "places_forgotten",
    LockHolderKilled "lock_holder_killed",
    RecordDamaged "record_damaged",
    ConfigurationRefused "configuration_refused",
    PolicyApplied "policy_applied",
    PolicyConfirmed "policy_confirmed",
    PolicyRolledBack "policy_rolled_back",
    InternalError "internal_error",
    CallerRefused "caller_refused",
    LinesLeftOut "lines_left_out",
    HostJoined "host_joined",
    HostRevoked "host_revoked",
    HostNoisy "host_noisy",
    StoreUnavailable "store_unavailable",
    HostHeld "host_held",
    HostReleased "host_released",
    RestoreAccepted "restore_accepted",
    OfflineCodesIssued "offline_codes_issued",
    OfflineCodesRemoved "offline_codes_removed",
    FleetRequest "fleet_request",
}

impl Kind {
    pub(super) fn priority(self, verdict: Option<Verdict>) -> Priority {
        match (self, verdict) {
            (Self::RecordDamaged | Self::ConfigurationRefused | Self::InternalError, _) => Priority::Error,
            (_, Some(Verdict::Denied))
            | (
                Self::ThrottleEngaged
                | Self::EnrollmentRefused
                | Self::TokenCodeRefused
                | Self::CallerRefused
                | Self::HostNoisy
                | Self::StoreUnavailable
                | Self::LockHolderKilled
                | Self::LinesLeftOut,
                _,
            ) => Priority::Warning,
            (Self::Login | Self::DeviceProof, Some(Verdict::Accepted | Verdict::Ignored)) => Priority::Info,
            _ => Priority::Notice,
        }
    }
}
