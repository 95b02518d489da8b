package mimi

// #cgo nocallback mimi_go_capture_new
// #cgo noescape mimi_go_capture_new
// #cgo nocallback mimi_capture_write
// #cgo noescape mimi_capture_write
// #cgo nocallback mimi_capture_read
// #cgo noescape mimi_capture_read
// #cgo nocallback mimi_capture_work
// #cgo noescape mimi_capture_work
// #cgo nocallback mimi_capture_reset
// #cgo noescape mimi_capture_reset
// #cgo nocallback mimi_capture_get
// #cgo noescape mimi_capture_get
// #cgo nocallback mimi_go_playback_new
// #cgo noescape mimi_go_playback_new
// #cgo nocallback mimi_playback_write
// #cgo noescape mimi_playback_write
// #cgo nocallback mimi_playback_read
// #cgo noescape mimi_playback_read
// #cgo nocallback mimi_playback_work
// #cgo noescape mimi_playback_work
// #cgo nocallback mimi_playback_reset
// #cgo noescape mimi_playback_reset
// #cgo nocallback mimi_playback_get
// #cgo noescape mimi_playback_get
// #include "shim.h"
import "C"

import (
	"slices"
	"sync"
	"unsafe"
)

// LiveWork is who does the work of a Capture or a Playback.
type LiveWork int64

// The ways to do it.
const (
	SpreadWork LiveWork = C.MIMI_WORK_SPREAD // the audio calls, in equal shares
	OtherWork  LiveWork = C.MIMI_WORK_OTHER  // calls of Work, on a goroutine of its own
)

// WorkBy is who does the work of a Capture or a Playback; by default the audio calls.
func WorkBy(w LiveWork) Option { return Option{C.MIMI_OPT_WORK, int64(w)} }

// Offline is for audio that is not in real time: a Playback then waits for codes instead of concealing their lack.
func Offline() Option { return Option{C.MIMI_OPT_OFFLINE, 1} }

// BufferFrames is the number of frames that wait before a Playback starts, 1 to 64; by default 2.
func BufferFrames(n int) Option { return Option{C.MIMI_OPT_BUFFER_FRAMES, int64(n)} }

// live is a C object with three sides. Calls of one side take turns, and do not wait for those of the others.
type live struct {
	handle             handle // whose lock calls share; Reset and Close have it alone
	audio, codes, work sync.Mutex
}

// do makes a call of a side.
func (l *live) do(side *sync.Mutex, call func() C.mimi_status) error {
	if err := l.handle.share(); err != nil {
		return err
	}
	defer l.handle.lock.RUnlock()
	side.Lock()
	defer side.Unlock()
	return failed(call())
}

// alone makes a call beside which there is no other.
func (l *live) alone(call func() C.mimi_status) error {
	if err := l.handle.begin(); err != nil {
		return err
	}
	defer l.handle.lock.Unlock()
	return failed(call())
}

// get makes a call that any goroutine may make at any time.
func (l *live) get(call func(*C.int64_t) C.mimi_status) (int64, error) {
	if err := l.handle.share(); err != nil {
		return 0, err
	}
	defer l.handle.lock.RUnlock()
	var value C.int64_t
	err := failed(call(&value))
	return int64(value), err
}

func failed(status C.mimi_status) error {
	if status == C.MIMI_OK {
		return nil
	}
	return &Error{Code: Code(status)}
}

// Capture is live audio to codes, at a constant delay. Write, AppendReady and Work may run beside each other, each on a
// goroutine of its own.
type Capture struct{ live live }

// NewCapture opens a capture. It reads the options Codebooks, Context, SampleRate, WorkBy and Offline.
func (m *Model) NewCapture(options ...Option) (*Capture, error) {
	var made *Capture
	err := m.with(options, func(bag *C.mimi_options, msg *message) error {
		var out *C.mimi_capture
		if err := msg.err(C.mimi_go_capture_new(m.c(), bag, &out, &msg[0])); err != nil {
			return err
		}
		made = new(Capture)
		own(made, &made.live.handle, unsafe.Pointer(out), func(p unsafe.Pointer) { C.mimi_capture_free((*C.mimi_capture)(p)) })
		return nil
	})
	return made, err
}

func (c *Capture) c() *C.mimi_capture { return (*C.mimi_capture)(c.live.handle.ptr) }

// Write takes any number of samples.
func (c *Capture) Write(pcm []float32) error {
	return c.live.do(&c.live.audio, func() C.mimi_status {
		return C.mimi_capture_write(c.c(), floats(pcm), C.size_t(len(pcm)))
	})
}

