package mimi

// #include "shim.h"
import "C"

import (
	"runtime"
	"unsafe"
)

// handle is a C object, which Close or else the garbage collector frees.
type handle struct {
	ptr     unsafe.Pointer
	free    func(unsafe.Pointer)
	cleanup runtime.Cleanup
}

// own puts a C object into h, a part of owner.
func own[O any](owner *O, h *handle, ptr unsafe.Pointer, free func(unsafe.Pointer)) {
	*h = handle{ptr, free, runtime.AddCleanup(owner, free, ptr)}
}

func (h *handle) close() error {
	if h.ptr != nil {
		h.cleanup.Stop()
		h.free(h.ptr)
		h.ptr = nil
	}
	return nil
}

// floats and uints are where a slice begins: nil if it is empty.
func floats(s []float32) *C.float {
	if len(s) == 0 {
		return nil
	}
	return (*C.float)(unsafe.Pointer(unsafe.SliceData(s)))
}

func uints(s []uint32) *C.uint32_t {
	if len(s) == 0 {
		return nil
	}
	return (*C.uint32_t)(unsafe.Pointer(unsafe.SliceData(s)))
}
