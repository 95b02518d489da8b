//! The build script: how a shared library is linked.

fn main() {
    println!("cargo::rerun-if-changed=bindings/cpp/build.rs");
    // The Rust run-time leaves thread-local destructors behind, which must outlive dlclose().
    let target = |what| std::env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    if target("FAMILY") == "unix" && target("VENDOR") != "apple" {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
