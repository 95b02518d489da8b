//! Live codes to audio, for an audio thread.

use super::buffer::{input, output, place};
use super::guard::{guard, guard_rt, guard_value};
use super::handle::{self, Kind};
use super::live::{Side, live_property};
use super::model::*;
use super::options::{live_options, mimi_options};
use super::status::{Failure, MIMI_ERR_INVALID_ARGUMENT, MIMI_ERR_UNSUPPORTED, mimi_status};
use crate::Model;
use crate::live::{self, PlaybackInput, PlaybackOutput, PlaybackShared, PlaybackWorker};
use std::sync::Arc;

/// Live codes to audio: a thread writes codes as they come, and an audio thread always gets its samples.
/// No call does much more than the average, or a third thread does the work: MIMI_OPT_WORK.
pub struct mimi_playback;

/// A playback, and what each of its threads uses.
pub(super) struct Playback {
    input: Side<PlaybackInput>,
    output: Side<PlaybackOutput>,
    worker: Side<PlaybackWorker>,
    shared: Arc<PlaybackShared>,
}

impl Kind for Playback {
    type Opaque = mimi_playback;
    const NAME: &'static str = "mimi_playback";
    const TAG: u32 = u32::from_le_bytes(*b"mipl");
}

/// Opens a playback. All the memory that it will ever use is allocated here.
///
/// - `model`: a model with a decoder. The playback keeps its weights alive.
/// - `options`: those of mimi_capture_new(), and MIMI_OPT_BUFFER_FRAMES; NULL for the defaults.
/// - `out`: receives the playback; free it with mimi_playback_free().
///
/// Errors are those of mimi_decoder_new().
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_playback_new(
    model: *const mimi_model,
    options: *const mimi_options,
    out: *mut *mut mimi_playback,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe {
        handle::create(out, || {
            let model: &Model = handle::shared(model)?;
            let playback = live::Playback::new(model, &live_options(options)?)?;
            let shared = playback.shared();
            let (input, output, worker) = playback.split();
            let (input, output, worker) = (Side::new(input), Side::new(output), Side::new(worker));
            Ok::<_, Failure>(Playback { input, output, worker, shared })
        })
    })
}

/// Takes whole frames of codes, on any one thread, in the order in which they are to be heard.
/// Real-time.
///
/// - `codes`, `n_codes`: whole frames. MIMI_NO_CODE stands for a code that did not arrive; NULL with a
///   positive length for frames that were lost. Frames have no numbers here: the n-th that is written is
///   the n-th that is heard. Write one that is known to be lost, or the next counts as late, up to five.
///
/// MIMI_OPT_BUFFER_FRAMES and 16 more frames may wait. If these do not fit, none is taken: that is
/// MIMI_ERR_BUFFER_TOO_SMALL, and they count in MIMI_PROP_DROPPED. MIMI_ERR_INVALID_ARGUMENT for a partial
/// frame, MIMI_ERR_CORRUPT if a code is neither below MIMI_PROP_CODEBOOK_SIZE nor MIMI_NO_CODE.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_playback_write(
    playback: *mut mimi_playback,
    codes: *const u32,
    n_codes: usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks; this side is the writing thread's.
    guard_rt(|| unsafe {
        let playback: &Playback = handle::shared(playback)?;
        let written = if codes.is_null() {
            let codebooks = playback.shared.facts.codebooks;
            if !n_codes.is_multiple_of(codebooks) {
                return Err(MIMI_ERR_INVALID_ARGUMENT);
            }
            playback.input.run(Playback::NAME, |input| input.write_lost(n_codes / codebooks))?
        } else {
            let codes = input("codes", codes, n_codes)?;
            playback.input.run(Playback::NAME, |input| input.write(codes))?
        };
        written.map_err(mimi_status::from)
    })
}

/// Fills a buffer with the next samples, on the audio thread. Real-time.
///
/// - `pcm`, `n_samples`: room for mono audio at the playback's rate, any number of samples. All of it is
///   written.
///
/// It is silence until MIMI_OPT_BUFFER_FRAMES frames wait. From then on, time is cut into periods of a
/// frame, at whose beginning the next frame is taken. It is decoded: in shares, by the calls of this
/// period, or by mimi_playback_work(). It is heard in the next period.
///
/// A frame that is not there when its period begins is concealed (MIMI_PROP_CONCEALED), and thrown away
/// if it comes later (MIMI_PROP_LATE): the latency stays as it is. After five such frames in a row, the
/// playback waits as at its start, and a sender that paused is not late. If more than
/// MIMI_OPT_BUFFER_FRAMES wait after such a gap, the oldest are late.
///
/// A call that reaches over m whole periods starts only if m more frames wait.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_playback_read(
    playback: *mut mimi_playback,
    pcm: *mut f32,
    n_samples: usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks; this side is the audio thread's.
    guard_rt(|| unsafe {
        let playback: &Playback = handle::shared(playback)?;
        let pcm = output("pcm", pcm, n_samples)?;
        Ok(playback.output.run(Playback::NAME, |output| output.read(pcm))?)
    })
}

/// Decodes all frames that were taken, on any one thread: for MIMI_WORK_OTHER. Real-time, but for its
/// length.
///
/// Call it at least once a frame. With MIMI_WORK_SPREAD, and offline, it does nothing.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_playback_work(playback: *mut mimi_playback) -> mimi_status {
    // SAFETY: `playback` is as the header's introduction asks; this side is the working thread's.
    guard_rt(|| unsafe {
        let playback: &Playback = handle::shared(playback)?;
        Ok(playback.worker.run(Playback::NAME, PlaybackWorker::work)?)
    })
}

/// Forgets everything: the playback is as new, also after MIMI_ERR_PANIC. Real-time. No other call may
/// use it meanwhile, on any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mimi_playback_reset(playback: *mut mimi_playback) -> mimi_status {
    // SAFETY: `playback` is as the header's introduction asks.
    guard_rt(|| unsafe {
        let reset = |Playback { input, output, worker, shared: _ }: &mut Playback| {
            live::reset_playback(input.recover(), output.recover(), worker.recover());
        };
        handle::recover(playback, reset).map_err(mimi_status::from)
    })
}

/// Reads a property of a playback, on any thread: `out_value` receives that of `key`, a MIMI_PROP_ key.
/// Real-time.
///
/// Numbers that another thread changes may be a moment old.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_playback_get(
    playback: *const mimi_playback,
    key: mimi_prop,
    out_value: *mut i64,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard_rt(|| unsafe {
        let playback: &Playback = handle::shared(playback)?;
        let out = place("out_value", out_value)?;
        let PlaybackShared { facts, counts, .. } = &*playback.shared;
        let value = match key {
            MIMI_PROP_CONCEALED => Some(counts.concealed().into()),
            MIMI_PROP_LOST => Some(counts.lost().into()),
            MIMI_PROP_WAITING => Some(counts.waiting().into()),
            MIMI_PROP_LATE => Some(counts.late().into()),
            MIMI_PROP_MISSED => Some(counts.missed().into()),
            _ => live_property(facts, counts, key),
        };
        out.write(value.ok_or(MIMI_ERR_UNSUPPORTED)?);
        Ok(())
    })
}

/// Frees a playback, when no thread uses it any more. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mimi_playback_free(playback: *mut mimi_playback) {
    // SAFETY: `playback` is as the header's introduction asks.
    guard_value((), || unsafe { handle::free::<Playback>(playback) });
}
