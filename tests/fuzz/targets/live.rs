//! Live handles for Miri: a capture and a playback between three threads.

use libmimi_fuzz::{micro, samples};
use mimi::capi::{capture::*, model::*, options::*, playback::*, status::*};
use mimi::{Encoder, StreamOptions};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Of `libmimi_fuzz::MICRO`.
const FRAME: usize = 8;
const CODEBOOKS: usize = 3;

const FRAMES: usize = 6;
const BLOCK: usize = 3;

/// Handles whose functions may be called from several threads.
#[derive(Clone, Copy)]
struct Line(*mut mimi_capture, *mut mimi_playback);

// SAFETY: the header lets each side of a handle have a thread of its own.
unsafe impl Send for Line {}

impl Line {
    fn new(work: i64) -> Self {
        let (mut model, mut line) = (null_mut(), Line(null_mut(), null_mut()));
        let file = libmimi_fuzz::MICRO;
        let options = mimi_options_new();
        // SAFETY: live handles, a buffer and its length, and places for what is made.
        unsafe {
            assert_eq!(mimi_options_set(options, MIMI_OPT_WORK, work), MIMI_OK);
            assert_eq!(mimi_load_memory(file.as_ptr().cast(), file.len(), options, &mut model), MIMI_OK);
            assert_eq!(mimi_capture_new(model, options, &mut line.0), MIMI_OK);
            assert_eq!(mimi_playback_new(model, options, &mut line.1), MIMI_OK);
            mimi_free(model);
            mimi_options_free(options);
        }
        line
    }

    fn of_capture(self, key: mimi_prop) -> i64 {
        let mut value = -1;
        // SAFETY: a live handle.
        assert_eq!(unsafe { mimi_capture_get(self.0, key, &mut value) }, MIMI_OK);
        value
    }

    fn of_playback(self, key: mimi_prop) -> i64 {
        let mut value = -1;
        // SAFETY: a live handle.
        assert_eq!(unsafe { mimi_playback_get(self.1, key, &mut value) }, MIMI_OK);
        value
    }

    fn callback(self, block: &[f32]) {
        let mut heard = [f32::NAN; BLOCK];
        // SAFETY: live handles, buffers with their lengths.
        unsafe {
            assert_eq!(mimi_capture_write(self.0, block.as_ptr(), block.len()), MIMI_OK);
            assert_eq!(mimi_playback_read(self.1, heard.as_mut_ptr(), block.len()), MIMI_OK);
        }
        assert!(heard[..block.len()].iter().all(|sample| sample.is_finite()));
    }

    /// What the capture has goes to the playback, but for each third frame.
    fn exchange(self, all: &mut Vec<u32>) {
        let (mut codes, mut read) = ([0; 2 * CODEBOOKS], 0);
        // SAFETY: a live handle, a buffer with its length.
        assert_eq!(unsafe { mimi_capture_read(self.0, codes.as_mut_ptr(), codes.len(), &mut read) }, MIMI_OK);
        for frame in codes[..read].chunks(CODEBOOKS) {
            all.extend(frame);
            let from = if (all.len() / CODEBOOKS).is_multiple_of(3) { null() } else { frame.as_ptr() };
            // SAFETY: a live handle; NULL or a frame of codes.
            let status = unsafe { mimi_playback_write(self.1, from, CODEBOOKS) };
            assert!([MIMI_OK, MIMI_ERR_BUFFER_TOO_SMALL].contains(&status), "{status}");
        }
    }

    fn work(self) {
        // SAFETY: live handles.
        let statuses = unsafe { [mimi_capture_work(self.0), mimi_playback_work(self.1)] };
        assert_eq!(statuses, [MIMI_OK; 2]);
    }

    fn free(self) {
        // SAFETY: live handles, and no thread uses them.
        unsafe {
            mimi_capture_free(self.0);
            mimi_playback_free(self.1);
        }
    }
}

fn on_threads(work: i64) {
    let pcm = samples(7, FRAMES * FRAME);
    let mut expected = vec![0; FRAMES * CODEBOOKS];
    Encoder::new(micro(), &StreamOptions::default()).unwrap().process(&pcm, &mut expected).unwrap();

    let (line, done) = (Line::new(work), &AtomicBool::new(false));
    let mut all = Vec::new();
    thread::scope(|scope| {
        scope.spawn({
            let pcm = &pcm;
            move || {
                let line = line; // as a whole
                for block in pcm.chunks(BLOCK) {
                    line.callback(block);
                    thread::yield_now();
                }
                done.store(true, Ordering::Release);
            }
        });
        scope.spawn(move || {
            let line = line;
            while !done.load(Ordering::Acquire) {
                line.work();
                thread::yield_now();
            }
        });
        while !done.load(Ordering::Acquire) {
            line.exchange(&mut all);
            assert!(line.of_playback(MIMI_PROP_WAITING) <= line.of_playback(MIMI_PROP_FRAMES));
            assert!(line.of_capture(MIMI_PROP_DROPPED) >= 0);
            thread::yield_now();
        }
    });
    line.work();
    (0..FRAMES).for_each(|_| line.exchange(&mut all));

    let read = all.len() / CODEBOOKS;
    assert_eq!(line.of_capture(MIMI_PROP_FRAMES), read as i64);
    let dropped = line.of_capture(MIMI_PROP_DROPPED) as usize;
    if dropped == 0 {
        assert_eq!(all, expected[..all.len()]);
    }
    // a spread capture is at work on the last frame still
    assert!(if work == MIMI_WORK_SPREAD { read == FRAMES - 1 } else { read + dropped <= FRAMES });
    line.free();
}

#[test]
fn threads_with_work_spread() {
    on_threads(MIMI_WORK_SPREAD);
}

#[test]
fn threads_with_a_worker() {
    on_threads(MIMI_WORK_OTHER);
}
