package mimi

// #cgo nocallback mimi_go_model_header
// #cgo noescape mimi_go_model_header
// #cgo nocallback mimi_go_header_samples
// #cgo noescape mimi_go_header_samples
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
	"slices"
	"unsafe"
)

// Header is what stands before the frames of a token file.
//
// A header's rate must make a frame a whole number of samples: a multiple of 25 Hz with the published model. A
// recording at another rate, such as 12345 Hz, is described at the model's rate by the command-line tool. OriginalRate
// and OriginalSamples then tell what the recording was.
type Header struct {
	SampleRate   int   // samples per second, of what the header describes
	FrameSamples int   // samples in a frame at this rate; the frame rate is SampleRate / FrameSamples, exactly
	Samples      int64 // length of the recording at this rate; 0: unknown
	Codebooks    int   // codes in a frame
	CodeBits     int   // bits of a code
	ModelID      int64 // ModelID of the model that the codes belong to; 0: unknown

	OriginalRate    int   // the recording's rate, which SampleRate could not be; 0: it is SampleRate
	OriginalSamples int64 // length of the recording at OriginalRate; 0: unknown, or OriginalRate is 0
}

// FrameBytes is the length of a packed frame.
func (h Header) FrameBytes() int { return (h.Codebooks*h.CodeBits + 7) / 8 }

// Header is the header of a token file for codes that the model makes with these options: it reads Codebooks and
// SampleRate. Its length is unknown: set Samples if you know it.
func (m *Model) Header(options ...Option) (Header, error) {
	h := newHeader()
	err := m.whole(options, func(bag *C.mimi_options, msg *message) C.mimi_status {
		return C.mimi_go_model_header(m.c(), bag, &h, &msg[0])
	})
	if err != nil {
		return Header{}, err
	}
	return goHeader(h), nil
}

// SamplesAt is the length of the recording at another sample rate, such as a decoder's: the samples that begin before
// the recording's end. It is computed from OriginalSamples, if they are known. 0: unknown.
func (h Header) SamplesAt(rate int) (int64, error) {
	var msg message
	var n C.int64_t
	c := h.c()
	err := msg.err(C.mimi_go_header_samples(&c, C.int64_t(rate), &n, &msg[0]))
	return int64(n), err
}

// AppendHeader appends a header to dst, as a token file begins with it. On an error dst is returned as it was.
func AppendHeader(dst []byte, h Header) ([]byte, error) {
	var msg message
	c := h.c()
	for {
		room := dst[len(dst):cap(dst)]
		var n C.size_t
		status := C.mimi_go_pack_header(&c, start(room), C.size_t(len(room)), &n, &msg[0])
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
	c := newHeader()
	if err = msg.err(C.mimi_go_unpack_header(start(data), C.size_t(len(data)), &c, &msg[0])); err != nil {
		return Header{}, 0, err
	}
	return goHeader(c), int(c.header_bytes), nil
}

func newHeader() C.mimi_token_header {
	return C.mimi_token_header{size: C.sizeof_mimi_token_header}
}

func (h Header) c() C.mimi_token_header {
	c := newHeader()
	c.sample_rate, c.frame_samples, c.n_samples = C.int64_t(h.SampleRate), C.int64_t(h.FrameSamples), C.int64_t(h.Samples)
	c.codebooks, c.code_bits, c.model_id = C.int64_t(h.Codebooks), C.int64_t(h.CodeBits), C.int64_t(h.ModelID)
	c.original_rate, c.original_samples = C.int64_t(h.OriginalRate), C.int64_t(h.OriginalSamples)
	return c
}

func goHeader(c C.mimi_token_header) Header {
	return Header{
		SampleRate: int(c.sample_rate), FrameSamples: int(c.frame_samples), Samples: int64(c.n_samples),
		Codebooks: int(c.codebooks), CodeBits: int(c.code_bits), ModelID: int64(c.model_id),
		OriginalRate: int(c.original_rate), OriginalSamples: int64(c.original_samples),
	}
}

// describe asks a stream for the header of a token file of its codes, and for the values in a frame of latents.
func describe(stream interface{ Get(Property) (int64, error) }) (h Header, latentDim int, err error) {
	for _, p := range []struct {
		property Property
		value    *int
	}{{Rate, &h.SampleRate}, {FrameSamples, &h.FrameSamples}, {CodebookCount, &h.Codebooks}, {CodeBits, &h.CodeBits}, {LatentDim, &latentDim}} {
		value, err := stream.Get(p.property)
		if err != nil {
			return Header{}, 0, err
		}
		*p.value = int(value)
	}
	h.ModelID, err = stream.Get(ModelID)
	return h, latentDim, err
}

// AppendPacked appends whole frames of codes to dst as bytes: each frame takes the codes' bits, rounded up
// to whole bytes. On an error dst is returned as it was.
func AppendPacked(dst []byte, codes []uint32, codebooks, codeBits int) ([]byte, error) {
	for {
		room := dst[len(dst):cap(dst)]
		var n C.size_t
		status := C.mimi_pack(uints(codes), C.size_t(len(codes)), C.int64_t(codebooks), C.int64_t(codeBits), start(room), C.size_t(len(room)), &n)
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
		status := C.mimi_unpack(start(frames), C.size_t(len(frames)), C.int64_t(codebooks), C.int64_t(codeBits), uints(room), C.size_t(len(room)), &n)
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
	status := C.mimi_drop_codebooks(start(frames), C.size_t(len(frames)), C.int64_t(codebooks), C.int64_t(codeBits), C.int64_t(keep), &n)
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
