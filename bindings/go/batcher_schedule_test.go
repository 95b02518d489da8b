package mimi

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// What a schedule decides, in a time that the tests make, and a worker whose call fails.

const aFrame = 80 * time.Millisecond

func milliseconds(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }

func costsOf(pass, frame float64) costs {
	return costs{
		pass:  [halves]time.Duration{milliseconds(pass), milliseconds(pass)},
		frame: [halves]time.Duration{milliseconds(frame), milliseconds(frame)},
	}
}

// newTask is a frame of a conversation that has been silent.
func newTask(s *schedule, h half, now time.Duration) *task {
	t := &task{half: h}
	s.add(t, now, now-aFrame)
	return t
}

func TestScheduleRunsTheOldestFirst(t *testing.T) {
	s := newSchedule(aFrame, aFrame, 0, costsOf(1, 1), 3)
	s.idle = 1
	var encodes, decodes []*task
	for i := range 5 {
		now := milliseconds(float64(10 * i))
		encodes = append(encodes, newTask(&s, encoding, now))
		decodes = append(decodes, newTask(&s, decoding, now))
	}
	if !s.remove(encodes[1]) || s.remove(encodes[1]) {
		t.Error("a task is removed once")
	}
	now := milliseconds(40)
	for i, expected := range [][]*task{
		{encodes[0], encodes[2], encodes[3]}, // due at 80, 100 and 110 ms
		{decodes[0], decodes[1], decodes[2]}, // due at 100, 110 and 120 ms
		{encodes[4]},                         // due at 120 ms
		{decodes[3], decodes[4]},
	} {
		batch, _ := s.next(now, nil)
		if len(batch) != len(expected) {
			t.Fatalf("call %d: %d tasks instead of %d", i, len(batch), len(expected))
		}
		for j := range batch {
			if batch[j] != expected[j] {
				t.Errorf("call %d: another task at %d", i, j)
			}
		}
	}
	if batch, again := s.next(now, nil); len(batch) != 0 || again != forever || s.remove(encodes[0]) {
		t.Error("something is left")
	}
}

// Workers that have nothing to do share what comes at once.
func TestScheduleSharesAmongIdleWorkers(t *testing.T) {
	s := newSchedule(aFrame, aFrame, 0, costsOf(1, 1), 8)
	for range 8 {
		newTask(&s, encoding, 0)
	}
	s.idle = 2
	first, _ := s.next(0, nil)
	s.idle = 1
	second, _ := s.next(0, nil)
	if len(first) != 4 || len(second) != 4 {
		t.Errorf("%d and %d", len(first), len(second))
	}
}

// A conversation that floods is a few frames ahead of real time, and no more; one that comes meanwhile is before it.
func TestScheduleHoldsBackWhoFloods(t *testing.T) {
	s := newSchedule(aFrame, aFrame, 0, costsOf(1, 1), 1)
	s.idle = 1
	var now time.Duration
	last := -aFrame
	frames := 0
	for now < 10*time.Second {
		flood := &task{half: encoding}
		s.add(flood, now, last)
		if frames > 10 {
			if other := newTask(&s, encoding, now); other.deadline > flood.deadline {
				t.Fatal("the flood comes first")
			} else {
				s.remove(other)
			}
		}
		batch, again := s.next(now, nil)
		if len(batch) == 0 {
			now = again
			if batch, _ = s.next(now, nil); len(batch) == 0 {
				t.Fatal("nothing runs when it should")
			}
		}
		last = flood.release
		frames++
	}
	// 10 s in paces of 70 ms, and twelve frames' time ahead
	if frames < 143 || frames > 158 {
		t.Errorf("%d frames in 10 s", frames)
	}
}

// A frame waits for others while that costs less than it saves, and not beyond the window.
func TestScheduleWaitsForCompany(t *testing.T) {
	s := newSchedule(aFrame, aFrame, milliseconds(4), costsOf(5, 4), 8)
	s.idle = 1
	for _, c := range []struct {
		conversations int
		waits         bool
	}{{0, false}, {4, false}, {15, false}, {20, true}, {40, true}} {
		s.populate(aFrame, [halves]int{c.conversations, c.conversations})
		newTask(&s, encoding, 0)
		batch, again := s.next(0, nil)
		if (len(batch) == 0) != c.waits {
			t.Errorf("%d conversations: %d run", c.conversations, len(batch))
		}
		if c.waits {
			if again != milliseconds(4) {
				t.Errorf("waits until %v", again)
			}
			if batch, _ = s.next(again, nil); len(batch) != 1 {
				t.Error("waits beyond the window")
			}
		}
	}
}

