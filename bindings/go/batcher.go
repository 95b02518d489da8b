//go:build cgo

package mimi

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Batcher runs the streams of many conversations on a few workers, up to MaxBatch of them in one pass over the weights.
// Each conversation gets the bits that its streams would give alone. Conversations join and leave at any time, on any
// goroutine.
//
// Frames run in the order of their deadlines, together with those that are due next. A conversation that could not be
// kept is refused by Join; none is dropped later, and no frame. What one conversation does costs the others nothing:
// one that sends faster than real time waits for those that do not, bad codes are refused before they run, and nothing
// of yours is called on a worker.
type Batcher struct {
	model    *Model
	options  []Option
	frame    time.Duration // of a frame's audio
	rate     int64         // the model's
	codeSize uint32        // codes are below it
	workers  int
	each     [halves]time.Duration // what a frame takes of a worker
	measured bool
	limit    float64 // the most load at which results are in time
	began    time.Time

	lock     sync.Mutex
	schedule schedule
	sides    [halves]int
	slow     [halves]slowness
	stats    BatcherStats
	closed   bool

	wake chan struct{} // a token for each worker that has something to look at
	done chan struct{} // closed by Close
	wait sync.WaitGroup
}

// BatcherOptions are the numbers of a Batcher. Of each, 0 is the default.
type BatcherOptions struct {
	Workers  int           // calls at the same time, each on a core; by default runtime.GOMAXPROCS(0)
	MaxBatch int           // frames in a call, at most 1024; by default 16, which libmimi takes in one pass
	Deadline time.Duration // from a frame's last sample to its codes; audio has a quarter more; by default a frame's time
	Window   time.Duration // the longest that a frame waits for company while a worker is free; by default 4 ms

	// Capacity is how many conversations of both halves the workers carry. By default NewBatcher measures it: it times
	// calls, and rehearses the schedule with these times. That takes a second or two with the published model. It also
	// makes MaxBatch smaller where calls would take too long for the deadline, and heeds how fast the machine is now.
	Capacity int
}

// maxTogether is the most streams that libmimi takes in a call.
const maxTogether = 1024

// withDefaults is an error for numbers that make no sense.
func (o BatcherOptions) withDefaults(frame time.Duration) (BatcherOptions, error) {
	if o.Workers < 0 || o.MaxBatch < 0 || o.MaxBatch > maxTogether || o.Deadline < 0 || o.Window < 0 || o.Capacity < 0 {
		message := fmt.Sprintf("%+v: none may be negative, and MaxBatch at most %d", o, maxTogether)
		return o, &Error{Code: ErrInvalidArgument, Message: message}
	}
	defaults := BatcherOptions{Workers: runtime.GOMAXPROCS(0), MaxBatch: 16, Deadline: frame, Window: 4 * time.Millisecond}
	if o.Workers == 0 {
		o.Workers = defaults.Workers
	}
	if o.MaxBatch == 0 {
		o.MaxBatch = defaults.MaxBatch
	}
	if o.Deadline == 0 {
		o.Deadline = defaults.Deadline
	}
	if o.Window == 0 {
		o.Window = defaults.Window
	}
	return o, nil
}

