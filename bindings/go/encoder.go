package mimi

// #cgo nocallback mimi_go_encoder_new
// #cgo noescape mimi_go_encoder_new
// #cgo nocallback mimi_go_encoder_clone
// #cgo noescape mimi_go_encoder_clone
// #cgo nocallback mimi_encoder_process
// #cgo noescape mimi_encoder_process
// #cgo nocallback mimi_encoder_flush
// #cgo noescape mimi_encoder_flush
// #cgo nocallback mimi_encoder_process_latents
// #cgo noescape mimi_encoder_process_latents
// #cgo nocallback mimi_encoder_flush_latents
// #cgo noescape mimi_encoder_flush_latents
// #cgo nocallback mimi_encoder_reset
// #cgo noescape mimi_encoder_reset
// #cgo nocallback mimi_encoder_get
// #cgo noescape mimi_encoder_get
// #include "shim.h"
import "C"

import "unsafe"

// Encoder is a stream of audio to codes. Calls from several goroutines take turns.
type Encoder struct {
	handle    handle
	header    Header // of a token file of its codes
	latentDim int
}

// NewEncoder opens a stream. It reads the options Codebooks, SampleRate, MaxBlock, LastFrame and Context.
func (m *Model) NewEncoder(options ...Option) (*Encoder, error) {
	var stream *Encoder
	err := m.with(options, func(bag *C.mimi_options, msg *message) error {
		var out *C.mimi_encoder
		if err := msg.err(C.mimi_go_encoder_new(m.c(), bag, &out, &msg[0])); err != nil {
			return err
		}
		stream = newEncoder(out)
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

func (s *Encoder) c() *C.mimi_encoder { return (*C.mimi_encoder)(s.handle.ptr) }

func newEncoder(ptr *C.mimi_encoder) *Encoder {
	stream := new(Encoder)
	own(stream, &stream.handle, unsafe.Pointer(ptr), func(p unsafe.Pointer) { C.mimi_encoder_free((*C.mimi_encoder)(p)) })
	return stream
}

// Append takes any number of samples and appends the codes of the frames that they complete to dst. It allocates
// only where dst has too little room. On an error nothing was taken, and dst is returned as it was.
func (s *Encoder) Append(dst []uint32, pcm []float32) ([]uint32, error) {
	return appendTo(&s.handle, dst, func(room []uint32) (n C.size_t, status C.mimi_status) {
		status = C.mimi_encoder_process(s.c(), floats(pcm), C.size_t(len(pcm)), uints(room), C.size_t(len(room)), &n)
		return n, status
	})
}

// AppendFlush ends the stream and appends the codes of a last partial frame to dst, if there is one. At another rate
// than the model's, the last frame may come only now. The stream is then as new; Frames and CodesHash stay until the
// next audio.
func (s *Encoder) AppendFlush(dst []uint32) ([]uint32, error) {
	return appendTo(&s.handle, dst, func(room []uint32) (n C.size_t, status C.mimi_status) {
		status = C.mimi_encoder_flush(s.c(), uints(room), C.size_t(len(room)), &n)
		return n, status
	})
}

// AppendLatents is Append to latents in place of codes: LatentDim values for each frame, as they enter the quantizer.
// A model without a quantizer has latents alone. A stream may give codes for one frame and latents for the next.
func (s *Encoder) AppendLatents(dst []float32, pcm []float32) ([]float32, error) {
	return appendTo(&s.handle, dst, func(room []float32) (n C.size_t, status C.mimi_status) {
		status = C.mimi_encoder_process_latents(s.c(), floats(pcm), C.size_t(len(pcm)), floats(room), C.size_t(len(room)), &n)
		return n, status
	})
}

// AppendFlushLatents is AppendFlush to latents in place of codes.
func (s *Encoder) AppendFlushLatents(dst []float32) ([]float32, error) {
	return appendTo(&s.handle, dst, func(room []float32) (n C.size_t, status C.mimi_status) {
		status = C.mimi_encoder_flush_latents(s.c(), floats(room), C.size_t(len(room)), &n)
		return n, status
	})
}

// Reset forgets everything: the stream is as new, also after ErrPanic.
func (s *Encoder) Reset() error {
	if err := s.handle.begin(); err != nil {
		return err
	}
	defer s.handle.lock.Unlock()
	if status := C.mimi_encoder_reset(s.c()); status != C.MIMI_OK {
		return &Error{Code: Code(status)}
	}
	return nil
}

// Get reads a property.
func (s *Encoder) Get(p Property) (int64, error) {
	if err := s.handle.begin(); err != nil {
		return 0, err
	}
	defer s.handle.lock.Unlock()
	var value C.int64_t
	if status := C.mimi_encoder_get(s.c(), C.mimi_prop(p), &value); status != C.MIMI_OK {
		return 0, &Error{Code: Code(status)}
	}
	return int64(value), nil
}

// Clone forks the stream: the copy stands at the same point and goes its own way.
func (s *Encoder) Clone() (*Encoder, error) {
	if err := s.handle.begin(); err != nil {
		return nil, err
	}
	defer s.handle.lock.Unlock()
	var msg message
	var out *C.mimi_encoder
	if err := msg.err(C.mimi_go_encoder_clone(s.c(), &out, &msg[0])); err != nil {
		return nil, err
	}
	copied := newEncoder(out)
	copied.header, copied.latentDim = s.header, s.latentDim
	return copied, nil
}

// Close frees the stream, once the call that uses it has returned. Later calls of Close do nothing.
func (s *Encoder) Close() error { return s.handle.close() }
