//! The build script: how a shared library is linked.

fn main() {
    println!("cargo::rerun-if-changed=bindings/cpp/build.rs");
    // The Rust run-time leaves thread-local destructors behind, which must outlive dlclose().
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