// AppendReady appends the codes of the frames that are ready to dst. It allocates only where dst has too little room.
func (c *Capture) AppendReady(dst []uint32) ([]uint32, error) {
	err := c.live.do(&c.live.codes, func() C.mimi_status {
		for {
			room := dst[len(dst):cap(dst)]
			var n C.size_t
			status := C.mimi_capture_read(c.c(), uints(room), C.size_t(len(room)), &n)
			switch {
			case status == C.MIMI_ERR_BUFFER_TOO_SMALL:
				dst = slices.Grow(dst, int(n))
			case status != C.MIMI_OK || n == 0:
				return status
			default:
				dst = dst[:len(dst)+int(n)]
			}
		}
	})
	return dst, err
}

// Work encodes the frames that are complete, with OtherWork. Call it at least once a frame.
func (c *Capture) Work() error {
	return c.live.do(&c.live.work, func() C.mimi_status { return C.mimi_capture_work(c.c()) })
}

// Reset forgets everything, once all calls have returned: the capture is as new, also after ErrPanic.
func (c *Capture) Reset() error {
	return c.live.alone(func() C.mimi_status { return C.mimi_capture_reset(c.c()) })
}

// Get reads a property.
func (c *Capture) Get(p Property) (int64, error) {
	return c.live.get(func(value *C.int64_t) C.mimi_status { return C.mimi_capture_get(c.c(), C.mimi_prop(p), value) })
}

// Close frees the capture, once all calls have returned. Later calls of Close do nothing.
func (c *Capture) Close() error { return c.live.handle.close() }

// Playback is live codes to audio, at a constant delay. Write, Read and Work may run beside each other, each on a
// goroutine of its own.
type Playback struct{ live live }

// NewPlayback opens a playback. It reads the options Codebooks, Context, SampleRate, WorkBy, Offline and BufferFrames.
func (m *Model) NewPlayback(options ...Option) (*Playback, error) {
	var made *Playback
	err := m.with(options, func(bag *C.mimi_options, msg *message) error {
		var out *C.mimi_playback
		if err := msg.err(C.mimi_go_playback_new(m.c(), bag, &out, &msg[0])); err != nil {
			return err
		}
		made = new(Playback)
		own(made, &made.live.handle, unsafe.Pointer(out), func(p unsafe.Pointer) { C.mimi_playback_free((*C.mimi_playback)(p)) })
		return nil
	})
	return made, err
}

func (p *Playback) c() *C.mimi_playback { return (*C.mimi_playback)(p.live.handle.ptr) }

// Write takes whole frames of codes, in the order in which they are to be heard: all, or none with ErrBufferTooSmall if
// too many wait. NoCode stands for a code that did not arrive.
func (p *Playback) Write(codes []uint32) error {
	if len(codes) == 0 {
		return p.WriteLost(0)
	}
	return p.live.do(&p.live.codes, func() C.mimi_status {
		return C.mimi_playback_write(p.c(), uints(codes), C.size_t(len(codes)))
	})
}

// WriteLost is Write of frames that were lost, so many codes of them.
func (p *Playback) WriteLost(codes int) error {
	if codes < 0 {
		return &Error{Code: ErrInvalidArgument}
	}
	return p.live.do(&p.live.codes, func() C.mimi_status { return C.mimi_playback_write(p.c(), nil, C.size_t(codes)) })
}

// Read fills pcm with the next samples.
func (p *Playback) Read(pcm []float32) error {
	return p.live.do(&p.live.audio, func() C.mimi_status {
		return C.mimi_playback_read(p.c(), floats(pcm), C.size_t(len(pcm)))
	})
}

// Work decodes the frames that are due, with OtherWork. Call it at least once a frame.
func (p *Playback) Work() error {
	return p.live.do(&p.live.work, func() C.mimi_status { return C.mimi_playback_work(p.c()) })
}

// Reset forgets everything, once all calls have returned: the playback is as new, also after ErrPanic.
func (p *Playback) Reset() error {
	return p.live.alone(func() C.mimi_status { return C.mimi_playback_reset(p.c()) })
}

// Get reads a property.
func (p *Playback) Get(key Property) (int64, error) {
	return p.live.get(func(value *C.int64_t) C.mimi_status { return C.mimi_playback_get(p.c(), C.mimi_prop(key), value) })
}

// Close frees the playback, once all calls have returned. Later calls of Close do nothing.
func (p *Playback) Close() error { return p.live.handle.close() }
