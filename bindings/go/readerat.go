package mimi

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"io"
	"runtime/cgo"
	"unsafe"
)

// source is a reader that libmimi calls back, and what became of it.
type source struct {
	reader   io.ReaderAt
	err      error
	panicked any
}

// LoadReaderAt loads one model.safetensors of size bytes through a reader. An error of the reader stops
// the load: errors.Is finds it, and ErrAborted, in what LoadReaderAt returns. It reads the options of Load.
func LoadReaderAt(reader io.ReaderAt, size int64, options ...Option) (*Model, error) {
	if size < 0 {
		return nil, &Error{Code: ErrInvalidArgument, Message: fmt.Sprintf("size %d is negative", size)}
	}
	src := &source{reader: reader}
	h := cgo.NewHandle(src)
	defer h.Delete()
	model, err := newModel(options, func(bag *C.mimi_options, out **C.mimi_model, msg *message) C.mimi_status {
		return C.mimi_go_load_reader(C.uintptr_t(h), C.uint64_t(size), bag, out, &msg[0])
	})
	if src.panicked != nil {
		panic(src.panicked)
	}
	var e *Error
	if src.err != nil && errors.As(err, &e) {
		e.Cause = src.err
	}
	return model, err
}

//export mimiGoRead
func mimiGoRead(reader C.uintptr_t, offset C.uint64_t, dst unsafe.Pointer, length C.size_t) (status C.int32_t) {
	src := cgo.Handle(reader).Value().(*source)
	// a panic must not unwind through the library: LoadReaderAt raises it again
	defer func() {
		if p := recover(); p != nil {
			src.panicked = p
			status = 1
		}
	}()
	n, err := src.reader.ReadAt(unsafe.Slice((*byte)(dst), int(length)), int64(offset))
	if n == int(length) {
		return 0 // also at the very end, with io.EOF
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	src.err = err
	return 1
}
