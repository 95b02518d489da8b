//! A bug in the engine, met through the exported functions: what it happened to answers until it is
//! reset, and nothing else has noticed.

use super::capture::*;
use super::decoder::*;
use super::encoder::*;
use super::guard::{guard, guard_rt};
use super::handle::{self, exclusive};
use super::many::*;
use super::model::*;
use super::oneshot::*;
use super::status::*;
use crate::{Decoder, Encoder, Model};
use std::ffi::CStr;
use std::ptr::{self, null, null_mut};

/// Frames of 8 samples, 3 codebooks.
static MICRO: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/micro.safetensors"));
const FRAMES: usize = 6;
const SAMPLES: usize = FRAMES * 8;
const CODES: usize = FRAMES * 3;

/// A model, two encoders and two decoders on it.
struct Handles {
    model: *mut mimi_model,
    encoders: [*mut mimi_encoder; 2],
    decoders: [*mut mimi_decoder; 2],
    pcm: [f32; SAMPLES],
    /// Of `pcm`.
    codes: [u32; CODES],
    /// Of `codes`.
    audio: [f32; SAMPLES],
}

impl Handles {
    fn new() -> Self {
        let mut this = Self {
            model: null_mut(),
            encoders: [null_mut(); 2],
            decoders: [null_mut(); 2],
            pcm: std::array::from_fn(|i| (i as f32 * 0.7).sin()),
            codes: [0; CODES],
            audio: [0.0; SAMPLES],
        };
        let mut n = 0;
        // SAFETY: every pointer is NULL where that is allowed, or to memory of the length given.
        unsafe {
            assert_eq!(
                mimi_load_memory(MICRO.as_ptr().cast(), MICRO.len(), null(), &mut this.model),
                MIMI_OK
            );
            for encoder in &mut this.encoders {
                assert_eq!(mimi_encoder_new(this.model, null(), encoder), MIMI_OK);
            }
            for decoder in &mut this.decoders {
                assert_eq!(mimi_decoder_new(this.model, null(), decoder), MIMI_OK);
            }
            let (pcm, codes) = (this.pcm.as_ptr(), this.codes.as_mut_ptr());
            assert_eq!(mimi_encode(this.model, null(), pcm, SAMPLES, codes, CODES, &mut n), MIMI_OK);
            let audio = this.audio.as_mut_ptr();
            assert_eq!(mimi_decode(this.model, null(), codes, CODES, audio, SAMPLES, &mut n), MIMI_OK);
        }
        this
    }

    /// Encoder `index`, from its beginning or its last reset, gives the codes of the one-shot call.
    fn check_encoder(&self, index: usize) {
        let (mut codes, mut n) = ([0; CODES], 0);
        // SAFETY: live handles, and buffers of the lengths given.
        let status = unsafe {
            assert_eq!(mimi_encoder_reset(self.encoders[index]), MIMI_OK);
            let (pcm, codes) = (self.pcm.as_ptr(), codes.as_mut_ptr());
            mimi_encoder_process(self.encoders[index], pcm, SAMPLES, codes, CODES, &mut n)
        };
        assert_eq!((status, n, codes), (MIMI_OK, CODES, self.codes));
    }

    fn check_decoder(&self, index: usize) {
        let (mut audio, mut n) = ([0.0; SAMPLES], 0);
        // SAFETY: live handles, and buffers of the lengths given.
        let status = unsafe {
            assert_eq!(mimi_decoder_reset(self.decoders[index]), MIMI_OK);
            let (codes, audio) = (self.codes.as_ptr(), audio.as_mut_ptr());
            mimi_decoder_process(self.decoders[index], codes, CODES, audio, SAMPLES, &mut n)
        };
        assert_eq!((status, n, audio), (MIMI_OK, SAMPLES, self.audio));
    }

    /// What a bug in the encoder must not have touched.
    fn check_others(&self) {
        self.check_decoder(0);
        self.check_decoder(1);
        let (mut codes, mut n) = ([0; CODES], 0);
        // SAFETY: a live handle, and buffers of the lengths given.
        let status = unsafe {
            let (pcm, codes) = (self.pcm.as_ptr(), codes.as_mut_ptr());
            mimi_encode(self.model, null(), pcm, SAMPLES, codes, CODES, &mut n)
        };
        assert_eq!((status, codes), (MIMI_OK, self.codes));
    }
}

impl Drop for Handles {
    fn drop(&mut self) {
        // SAFETY: live handles, freed once.
        unsafe {
            mimi_free(self.model);
            for (encoder, decoder) in self.encoders.into_iter().zip(self.decoders) {
                mimi_encoder_free(encoder);
                mimi_decoder_free(decoder);
            }
        }
    }
}

