package mimi

// #cgo nocallback mimi_go_pack_header
// #cgo noescape mimi_go_pack_header
// #cgo nocallback mimi_go_unpack_header
// #cgo noescape mimi_go_unpack_header
// #cgo nocallback mimi_pack
// #cgo noescape mimi_pack
// #cgo nocallback mimi_unpack
// #cgo noescape mimi_unpack
// #cgo nocallback mimi_drop_codebooks
// #cgo noescape mimi_drop_codebooks
// #include "shim.h"
import "C"

import (
	"runtime"
	"slices"
	"unsafe"
)

// Header is what stands before the frames of a token file.
type Header struct {
	Codebooks int    // codes in a frame
	CodeBits  int    // bits of a code
	Samples   uint64 // length of the recording at the model's rate; 0: unknown
	ModelID   int64  // ModelID of the model that the codes belong to; 0: unknown
}

// AppendHeader appends the header of a token file of this model's codes to dst. The length counts samples at
// the model's rate; 0 means that it is unknown.
func (m *Model) AppendHeader(dst []byte, codebooks int, samples uint64) ([]byte, error) {
	defer runtime.KeepAlive(m)
	if m.handle.ptr == nil {
		return dst, ErrClosed
	}
	var msg message
	for {
		room := dst[len(dst):cap(dst)]
		var n C.size_t
		status := C.mimi_go_pack_header(m.c(), C.int32_t(codebooks), C.uint64_t(samples), start(room), C.size_t(len(room)), &n, &msg[0])
		switch status {
		case C.MIMI_OK:
			return dst[:len(dst)+int(n)], nil
		case C.MIMI_ERR_BUFFER_TOO_SMALL:
			dst = slices.Grow(dst, int(n))
		default:
			return dst, msg.err(status)
		}
	}
}

// ParseHeader reads the header at the beginning of a token file, and says where the first frame begins.
func ParseHeader(data []byte) (h Header, length int, err error) {
	var msg message
	var codebooks, bits C.int32_t
	var samples C.uint64_t
	var id C.int64_t
	var n C.size_t
	err = msg.err(C.mimi_go_unpack_header(start(data), C.size_t(len(data)), &codebooks, &bits, &samples, &id, &n, &msg[0]))
	if err != nil {
		return Header{}, 0, err
	}
	return Header{int(codebooks), int(bits), uint64(samples), int64(id)}, int(n), nil
}

// AppendPacked appends whole frames of codes to dst as bytes: each frame takes the codes' bits, rounded up
// to whole bytes. On an error dst is returned as it was.
func AppendPacked(dst []byte, codes []uint32, codebooks, codeBits int) ([]byte, error) {
	for {
		room := dst[len(dst):cap(dst)]
		var n C.size_t
		status := C.mimi_pack(uints(codes), C.size_t(len(codes)), C.int32_t(codebooks), C.int32_t(codeBits), start(room), C.size_t(len(room)), &n)
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

// AppendUnpacked appends the codes of whole frames of bytes to dst. On an error dst is returned as it was.
func AppendUnpacked(dst []uint32, frames []byte, codebooks, codeBits int) ([]uint32, error) {
	for {
		room := dst[len(dst):cap(dst)]
		var n C.size_t
		status := C.mimi_unpack(start(frames), C.size_t(len(frames)), C.int32_t(codebooks), C.int32_t(codeBits), uints(room), C.size_t(len(room)), &n)
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

// DropCodebooks keeps the first codebooks of whole frames of bytes, which lowers the bit rate without encoding
// again. It returns the shorter frames, which lie where the others lay. On an error nothing was changed.
func DropCodebooks(frames []byte, codebooks, codeBits, keep int) ([]byte, error) {
	var n C.size_t
	status := C.mimi_drop_codebooks(start(frames), C.size_t(len(frames)), C.int32_t(codebooks), C.int32_t(codeBits), C.int32_t(keep), &n)
	if status != C.MIMI_OK {
		return frames, &Error{Code: Code(status)}
	}
	return frames[:n], nil
}

// start is where bytes begin: nil if there are none.
func start(s []byte) unsafe.Pointer {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Pointer(unsafe.SliceData(s))
}
