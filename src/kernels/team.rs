//! Threads that share the work of a one-shot call. They end with the call.

use super::FlushDenormals;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread::{self, Builder, Thread};

/// The common work of a team: each member calls it with the number of its part, from 0.
type Task<'a> = dyn Fn(usize) + Sync + 'a;

/// Looks at a value before a waiting thread lets others run: a few microseconds, which is the time between tasks.
const SPINS: usize = 2000;

/// Bytes of a helper's stack, many times the need of a product. Without it an environment variable would decide.
const STACK: usize = 1 << 20;

/// A calling thread and its helpers.
pub(crate) struct Team<'a> {
    board: &'a Board,
    helpers: Vec<Thread>,
}

/// The state that a team shares, for announcing tasks.
struct Board {
    /// The current task. The caller writes it while no helper is at work.
    task: UnsafeCell<Option<*const Task<'static>>>,
    /// Tasks announced so far.
    announced: AtomicUsize,
    /// Helpers that are still at work on the current task.
    busy: AtomicUsize,
    /// There will be no more tasks.
    over: AtomicBool,
    /// A helper panicked.
    failed: AtomicBool,
}

// SAFETY: `task` is written only while `busy` is 0. It is read only between an announcement (release, acquire) and the
// reader's own decrement of `busy` (release; the caller acquires). The task itself is Sync.
unsafe impl Sync for Board {}

/// Calls `body` with a team of `threads` threads, the caller's among them; with `None` for one thread. The team is
/// smaller if the system refuses threads. The helpers have ended when this returns.
pub(crate) fn with_team<R>(threads: usize, body: impl FnOnce(Option<&Team>) -> R) -> R {
    if threads <= 1 {
        return body(None);
    }
    let board = Board {
        task: UnsafeCell::new(None),
        announced: AtomicUsize::new(0),
        busy: AtomicUsize::new(0),
        over: AtomicBool::new(false),
        failed: AtomicBool::new(false),
    };
    let board = &board;
    thread::scope(|scope| {
        let mut handles = Vec::new();
        for part in 1..threads {
            let builder = Builder::new().stack_size(STACK);
            let Ok(handle) = builder.spawn_scoped(scope, move || board.serve(part)) else { break };
            handles.push(handle);
        }
        let team = Team { board, helpers: handles.iter().map(|handle| handle.thread().clone()).collect() };
        let result = body(Some(&team));
        drop(team);
        for handle in handles {
            // waits until the system's thread has ended; `run` has reported a panic
            let _ = handle.join();
        }
        result
    })
}

impl Team<'_> {
    /// Threads in the team.
    pub(super) fn size(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Does two works side by side, and returns what they return.
    pub(crate) fn both<A: Send + Sync, B: Send + Sync>(
        &self,
        a: impl FnOnce() -> A + Send,
        b: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        let (a, b) = (Once::new(a), Once::new(b));
        self.run(&|part| {
            if part == 0 {
                a.run();
            }
            if part == 1 || self.size() == 1 {
                b.run();
            }
        });
        (a.result(), b.result())
    }

    /// Calls `task` with each part from 0 to the team's size, all at once; returns when all have returned.
    pub(super) fn run(&self, task: &Task<'_>) {
        let board = self.board;
        board.busy.store(self.helpers.len(), Ordering::Relaxed);
        // SAFETY: no helper is at work, and none reads the task after `wait` below is dropped. So its lifetime may be
        // forgotten.
        unsafe {
            *board.task.get() = Some(std::mem::transmute::<*const Task<'_>, *const Task<'static>>(task));
        }
        board.announced.fetch_add(1, Ordering::Release);
        self.helpers.iter().for_each(Thread::unpark);
        let wait = Wait(board);
        task(0);
        drop(wait);
        assert!(!board.failed.load(Ordering::Relaxed), "a helping thread panicked");
    }
}

/// A work that one member of a team does, and its result.
struct Once<F, R>(Mutex<Option<F>>, OnceLock<R>);

impl<R, F: FnOnce() -> R> Once<F, R> {
    fn new(work: F) -> Self {
        Self(Mutex::new(Some(work)), OnceLock::new())
    }

    fn run(&self) {
        let work = self.0.lock().ok().and_then(|mut work| work.take());
        // whoever did it before has set the result
        work.and_then(|work| self.1.set(work()).err());
    }

    fn result(self) -> R {
        self.1.into_inner().expect("a team does all parts, or panics")
    }
}

impl Drop for Team<'_> {
    fn drop(&mut self) {
        self.board.over.store(true, Ordering::Release);
        self.helpers.iter().for_each(Thread::unpark);
    }
}

/// Waits for the helpers when dropped, also if the caller's own part panics.
struct Wait<'a>(&'a Board);

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut looks = 0;
        while self.0.busy.load(Ordering::Acquire) > 0 {
            looks += 1;
            if looks < SPINS { std::hint::spin_loop() } else { thread::yield_now() }
        }
    }
}

/// Counts a helper as done when dropped, also if its part panics.
struct Done<'a>(&'a Board);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.failed.store(true, Ordering::Relaxed);
        }
        self.0.busy.fetch_sub(1, Ordering::Release);
    }
}

impl Board {
    /// The main function of a helper.
    fn serve(&self, part: usize) {
        let _flush = FlushDenormals::new();
        let mut seen = 0;
        loop {
            let mut looks = 0;
            while self.announced.load(Ordering::Acquire) == seen {
                if self.over.load(Ordering::Acquire) {
                    return;
                }
                looks += 1;
                // Park returns at once after an unpark that came before it.
                if looks < SPINS { std::hint::spin_loop() } else { thread::park() }
            }
            seen += 1;
            let done = Done(self);
            // SAFETY: the task was announced, and its owner waits for `done`.
            if let Some(task) = unsafe { *self.task.get() } {
                // SAFETY: as above.
                unsafe { (*task)(part) };
            }
            drop(done);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn every_part_of_every_task_is_done_once() {
        for threads in [1, 2, 3, 8] {
            with_team(threads, |team| {
                let Some(team) = team else { return assert_eq!(threads, 1) };
                for round in 0..2000 {
                    let counts: Vec<_> = (0..team.size()).map(|_| AtomicUsize::new(0)).collect();
                    team.run(&|part| {
                        counts[part].fetch_add(round, Ordering::Relaxed);
                    });
                    assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == round));
                }
            });
        }
    }

    #[test]
    fn both_works_are_done() {
        for threads in [2, 3] {
            let results = with_team(threads, |team| team.expect("a team").both(|| 1, || "two"));
            assert_eq!(results, (1, "two"));
        }
    }

    #[test]
    fn a_panic_in_any_part_reaches_the_caller_and_ends_the_team() {
        for panicking in 0..3 {
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                with_team(3, |team| {
                    let team = team.expect("three threads");
                    team.run(&|part| assert!(part != panicking || team.size() < 3));
                });
            }));
            assert!(outcome.is_err());
        }
    }
}
