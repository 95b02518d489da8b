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

import (
	"fmt"
	"runtime"

	mimi "github.com/libmimi/libmimi/bindings/go"
)

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
