//! What opening and reading allocate.

use crate::support::*;
use mimi::{Checkpoint, Error, ErrorKind, ReadAt};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, with this thread's bytes counted.
struct Counting;

thread_local! {
    static NOW: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it is; counting touches constant-initialised
// cells without destructors, which neither allocate nor unwind.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        NOW.set(NOW.get().wrapping_add(layout.size()));
        PEAK.set(PEAK.get().max(NOW.get()));
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // what another thread allocated must not make this one's count negative
        NOW.set(NOW.get().saturating_sub(layout.size()));
        // SAFETY: the caller's promise about `pointer` and `layout` is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that `work` had allocated at once.
fn peak<T>(work: impl FnOnce() -> T) -> (usize, T) {
    NOW.set(0);
    PEAK.set(0);
    let result = work();
    (PEAK.get(), result)
}

#[test]
fn loading_takes_one_tensor_and_a_piece() {
    let (mut tensors, config) = case("tiny");
    // 8 MiB
    let values = vec![0.5; 2 << 20];
    tensors.insert("downsample.conv.weight".to_owned(), Tensor::of_f32(&[512, 1024, 4], &values));
    let bytes = written(&tensors, Some(&config));
    let (opening, checkpoint) = peak(|| in_memory(&bytes).unwrap());
    assert!(opening < 1 << 20, "opening took {opening} bytes");
    let (loading, _) = peak(|| checkpoint.tensor("downsample.conv.weight", &[512, 1024, 4]).unwrap());
    assert!((8 << 20..(8 << 20) + (512 << 10)).contains(&loading), "loading took {loading} bytes");
}

/// As large as its header says, and without a byte to show for it.
struct Endless {
    head: Vec<u8>,
}

impl ReadAt for Endless {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        self.head.as_slice().read_at(offset, buf)
    }

    fn size(&self) -> u64 {
        // an exbibyte
        self.head.len() as u64 + (1 << 60)
    }
}

#[test]
fn memory_that_cannot_be_had_is_an_error() {
    let name = "encoder_transformer.layers.0.mlp.fc1.weight";
    let end = 1u64 << 60;
    let header = format!(r#"{{"{name}":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{end}]}}}}"#, end / 4);
    let head = with_header(&header, &[]);
    let checkpoint = Checkpoint::from_source(Box::new(Endless { head })).unwrap();
    let error = refusal(checkpoint.tensor(name, &[1 << 58]));
    assert_error(&error, ErrorKind::OutOfMemory, &["bytes"]);
}

#[test]
fn hostile_headers_allocate_next_to_nothing() {
    let huge = u64::MAX / 2;
    let claims = format!(r#"{{"a":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{huge}]}}}}"#, huge / 4);
    let lengths = [1u64 << 63, u64::MAX, 100_000_001, 99_999_999];
    let mut files: Vec<_> =
        lengths.iter().map(|length| [&length.to_le_bytes()[..], b"{}"].concat()).collect();
    files.push(with_header(&claims, &[0; 16]));
    for file in files {
        let (most, error) = peak(|| refusal(in_memory(&file)));
        assert!(most < 64 << 10, "{error}: {most} bytes");
    }
}

/// JSON that is written to take memory: a tree's node for every seven bytes.
fn heavy_json(bytes: usize) -> String {
    let mut json = r#"{"model_type":"mimi","x":["#.to_owned();
    while json.len() < bytes {
        json.push_str(r#"{"":0},"#);
    }
    json + "0]}"
}

#[test]
fn configs_written_to_take_memory_are_refused_wherever_they_are() {
    let config = heavy_json(14 << 20);
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(golden("tiny/model.safetensors"), directory.path().join("model.safetensors")).unwrap();
    std::fs::write(directory.path().join("config.json"), &config).unwrap();
    let (most, error) = peak(|| refusal(Checkpoint::open(directory.path())));
    assert_error(&error, ErrorKind::Format, &["config.json", "1048576"]);
    assert!(most < 8 << 20, "{most} bytes");

    let inside = written(&case("tiny").0, Some(&config));
    let (most, error) = peak(|| refusal(in_memory(&inside)));
    assert_error(&error, ErrorKind::Format, &["metadata entry `config`", "1048576"]);
    // what a header may take is asked for beforehand
    assert!(most < 40 * inside.len(), "{most} bytes for a file of {}", inside.len());

    let (most, _) = peak(|| refusal(mimi::Config::from_json(&config)));
    assert!(most < 1 << 20, "{most} bytes");

    // the heaviest that is read
    let heaviest = heavy_json((1 << 20) - 16);
    let (most, config) = peak(|| mimi::Config::from_json(&heaviest));
    assert!(config.is_ok() && most < 130 << 20, "{most} bytes");
}
