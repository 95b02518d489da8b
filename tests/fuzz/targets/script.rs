//! Calls of the C ABI in any order, with any arguments that a program is allowed to pass and many that
//! it is not. What must hold is checked after each call.

mod buffers;
mod streams;

use crate::{MICRO, samples};
use arbitrary::Arbitrary;
pub use buffers::Room;
use buffers::{Guarded, deliver, refused};
use mimi::capi::{decoder::*, encoder::*, many::*, model::*, oneshot::*, options::*, status::*, tokens::*};
use std::ffi::c_void;
use std::ptr::{null, null_mut};
use streams::{Decoding, Encoding, copy_of};

/// Numbers of [`MICRO`].
const FRAME: usize = 8;
const WORDS: u32 = 11;

/// One call. A `u8` that names a stream or model counts modulo those that there are.
#[derive(Arbitrary, Debug)]
pub enum Call {
    SetOption { key: i8, value: i16 },
    Load { damage: Option<(u16, u8)> },
    LoadByReader { stop_after: u8 },
    FreeModel(u8),
    NewEncoder(u8),
    NewDecoder(u8),
    Encode { stream: u8, samples: u8, room: Room },
    Decode { stream: u8, frames: u8, room: Room, wrong_code: bool },
    FlushEncoder(u8, Room),
    FlushDecoder(u8, Room),
    ResetEncoder(u8),
    ResetDecoder(u8),
    CloneEncoder(u8),
    CloneDecoder(u8),
    FreeEncoder(u8),
    FreeDecoder(u8),
    Get { stream: u8, key: i8 },
    EncodeMany { first: u8, streams: u8, twice: bool },
    DecodeMany { first: u8, streams: u8 },
    EncodeWhole { samples: u8, room: Room },
    DecodeWhole { codes: u8, room: Room },
    Pack { codebooks: i8, code_bits: i8, codes: u8, room: Room },
    Unpack { codebooks: i8, code_bits: i8, bytes: u8, room: Room },
    Header { codebooks: i8, samples: u64, cut: u8 },
    WrongHandles,
}

/// What a program holds: at most so many of each handle.
const MOST: usize = 4;

/// A program in the middle of its calls.
struct World {
    seed: u64,
    bag: *mut mimi_options,
    models: Vec<*mut mimi_model>,
    encoders: Vec<Encoding>,
    decoders: Vec<Decoding>,
}

/// Runs a script.
pub fn run(seed: u64, calls: &[Call]) {
    let bag = mimi_options_new();
    let mut world = World { seed, bag, models: Vec::new(), encoders: Vec::new(), decoders: Vec::new() };
    world.load(None);
    for call in calls {
        world.call(call);
    }
    world.end();
}

unsafe extern "C" fn read(user: *mut c_void, offset: u64, to: *mut c_void, len: usize) -> i32 {
    // SAFETY: `user` is the counter that the load was given, and `to` has room for `len` bytes.
    unsafe {
        let left = user.cast::<u8>();
        if *left == 0 {
            return 1;
        }
        *left -= 1;
        let from = &MICRO[offset as usize..][..len];
        to.cast::<u8>().copy_from_nonoverlapping(from.as_ptr(), len);
    }
    0
}

impl World {
    fn noise(&mut self, count: usize) -> Vec<f32> {
        self.seed = self.seed.wrapping_add(2);
        samples(self.seed, count)
    }

    fn codes(&mut self, count: usize) -> Vec<u32> {
        self.noise(count).iter().map(|x| x.to_bits() % WORDS).collect()
    }

    fn model(&self, index: u8) -> *mut mimi_model {
        self.models[usize::from(index) % self.models.len()]
    }

    fn load(&mut self, damage: Option<(u16, u8)>) {
        let mut file = MICRO.to_vec();
        if let Some((at, value)) = damage {
            let at = usize::from(at) % file.len();
            file[at] = value;
        }
        let mut model = null_mut();
        // SAFETY: a buffer and its length; NULL stands for the defaults.
        let status = unsafe { mimi_load_memory(file.as_ptr().cast(), file.len(), null(), &mut model) };
        if status != MIMI_OK {
            assert!(damage.is_some() && model.is_null());
            let expected = [MIMI_ERR_FORMAT, MIMI_ERR_CORRUPT, MIMI_ERR_UNSUPPORTED, MIMI_ERR_OUT_OF_MEMORY];
            return refused(status, &expected);
        }
        if damage.is_some() || self.models.len() == MOST {
            // SAFETY: a live handle. (A damaged model may be another one, whose codes are none of ours.)
            unsafe { mimi_free(model) };
        } else {
            self.models.push(model);
        }
    }

