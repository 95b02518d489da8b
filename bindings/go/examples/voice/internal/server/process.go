package server

// #include <stdlib.h>
// #ifdef __GLIBC__
// #include <malloc.h>
// #endif
// #ifdef __linux__
// #include <linux/sched.h>
// #include <sys/syscall.h>
// #include <unistd.h>
// #endif
//
// static void large_blocks_go_back(void) {
// #ifdef __GLIBC__
//     mallopt(M_MMAP_THRESHOLD, 128 * 1024);
// #endif
// }
//
// // The system call itself, because musl's sched_setscheduler always fails.
// static void thread_takes_turns(int thread) {
// #ifdef __linux__
//     int priority = 0;
//     syscall(SYS_sched_setscheduler, thread, SCHED_BATCH, &priority);
// #endif
// }
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

	mimi "github.com/libmimi/libmimi/bindings/go"
)

// Prepare sets what belongs to the process and not to the server, and says how many cores there are for the codec. It
// is for main functions.
//
// Go's scheduler gets twice the processors that it had. A worker in libmimi holds one, which the scheduler takes back
// only some milliseconds later, and messages must not wait for that.
//
// On Linux, all threads get the policy SCHED_BATCH: one that wakes for a message does not interrupt one that computes.
// Messages wait for some milliseconds, and are taken several at a time. Without it, threads change places twenty times
// for each frame, which takes a tenth of the cores.
//
// A stream of the published model keeps 10 MB in some large blocks. By default glibc soon keeps such blocks when they
// are freed, for each thread apart, which can be four times what the streams need. With a limit that is set, it gives
// them back.
func Prepare() (cores int) {
	C.large_blocks_go_back()
	// A thread has the policy of the one that made it. Those that were made meanwhile are found the next time.
	for known := 0; ; {
		threads, _ := os.ReadDir("/proc/self/task")
		if len(threads) <= known {
			break
		}
		known = len(threads)
		for _, thread := range threads {
			if id, err := strconv.Atoi(thread.Name()); err == nil {
				C.thread_takes_turns(C.int(id))
			}
		}
	}
	cores = runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(2 * cores)
	return cores
}

// LoadModel loads a model whose weights are kept as an option of a command line says: f32, bf16, int16 or int8.
func LoadModel(path, precision string) (*mimi.Model, error) {
	kept, known := map[string]mimi.Precision{
		"f32": mimi.F32, "bf16": mimi.BF16, "int16": mimi.Int16, "int8": mimi.Int8,
	}[precision]
	if !known {
		return nil, fmt.Errorf("-precision %s: expected f32, bf16, int16 or int8", precision)
	}
	return mimi.Load(path, mimi.WeightPrecision(kept))
}
