package server

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
import "C"

import "runtime"

// Prepare sets what belongs to the process and not to the server, and says how many cores there are for the codec. It
// is for main functions.
//
// Go's scheduler gets twice the processors that it had. A worker in libmimi holds one, which the scheduler takes back
// only some milliseconds later, and messages must not wait for that.
//
// A stream of the published model keeps 10 MB in some large blocks. By default glibc soon keeps such blocks when they
// are freed, for each thread apart, which can be four times what the streams need. With a limit that is set, it gives
// them back.
func Prepare() (cores int) {
	C.large_blocks_go_back()
	cores = runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(2 * cores)
	return cores
}