    fn call(&mut self, call: &Call) {
        match *call {
            Call::SetOption { key, value } => self.set_option(key.into(), value.into()),
            Call::Load { damage } => self.load(damage),
            Call::LoadByReader { stop_after } => self.load_by_reader(stop_after),
            Call::FreeModel(index) => self.free_model(index),
            Call::NewEncoder(model) => self.new_encoder(model),
            Call::NewDecoder(model) => self.new_decoder(model),
            Call::Get { stream, key } => self.get(stream, key.into()),
            Call::EncodeWhole { samples, room } => self.encode_whole(samples.into(), room),
            Call::DecodeWhole { codes, room } => self.decode_whole(codes.into(), room),
            Call::Pack { codebooks, code_bits, codes, room } => {
                self.pack(codebooks.into(), code_bits.into(), codes.into(), room);
            }
            Call::Unpack { codebooks, code_bits, bytes, room } => {
                self.unpack(codebooks.into(), code_bits.into(), bytes.into(), room);
            }
            Call::Header { codebooks, samples, cut } => self.header(codebooks.into(), samples, cut.into()),
            Call::EncodeMany { first, streams, twice } => self.encode_many(first, streams, twice),
            Call::DecodeMany { first, streams } => self.decode_many(first, streams),
            Call::WrongHandles => self.wrong_handles(),
            Call::Encode { stream, .. }
            | Call::FlushEncoder(stream, _)
            | Call::ResetEncoder(stream)
            | Call::CloneEncoder(stream)
            | Call::FreeEncoder(stream)
                if !self.encoders.is_empty() =>
            {
                let index = usize::from(stream) % self.encoders.len();
                self.encoder_call(index, call);
            }
            Call::Decode { stream, .. }
            | Call::FlushDecoder(stream, _)
            | Call::ResetDecoder(stream)
            | Call::CloneDecoder(stream)
            | Call::FreeDecoder(stream)
                if !self.decoders.is_empty() =>
            {
                let index = usize::from(stream) % self.decoders.len();
                self.decoder_call(index, call);
            }
            _ => {}
        }
    }

    fn set_option(&mut self, key: i32, value: i64) {
        let (mut before, mut after) = (0, 0);
        // SAFETY: a live handle.
        unsafe {
            let known = mimi_options_get(self.bag, key, &mut before) == MIMI_OK;
            let status = mimi_options_set(self.bag, key, value);
            if status != MIMI_OK {
                refused(status, &[MIMI_ERR_UNSUPPORTED, MIMI_ERR_INVALID_ARGUMENT]);
            }
            assert_eq!(mimi_options_get(self.bag, key, &mut after) == MIMI_OK, known);
            assert_eq!(after, if status == MIMI_OK { value } else { before });
            // audio at other rates has other lengths
            assert_eq!(mimi_options_set(self.bag, MIMI_OPT_SAMPLE_RATE, 0), MIMI_OK);
        }
    }

    fn load_by_reader(&mut self, mut stop_after: u8) {
        let mut model = null_mut();
        let (user, size) = ((&raw mut stop_after).cast(), MICRO.len() as u64);
        // SAFETY: `read` keeps to `user` and its buffer.
        let status = unsafe { mimi_load_reader(Some(read), user, size, null(), &mut model) };
        assert_eq!(model.is_null(), status != MIMI_OK);
        if status != MIMI_OK {
            refused(status, &[MIMI_ERR_ABORTED]);
        }
        // SAFETY: NULL or a live handle.
        unsafe { mimi_free(model) };
    }

    /// All but the last, so that there always is one.
    fn free_model(&mut self, index: u8) {
        if self.models.len() > 1 {
            let model = self.models.swap_remove(usize::from(index) % self.models.len());
            // SAFETY: a live handle, forgotten with this.
            unsafe { mimi_free(model) };
        }
    }

    fn new_encoder(&mut self, model: u8) {
        if self.encoders.len() == MOST {
            return;
        }
        let (mut handle, mut codebooks) = (null_mut(), 0);
        // SAFETY: live handles.
        unsafe {
            let status = mimi_encoder_new(self.model(model), self.bag, &mut handle);
            if handle.is_null() {
                return refused(status, &[MIMI_ERR_UNSUPPORTED, MIMI_ERR_INVALID_ARGUMENT]);
            }
            assert_eq!(status, MIMI_OK);
            assert_eq!(mimi_encoder_get(handle, MIMI_PROP_CODEBOOKS, &mut codebooks), MIMI_OK);
        }
        let (bag, codebooks) = (copy_of(self.bag), codebooks as usize);
        self.encoders.push(Encoding { handle, bag, codebooks, heard: Vec::new(), said: Vec::new() });
    }

