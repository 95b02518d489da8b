//! Streams with all that went in and came out since they began.

use super::buffers::{Guarded, Room, deliver};
use super::{FRAME, WORDS};
use mimi::capi::{decoder::*, encoder::*, model::*, oneshot::*, options::*, status::*};
use std::ptr::null_mut;

/// An encoder with what it was given and what it gave since it began.
pub(super) struct Encoding {
    pub(super) handle: *mut mimi_encoder,
    pub(super) bag: *mut mimi_options,
    pub(super) codebooks: usize,
    pub(super) heard: Vec<f32>,
    pub(super) said: Vec<u32>,
}

pub(super) struct Decoding {
    pub(super) handle: *mut mimi_decoder,
    pub(super) bag: *mut mimi_options,
    pub(super) codebooks: usize,
    pub(super) heard: Vec<u32>,
    pub(super) said: Vec<f32>,
}

/// A bag with the same values.
pub(super) fn copy_of(bag: *mut mimi_options) -> *mut mimi_options {
    let copy = mimi_options_new();
    for key in 1..=9 {
        let mut value = 0;
        // SAFETY: live handles.
        unsafe {
            assert_eq!(mimi_options_get(bag, key, &mut value), MIMI_OK);
            assert_eq!(mimi_options_set(copy, key, value), MIMI_OK);
        }
    }
    copy
}

impl Encoding {
    pub(super) fn process(&mut self, pcm: &[f32], room: Room) {
        let needed = (self.heard.len() % FRAME + pcm.len()) / FRAME * self.codebooks;
        let codes = deliver(room, needed, 77u32, |codes, cap, len| {
            // SAFETY: a live handle, buffers with their lengths.
            unsafe { mimi_encoder_process(self.handle, pcm.as_ptr(), pcm.len(), codes, cap, len) }
        });
        if let Some(codes) = codes {
            self.heard.extend_from_slice(pcm);
            self.said.extend(codes);
        }
    }

    pub(super) fn flush(&mut self, model: *mut mimi_model, room: Room) {
        let needed = if self.heard.len().is_multiple_of(FRAME) { 0 } else { self.codebooks };
        let codes = deliver(room, needed, 77u32, |codes, cap, len| {
            // SAFETY: a live handle, a buffer with its length.
            unsafe { mimi_encoder_flush(self.handle, codes, cap, len) }
        });
        if let Some(codes) = codes {
            self.said.extend(codes);
            self.check(model, self.heard.len());
            self.heard.clear();
            self.said.clear();
        }
    }

    pub(super) fn reset(&mut self, model: *mut mimi_model) {
        self.check(model, self.heard.len() / FRAME * FRAME);
        // SAFETY: a live handle.
        unsafe { assert_eq!(mimi_encoder_reset(self.handle), MIMI_OK) };
        self.heard.clear();
        self.said.clear();
    }

    /// The codes so far are those of one call with the first `samples` samples.
    fn check(&self, model: *mut mimi_model, samples: usize) {
        let needed = samples.div_ceil(FRAME) * self.codebooks;
        let whole = deliver(Room::Enough, needed, 77u32, |codes, cap, len| {
            // SAFETY: live handles, buffers with their lengths.
            unsafe { mimi_encode(model, self.bag, self.heard.as_ptr(), samples, codes, cap, len) }
        });
        assert_eq!(whole.as_ref(), Some(&self.said));
    }

    pub(super) fn fork(&self) -> Self {
        let mut handle = null_mut();
        // SAFETY: a live handle.
        unsafe { assert_eq!(mimi_encoder_clone(self.handle, &mut handle), MIMI_OK) };
        let (bag, heard, said) = (copy_of(self.bag), self.heard.clone(), self.said.clone());
        Self { handle, bag, heard, said, ..*self }
    }

    pub(super) fn free(self, model: *mut mimi_model) {
        self.check(model, self.heard.len() / FRAME * FRAME);
        // SAFETY: live handles, forgotten with this.
        unsafe {
            mimi_encoder_free(self.handle);
            mimi_options_free(self.bag);
        }
    }
}

impl Decoding {
    pub(super) fn process(&mut self, mut codes: Vec<u32>, room: Room, wrong_code: bool) {
        if let (true, Some(code)) = (wrong_code, codes.last_mut()) {
            *code = WORDS + *code % WORDS;
            let mut len = 54321;
            let mut pcm = Guarded::new(codes.len() * FRAME, 77f32);
            // SAFETY: a live handle, buffers with their lengths.
            let status = unsafe {
                let (pcm, cap) = (pcm.pointer(), pcm.len);
                mimi_decoder_process(self.handle, codes.as_ptr(), codes.len(), pcm, cap, &mut len)
            };
            assert_eq!((status, len, pcm.written(0).len()), (MIMI_ERR_CORRUPT, 54321, 0));
            return;
        }
        let needed = codes.len() / self.codebooks * FRAME;
        let audio = deliver(room, needed, 77f32, |pcm, cap, len| {
            // SAFETY: a live handle, buffers with their lengths.
            unsafe { mimi_decoder_process(self.handle, codes.as_ptr(), codes.len(), pcm, cap, len) }
        });
        if let Some(audio) = audio {
            self.heard.extend(codes);
            self.said.extend(audio);
        }
    }

    pub(super) fn flush(&mut self, model: *mut mimi_model, room: Room) {
        self.check(model);
        deliver(room, 0, 77f32, |pcm, cap, len| {
            // SAFETY: a live handle, a buffer with its length.
            unsafe { mimi_decoder_flush(self.handle, pcm, cap, len) }
        });
        self.heard.clear();
        self.said.clear();
    }

    pub(super) fn reset(&mut self, model: *mut mimi_model) {
        self.check(model);
        // SAFETY: a live handle.
        unsafe { assert_eq!(mimi_decoder_reset(self.handle), MIMI_OK) };
        self.heard.clear();
        self.said.clear();
    }

    /// The samples so far are those of one call with the codes so far.
    fn check(&self, model: *mut mimi_model) {
        let (codes, count) = (self.heard.as_ptr(), self.heard.len());
        let whole = deliver(Room::Enough, count / self.codebooks * FRAME, 77f32, |pcm, cap, len| {
            // SAFETY: live handles, buffers with their lengths.
            unsafe { mimi_decode(model, self.bag, codes, count, pcm, cap, len) }
        });
        assert_eq!(whole.as_ref(), Some(&self.said));
    }

    pub(super) fn fork(&self) -> Self {
        let mut handle = null_mut();
        // SAFETY: a live handle.
        unsafe { assert_eq!(mimi_decoder_clone(self.handle, &mut handle), MIMI_OK) };
        let (bag, heard, said) = (copy_of(self.bag), self.heard.clone(), self.said.clone());
        Self { handle, bag, heard, said, ..*self }
    }

    pub(super) fn free(self, model: *mut mimi_model) {
        self.check(model);
        // SAFETY: live handles, forgotten with this.
        unsafe {
            mimi_decoder_free(self.handle);
            mimi_options_free(self.bag);
        }
    }
}
