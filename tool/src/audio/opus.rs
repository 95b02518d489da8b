//! Opus, for symphonia, which finds its packets in Ogg, MP4 and CAF but does not decode them.

use ropus::OpusMSDecoder;
use symphonia::core::{
    audio::{AsGenericAudioBufferRef, AudioBuffer, AudioMut, AudioSpec, Channels, GenericAudioBufferRef},
    codecs::{
        CodecInfo,
        audio::{
            AudioCodecParameters, AudioDecoder, AudioDecoderOptions, FinalizeResult,
            well_known::CODEC_ID_OPUS,
        },
        registry::{RegisterableAudioDecoder, SupportedAudioCodec},
    },
    errors::{Result, decode_error, unsupported_error},
    packet::PacketRef,
    support_audio_codec,
};
// the macro's name for it
use symphonia::core as symphonia_core;

/// Hz. Opus is decoded at this rate whatever the rate of the original was.
pub(super) const RATE: u32 = 48_000;

/// Samples of the longest packet: 120 ms.
const LONGEST: usize = 5_760;

/// What stands before the packets (RFC 7845, section 5.1).
struct Head {
    channels: u8,
    /// Factor by which the output is louder than what is decoded.
    gain: f32,
    streams: u8,
    /// Of the streams, those of two channels.
    coupled: u8,
    /// Of each channel, where it is among those of the streams.
    mapping: Vec<u8>,
}

impl Head {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let fields = bytes.strip_prefix(b"OpusHead")?;
        let channels = *fields.get(1)?;
        let gain = i16::from_le_bytes([*fields.get(8)?, *fields.get(9)?]);
        // in 256ths of a dB
        let gain = 10f32.powf(f32::from(gain) / (20.0 * 256.0));
        Some(match *fields.get(10)? {
            0 => Self { gain, ..Self::plain(channels)? },
            _ => Self {
                channels,
                gain,
                streams: *fields.get(11)?,
                coupled: *fields.get(12)?,
                mapping: fields.get(13..13 + usize::from(channels))?.to_vec(),
            },
        })
    }

    /// What stands for it in CAF.
    fn plain(channels: u8) -> Option<Self> {
        let coupled = channels.checked_sub(1).filter(|&coupled| coupled <= 1)?;
        Some(Self { channels, gain: 1.0, streams: 1, coupled, mapping: vec![0, 1] })
    }
}

/// A decoder of one track.
pub(super) struct Opus {
    parameters: AudioCodecParameters,
    decoder: OpusMSDecoder,
    channels: Channels,
    /// What full scale is divided by, and the file's gain.
    scale: f32,
    pcm: Vec<i16>,
    scaled: Vec<f32>,
    buffer: AudioBuffer<f32>,
}

impl AudioDecoder for Opus {
    fn codec_info(&self) -> &CodecInfo {
        &Self::supported_codecs()[0].info
    }

    fn reset(&mut self) {
        self.decoder.reset();
    }

    fn codec_params(&self) -> &AudioCodecParameters {
        &self.parameters
    }

    fn decode_ref(&mut self, packet: &PacketRef<'_>) -> Result<GenericAudioBufferRef<'_>> {
        let length = i32::try_from(packet.data.len()).unwrap_or(0);
        let decoded = self.decoder.decode(Some(packet.data), length, &mut self.pcm, LONGEST as i32, false);
        let Some(frames) = decoded.ok().and_then(|frames| usize::try_from(frames).ok()) else {
            self.buffer.clear();
            return decode_error("opus: not a packet of this stream");
        };
        self.scaled.clear();
        let pcm = &self.pcm[..frames * self.channels.count()];
        self.scaled.extend(pcm.iter().map(|&sample| f32::from(sample) * self.scale));
        if self.buffer.capacity() < frames {
            self.buffer = AudioBuffer::new(AudioSpec::new(RATE, self.channels.clone()), LONGEST);
        }
        self.buffer.clear();
        self.buffer.render_uninit(Some(frames));
        self.buffer.copy_from_slice_interleaved(&self.scaled);
        self.buffer.trim(packet.trim_start.get() as usize, packet.trim_end.get() as usize);
        Ok(self.buffer.as_generic_audio_buffer_ref())
    }

    fn finalize(&mut self) -> FinalizeResult {
        FinalizeResult::default()
    }

    fn last_decoded(&self) -> GenericAudioBufferRef<'_> {
        self.buffer.as_generic_audio_buffer_ref()
    }
}

impl RegisterableAudioDecoder for Opus {
    fn try_registry_new(
        parameters: &AudioCodecParameters,
        _: &AudioDecoderOptions,
    ) -> Result<Box<dyn AudioDecoder>> {
        let head = parameters.extra_data.as_deref().and_then(Head::parse);
        let channels = parameters.channels.clone().unwrap_or_default();
        let count = u8::try_from(channels.count()).unwrap_or(0);
        let Some(head) = head.or_else(|| Head::plain(count)).filter(|head| head.channels == count) else {
            return unsupported_error("opus: no header, or one of other channels");
        };
        let (streams, coupled) = (i32::from(head.streams), i32::from(head.coupled));
        let Ok(decoder) = OpusMSDecoder::new(RATE as i32, i32::from(count), streams, coupled, &head.mapping)
        else {
            return unsupported_error("opus: streams and channels that do not go together");
        };
        Ok(Box::new(Self {
            parameters: parameters.clone(),
            decoder,
            scale: head.gain / 32_768.0,
            pcm: vec![0; LONGEST * channels.count()],
            scaled: Vec::new(),
            buffer: AudioBuffer::new(AudioSpec::new(RATE, channels.clone()), LONGEST),
            channels,
        }))
    }

    fn supported_codecs() -> &'static [SupportedAudioCodec] {
        &[support_audio_codec!(CODEC_ID_OPUS, "opus", "Opus")]
    }
}
