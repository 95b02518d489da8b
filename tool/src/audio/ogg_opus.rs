//! Ogg Opus, written (RFC 7845).

use crate::failure::{Failure, Outcome};
use ogg::{PacketWriteEndInfo, PacketWriter};
use ropus::{Application, Channels, Encoder};
use std::io::{self, Write};

/// Hz, of all times in the file.
const CLOCK: u64 = 48_000;

/// Packets in a second.
const PACKETS: usize = 50;

/// The most bytes of a packet.
const PACKET_MAX: usize = 1_275;

/// The number of the only stream in the file.
const SERIAL: u32 = 0x6d69_6d69;

/// One channel of audio.
pub(super) struct OggOpus<W: Write> {
    encoder: Encoder,
    pages: PacketWriter<'static, W>,
    rate: u32,
    /// Samples before the sound, at the file's clock.
    skip: u64,
    /// Samples that fill no packet yet.
    pending: Vec<f32>,
    /// A packet that may be the last one.
    packet: Vec<u8>,
    packets: u64,
    samples: u64,
}

impl<W: Write> OggOpus<W> {
    /// Writes what stands before the sound. `rate` is one of Opus's own.
    pub(super) fn new(sink: W, rate: u32) -> Outcome<Self> {
        let encoder = Encoder::builder(rate, Channels::Mono, Application::Audio).build();
        let encoder = encoder.map_err(|error| Failure::new(format!("no Opus encoder: {error}")))?;
        let skip = u64::from(encoder.lookahead()) * CLOCK / u64::from(rate);
        let mut head = b"OpusHead\x01\x01".to_vec();
        head.extend((skip as u16).to_le_bytes());
        head.extend(rate.to_le_bytes());
        // no gain, one channel
        head.extend([0, 0, 0]);
        let mut tags = b"OpusTags".to_vec();
        let maker = concat!("mimi ", env!("CARGO_PKG_VERSION"));
        tags.extend((maker.len() as u32).to_le_bytes());
        tags.extend(maker.as_bytes());
        tags.extend(0u32.to_le_bytes());
        let mut pages = PacketWriter::new(sink);
        for packet in [head, tags] {
            write(&mut pages, packet, PacketWriteEndInfo::EndPage, 0)?;
        }
        let (pending, packet) = (Vec::new(), Vec::new());
        Ok(Self { encoder, pages, rate, skip, pending, packet, packets: 0, samples: 0 })
    }

    /// Appends samples.
    pub(super) fn write(&mut self, block: &[f32]) -> Outcome {
        self.samples += block.len() as u64;
        self.push(block)
    }

    /// Ends the file, and returns what it was written to.
    pub(super) fn finish(mut self) -> Outcome<W> {
        // Silence drives the last sound out of the encoder.
        let due = (self.skip + self.samples * CLOCK / u64::from(self.rate)).div_ceil(self.clocks());
        let missing = (due.max(1) - self.packets) as usize * self.packet_samples() - self.pending.len();
        self.push(&vec![0.0; missing])?;
        let end = self.skip + self.samples * CLOCK / u64::from(self.rate);
        let packet = std::mem::take(&mut self.packet);
        write(&mut self.pages, packet, PacketWriteEndInfo::EndStream, end)?;
        Ok(self.pages.into_inner())
    }

    pub(super) fn inner(&mut self) -> &mut W {
        self.pages.inner_mut()
    }

    fn push(&mut self, block: &[f32]) -> Outcome {
        self.pending.extend_from_slice(block);
        let size = self.packet_samples();
        let whole = self.pending.len() / size * size;
        for samples in self.pending[..whole].chunks_exact(size) {
            let mut packet = vec![0; PACKET_MAX];
            let length = self.encoder.encode_float(samples, &mut packet);
            packet.truncate(length.map_err(|error| Failure::new(format!("encoding Opus failed: {error}")))?);
            let before = std::mem::replace(&mut self.packet, packet);
            if self.packets > 0 {
                let end = self.packets * CLOCK / PACKETS as u64;
                // a page a second
                let is_full = self.packets.is_multiple_of(PACKETS as u64);
                let info =
                    if is_full { PacketWriteEndInfo::EndPage } else { PacketWriteEndInfo::NormalPacket };
                write(&mut self.pages, before, info, end)?;
            }
            self.packets += 1;
        }
        self.pending.drain(..whole);
        Ok(())
    }

    fn packet_samples(&self) -> usize {
        self.rate as usize / PACKETS
    }

    /// The length of a packet at the file's clock.
    fn clocks(&self) -> u64 {
        CLOCK / PACKETS as u64
    }
}

fn write<W: Write>(
    pages: &mut PacketWriter<'static, W>,
    packet: Vec<u8>,
    info: PacketWriteEndInfo,
    end: u64,
) -> Outcome {
    pages.write_packet(packet, SERIAL, info, end).map_err(|error: io::Error| Failure::system(&error))
}