    fn new_decoder(&mut self, model: u8) {
        if self.decoders.len() == MOST {
            return;
        }
        let (mut handle, mut codebooks) = (null_mut(), 0);
        // SAFETY: live handles.
        unsafe {
            let status = mimi_decoder_new(self.model(model), self.bag, &mut handle);
            if handle.is_null() {
                return refused(status, &[MIMI_ERR_UNSUPPORTED, MIMI_ERR_INVALID_ARGUMENT]);
            }
            assert_eq!(status, MIMI_OK);
            assert_eq!(mimi_decoder_get(handle, MIMI_PROP_CODEBOOKS, &mut codebooks), MIMI_OK);
        }
        let (bag, codebooks) = (copy_of(self.bag), codebooks as usize);
        self.decoders.push(Decoding { handle, bag, codebooks, heard: Vec::new(), said: Vec::new() });
    }

    fn encoder_call(&mut self, index: usize, call: &Call) {
        let model = self.models[0];
        match *call {
            Call::Encode { samples, room, .. } => {
                let pcm = self.noise(samples.into());
                self.encoders[index].process(&pcm, room);
            }
            Call::FlushEncoder(_, room) => self.encoders[index].flush(model, room),
            Call::ResetEncoder(_) => self.encoders[index].reset(model),
            Call::CloneEncoder(_) if self.encoders.len() < MOST => {
                let fork = self.encoders[index].fork();
                self.encoders.push(fork);
            }
            Call::FreeEncoder(_) => self.encoders.swap_remove(index).free(model),
            _ => {}
        }
    }

    fn decoder_call(&mut self, index: usize, call: &Call) {
        let model = self.models[0];
        match *call {
            Call::Decode { frames, room, wrong_code, .. } => {
                let mut codes = self.codes(usize::from(frames) / 8 * self.decoders[index].codebooks);
                // every third code, say, does not arrive
                if let gap @ 1.. = usize::from(frames) % 8 {
                    codes.iter_mut().skip(gap).step_by(gap).for_each(|code| *code = MIMI_NO_CODE);
                }
                self.decoders[index].process(codes, room, wrong_code);
            }
            Call::FlushDecoder(_, room) => self.decoders[index].flush(model, room),
            Call::ResetDecoder(_) => self.decoders[index].reset(model),
            Call::CloneDecoder(_) if self.decoders.len() < MOST => {
                let fork = self.decoders[index].fork();
                self.decoders.push(fork);
            }
            Call::FreeDecoder(_) => self.decoders.swap_remove(index).free(model),
            _ => {}
        }
    }

    fn get(&mut self, stream: u8, key: i32) {
        let mut value = -77;
        let check = |status: mimi_status, value: i64| {
            assert!(if status == MIMI_OK {
                value >= 0
            } else {
                status == MIMI_ERR_UNSUPPORTED && value == -77
            });
        };
        // SAFETY: live handles.
        unsafe {
            check(mimi_model_get(self.model(stream), key, &mut value), value);
            for encoder in self.encoders.iter().cycle().skip(stream.into()).take(self.encoders.len().min(1)) {
                value = -77;
                check(mimi_encoder_get(encoder.handle, key, &mut value), value);
            }
            for decoder in self.decoders.iter().cycle().skip(stream.into()).take(self.decoders.len().min(1)) {
                value = -77;
                check(mimi_decoder_get(decoder.handle, key, &mut value), value);
            }
        }
    }

    /// Streams `first` and those after it, each once, or the first of them twice.
    fn encode_many(&mut self, first: u8, streams: u8, twice: bool) {
        let all = self.encoders.len();
        let count = if all == 0 { 0 } else { usize::from(streams) % all + 1 };
        let members: Vec<usize> = (0..count).map(|i| (usize::from(first) + i) % all).collect();
        let pcm: Vec<_> = members.iter().map(|_| self.noise(FRAME)).collect();
        let mut room: Vec<_> =
            members.iter().map(|&i| Guarded::new(self.encoders[i].codebooks, 77u32)).collect();
        let mut handles: Vec<_> = members.iter().map(|&i| self.encoders[i].handle).collect();
        let repeated = twice && count > 1;
        if repeated {
            handles[count - 1] = handles[0];
        }
        let inputs: Vec<_> = pcm.iter().map(|pcm| pcm.as_ptr()).collect();
        let outputs: Vec<_> = room.iter_mut().map(Guarded::pointer).collect();
        // SAFETY: live handles, a frame of samples and room for a frame of codes for each.
        let status =
            unsafe { mimi_encoder_process_many(handles.as_ptr(), count, inputs.as_ptr(), outputs.as_ptr()) };
        if status != MIMI_OK {
            // of several models, which the streams do not tell, or twice in the list
            assert!(status == MIMI_ERR_INVALID_ARGUMENT && count > 1);
            room.iter().for_each(|room| assert!(room.written(0).is_empty()));
            return;
        }
        assert!(!repeated);
        for ((member, pcm), room) in members.into_iter().zip(pcm).zip(&room) {
            let encoder = &mut self.encoders[member];
            encoder.heard.extend_from_slice(&pcm);
            encoder.said.extend_from_slice(room.written(encoder.codebooks));
        }
    }

