//! Exports one function of the program, which pam_qrtotp.so finds by its name (see `src/pam.rs`). By default
//! a program exports none.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg-bins=-Wl,--export-dynamic-symbol=qrtotpd_is_inner_transaction");
}
