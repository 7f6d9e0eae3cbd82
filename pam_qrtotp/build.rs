//! Linker options of the module. Each login loads it anew, so its size and the loader's work matter.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Relocations as a bit map: 24 bytes each become less than one. Needs glibc 2.36 (Debian 12).
    println!("cargo:rustc-link-arg-cdylib=-Wl,-z,pack-relative-relocs");
    // Two segments instead of four: two mappings less to make, to fault in and to undo at each login. (LLD,
    // which rustc takes where it has it, splits the writable data, too.) Constants are executable then, and
    // still nothing that is executable can be written.
    println!("cargo:rustc-link-arg-cdylib=-fuse-ld=bfd");
    println!("cargo:rustc-link-arg-cdylib=-Wl,-z,noseparate-code");
    // src/backtrace.rs defines a function that the static unwinder below has, too. The first definition wins:
    // ours.
    println!("cargo:rustc-link-arg-cdylib=-Wl,-z,muldefs");
    // The unwinder statically: loading libgcc_s.so costs more than checking a code does.
    let Ok(out) = std::env::var("OUT_DIR") else { return };
    // The standard library asks for -lgcc_s; a linker script of that name, found first, gives it the archive
    // instead.
    let script = Path::new(&out).join("libgcc_s.so");
    if std::fs::write(&script, "INPUT(-lgcc_eh -lgcc)\n").is_ok() {
        println!("cargo:rustc-link-search=native={out}");
    }
}