    fn decode_many(&mut self, first: u8, streams: u8) {
        let all = self.decoders.len();
        let count = if all == 0 { 0 } else { usize::from(streams) % all + 1 };
        let members: Vec<usize> = (0..count).map(|i| (usize::from(first) + i) % all).collect();
        let codes: Vec<_> = members.iter().map(|&i| self.codes(self.decoders[i].codebooks)).collect();
        let mut room: Vec<_> = members.iter().map(|_| Guarded::new(FRAME, 77f32)).collect();
        let handles: Vec<_> = members.iter().map(|&i| self.decoders[i].handle).collect();
        let inputs: Vec<_> = codes.iter().map(|codes| codes.as_ptr()).collect();
        let outputs: Vec<_> = room.iter_mut().map(Guarded::pointer).collect();
        // SAFETY: live handles, a frame of codes and room for a frame of samples for each.
        let status =
            unsafe { mimi_decoder_process_many(handles.as_ptr(), count, inputs.as_ptr(), outputs.as_ptr()) };
        if status != MIMI_OK {
            assert!(status == MIMI_ERR_INVALID_ARGUMENT && count > 1);
            return room.iter().for_each(|room| assert!(room.written(0).is_empty()));
        }
        for ((member, codes), room) in members.into_iter().zip(codes).zip(&room) {
            let decoder = &mut self.decoders[member];
            decoder.heard.extend_from_slice(&codes);
            decoder.said.extend_from_slice(room.written(FRAME));
        }
    }

    fn encode_whole(&mut self, samples: usize, room: Room) {
        let pcm = self.noise(samples);
        let Some((bag, codebooks)) = self.encoders.first().map(|e| (e.bag, e.codebooks)) else { return };
        let (model, needed) = (self.models[0], samples.div_ceil(FRAME) * codebooks);
        deliver(room, needed, 77u32, |codes, cap, len| {
            // SAFETY: live handles, buffers with their lengths.
            unsafe { mimi_encode(model, bag, pcm.as_ptr(), samples, codes, cap, len) }
        });
    }

    fn decode_whole(&mut self, count: usize, room: Room) {
        let codes = self.codes(count);
        let Some((bag, codebooks)) = self.decoders.first().map(|d| (d.bag, d.codebooks)) else { return };
        let model = self.models[0];
        if !count.is_multiple_of(codebooks) {
            let mut len = 54321;
            // SAFETY: live handles, buffers with their lengths.
            let status = unsafe { mimi_decode(model, bag, codes.as_ptr(), count, null_mut(), 0, &mut len) };
            assert_eq!(len, 54321);
            return refused(status, &[MIMI_ERR_INVALID_ARGUMENT]);
        }
        deliver(room, count / codebooks * FRAME, 77f32, |pcm, cap, len| {
            // SAFETY: live handles, buffers with their lengths.
            unsafe { mimi_decode(model, bag, codes.as_ptr(), count, pcm, cap, len) }
        });
    }

    fn pack(&mut self, codebooks: i64, code_bits: i64, count: usize, room: Room) {
        let codes: Vec<u32> = self.noise(count).iter().map(|x| x.to_bits() % 4).collect();
        let shape = (1..=64).contains(&codebooks) && (2..=16).contains(&code_bits);
        if !shape || !count.is_multiple_of(codebooks as usize) {
            let mut len = 54321;
            // SAFETY: a buffer with its length.
            let status =
                unsafe { mimi_pack(codes.as_ptr(), count, codebooks, code_bits, null_mut(), 0, &mut len) };
            assert!(code_bits == 1 || (status, len) == (MIMI_ERR_INVALID_ARGUMENT, 54321));
            return;
        }
        let bytes_in_frame = (codebooks as usize * code_bits as usize).div_ceil(8);
        let bytes = deliver(room, count / codebooks as usize * bytes_in_frame, 0x77u8, |to, cap, len| {
            // SAFETY: buffers with their lengths.
            unsafe { mimi_pack(codes.as_ptr(), count, codebooks, code_bits, to.cast(), cap, len) }
        });
        let Some(bytes) = bytes else { return };
        let again = deliver(Room::Enough, count, 77u32, |to, cap, len| {
            // SAFETY: buffers with their lengths.
            unsafe { mimi_unpack(bytes.as_ptr().cast(), bytes.len(), codebooks, code_bits, to, cap, len) }
        });
        assert_eq!(again, Some(codes));
    }