// No call is so long that a frame which just missed it and the next is late.
func TestScheduleKeepsCallsShort(t *testing.T) {
	for _, c := range []struct {
		pass, frame float64
		asked, most int
	}{{5, 4.35, 8, 7}, {1, 4, 8, 8}, {6, 4.4, 8, 6}, {30, 20, 8, 1}, {0, 0.2, 8, 8}, {1, 2, 16, 9}, {1, 1, 16, 16}, {1, 4, 16, 8}} {
		s := newSchedule(aFrame, aFrame, 0, costsOf(c.pass, c.frame), c.asked)
		if s.maxBatch != c.most {
			t.Errorf("%v: %d frames in a call", c, s.maxBatch)
		}
	}
}

// What is admitted is in time, whenever its frames come: rehearsed at other points in time than those that set the
// limit.
func TestScheduleKeepsDeadlinesUpToItsLimit(t *testing.T) {
	for _, c := range []struct {
		pass, frame float64
		workers     int
		share       float64 // of what calls of eight could carry, at least
	}{{5, 4.35, 1, 0.7}, {5, 4.35, 2, 0.75}, {5, 4.35, 8, 0.85}, {0.9, 4, 1, 0.9}, {0.9, 4, 2, 0.9}, {0.05, 0.5, 2, 0.95}} {
		s := newSchedule(aFrame, aFrame, milliseconds(4), costsOf(c.pass, c.frame), 8)
		most := mostKept(s, aFrame, c.workers)
		carried := float64(c.workers) * float64(aFrame) / float64(2*s.costs.share(encoding, 8))
		if float64(most) < c.share*carried || float64(most) > carried {
			t.Errorf("%v: %d conversations of %.1f", c, most, carried)
		}
		late := 0
		for seed := range uint64(20) {
			longest := rehearse(s, aFrame, c.workers, most, 100+seed)
			for h := range halves {
				if longest[h] > s.deadline[h]+s.deadline[h]/8 {
					late++
				}
			}
		}
		if late > 0 {
			t.Errorf("%v: with %d conversations, %d of 20 rehearsals are late", c, most, late)
		}
	}
	if most := mostKept(newSchedule(aFrame, aFrame, 0, costsOf(50, 50), 8), aFrame, 2); most != 0 {
		t.Errorf("%d conversations on a machine that is too slow for one", most)
	}
}

// A slow spell counts, and is forgotten within a second of silence.
func TestSlownessIsForgotten(t *testing.T) {
	var s slowness
	if s.at(0) != 1 {
		t.Error(s.at(0))
	}
	now := time.Duration(0)
	for range 200 {
		now += milliseconds(20)
		s.add(3, now)
	}
	if slow := s.at(now); slow < 2.9 || slow > 3 {
		t.Errorf("three times as slow counts as %v", slow)
	}
	if slow := s.at(now + time.Second); slow > 1.2 {
		t.Errorf("a second later it counts as %v", slow)
	}
	now += milliseconds(5)
	if s.add(30, now); s.at(now) > 3.5 {
		t.Errorf("one short call counts as %v", s.at(now))
	}
	// a spell that is faster does not make room
	for range 200 {
		now += milliseconds(20)
		s.add(0.5, now)
	}
	if s.at(now) != 1 {
		t.Error(s.at(now))
	}
}

func TestScheduleSeesWhatIsLate(t *testing.T) {
	s := newSchedule(aFrame, aFrame, 0, costsOf(1, 1), 8)
	newTask(&s, decoding, 0)
	if s.isLate(milliseconds(100)) || !s.isLate(milliseconds(101)) {
		t.Error("audio is due after 100 ms")
	}
}

// A call that fails for one stream has had no effect, and the others get their codes all the same.
func TestWorkerGoesOnWithoutAStreamThatFails(t *testing.T) {
	model, err := Load("testdata/tiny.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	b, err := NewBatcher(model, BatcherOptions{Workers: 1, Capacity: 9})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	w := newWorker(b)
	defer w.free()
	pcm := make([]float32, 2*1920)
	for i := range pcm {
		pcm[i] = float32(i%480)/480 - 0.5
	}
	codes, err := model.Encode(pcm)
	if err != nil {
		t.Fatal(err)
	}
	var sides []*side
	for range 3 {
		c, err := b.Join(EncoderPart)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		sides = append(sides, c.sides[encoding])
	}
	for frame := range 2 {
		if frame == 1 {
			sides[1].encoder.Close() // behind its conversation's back
		}
		for _, s := range sides {
			copy(s.pcm, pcm[frame*1920:(frame+1)*1920])
			w.tasks = append(w.tasks, &s.task)
		}
		w.run()
		for i, s := range sides {
			<-s.done
			if frame == 1 && i == 1 {
				if !errors.Is(s.err, ErrClosed) {
					t.Error(s.err)
				}
			} else if s.err != nil || !slices.Equal(s.codes, codes[frame*6:(frame+1)*6]) {
				t.Errorf("frame %d of stream %d: %v, %v", frame, i, s.codes, s.err)
			}
		}
		w.tasks = w.tasks[:0]
	}
	if stats := b.Stats(); stats.Encode.Failed != 1 || stats.Encode.Frames != 5 || stats.Encode.Calls != 2 {
		t.Errorf("%+v", stats)
	}
}
