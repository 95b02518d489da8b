//! What a model may cost in memory and time. Numbers of a config that are harmless one by one multiply: a file of 30 KB
//! could ask for gigabytes, or for a minute of a processor for one sample.

use super::half::{Half, Shape};
use super::{Network, Spec};
use crate::program::Cost;
use crate::{Checkpoint, Error, ErrorKind};

/// Bytes of a stream with default options. A stream of the published model takes a fiftieth of it. A one-shot call
/// takes no more, apart from its result.
pub(crate) const MOST_STREAM_BYTES: u64 = 512 << 20;

/// Bytes of a stream with any options: twice what the published model takes with the longest attention window.
const MOST_BYTES: u64 = 4 << 30;

/// Work of a frame, in multiply-adds or work that costs as much. The published model's is a hundredth of it. A call
/// with a single sample may have to encode a whole frame.
const MOST_FRAME_WORK: u64 = 1 << 35;

/// Work of a second of audio. The published model's is a hundredth of it.
const MOST_SECOND_WORK: u64 = 1 << 39;

/// Refuses a model whose streams cost too much with default options.
pub(super) fn check_model(network: &Network, checkpoint: &Checkpoint) -> Result<(), Error> {
    let Network { spec, encoder, decoder, quantizer, .. } = network;
    let shape = |context| Shape { block: 1, context, codebooks: spec.codebooks, threads: 1 };
    let [encoding, decoding] = spec.contexts.map(shape);
    let quantizer = quantizer.as_deref();
    let encoder = encoder.as_ref().map(|half| half.cost(quantizer, spec, encoding)).transpose()?;
    let decoder = decoder.as_ref().map(|half| half.cost(quantizer, spec, decoding)).transpose()?;
    for (half, cost) in [("encoder", encoder), ("decoder", decoder)] {
        let excess = cost.and_then(|cost| Excess::of(spec, cost, 1, MOST_STREAM_BYTES));
        if let Some(Excess { what, found, most }) = excess {
            let message = format_args!(
                "unsupported model: {what} of its {half} would take {found}: expected at most {most}"
            );
            return Err(checkpoint.error(ErrorKind::Unsupported, message));
        }
    }
    Ok(())
}

/// Refuses a stream that costs too much with the options that it is given.
pub(super) fn check_stream(spec: &Spec, shape: Shape, cost: Cost) -> Result<(), Error> {
    let Some(Excess { what, found, most }) = Excess::of(spec, cost, shape.block, MOST_BYTES) else {
        return Ok(());
    };
    let frames = shape.block;
    let message = format_args!(
        "with a context of {} steps and blocks of {frames} frames, {what} would take {found}: expected at most {most}",
        shape.context
    );
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

/// A cost above its bound.
struct Excess {
    what: &'static str,
    found: String,
    most: u64,
}

impl Excess {
    fn of(spec: &Spec, cost: Cost, frames: usize, most_bytes: u64) -> Option<Self> {
        let frame = cost.work / frames.max(1) as u64;
        let frames_per_second = f64::from(spec.sampling_rate) / spec.frame_size as f64;
        let second = (frame as f64 * frames_per_second) as u64;
        let excess = |what, found: u64, most: u64, unit| {
            (found > most).then(|| Self { what, found: format!("{found} {unit}"), most })
        };
        excess("a stream", cost.bytes, most_bytes, "bytes")
            .or_else(|| excess("a frame", frame, MOST_FRAME_WORK, "multiply-adds"))
            .or_else(|| excess("a second of audio", second, MOST_SECOND_WORK, "multiply-adds"))
    }
}
