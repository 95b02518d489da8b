package mimi

// #cgo nocallback mimi_go_decoder_new
// #cgo noescape mimi_go_decoder_new
// #cgo nocallback mimi_go_decoder_clone
// #cgo noescape mimi_go_decoder_clone
// #cgo nocallback mimi_decoder_process
// #cgo noescape mimi_decoder_process
// #cgo nocallback mimi_decoder_process_latents
// #cgo noescape mimi_decoder_process_latents
// #cgo nocallback mimi_decoder_flush
// #cgo noescape mimi_decoder_flush
// #cgo nocallback mimi_decoder_reset
// #cgo noescape mimi_decoder_reset
// #cgo nocallback mimi_decoder_get
// #cgo noescape mimi_decoder_get
// #include "shim.h"
import "C"

import (
	"fmt"
	"unsafe"
)

// Decoder is a stream of codes to audio. Calls from several goroutines take turns.
type Decoder struct {
	handle    handle
	header    Header // of a token file at its rate
	latentDim int
}

// NewDecoder opens a stream. It reads the options Codebooks, SampleRate, MaxBlock and Context. Codebooks says how many
// codes make a frame.
func (m *Model) NewDecoder(options ...Option) (*Decoder, error) {
	var stream *Decoder
	err := m.with(options, func(bag *C.mimi_options, msg *message) error {
		var out *C.mimi_decoder
		if err := msg.err(C.mimi_go_decoder_new(m.c(), bag, &out, &msg[0])); err != nil {
			return err
		}
		stream = newDecoder(out)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if stream.header, stream.latentDim, err = describe(stream); err != nil {
		stream.Close()
		return nil, err
	}
	return stream, nil
}

func (s *Decoder) c() *C.mimi_decoder { return (*C.mimi_decoder)(s.handle.ptr) }

func newDecoder(ptr *C.mimi_decoder) *Decoder {
	stream := new(Decoder)
	own(stream, &stream.handle, unsafe.Pointer(ptr), func(p unsafe.Pointer) { C.mimi_decoder_free((*C.mimi_decoder)(p)) })
	return stream
}

// NoCode stands for a code that did not arrive, in the input of decoders and playbacks. A frame is decoded with the
// codes of each branch of the quantizer, semantic and acoustic, that come before the branch's first NoCode. A frame
// without such codes is concealed: the last sound goes on and falls silent within five frames.
const NoCode uint32 = C.MIMI_NO_CODE

// Append takes whole frames of codes and appends their audio to dst. It allocates
// only where dst has too little room. On an error nothing was taken, and dst is returned as it was.
//
// At another rate than the model's, the first call gives LatencySamples fewer. They follow with AppendFlush. Nothing is
// to be cut: the audio begins where the recording began.
func (s *Decoder) Append(dst []float32, codes []uint32) ([]float32, error) {
	return s.process(dst, uints(codes), len(codes))
}

// AppendLost is Append of frames none of whose codes arrived, so many codes of them.
func (s *Decoder) AppendLost(dst []float32, codes int) ([]float32, error) {
	if codes < 0 {
		return dst, &Error{Code: ErrInvalidArgument, Message: fmt.Sprintf("%d lost codes", codes)}
	}
	return s.process(dst, nil, codes)
}

// process appends the audio of count codes, which are lost if codes is nil.
func (s *Decoder) process(dst []float32, codes *C.uint32_t, count int) ([]float32, error) {
	return appendTo(&s.handle, dst, func(room []float32) (n C.size_t, status C.mimi_status) {
		status = C.mimi_decoder_process(s.c(), codes, C.size_t(count), floats(room), C.size_t(len(room)), &n)
		return n, status
	})
}

// AppendLatents is Append of whole frames of latents, LatentDim values each, as they leave the quantizer. What is not a
// number, and infinity, count as 0. A model without a quantizer has latents alone.
func (s *Decoder) AppendLatents(dst []float32, latents []float32) ([]float32, error) {
	return s.processLatents(dst, floats(latents), len(latents))
}

// AppendLostLatents is AppendLatents of frames that did not arrive, so many values of them.
func (s *Decoder) AppendLostLatents(dst []float32, values int) ([]float32, error) {
	if values < 0 {
		return dst, &Error{Code: ErrInvalidArgument, Message: fmt.Sprintf("%d lost values", values)}
	}
	return s.processLatents(dst, nil, values)
}

// processLatents appends the audio of count values, which are lost if latents is nil.
func (s *Decoder) processLatents(dst []float32, latents *C.float, count int) ([]float32, error) {
	return appendTo(&s.handle, dst, func(room []float32) (n C.size_t, status C.mimi_status) {
		status = C.mimi_decoder_process_latents(s.c(), latents, C.size_t(count), floats(room), C.size_t(len(room)), &n)
		return n, status
	})
}

// AppendFlush ends the stream and appends what audio is still due to dst: LatencySamples of it at another rate than the
// model's, otherwise none. The stream is then as new; Frames and CodesHash stay until the next codes.
func (s *Decoder) AppendFlush(dst []float32) ([]float32, error) {
	return appendTo(&s.handle, dst, func(room []float32) (n C.size_t, status C.mimi_status) {
		status = C.mimi_decoder_flush(s.c(), floats(room), C.size_t(len(room)), &n)
		return n, status
	})
}

// Reset forgets everything: the stream is as new, also after ErrPanic.
func (s *Decoder) Reset() error {
	if err := s.handle.begin(); err != nil {
		return err
	}
	defer s.handle.lock.Unlock()
	if status := C.mimi_decoder_reset(s.c()); status != C.MIMI_OK {
		return &Error{Code: Code(status)}
	}
	return nil
}

// Get reads a property.
func (s *Decoder) Get(p Property) (int64, error) {
	if err := s.handle.begin(); err != nil {
		return 0, err
	}
	defer s.handle.lock.Unlock()
	var value C.int64_t
	if status := C.mimi_decoder_get(s.c(), C.mimi_prop(p), &value); status != C.MIMI_OK {
		return 0, &Error{Code: Code(status)}
	}
	return int64(value), nil
}

// Clone forks the stream: the copy stands at the same point and goes its own way.
func (s *Decoder) Clone() (*Decoder, error) {
	if err := s.handle.begin(); err != nil {
		return nil, err
	}
	defer s.handle.lock.Unlock()
	var msg message
	var out *C.mimi_decoder
	if err := msg.err(C.mimi_go_decoder_clone(s.c(), &out, &msg[0])); err != nil {
		return nil, err
	}
	copied := newDecoder(out)
	copied.header, copied.latentDim = s.header, s.latentDim
	return copied, nil
}

// Close frees the stream, once the call that uses it has returned. Later calls of Close do nothing.
func (s *Decoder) Close() error { return s.handle.close() }
