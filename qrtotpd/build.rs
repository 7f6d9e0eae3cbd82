//! pam_qrtotp.so finds one function of this program by its name (see `src/pam.rs`); a program exports none by
//! itself.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg-bins=-Wl,--export-dynamic-symbol=qrtotpd_is_inner_transaction");
}
