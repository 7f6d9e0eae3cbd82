//! Links the unwinder statically: each login loads the module anew, and loading libgcc_s.so with it costs more than
//! checking a code does.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let Ok(out) = std::env::var("OUT_DIR") else { return };
    // The standard library asks for -lgcc_s; a linker script of that name, found first, gives it the archive instead.
    let script = Path::new(&out).join("libgcc_s.so");
    if std::fs::write(&script, "INPUT(-lgcc_eh -lgcc)\n").is_ok() {
        println!("cargo:rustc-link-search=native={out}");
    }
}
