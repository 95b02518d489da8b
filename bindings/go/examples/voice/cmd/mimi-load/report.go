package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	codesDue = 80 * time.Millisecond  // from a frame's last sample to its codes
	audioDue = 240 * time.Millisecond // to its audio: what the page hears without a gap
)

// times are of one kind of answer, in milliseconds.
type times struct {
	P50  float64 `json:"p50"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
	Late int     `json:"late"`
}

func timesOf(all []time.Duration, due time.Duration) times {
	if len(all) == 0 {
		return times{}
	}
	slices.Sort(all)
	at := func(share float64) float64 {
		return float64(all[int(share*float64(len(all)-1)+0.5)].Microseconds()) / 1000
	}
	t := times{P50: at(0.5), P95: at(0.95), P99: at(0.99), Max: at(1)}
	for _, one := range all {
		if one > due {
			t.Late++
		}
	}
	return t
}

func (t times) String() string {
	return fmt.Sprintf("p50 %6.1f  p95 %6.1f  p99 %6.1f  max %6.1f ms  %d late", t.P50, t.P95, t.P99, t.Max, t.Late)
}

// step is the answers to frames that were sent in some time.
type step struct {
	Conversations int     `json:"conversations"`
	Frames        int     `json:"frames"`
	Load          float64 `json:"load"` // as the server counts it
	Codes         times   `json:"codes"`
	Audio         times   `json:"audio"`
}

// stepOf looks at frames sent from one time to another, of clients that may still talk. What is not answered yet counts
// as answered now.
func stepOf(clients []*client, from, to time.Time) step {
	s := step{Conversations: len(clients)}
	var codes, audio []time.Duration
	for _, c := range clients {
		answered, now := int(c.answered.Load()), time.Now()
		for i := range int(c.sent.Load()) {
			sent := c.answers[i].sent
			if sent.Before(from) || sent.After(to) {
				continue
			}
			if i < answered {
				codes = append(codes, c.answers[i].codes.Sub(sent))
				audio = append(audio, c.answers[i].audio.Sub(sent))
			} else if waits := now.Sub(sent); waits > audioDue {
				codes, audio = append(codes, waits), append(audio, waits)
			}
		}
	}
	s.Frames = len(codes)
	s.Codes, s.Audio = timesOf(codes, codesDue), timesOf(audio, audioDue)
	return s
}

// process is what the server's process holds; the clients are in it, if they run in the same.
type process struct {
	Goroutines int     `json:"goroutines"`
	HeapMB     float64 `json:"heap_mb"`
	ResidentMB float64 `json:"resident_mb"`
}

func (p process) String() string {
	return fmt.Sprintf("%d goroutines, %.1f MB of Go's heap, %.1f MB resident", p.Goroutines, p.HeapMB, p.ResidentMB)
}

// process asks this process, or the server's metrics. What is garbage counts.
func (l *load) process() process {
	if l.server == nil {
		return l.remote()
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return process{runtime.NumGoroutine(), float64(memory.HeapAlloc) / 1e6, resident()}
}

func (l *load) remote() process {
	var p process
	response, err := http.Get(strings.Replace(l.url, "ws", "http", 1) + "/metrics")
	if err != nil {
		return p
	}
	defer response.Body.Close()
	var text strings.Builder
	if _, err := fmt.Fprint(&text, readAll(response)); err != nil {
		return p
	}
	for line := range strings.Lines(text.String()) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue
		}
		switch name {
		case "voice_goroutines":
			p.Goroutines = int(number)
		case "voice_heap_bytes":
			p.HeapMB = number / 1e6
		}
	}
	return p
}

// resident is this process's memory in MB, where the system tells it.
func resident() float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmRSS:" {
			kilobytes, _ := strconv.ParseFloat(fields[1], 64)
			return kilobytes * 1024 / 1e6
		}
	}
	return 0
}

// talkReport is what became of all frames of healthy clients.
type talkReport struct {
	Precision     string   `json:"precision"`
	Conversations int      `json:"conversations"`
	Faulty        int      `json:"faulty"`
	Seconds       float64  `json:"seconds"`
	Frames        int      `json:"frames"`    // sent
	Missing       int      `json:"missing"`   // of which there is no answer
	Different     int      `json:"different"` // whose answer is not that of the streams alone
	Failures      []string `json:"failures"`
	Codes         times    `json:"codes"`
	Audio         times    `json:"audio"`
	Before        process  `json:"before"`
	Early         process  `json:"early"` // after a tenth of the time
	Late          process  `json:"late"`  // just before the end
	After         process  `json:"after"`
}

// count compares the answers of clients that have ended with those of streams alone.
func (r *talkReport) count(l *load, clients []*client) error {
	most := 0
	for _, c := range clients {
		most = max(most, int(c.sent.Load()))
	}
	alone, err := l.solo(most)
	if err != nil {
		return err
	}
	var codes, audio []time.Duration
	for _, c := range clients {
		if c.failure != nil {
			r.Failures = append(r.Failures, c.failure.Error())
		}
		sent, answered := int(c.sent.Load()), int(c.answered.Load())
		r.Frames += sent
		r.Missing += sent - answered
		for i, a := range c.answers[:answered] {
			codes, audio = append(codes, a.codes.Sub(a.sent)), append(audio, a.audio.Sub(a.sent))
			if a.codesHash != alone[c.variant].codes[i] || a.audioHash != alone[c.variant].audio[i] {
				r.Different++
			}
		}
	}
	r.Codes, r.Audio = timesOf(codes, codesDue), timesOf(audio, audioDue)
	return nil
}

// verdict is an error if a frame of a healthy client is not what it should be. How long it took is not judged.
func (r *talkReport) verdict() error {
	if r.Missing+r.Different+len(r.Failures) > 0 {
		return errors.New("not every frame of every healthy client came back as it should")
	}
	if r.After.Goroutines > r.Before.Goroutines {
		return fmt.Errorf("%d goroutines are left of %d before", r.After.Goroutines, r.Before.Goroutines)
	}
	return nil
}

func (r *talkReport) String() string {
	return fmt.Sprintf(`%s, %d conversations and %d faulty clients, %.0f s
frames    %d sent, %d missing, %d not as alone
codes     %v
audio     %v
before    %v
a tenth   %v
the end   %v
after     %v
failures  %v
`, r.Precision, r.Conversations, r.Faulty, r.Seconds, r.Frames, r.Missing, r.Different, r.Codes, r.Audio, r.Before, r.Early, r.Late, r.After, r.Failures)
}

// curveReport is latency over load.
type curveReport struct {
	Precision string  `json:"precision"`
	CPU       string  `json:"cpu"`
	Carried   float64 `json:"carried"` // conversations, by calls of eight streams on all cores
	Steps     []step  `json:"steps"`
}

// kept is the largest number of conversations at which no codes were late, nor at any before.
func (r *curveReport) kept() int {
	most := 0
	for _, s := range r.Steps {
		if s.Codes.Late > 0 || s.Codes.P99 >= float64(codesDue.Milliseconds()) {
			break
		}
		most = s.Conversations
	}
	return most
}

func (r *curveReport) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s, %s; calls of eight streams carry %.1f conversations\n", r.Precision, r.CPU, r.Carried)
	for _, s := range r.Steps {
		fmt.Fprintf(&text, "%4d  %3.0f %%  codes %v\n            audio %v\n", s.Conversations, 100*float64(s.Conversations)/r.Carried, s.Codes, s.Audio)
	}
	fmt.Fprintf(&text, "no codes late with %d conversations, %.0f %%\n", r.kept(), 100*float64(r.kept())/r.Carried)
	return text.String()
}

// overloadReport is a full server with as many clients again at its door.
type overloadReport struct {
	Precision  string   `json:"precision"`
	Inside     int      `json:"inside"`
	Refused    int      `json:"refused"`
	LetIn      int      `json:"let_in"`
	Reason     string   `json:"reason"`
	Step       step     `json:"during"`
	RoomAfter  float64  `json:"room_after_ms"` // one has left
	Afterwards step     `json:"afterwards"`
	Frames     int      `json:"frames"`
	Missing    int      `json:"missing"`
	Different  int      `json:"different"`
	Failures   []string `json:"failures"`
}

func (r *overloadReport) String() string {
	return fmt.Sprintf(`%s, %d conversations inside, as many at the door: %d times refused, %d let in
reason    %s
during    codes %v
          audio %v
room      %.0f ms after one left
after     codes %v
frames    %d sent, %d missing, %d not as alone
failures  %v
`, r.Precision, r.Inside, r.Refused, r.LetIn, r.Reason, r.Step.Codes, r.Step.Audio, r.RoomAfter, r.Afterwards.Codes, r.Frames, r.Missing, r.Different, r.Failures)
}

// readBench is how many conversations all cores carry in calls of eight streams, as `mimi bench --json` tells it.
func readBench(path, precision string) (float64, error) {
	if path == "" {
		return 0, errors.New("-curve needs -bench FILE, what `mimi bench --json --streams 8` wrote")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	var bench struct {
		Precisions []struct {
			Precision string `json:"precision"`
			Streams   []struct {
				Streams       int     `json:"streams"`
				Conversations float64 `json:"conversations"`
			} `json:"streams"`
		} `json:"precisions"`
	}
	if err := json.Unmarshal(data, &bench); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	for _, p := range bench.Precisions {
		for _, s := range p.Streams {
			if p.Precision == precision && s.Streams == 8 && s.Conversations > 0 {
				return s.Conversations, nil
			}
		}
	}
	return 0, fmt.Errorf("%s says nothing of conversations in calls of eight streams with %s", path, precision)
}
