//go:build cgo

package mimi

import (
	"container/heap"
	"math"
	"time"
)

// half is one of the two directions of a conversation.
type half int

const (
	encoding half = iota
	decoding
	halves
)

// enough frames in a call share a pass over the weights: more of them take hardly less time each.
const enough = 8

// forever is when a schedule has nothing to do.
const forever = time.Duration(math.MaxInt64)

// task is a frame that waits for its turn. Times are since the batcher began.
type task struct {
	half     half
	side     *side         // whose frame it is
	release  time.Duration // when it came, or later if its conversation is faster than real time
	deadline time.Duration
	index    int // in its queue, or -1
}

// queue holds the tasks of a half. The earliest deadline is the first.
type queue []*task

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].deadline < q[j].deadline }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *queue) Push(x any) {
	t := x.(*task)
	t.index = len(*q)
	*q = append(*q, t)
}

func (q *queue) Pop() any {
	last := len(*q) - 1
	t := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	t.index = -1
	return t
}

// schedule decides which frames run next, and in what company. It has no clock: whoever calls it says what time it is.
//
// Deadlines count from a frame's release. That is when it came, but of a conversation that sends faster than real time
// at least pace after the release before. So a conversation that floods falls behind those that do not, and a sender
// that catches up after a pause does so in the time that others leave.
type schedule struct {
	queues   [halves]queue
	maxBatch int
	idle     int                   // workers that look for work
	deadline [halves]time.Duration // from release to result
	pace     time.Duration         // the least time between two releases of a conversation
	ahead    time.Duration         // how long before its release a frame may run
	window   time.Duration         // the longest that a frame waits for company
	gap      [halves]time.Duration // between two frames that come, on average; 0 if none do
	costs    costs
}

// newSchedule is for frames of a length in time. Codes are due after deadline, audio a quarter later: what waits for
// audio has a buffer, what waits for codes has not.
func newSchedule(frame, deadline, window time.Duration, costs costs, maxBatch int) schedule {
	s := schedule{
		maxBatch: max(maxBatch, 1),
		deadline: [halves]time.Duration{encoding: deadline, decoding: deadline + deadline/4},
		pace:     frame - frame/8, // so that what is late catches up
		ahead:    12 * frame,      // about a second, in which what was held up catches up
		window:   window,
		costs:    costs,
	}
	// A frame that comes just after a call began is done within two calls. Two calls of more than enough frames may take
	// half of the deadline.
	for s.maxBatch > 1 {
		room := deadline - deadline/10
		if s.maxBatch > enough {
			room = deadline / 2
		}
		if 2*max(costs.of(encoding, s.maxBatch), costs.of(decoding, s.maxBatch)) <= room {
			break
		}
		s.maxBatch--
	}
	return s
}

// populate says how many conversations have each half. Each sends a frame in the time of one.
func (s *schedule) populate(frame time.Duration, sides [halves]int) {
	for h := range halves {
		s.gap[h] = 0
		if sides[h] > 0 {
			s.gap[h] = frame / time.Duration(sides[h])
		}
	}
}

// add puts a task into its queue. last is the release of its conversation's task before.
func (s *schedule) add(t *task, now, last time.Duration) {
	t.release = max(now, last+s.pace)
	t.deadline = t.release + s.deadline[t.half]
	heap.Push(&s.queues[t.half], t)
}

// remove takes a task out of its queue, unless it has left it.
func (s *schedule) remove(t *task) bool {
	if t.index < 0 {
		return false
	}
	heap.Remove(&s.queues[t.half], t.index)
	return true
}

func (s *schedule) waiting() int { return len(s.queues[encoding]) + len(s.queues[decoding]) }

// isLate says whether a frame waits whose deadline has passed.
func (s *schedule) isLate(now time.Duration) bool {
	for h := range halves {
		if len(s.queues[h]) > 0 && s.queues[h][0].deadline < now {
			return true
		}
	}
	return false
}

// next appends the tasks that a worker runs now in one call to batch. If there are none, it says when to ask again,
// unless a task is added before.
func (s *schedule) next(now time.Duration, batch []*task) ([]*task, time.Duration) {
	again := forever
	first := halves
	for h := range halves {
		if len(s.queues[h]) == 0 {
			continue
		}
		t := s.queues[h][0]
		if runs := t.release - s.ahead; runs > now {
			again = min(again, runs)
		} else if first == halves || t.deadline < s.queues[first][0].deadline {
			first = h
		}
	}
	if first == halves {
		return batch, again
	}
	queue := &s.queues[first]
	if until := s.company(first, now); until > now {
		return batch, min(again, until)
	}
	// idle workers share what there is
	count := min(s.maxBatch, (s.waiting()+s.idle-1)/max(s.idle, 1), len(*queue))
	for len(batch) < count && (*queue)[0].release-s.ahead <= now {
		batch = append(batch, heap.Pop(queue).(*task))
	}
	return batch, 0
}

// company says until when the tasks of a half wait for others to run with: as long as the time that they lose together
// is less than the pass over the weights that is saved.
func (s *schedule) company(h half, now time.Duration) time.Duration {
	queue := s.queues[h]
	if len(queue) >= s.maxBatch || s.gap[h] == 0 || s.gap[h]*time.Duration(len(queue)) > s.costs.pass[h] {
		return now
	}
	return min(queue[0].release+s.window, queue[0].deadline-2*s.costs.of(h, len(queue)+1))
}

// costs say how long a call takes: a pass over the weights, and each frame.
type costs struct {
	pass, frame [halves]time.Duration
}

// share is what frames of a half cost in calls of so many, each.
func (c costs) share(h half, frames int) time.Duration {
	return c.of(h, frames) / time.Duration(frames)
}

func (c costs) of(h half, frames int) time.Duration {
	return c.pass[h] + time.Duration(frames)*c.frame[h]
}