/// Breaks encoder 0, so that its next frame panics; `false` mends it.
fn break_encoder(handles: &Handles, broken: bool) {
    let work = |encoder: &mut Encoder| crate::encoder::tests::set_broken(encoder, broken);
    // SAFETY: a live handle.
    unsafe { handle::recover(handles.encoders[0], work).unwrap() };
}

fn break_decoder(handles: &Handles, broken: bool) {
    let work = |decoder: &mut Decoder| crate::decoder::tests::set_broken(decoder, broken);
    // SAFETY: a live handle.
    unsafe { handle::recover(handles.decoders[0], work).unwrap() };
}

#[test]
fn a_bug_in_an_encoder_stays_with_it() {
    let handles = Handles::new();
    let [encoder, other] = handles.encoders;
    let (mut codes, mut n, mut value, mut fork) = ([0; CODES], 0, 0, null_mut());
    break_encoder(&handles, true);
    // SAFETY: live handles, and buffers of the lengths given.
    unsafe {
        let (pcm, codes) = (handles.pcm.as_ptr(), codes.as_mut_ptr());
        assert_eq!(mimi_encoder_process(encoder, pcm, SAMPLES, codes, CODES, &mut n), MIMI_ERR_PANIC);
        // from now on it is refused, whatever is asked of it
        assert_eq!(mimi_encoder_process(encoder, pcm, 1, codes, CODES, &mut n), MIMI_ERR_STATE);
        assert_eq!(mimi_encoder_flush(encoder, codes, CODES, &mut n), MIMI_ERR_STATE);
        assert_eq!(mimi_encoder_get(encoder, MIMI_PROP_FRAMES, &mut value), MIMI_ERR_STATE);
        assert_eq!(mimi_encoder_clone(encoder, &mut fork), MIMI_ERR_STATE);
        assert!(CStr::from_ptr(mimi_last_error()).to_str().unwrap().contains("reset or free"));
        let (streams, inputs, outputs) = ([other, encoder], [pcm; 2], [codes, codes.add(3)]);
        let many = || mimi_encoder_process_many(streams.as_ptr(), 2, inputs.as_ptr(), outputs.as_ptr());
        assert_eq!(many(), MIMI_ERR_STATE);
    }
    handles.check_others();
    handles.check_encoder(1);
    break_encoder(&handles, false);
    handles.check_encoder(0);
}

#[test]
fn a_bug_in_a_decoder_stays_with_it() {
    let handles = Handles::new();
    let [decoder, other] = handles.decoders;
    let (mut audio, mut n, mut value, mut fork) = ([0.0; SAMPLES], 0, 0, null_mut());
    break_decoder(&handles, true);
    // SAFETY: live handles, and buffers of the lengths given.
    unsafe {
        let (codes, audio) = (handles.codes.as_ptr(), audio.as_mut_ptr());
        assert_eq!(mimi_decoder_process(decoder, codes, CODES, audio, SAMPLES, &mut n), MIMI_ERR_PANIC);
        assert_eq!(mimi_decoder_process(decoder, codes, 3, audio, SAMPLES, &mut n), MIMI_ERR_STATE);
        assert_eq!(mimi_decoder_flush(decoder, audio, SAMPLES, &mut n), MIMI_ERR_STATE);
        assert_eq!(mimi_decoder_get(decoder, MIMI_PROP_FRAMES, &mut value), MIMI_ERR_STATE);
        assert_eq!(mimi_decoder_clone(decoder, &mut fork), MIMI_ERR_STATE);
        let (streams, inputs, outputs) = ([other, decoder], [codes; 2], [audio, audio.add(8)]);
        let many = || mimi_decoder_process_many(streams.as_ptr(), 2, inputs.as_ptr(), outputs.as_ptr());
        assert_eq!(many(), MIMI_ERR_STATE);
    }
    handles.check_encoder(0);
    handles.check_encoder(1);
    handles.check_decoder(1);
    break_decoder(&handles, false);
    handles.check_decoder(0);
}

/// Streams that were in one call may all have been changed by it.
#[test]
fn a_bug_among_many_poisons_those_of_the_call() {
    let handles = Handles::new();
    let mut codes = [0; 6];
    let (inputs, codes) = ([handles.pcm.as_ptr(); 2], codes.as_mut_ptr());
    break_encoder(&handles, true);
    // SAFETY: live handles, and buffers of a frame each.
    unsafe {
        let outputs = [codes, codes.add(3)];
        let many =
            || mimi_encoder_process_many(handles.encoders.as_ptr(), 2, inputs.as_ptr(), outputs.as_ptr());
        assert_eq!(many(), MIMI_ERR_PANIC);
        assert_eq!(many(), MIMI_ERR_STATE);
        for encoder in handles.encoders {
            let mut value = 0;
            assert_eq!(mimi_encoder_get(encoder, MIMI_PROP_FRAMES, &mut value), MIMI_ERR_STATE);
        }
    }
    handles.check_others();
    break_encoder(&handles, false);
    handles.check_encoder(0);
    handles.check_encoder(1);
}

