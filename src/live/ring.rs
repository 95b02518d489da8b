//! What two threads share: a ring of words.

use crate::Error;
use crate::error::with_capacity;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// A queue of 32-bit words from one thread to one other. Nobody ever waits, and nothing is allocated after it is made.
///
/// Its functions are not inlined, so that a checker of data races that knows no atomics can be told their names.
pub(super) struct Ring {
    /// A power of two, so that the counts below may wrap.
    words: Vec<AtomicU32>,
    /// Words that it may hold.
    capacity: usize,
    /// Words pushed since it was made.
    pushed: AtomicUsize,
    /// Words taken.
    taken: AtomicUsize,
}

impl Ring {
    /// An empty one for up to `capacity` words.
    pub(super) fn new(capacity: usize) -> Result<Self, Error> {
        let len = capacity.checked_next_power_of_two().unwrap_or(usize::MAX);
        let mut words = with_capacity(len)?;
        words.resize_with(len, AtomicU32::default);
        Ok(Self { words, capacity, pushed: AtomicUsize::new(0), taken: AtomicUsize::new(0) })
    }

    /// Bytes that it keeps.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.words.as_slice())
    }

    /// Words that can be pushed, as the pushing thread sees it: there may soon be more.
    #[inline(never)]
    pub(super) fn room(&self) -> usize {
        let pushed = self.pushed.load(Ordering::Relaxed);
        self.capacity - pushed.wrapping_sub(self.taken.load(Ordering::Acquire))
    }

    /// Words that can be taken, as the taking thread sees it: there may soon be more.
    #[inline(never)]
    pub(super) fn len(&self) -> usize {
        self.pushed.load(Ordering::Acquire).wrapping_sub(self.taken.load(Ordering::Relaxed))
    }

    /// Pushes all of `words`, or nothing if there is no room for all. One thread may push.
    #[inline(never)]
    pub(super) fn push(&self, words: impl ExactSizeIterator<Item = u32>) -> bool {
        let len = words.len();
        if len > self.room() {
            return false;
        }
        let pushed = self.pushed.load(Ordering::Relaxed);
        for (index, word) in words.take(len).enumerate() {
            self.word(pushed.wrapping_add(index)).store(word, Ordering::Relaxed);
        }
        // what was stored above is seen by who sees this
        self.pushed.store(pushed.wrapping_add(len), Ordering::Release);
        true
    }

    /// The next word to be taken, if there is one.
    #[inline(never)]
    pub(super) fn first(&self) -> Option<u32> {
        (self.len() > 0).then(|| self.word(self.taken.load(Ordering::Relaxed)).load(Ordering::Relaxed))
    }

    /// Hands the next `count` words to `each`, or nothing if there are fewer. One thread may take.
    #[inline(never)]
    pub(super) fn take(&self, count: usize, mut each: impl FnMut(usize, u32)) -> bool {
        if count > self.len() {
            return false;
        }
        let taken = self.taken.load(Ordering::Relaxed);
        for index in 0..count {
            each(index, self.word(taken.wrapping_add(index)).load(Ordering::Relaxed));
        }
        // the room is free when the words have been read
        self.taken.store(taken.wrapping_add(count), Ordering::Release);
        true
    }

    /// Throws the next `count` words away, or nothing if there are fewer. For the thread that takes.
    #[inline(never)]
    pub(super) fn skip(&self, count: usize) -> bool {
        if count > self.len() {
            return false;
        }
        let taken = self.taken.load(Ordering::Relaxed);
        self.taken.store(taken.wrapping_add(count), Ordering::Release);
        true
    }

    /// Empties it. No other thread may use it meanwhile.
    #[inline(never)]
    pub(super) fn clear(&self) {
        self.taken.store(self.pushed.load(Ordering::Acquire), Ordering::Release);
    }

    fn word(&self, count: usize) -> &AtomicU32 {
        &self.words[count & (self.words.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn taken(ring: &Ring, count: usize) -> Option<Vec<u32>> {
        let mut words = Vec::new();
        ring.take(count, |index, word| {
            assert_eq!(index, words.len());
            words.push(word);
        })
        .then_some(words)
    }

    #[test]
    fn all_or_nothing() {
        let ring = Ring::new(5).unwrap();
        assert_eq!((ring.room(), ring.len(), ring.first()), (5, 0, None));
        assert!(ring.push([1, 2, 3].into_iter()));
        assert!(!ring.push([4, 5, 6].into_iter()));
        assert!(ring.push([4, 5].into_iter()));
        assert_eq!((ring.room(), ring.len(), ring.first()), (0, 5, Some(1)));
        assert_eq!(taken(&ring, 6), None);
        assert_eq!(taken(&ring, 2), Some(vec![1, 2]));
        assert!(!ring.skip(4) && ring.skip(1));
        assert!(ring.push([6, 7, 8].into_iter()));
        assert_eq!(taken(&ring, 5), Some(vec![4, 5, 6, 7, 8]));
        assert!(ring.push([9].into_iter()));
        ring.clear();
        assert_eq!((ring.room(), ring.len()), (5, 0));
    }

    #[test]
    fn counts_may_wrap() {
        let ring = Ring::new(3).unwrap();
        for count in [&ring.pushed, &ring.taken] {
            count.store(usize::MAX - 1, Ordering::Relaxed);
        }
        for round in 0..9 {
            assert!(ring.push([round, round + 1, round + 2].into_iter()));
            assert_eq!(ring.room(), 0);
            assert_eq!(taken(&ring, 3), Some(vec![round, round + 1, round + 2]));
        }
    }

    /// Also for Miri, which reorders what the orderings of a ring let it reorder.
    #[test]
    fn two_threads_see_each_word_once_and_in_order() {
        let ring = &Ring::new(7).unwrap();
        let words = if cfg!(miri) { 300 } else { 100_000 };
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut next = 0;
                while next < words {
                    let len = (next % 5 + 1).min(words - next);
                    let piece: Vec<u32> = (next..next + len).collect();
                    match ring.push(piece.into_iter()) {
                        true => next += len,
                        false => thread::yield_now(),
                    }
                }
            });
            let mut next = 0;
            while next < words {
                let len = (next % 3 + 1).min(words - next);
                match taken(ring, len as usize) {
                    Some(piece) => {
                        assert!(piece.into_iter().eq(next..next + len));
                        next += len;
                    }
                    None => thread::yield_now(),
                }
            }
        });
        assert_eq!(ring.len(), 0);
    }
}
