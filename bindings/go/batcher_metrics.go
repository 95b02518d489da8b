//go:build cgo

package mimi

import (
	"encoding/json"
	"fmt"
	"io"
	"math/bits"
	"strings"
	"time"
)

// BatcherStats is what a Batcher has done, and what it does now.
type BatcherStats struct {
	Conversations int     // inside
	Waiting       int     // frames that wait for a worker
	Load          float64 // the share of the workers' time that the conversations take
	Limit         float64 // the most at which results are in time
	Capacity      int     // conversations of both halves that fit, lately
	MaxBatch      int     // frames in a call: fewer than was asked for, if a call of so many takes too long
	Joined        uint64
	Refused       uint64 // conversations, for overload
	Encode        HalfStats
	Decode        HalfStats
}

// HalfStats is what was done for encoders, or for decoders.
type HalfStats struct {
	Frames    uint64 // done
	Calls     uint64 // in which they were done
	Late      uint64 // frames done after their deadline
	Cancelled uint64 // frames whose context ended while they waited
	Failed    uint64
	Busy      time.Duration // of the workers
	Sizes     [11]uint64    // calls of 1 frame, 2, up to 4, up to 8, up to 1024
	Latency   Histogram     // from the frame's arrival to its result
}

// LatencyBounds are those of the buckets of a Histogram.
var LatencyBounds = [...]time.Duration{
	1 * time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond,
	30 * time.Millisecond, 40 * time.Millisecond, 50 * time.Millisecond, 60 * time.Millisecond, 70 * time.Millisecond,
	80 * time.Millisecond, 100 * time.Millisecond, 120 * time.Millisecond, 160 * time.Millisecond,
	240 * time.Millisecond, 320 * time.Millisecond, 640 * time.Millisecond,
}

// Histogram counts times, each below its bucket's bound of LatencyBounds or equal to it; the last bucket has no bound.
type Histogram struct {
	Counts [len(LatencyBounds) + 1]uint64
	Sum    time.Duration
}

func (h *Histogram) add(latency time.Duration) {
	bucket := 0
	for bucket < len(LatencyBounds) && latency > LatencyBounds[bucket] {
		bucket++
	}
	h.Counts[bucket]++
	h.Sum += latency
}

func (s *BatcherStats) half(h half) *HalfStats {
	if h == encoding {
		return &s.Encode
	}
	return &s.Decode
}

// add counts a call.
func (s *HalfStats) add(tasks []*task, start, end time.Duration) {
	s.Calls++
	s.Sizes[bits.Len(uint(len(tasks)-1))]++
	s.Busy += end - start
	for _, t := range tasks {
		if t.side.err != nil {
			s.Failed++
			continue
		}
		s.Frames++
		s.Latency.add(end - t.side.came)
		if end > t.deadline {
			s.Late++
		}
	}
}

// Stats is what the batcher has done until now.
func (b *Batcher) Stats() BatcherStats {
	b.lock.Lock()
	defer b.lock.Unlock()
	stats := b.stats
	stats.Waiting = b.schedule.waiting()
	stats.Load, stats.Limit = b.load(b.sides), b.limit
	if one := b.load([halves]int{1, 1}); one > 0 {
		stats.Capacity = int(b.limit/one + rounding)
	}
	stats.MaxBatch = b.schedule.maxBatch
	return stats
}

// String is Stats as JSON, so that a Batcher is an expvar.Var: expvar.Publish("mimi", batcher).
func (b *Batcher) String() string {
	text, err := json.Marshal(b.Stats())
	if err != nil {
		return "{}" // a load that is not a number
	}
	return string(text)
}

// WritePrometheus writes Stats in the text format of Prometheus.
func (b *Batcher) WritePrometheus(w io.Writer) error {
	s := b.Stats()
	var text strings.Builder
	metric := func(name, kind, help string, lines ...string) {
		fmt.Fprintf(&text, "# HELP mimi_%s %s\n# TYPE mimi_%s %s\n", name, help, name, kind)
		for _, line := range lines {
			fmt.Fprintf(&text, "mimi_%s%s\n", name, line)
		}
	}
	number := func(value any) string { return fmt.Sprintf(" %v", value) }
	both := func(of func(*HalfStats) any) []string {
		return []string{fmt.Sprintf(`{half="encode"} %v`, of(&s.Encode)), fmt.Sprintf(`{half="decode"} %v`, of(&s.Decode))}
	}
	metric("conversations", "gauge", "Conversations inside.", number(s.Conversations))
	metric("waiting_frames", "gauge", "Frames that wait for a worker.", number(s.Waiting))
	metric("load", "gauge", "The share of the workers' time that the conversations take.", number(s.Load))
	metric("load_limit", "gauge", "The most load at which results are in time.", number(s.Limit))
	metric("joined_total", "counter", "Conversations that joined.", number(s.Joined))
	metric("refused_total", "counter", "Conversations refused for overload.", number(s.Refused))
	metric("frames_total", "counter", "Frames done.", both(func(h *HalfStats) any { return h.Frames })...)
	metric("calls_total", "counter", "Calls in which they were done.", both(func(h *HalfStats) any { return h.Calls })...)
	metric("late_frames_total", "counter", "Frames done after their deadline.", both(func(h *HalfStats) any { return h.Late })...)
	metric("cancelled_frames_total", "counter", "Frames whose caller gave up.", both(func(h *HalfStats) any { return h.Cancelled })...)
	metric("failed_frames_total", "counter", "Frames that failed.", both(func(h *HalfStats) any { return h.Failed })...)
	metric("busy_seconds_total", "counter", "Time of the workers in calls.", both(func(h *HalfStats) any { return h.Busy.Seconds() })...)
	metric("latency_seconds", "histogram", "From a frame's arrival to its result.",
		append(s.Encode.Latency.lines("encode"), s.Decode.Latency.lines("decode")...)...)
	metric("call_frames", "histogram", "Frames in a call.", append(s.Encode.sizeLines("encode"), s.Decode.sizeLines("decode")...)...)
	_, err := io.WriteString(w, text.String())
	return err
}

func (h *Histogram) lines(half string) []string {
	bounds := make([]float64, len(LatencyBounds))
	for i, bound := range LatencyBounds {
		bounds[i] = bound.Seconds()
	}
	return buckets(half, bounds, h.Counts[:], h.Sum.Seconds())
}

func (s *HalfStats) sizeLines(half string) []string {
	bounds := make([]float64, len(s.Sizes))
	for i := range bounds {
		bounds[i] = float64(uint(1) << i)
	}
	return buckets(half, bounds, s.Sizes[:], float64(s.Frames))
}

// buckets are the lines of a histogram. Those of Prometheus count what is below their bound, in all buckets before too.
func buckets(half string, bounds []float64, counts []uint64, sum float64) []string {
	var lines []string
	var total uint64
	for i, count := range counts {
		total += count
		if i < len(bounds) {
			lines = append(lines, fmt.Sprintf(`_bucket{half=%q,le="%v"} %d`, half, bounds[i], total))
		}
	}
	return append(lines, fmt.Sprintf(`_bucket{half=%q,le="+Inf"} %d`, half, total),
		fmt.Sprintf(`_sum{half=%q} %v`, half, sum), fmt.Sprintf(`_count{half=%q} %d`, half, total))
}