#[test]
fn a_poisoned_stream_can_be_freed() {
    let handles = Handles::new();
    let (mut codes, mut n) = ([0; CODES], 0);
    break_encoder(&handles, true);
    // SAFETY: live handles, and buffers of the lengths given.
    let status = unsafe {
        let (pcm, codes) = (handles.pcm.as_ptr(), codes.as_mut_ptr());
        mimi_encoder_process(handles.encoders[0], pcm, SAMPLES, codes, CODES, &mut n)
    };
    assert_eq!(status, MIMI_ERR_PANIC);
    // dropping `handles` frees it
}

#[test]
fn a_bug_while_something_is_made_leaves_null() {
    let mut out = ptr::dangling_mut::<mimi_model>();
    // SAFETY: a place for a pointer.
    let status = guard(|| unsafe {
        handle::create(&mut out, || -> Result<Model, Failure> { std::panic::resume_unwind(Box::new("here")) })
    });
    assert_eq!((status, out), (MIMI_ERR_PANIC, null_mut()));
    // SAFETY: never NULL, zero-terminated.
    assert_eq!(unsafe { CStr::from_ptr(mimi_last_error()) }, c"bug in libmimi: here");
}

/// Options are refused as well; they have no reset.
#[test]
fn a_bug_in_a_bag_stays_with_it() {
    use super::options::*;
    let bag = mimi_options_new();
    // SAFETY: a live handle.
    unsafe {
        let bug = |_: &mut Options| std::panic::resume_unwind(Box::new("here"));
        assert_eq!(guard(|| exclusive(bag, bug)?), MIMI_ERR_PANIC);
        assert_eq!(mimi_options_set(bag, MIMI_OPT_TAIL, 0), MIMI_ERR_STATE);
        let mut out = null_mut();
        let status = mimi_load_memory(MICRO.as_ptr().cast(), MICRO.len(), bag, &mut out);
        assert_eq!((status, out), (MIMI_ERR_STATE, null_mut()));
        mimi_options_free(bag);
    }
}

/// The other sides of a capture go on.
#[test]
fn a_bug_on_one_side_stays_there() {
    let handles = Handles::new();
    let (mut capture, mut codes, mut n, mut value) = (null_mut(), [0; CODES], 0, 0);
    // SAFETY: live handles, and buffers of the lengths given.
    unsafe {
        assert_eq!(mimi_capture_new(handles.model, null(), &mut capture), MIMI_OK);
        let (pcm, codes) = (handles.pcm.as_ptr(), codes.as_mut_ptr());
        for _ in 0..2 {
            assert_eq!(mimi_capture_write(capture, pcm, SAMPLES), MIMI_OK);
            let bug = guard_rt(|| {
                let capture: &Capture = handle::shared(capture)?;
                capture.input.run("mimi_capture", |_| std::panic::resume_unwind(Box::new("here")))?
            });
            assert_eq!(bug, MIMI_ERR_PANIC);
            assert_eq!(mimi_capture_write(capture, pcm, 1), MIMI_ERR_STATE);
            assert_eq!(mimi_capture_get(capture, MIMI_PROP_DROPPED, &mut value), MIMI_OK);
            assert_eq!(mimi_capture_work(capture), MIMI_OK);
            // all but the frame that is in work
            assert_eq!(mimi_capture_read(capture, codes, CODES, &mut n), MIMI_OK);
            assert_eq!((n, value), (CODES - 3, 0));
            assert_eq!(mimi_capture_reset(capture), MIMI_OK);
        }
        mimi_capture_free(capture);
    }
    assert_eq!(codes[..CODES - 3], handles.codes[..CODES - 3]);
}

/// A model without a quantizer has no codes, and so no frames of none.
#[test]
fn without_a_quantizer_no_codes_are_lost() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden/pocket-tiny");
    let model = Model::load(path, &Default::default()).unwrap();
    let decoder = handle::boxed(Decoder::new(&model, &Default::default()).unwrap()).unwrap();
    let (mut pcm, mut n) = ([0.0f32; 1920], 0);
    for codes in [0, 8] {
        // SAFETY: the handle is alive; NULL codes are allowed; the other pointers are to memory of this function.
        let status =
            unsafe { mimi_decoder_process(decoder, null(), codes, pcm.as_mut_ptr(), pcm.len(), &mut n) };
        assert_eq!(status, MIMI_ERR_UNSUPPORTED);
    }
    // SAFETY: the handle is alive, and dead afterwards.
    unsafe { mimi_decoder_free(decoder) };
}
