//go:build cgo

package mimi

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// A rehearsal runs a schedule without streams, in a time of its own: conversations that speak and listen, whose frames
// come at random points of a frame's time, now and then late. It is how a batcher learns what it can keep.
const (
	rehearsals   = 6     // with other points in time
	rehearsed    = 60    // frames of each conversation
	mostLateness = 0.125 // of a frame's time, by which a frame comes late
	hesitation   = 0.03  // by which a call takes longer than it should, on average
	crowd        = 64    // conversations; more than these even out, and are rehearsed for a shorter time
	reserve      = 20    // one part in so many of the workers' time stays free
)

// event is a frame of a conversation that comes, or a call that ends.
type event struct {
	at    time.Duration
	call  []*task // nil: a frame comes
	voice *voice
}

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at < e[j].at }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	*e = (*e)[:last]
	return x
}

// voice is a conversation of a rehearsal.
type voice struct {
	next time.Duration // when its next frame is complete
	last [halves]time.Duration
}

// rehearse is the longest time from frame to codes, and from codes to audio, of conversations of both halves.
func rehearse(s schedule, frame time.Duration, workers, conversations int, seed uint64) (longest [halves]time.Duration) {
	random := rand.New(rand.NewPCG(seed, 0))
	s.populate(frame, [halves]int{conversations, conversations})
	var coming events
	for range conversations {
		v := &voice{next: time.Duration(random.Int64N(int64(frame))), last: [halves]time.Duration{-frame, -frame}}
		heap.Push(&coming, event{at: v.next, voice: v})
	}
	came := map[*task]event{}
	add := func(e event, h half) {
		t := &task{half: h}
		s.add(t, e.at, e.voice.last[h])
		e.voice.last[h] = t.release
		came[t] = e
	}
	s.idle = workers
	again := forever
	for end := max(4, rehearsed*crowd/max(crowd, conversations)) * int(frame); len(coming) > 0; {
		now := min(coming[0].at, again)
		if now > time.Duration(end) {
			break
		}
		if now == coming[0].at {
			e := heap.Pop(&coming).(event)
			if e.call == nil {
				add(e, encoding)
				e.voice.next += frame
				late := time.Duration(random.Float64() * mostLateness * float64(frame))
				heap.Push(&coming, event{at: max(now, e.voice.next+late), voice: e.voice})
			} else {
				s.idle++
			}
			for _, t := range e.call {
				before := came[t]
				delete(came, t)
				longest[t.half] = max(longest[t.half], now-before.at)
				if t.half == encoding {
					add(event{at: now, voice: before.voice}, decoding)
				}
			}
		}
		again = forever
		for s.idle > 0 {
			var call []*task
			if call, again = s.next(now, nil); len(call) == 0 {
				break
			}
			s.idle--
			cost := float64(s.costs.of(call[0].half, len(call))) * (1 + hesitation*random.ExpFloat64())
			heap.Push(&coming, event{at: now + time.Duration(cost), call: call})
		}
	}
	return longest
}

// mostKept is the largest number of conversations of both halves whose results were never late in rehearsals.
func mostKept(s schedule, frame time.Duration, workers int) int {
	kept := func(conversations int) bool {
		for seed := range uint64(max(2, rehearsals*crowd/max(crowd, conversations))) {
			longest := rehearse(s, frame, workers, conversations, seed)
			if longest[encoding] > s.deadline[encoding] || longest[decoding] > s.deadline[decoding] {
				return false
			}
		}
		return true
	}
	both := s.costs.share(encoding, s.maxBatch) + s.costs.share(decoding, s.maxBatch)
	carried := int(time.Duration(workers) * frame / max(both, 1))
	low, high := 0, carried-carried/reserve
	for low < high {
		if middle := (low + high + 1) / 2; kept(middle) {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low
}
