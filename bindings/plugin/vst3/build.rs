//! Compiles the plug-in, and links libmimi of `MIMI_LIB_DIR`: the folder of an installed libmimi.a, which keeps Rust's
//! run-time to itself, or of a libmimi.so, which must then be found when the plug-in is loaded.

use std::env::var;

fn main() {
    println!("cargo:rerun-if-env-changed=MIMI_LIB_DIR");
    println!("cargo:rerun-if-env-changed=CLAP_INCLUDE");
    println!("cargo:rerun-if-changed=../mimi_core.c");
    println!("cargo:rerun-if-changed=../mimi_core.h");
    println!("cargo:rerun-if-changed=../clap/mimi_clap.c");
    let lib = var("MIMI_LIB_DIR").expect("MIMI_LIB_DIR: the folder of libmimi");
    let clap = var("CLAP_INCLUDE").expect("CLAP_INCLUDE: the folder of clap/clap.h");
    cc::Build::new()
        .files(["../mimi_core.c", "../clap/mimi_clap.c"])
        .includes(["../../../include", &clap])
        .define("_POSIX_C_SOURCE", "200809L")
        .std("c11")
        .compile("mimi_plugin");
    println!("cargo:rustc-link-search=native={lib}");
    println!("cargo:rustc-link-lib=mimi");
}
