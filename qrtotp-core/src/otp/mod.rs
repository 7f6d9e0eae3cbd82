//! One-time passwords: secrets, typed codes, verification, otpauth URIs.
