package mimi

// #include "shim.h"
import "C"

import (
	"cmp"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"
)

// handle is a C object, which Close or else the garbage collector frees. Whoever uses ptr holds the lock: streams are
// locked for writing, models for reading, since any number of goroutines may use one at once. Close waits for them.
type handle struct {
	lock    sync.RWMutex
	ptr     unsafe.Pointer // nil once closed
	free    func(unsafe.Pointer)
	cleanup runtime.Cleanup
	number  uint64 // the order in which several are locked
}

var made atomic.Uint64

// own puts a C object into h, a part of owner.
func own[O any](owner *O, h *handle, ptr unsafe.Pointer, free func(unsafe.Pointer)) {
	h.ptr, h.free, h.number = ptr, free, made.Add(1)
	h.cleanup = runtime.AddCleanup(owner, free, ptr)
}

// begin locks the object for one call. The caller unlocks it, which also keeps the object from the collector until
// then.
func (h *handle) begin() error {
	h.lock.Lock()
	if h.ptr == nil {
		h.lock.Unlock()
		return ErrClosed
	}
	return nil
}

// share is begin for calls that may run beside each other; the caller ends it with RUnlock.
func (h *handle) share() error {
	h.lock.RLock()
	if h.ptr == nil {
		h.lock.RUnlock()
		return ErrClosed
	}
	return nil
}

// beginAll begins for each of several objects, in an order that is the same for all callers, so that no two wait for
// each other. end ends it.
func beginAll(handles []*handle) (end func(), err error) {
	ordered := slices.SortedFunc(slices.Values(handles), func(a, b *handle) int { return cmp.Compare(a.number, b.number) })
	begun := 0
	end = func() {
		for _, h := range ordered[:begun] {
			h.lock.Unlock()
		}
	}
	for i, h := range ordered {
		if i > 0 && ordered[i-1] == h {
			err = &Error{Code: ErrInvalidArgument, Message: "the same stream twice"}
		} else {
			err = h.begin()
		}
		if err != nil {
			end()
			return nil, err
		}
		begun++
	}
	return end, nil
}

func (h *handle) close() error {
	h.lock.Lock()
	defer h.lock.Unlock()
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

// appendTo appends to dst what call writes into the room behind it: how many, or, with ErrBufferTooSmall, for how many
// there must be room. It allocates only then.
func appendTo[T any](h *handle, dst []T, call func(room []T) (C.size_t, C.mimi_status)) ([]T, error) {
	if err := h.begin(); err != nil {
		return dst, err
	}
	defer h.lock.Unlock()
	for {
		n, status := call(dst[len(dst):cap(dst)])
		switch status {
		case C.MIMI_OK:
			return dst[:len(dst)+int(n)], nil
		case C.MIMI_ERR_BUFFER_TOO_SMALL:
			dst = slices.Grow(dst, int(n))
		default:
			return dst, &Error{Code: Code(status)}
		}
	}
}