// NewBatcher starts the workers. options are for the streams of all conversations, as of NewEncoder and NewDecoder. The
// model may be closed when no more conversations are to join. Close the batcher: until then its workers stay.
func NewBatcher(model *Model, numbers BatcherOptions, options ...Option) (*Batcher, error) {
	if model == nil {
		return nil, &Error{Code: ErrNullPointer, Message: "the batcher's model is nil"}
	}
	var samples, rate, size int64
	for property, value := range map[Property]*int64{FrameSamples: &samples, Rate: &rate, CodebookSize: &size} {
		var err error
		if *value, err = model.Get(property); err != nil {
			return nil, err
		}
	}
	b := &Batcher{
		model:    model,
		options:  slices.Clone(options),
		frame:    time.Duration(samples) * time.Second / time.Duration(rate),
		rate:     rate,
		codeSize: uint32(size),
		began:    time.Now(),
		done:     make(chan struct{}),
	}
	numbers, err := numbers.withDefaults(b.frame)
	if err != nil {
		return nil, err
	}
	b.workers = numbers.Workers
	b.wake = make(chan struct{}, b.workers)
	var times costs
	if b.measured = numbers.Capacity == 0; b.measured {
		times, err = measure(model, int(samples), numbers, options)
	} else {
		err = usable(model, options)
	}
	if err != nil {
		return nil, err
	}
	b.schedule = newSchedule(b.frame, numbers.Deadline, numbers.Window, times, numbers.MaxBatch)
	for h := range halves {
		if b.measured {
			b.each[h] = times.share(h, b.schedule.maxBatch)
		} else {
			b.each[h] = time.Duration(b.workers) * b.frame / time.Duration(2*numbers.Capacity)
		}
	}
	b.limit = 1
	if b.measured {
		most := mostKept(b.schedule, b.frame, b.workers)
		b.limit = b.load([halves]int{most, most})
	}
	for range b.workers {
		b.wait.Add(1)
		go b.work()
	}
	return b, nil
}

// now is the schedule's time.
func (b *Batcher) now() time.Duration { return time.Since(b.began) }

// rounding is of sums of loads: as many as were rehearsed fit.
const rounding = 1e-9

// load is the share of the workers' time that so many halves of conversations take.
func (b *Batcher) load(sides [halves]int) float64 {
	var busy float64
	for h := range halves {
		each := float64(b.each[h])
		if b.measured {
			each *= b.slow[h].at(b.now())
		}
		busy += float64(sides[h]) * each
	}
	return busy / (float64(b.workers) * float64(b.frame))
}

// rouse lets a worker look at the schedule, if one is free.
func (b *Batcher) rouse() {
	select {
	case b.wake <- struct{}{}:
	default: // all have a token
	}
}

// Close waits for the calls that run, and ends the workers. Calls of conversations that wait, and later ones, return
// ErrClosed; their streams are freed by their own Close. Later calls of Close do nothing.
func (b *Batcher) Close() error {
	b.lock.Lock()
	if !b.closed {
		b.closed = true
		close(b.done)
		for h := range halves {
			for _, t := range b.schedule.queues[h] {
				t.index = -1
				t.side.finish(ErrClosed)
			}
			b.schedule.queues[h] = nil
		}
	}
	b.lock.Unlock()
	b.wait.Wait()
	return nil
}

// OverloadError is why a conversation was refused: with it, results would be late.
type OverloadError struct {
	Late          bool    // results are late already
	Conversations int     // that are inside
	Load          float64 // the share of the workers' time that they take
	With          float64 // the share with one more
	Limit         float64 // the most at which results are in time
}

func (e *OverloadError) Error() string {
	if e.Late {
		return fmt.Sprintf("mimi: overloaded: results of %d conversations are late already", e.Conversations)
	}
	return fmt.Sprintf("mimi: overloaded: %d conversations take %.0f %% of the workers' time, another would make it %.0f %%, and %.0f %% is the most at which results are in time", e.Conversations, 100*e.Load, 100*e.With, 100*e.Limit)
}

// slowness is how much longer calls take than they did when they were measured, lately.
type slowness struct {
	excess float64       // beyond 1
	when   time.Duration // of the last call
}

// lately is the time in which what was counts a third.
const lately = 400 * time.Millisecond

// fades is what remains of an excess. Where no call tells, there is none.
func (s *slowness) fades(now time.Duration) float64 {
	return math.Exp(-float64(now-s.when) / float64(lately))
}

func (s *slowness) at(now time.Duration) float64 { return 1 + s.excess*s.fades(now) }

// add takes in a call that took so many times as long as it should have. Its weight is the time since the one before.
func (s *slowness) add(times float64, now time.Duration) {
	old := s.fades(now)
	s.excess = max(0, s.excess*old+(times-1)*(1-old))
	s.when = now
}
