//! The VST3's entry, around that of the CLAP plug-in in C.

clap_wrapper::export_vst3!();

/// Of which only the address matters.
#[repr(C)]
pub struct Opaque([usize; 8]);
// SAFETY: nobody reads it here.
unsafe impl Sync for Opaque {}

mod c {
    unsafe extern "C" {
        pub static clap_entry: super::Opaque;
    }
}

/// Keeps the linker from leaving the plug-in out.
#[used]
// SAFETY: it is a static of mimi_clap.c, there from the beginning to the end.
static KEEP: &Opaque = unsafe { &*(&raw const c::clap_entry) };
