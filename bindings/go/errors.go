package mimi

// #include "shim.h"
import "C"

import "errors"

// Code is the kind of a failure. It is an error itself, so that errors.Is(err, mimi.ErrCorrupt) asks for
// it. Later releases may have more.
type Code int32

// The kinds of failures; mimi.h says more of each.
const (
	ErrNullPointer     Code = C.MIMI_ERR_NULL_POINTER     // a required pointer is null
	ErrInvalidArgument Code = C.MIMI_ERR_INVALID_ARGUMENT // a value that can never be right
	ErrBufferTooSmall  Code = C.MIMI_ERR_BUFFER_TOO_SMALL // of no function here: they make room
	ErrIO              Code = C.MIMI_ERR_IO               // a file could not be read
	ErrFormat          Code = C.MIMI_ERR_FORMAT           // not in the expected format
	ErrCorrupt         Code = C.MIMI_ERR_CORRUPT          // damaged data
	ErrUnsupported     Code = C.MIMI_ERR_UNSUPPORTED      // well-formed, but not something it does
	ErrOutOfMemory     Code = C.MIMI_ERR_OUT_OF_MEMORY    // memory could not be had
	ErrAborted         Code = C.MIMI_ERR_ABORTED          // the reader of a checkpoint failed
	ErrState           Code = C.MIMI_ERR_STATE            // a stream is unusable until Reset
	ErrPanic           Code = C.MIMI_ERR_PANIC            // a bug in libmimi was caught
)

// ErrClosed is what methods return after Close.
var ErrClosed = errors.New("mimi: already closed")

// Error says what the kind of failure means.
func (c Code) Error() string {
	return "mimi: " + C.GoString(C.mimi_status_string(C.mimi_status(c)))
}

// Error is a failure of libmimi. errors.Is finds its Code and its Cause.
type Error struct {
	Code    Code
	Message string // what exactly went wrong; empty for streams' calls
	Cause   error  // with ErrAborted, the error of the checkpoint's reader; with ErrIO, that of os.Stat, if it has one
}

func (e *Error) Error() string {
	switch {
	case e.Code == ErrAborted && e.Cause != nil:
		return "mimi: " + e.Cause.Error()
	case e.Message != "":
		return "mimi: " + e.Message
	}
	return e.Code.Error()
}

// Unwrap gives the Code and the Cause.
func (e *Error) Unwrap() []error {
	if e.Cause != nil {
		return []error{e.Code, e.Cause}
	}
	return []error{e.Code}
}

// message is where the C side of a call writes what went wrong.
type message [C.MIMI_GO_MESSAGE]C.char

func (m *message) err(status C.mimi_status) error {
	if status == C.MIMI_OK {
		return nil
	}
	return &Error{Code: Code(status), Message: C.GoString(&m[0])}
}
