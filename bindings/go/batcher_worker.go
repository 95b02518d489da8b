package mimi

// #cgo nocallback mimi_encoder_process_many
// #cgo nocallback mimi_decoder_process_many
// #include "shim.h"
// #include <stdlib.h>
import "C"

import (
	"time"
	"unsafe"
)

// worker runs frames in calls. What libmimi reads and writes lies in memory of C, so that a call pins and allocates
// nothing.
type worker struct {
	batcher   *Batcher
	tasks     []*task
	streams   []unsafe.Pointer // of C
	in, out   []unsafe.Pointer
	pcm       [][]float32 // of C, one for each place in a call
	codes     [][]uint32
	timer     *time.Timer
	samples   int // room in each of pcm
	codebooks int
}

// cMemory is zeroed memory for count values.
func cMemory[T any](count int) []T {
	var one T
	return unsafe.Slice((*T)(C.calloc(C.size_t(max(count, 1)), C.size_t(unsafe.Sizeof(one)))), count)
}

func freeC[T any](memory []T) { C.free(unsafe.Pointer(unsafe.SliceData(memory))) }

func newWorker(b *Batcher) *worker {
	most := b.schedule.maxBatch
	w := &worker{
		batcher: b,
		tasks:   make([]*task, 0, most),
		streams: cMemory[unsafe.Pointer](most),
		in:      cMemory[unsafe.Pointer](most),
		out:     cMemory[unsafe.Pointer](most),
		pcm:     make([][]float32, most),
		codes:   make([][]uint32, most),
		timer:   time.NewTimer(forever),
	}
	w.makeRoom(1, 1)
	return w
}

func (w *worker) free() {
	w.timer.Stop()
	w.freeRoom()
	freeC(w.streams)
	freeC(w.in)
	freeC(w.out)
}

func (b *Batcher) work() {
	defer b.wait.Done()
	w := newWorker(b)
	defer w.free()
	for w.find() {
		w.run()
	}
}

func (w *worker) freeRoom() {
	for i := range w.pcm {
		freeC(w.pcm[i])
		freeC(w.codes[i])
	}
}

// makeRoom is for frames of so many samples and codes.
func (w *worker) makeRoom(samples, codebooks int) {
	if samples <= w.samples && codebooks <= w.codebooks {
		return
	}
	if w.samples > 0 {
		w.freeRoom()
	}
	w.samples, w.codebooks = max(samples, w.samples), max(codebooks, w.codebooks)
	for i := range w.pcm {
		w.pcm[i], w.codes[i] = cMemory[float32](w.samples), cMemory[uint32](w.codebooks)
	}
}

// find waits for tasks to run. It is false when the batcher is closed.
func (w *worker) find() bool {
	b := w.batcher
	w.tasks = w.tasks[:0]
	b.lock.Lock()
	b.schedule.idle++
	for !b.closed {
		var again time.Duration
		now := b.now()
		if w.tasks, again = b.schedule.next(now, w.tasks[:0]); len(w.tasks) > 0 {
			break
		}
		b.lock.Unlock()
		if again != forever {
			w.timer.Reset(again - now)
		}
		select {
		case <-b.wake:
		case <-w.timer.C:
		case <-b.done:
		}
		w.timer.Stop()
		b.lock.Lock()
	}
	b.schedule.idle--
	for _, t := range w.tasks {
		t.side.last = t.release
	}
	more := b.schedule.waiting() > 0
	closed := b.closed
	b.lock.Unlock()
	if more && !closed {
		b.rouse()
	}
	return len(w.tasks) > 0
}

// run runs the tasks, and lets their calls return.
func (w *worker) run() {
	b := w.batcher
	start := b.now()
	together := w.tasks[:0]
	for i, t := range w.tasks {
		if s := t.side; s.alone != nil {
			s.err = s.alone(s)
		} else {
			w.tasks[i], w.tasks[len(together)] = w.tasks[len(together)], t
			together = w.tasks[:len(together)+1]
		}
	}
	// Bad arguments are found before, so that only a stream that is beyond use fails, and with it the call, which then
	// has had no effect. The others go on alone.
	if len(together) > 0 && w.call(together) != C.MIMI_OK {
		for _, t := range together {
			s := t.side
			if t.half == encoding {
				s.err = encodeAlone(s)
			} else {
				s.err = decodeAlone(s)
			}
		}
	}
	end := b.now()
	b.lock.Lock()
	b.stats.half(w.tasks[0].half).add(w.tasks, start, end)
	if b.measured && len(together) == len(w.tasks) {
		h := w.tasks[0].half
		b.slow[h].add(float64(end-start)/float64(b.schedule.costs.of(h, len(w.tasks))), end)
	}
	b.lock.Unlock()
	for i, t := range w.tasks {
		if t.side.err == nil {
			t.side.fresh = false
		}
		t.side.done <- struct{}{}
		w.tasks[i] = nil
	}
}

// call runs tasks of one half in one call. Unless it is MIMI_OK, nothing has happened to any.
func (w *worker) call(tasks []*task) C.mimi_status {
	for _, t := range tasks {
		w.makeRoom(t.side.samples, t.side.codebooks)
	}
	isEncoding := tasks[0].half == encoding
	for i, t := range tasks {
		s := t.side
		pcm, codes := unsafe.Pointer(&w.pcm[i][0]), unsafe.Pointer(&w.codes[i][0])
		if isEncoding {
			copy(w.pcm[i], s.pcm[:s.samples])
			w.streams[i], w.in[i], w.out[i] = s.encoder.handle.ptr, pcm, codes
		} else {
			copy(w.codes[i], s.codes)
			w.streams[i], w.in[i], w.out[i] = s.decoder.handle.ptr, codes, pcm
		}
	}
	streams, in, out := unsafe.Pointer(&w.streams[0]), unsafe.Pointer(&w.in[0]), unsafe.Pointer(&w.out[0])
	var status C.mimi_status
	if isEncoding {
		status = C.mimi_encoder_process_many((**C.mimi_encoder)(streams), C.size_t(len(tasks)), (**C.float)(in), (**C.uint32_t)(out))
	} else {
		status = C.mimi_decoder_process_many((**C.mimi_decoder)(streams), C.size_t(len(tasks)), (**C.uint32_t)(in), (**C.float)(out))
	}
	if status != C.MIMI_OK {
		return status
	}
	for i, t := range tasks {
		s := t.side
		s.err = nil
		if isEncoding {
			s.codes = append(s.codes[:0], w.codes[i][:s.codebooks]...)
		} else {
			s.pcm = append(s.pcm[:0], w.pcm[i][:s.samples]...)
		}
	}
	return status
}