    fn unpack(&mut self, codebooks: i64, code_bits: i64, count: usize, room: Room) {
        let bytes: Vec<u8> = self.noise(count).iter().map(|x| x.to_bits() as u8).collect();
        let shape = (1..=64).contains(&codebooks) && (1..=16).contains(&code_bits);
        let frame = if shape { (codebooks as usize * code_bits as usize).div_ceil(8) } else { 1 };
        if !shape || !count.is_multiple_of(frame) {
            let mut len = 54321;
            // SAFETY: a buffer with its length.
            let status = unsafe {
                mimi_unpack(bytes.as_ptr().cast(), count, codebooks, code_bits, null_mut(), 0, &mut len)
            };
            assert_eq!((status, len), (MIMI_ERR_INVALID_ARGUMENT, 54321));
            return;
        }
        deliver(room, count / frame * codebooks as usize, 77u32, |to, cap, len| {
            // SAFETY: buffers with their lengths.
            unsafe { mimi_unpack(bytes.as_ptr().cast(), count, codebooks, code_bits, to, cap, len) }
        });
    }

    fn header(&mut self, codebooks: i64, samples: u64, cut: usize) {
        // SAFETY: all members are integers.
        let mut header: mimi_token_header = unsafe { std::mem::zeroed() };
        header.size = size_of::<mimi_token_header>();
        // SAFETY: a live handle, and a struct with its size.
        assert_eq!(unsafe { mimi_model_header(self.models[0], std::ptr::null(), &mut header) }, MIMI_OK);
        header.codebooks = codebooks;
        header.n_samples = samples as i64;
        let (mut bytes, mut len) = ([0u8; 40], 0);
        // SAFETY: a struct with its size, a buffer with its length.
        let status = unsafe { mimi_pack_header(&header, bytes.as_mut_ptr().cast(), 40, &mut len) };
        if !(1..=64).contains(&codebooks) || header.n_samples < 0 {
            return refused(status, &[MIMI_ERR_INVALID_ARGUMENT]);
        }
        assert_eq!((status, len), (MIMI_OK, 40));
        let mut again = mimi_token_header { codebooks: 77, ..header };
        // SAFETY: a buffer with its length, and a struct with its size.
        let mut read = |len| unsafe { mimi_unpack_header(bytes.as_ptr().cast(), len, &mut again) };
        let short = 40 - cut % 41;
        if short < 40 {
            refused(read(short), &[MIMI_ERR_CORRUPT]);
        }
        assert_eq!(read(40), MIMI_OK);
        assert_eq!((again.codebooks, again.code_bits, again.header_bytes), (codebooks, 4, 40));
        assert_eq!((again.n_samples, again.model_id), (header.n_samples, header.model_id));
    }

    fn wrong_handles(&mut self) {
        let (mut value, mut fork) = (0, null_mut());
        // SAFETY: handles of another kind, and NULL, are seen.
        unsafe {
            assert_eq!(mimi_encoder_reset(null_mut()), MIMI_ERR_NULL_POINTER);
            assert_eq!(mimi_encoder_reset(self.bag.cast()), MIMI_ERR_STATE);
            assert_eq!(mimi_decoder_get(self.models[0].cast(), 1, &mut value), MIMI_ERR_STATE);
            assert_eq!(mimi_model_get(self.bag.cast(), 1, &mut value), MIMI_ERR_STATE);
            for encoder in &self.encoders {
                assert_eq!(mimi_decoder_clone(encoder.handle.cast(), &mut fork), MIMI_ERR_STATE);
                mimi_decoder_free(encoder.handle.cast());
            }
            assert!(fork.is_null());
        }
    }

    /// Models first: streams outlive them.
    fn end(mut self) {
        let last = self.models[0];
        for model in self.models.drain(1..) {
            // SAFETY: a live handle, forgotten with this.
            unsafe { mimi_free(model) };
        }
        self.encoders.drain(..).for_each(|encoder| encoder.free(last));
        self.decoders.drain(..).for_each(|decoder| decoder.free(last));
        // SAFETY: live handles, forgotten with this.
        unsafe {
            mimi_free(last);
            mimi_options_free(self.bag);
        }
    }
}
