package server

// #define _GNU_SOURCE
// #include <sched.h>
// #include <stdlib.h>
// #ifdef __GLIBC__
// #include <malloc.h>
// #endif
//
// static void large_blocks_go_back(void) {
// #ifdef __GLIBC__
//     mallopt(M_MMAP_THRESHOLD, 128 * 1024);
// #endif
// }
//
// static void thread_takes_turns(int thread) {
// #ifdef __linux__
//     struct sched_param none = {0};
//     sched_setscheduler(thread, SCHED_BATCH, &none);
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
// On Linux, a thread that wakes for a message does not interrupt one that computes, which is the policy SCHED_BATCH.
// Messages wait for some milliseconds, and are taken several at a time. Without it, threads change places twenty times
// for each frame, which takes a tenth of the cores.
//
// A stream of the published model keeps 10 MB in some large blocks. By default glibc soon keeps such blocks when they
// are freed, for each thread apart, which can be four times what the streams need. With a limit that is set, it gives
// them back.
func Prepare() (cores int) {
	C.large_blocks_go_back()
	// threads that are made later have the policy of those that make them
	threads, _ := os.ReadDir("/proc/self/task")
	for _, thread := range threads {
		if id, err := strconv.Atoi(thread.Name()); err == nil {
			C.thread_takes_turns(C.int(id))
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
