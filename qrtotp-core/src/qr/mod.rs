//! QR codes on terminals.
