//! Live audio to codes, from an audio thread.

use super::buffer::{apart, extent, input, output, place, report};
use super::guard::{guard, guard_rt, guard_value};
use super::handle::{self, Kind};
use super::live::{Side, live_property};
use super::model::*;
use super::options::{live_options, mimi_options};
use super::status::{Failure, MIMI_ERR_UNSUPPORTED, mimi_status};
use crate::Model;
use crate::live::{self, CaptureInput, CaptureOutput, CaptureShared, CaptureWorker};
use std::sync::Arc;

/// Live audio to codes: samples come in on an audio thread, and another thread reads their codes. No
/// call does much more than the average, or a third thread does the work: MIMI_OPT_WORK.
pub struct mimi_capture;

/// A capture, and what each of its threads uses.
pub(super) struct Capture {
    pub(super) input: Side<CaptureInput>,
    output: Side<CaptureOutput>,
    worker: Side<CaptureWorker>,
    shared: Arc<CaptureShared>,
}

impl Kind for Capture {
    type Opaque = mimi_capture;
    const NAME: &'static str = "mimi_capture";
    const TAG: u32 = u32::from_le_bytes(*b"mica");
}

/// Opens a capture. All the memory that it will ever use is allocated here.
///
/// - `model`: a model with an encoder. The capture keeps its weights alive.
/// - `options`: MIMI_OPT_CODEBOOKS, MIMI_OPT_CONTEXT, MIMI_OPT_SAMPLE_RATE, MIMI_OPT_WORK,
///   MIMI_OPT_OFFLINE; NULL for the defaults.
/// - `out`: receives the capture; free it with mimi_capture_free().
///
/// Errors are those of mimi_encoder_new().
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_capture_new(
    model: *const mimi_model,
    options: *const mimi_options,
    out: *mut *mut mimi_capture,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe {
        handle::create(out, || {
            let model: &Model = handle::shared(model)?;
            let capture = live::Capture::new(model, &live_options(options)?)?;
            let shared = capture.shared();
            let (input, output, worker) = capture.split();
            let (input, output, worker) = (Side::new(input), Side::new(output), Side::new(worker));
            Ok::<_, Failure>(Capture { input, output, worker, shared })
        })
    })
}

/// Takes any number of samples, on the audio thread. Real-time.
///
/// - `pcm`, `n_samples`: mono audio at the capture's rate. All of it is taken.
///
/// When a frame's last sample has come, the frame is encoded: in shares, by the calls that bring the
/// samples of the next frame, or by mimi_capture_work(). Its codes can be read when MIMI_PROP_LATENCY_SAMPLES
/// samples have come since its first one. They are those of a mimi_encoder. A capture has no end: so many
/// zeros bring the codes of the last samples.
///
/// If codes are not read, 64 frames wait, and later ones are dropped: MIMI_PROP_DROPPED. So are frames
/// that come while mimi_capture_work() is eight frames behind.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_capture_write(
    capture: *mut mimi_capture,
    pcm: *const f32,
    n_samples: usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks; this side is the audio thread's.
    guard_rt(|| unsafe {
        let capture: &Capture = handle::shared(capture)?;
        let pcm = input("pcm", pcm, n_samples)?;
        Ok(capture.input.run(Capture::NAME, |input| input.write(pcm))?)
    })
}

/// Reads the codes of the frames that are ready, on any one thread. Real-time.
///
/// - `codes`, `codes_cap`: room for codes. As many whole frames as it holds are read; the others wait.
/// - `out_codes`: receives the number of codes written, a multiple of the codebooks, often 0.
///
/// MIMI_ERR_BUFFER_TOO_SMALL if a frame is ready and there is no room for one.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_capture_read(
    capture: *mut mimi_capture,
    codes: *mut u32,
    codes_cap: usize,
    out_codes: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks; `apart` keeps the references apart. This side is the
    // reading thread's.
    guard_rt(|| unsafe {
        let capture: &Capture = handle::shared(capture)?;
        let out = place("out_codes", out_codes)?;
        apart(("out_codes", out), &[extent("codes", codes.cast_const(), codes_cap)])?;
        let codes = output("codes", codes, codes_cap)?;
        let read = capture.output.run(Capture::NAME, |output| output.read(codes))?;
        report(out, read).map_err(mimi_status::from)
    })
}

/// Encodes all frames that are complete, on any one thread: for MIMI_WORK_OTHER. Real-time, but for its
/// length.
///
/// Call it at least once a frame. With MIMI_WORK_SPREAD, and offline, it does nothing.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_capture_work(capture: *mut mimi_capture) -> mimi_status {
    // SAFETY: `capture` is as the header's introduction asks; this side is the working thread's.
    guard_rt(|| unsafe {
        let capture: &Capture = handle::shared(capture)?;
        Ok(capture.worker.run(Capture::NAME, CaptureWorker::work)?)
    })
}

/// Forgets everything: the capture is as new, also after MIMI_ERR_PANIC. Real-time. No other call may
/// use it meanwhile, on any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mimi_capture_reset(capture: *mut mimi_capture) -> mimi_status {
    // SAFETY: `capture` is as the header's introduction asks.
    guard_rt(|| unsafe {
        let reset = |Capture { input, output, worker, shared: _ }: &mut Capture| {
            live::reset_capture(input.recover(), output.recover(), worker.recover());
        };
        handle::recover(capture, reset).map_err(mimi_status::from)
    })
}

/// Reads a property of a capture, on any thread: `out_value` receives that of `key`, a MIMI_PROP_ key.
/// Real-time.
///
/// Numbers that another thread changes may be a moment old.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_capture_get(
    capture: *const mimi_capture,
    key: mimi_prop,
    out_value: *mut i64,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard_rt(|| unsafe {
        let capture: &Capture = handle::shared(capture)?;
        let out = place("out_value", out_value)?;
        let CaptureShared { facts, counts, .. } = &*capture.shared;
        out.write(live_property(facts, counts, key).ok_or(MIMI_ERR_UNSUPPORTED)?);
        Ok(())
    })
}

/// Frees a capture, when no thread uses it any more. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mimi_capture_free(capture: *mut mimi_capture) {
    // SAFETY: `capture` is as the header's introduction asks.
    guard_value((), || unsafe { handle::free::<Capture>(capture) });
}
