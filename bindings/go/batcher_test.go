package mimi_test

import (
	"context"
	"encoding/json"
	"errors"
	"expvar"
	"math/rand/v2"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libmimi/libmimi/bindings/go"
)

// newBatcher is a batcher whose limit does not depend on the machine.
func newBatcher(tb testing.TB, model *mimi.Model, numbers mimi.BatcherOptions) *mimi.Batcher {
	tb.Helper()
	if numbers.Capacity == 0 {
		numbers.Capacity = 64
	}
	batcher, err := mimi.NewBatcher(model, numbers, options...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { batcher.Close() })
	return batcher
}

func join(tb testing.TB, batcher *mimi.Batcher, more ...mimi.Option) *mimi.Conversation {
	tb.Helper()
	conversation, err := batcher.Join(mimi.BothParts, more...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conversation.Close() })
	return conversation
}

// echo sends audio in blocks of random length, and what comes of it through the decoder.
func echo(c *mimi.Conversation, pcm []float32, longest int, random *rand.Rand) (codes []uint32, audio []float32, err error) {
	ctx := context.Background()
	for len(pcm) > 0 && err == nil {
		n := min(1+random.IntN(longest), len(pcm))
		if codes, err = c.Encode(ctx, codes, pcm[:n]); err == nil {
			pcm = pcm[n:]
		}
	}
	if err == nil {
		codes, err = c.EncodeFlush(ctx, codes)
	}
	for frame := range slices.Chunk(codes, 6) {
		if err == nil {
			audio, err = c.Decode(ctx, audio, frame)
		}
	}
	if err == nil {
		audio, err = c.DecodeFlush(ctx, audio)
	}
	return codes, audio, err
}

// solo is what streams give alone.
func solo(tb testing.TB, model *mimi.Model, pcm []float32, more ...mimi.Option) ([]uint32, []float32) {
	tb.Helper()
	all := append(slices.Clone(options), more...)
	codes, first := model.Encode(pcm, all...)
	audio, second := model.Decode(codes, all...)
	if err := errors.Join(first, second); err != nil {
		tb.Fatal(err)
	}
	return codes, audio
}

// Conversations that join and leave at any time, at several rates, get the bits that they would get alone.
func TestBatcherGivesTheBitsOfStreamsAlone(t *testing.T) {
	g, model := readGolden(t), load(t)
	batcher := newBatcher(t, model, mimi.BatcherOptions{Workers: 2})
	rates := []int{24000, 24000, 16000, 48000, 8000}
	var wait sync.WaitGroup
	for i := range 20 {
		rate := rates[i%len(rates)]
		pcm := g.pcm[i*100 : i*100+rate/3+77*i] // some frames: they come no faster than in real time
		codes, audio := solo(t, model, pcm, mimi.SampleRate(rate))
		wait.Add(1)
		go func() {
			defer wait.Done()
			random := rand.New(rand.NewPCG(uint64(i), 0))
			for range 2 {
				c, err := batcher.Join(mimi.BothParts, mimi.SampleRate(rate))
				if err != nil {
					t.Error(err)
					return
				}
				for range 2 { // a stream is as new after its end
					gotCodes, gotAudio, err := echo(c, pcm, 1+min(rate/50, 300*i+1), random)
					if err != nil || !slices.Equal(gotCodes, codes) || !slices.Equal(gotAudio, audio) {
						t.Errorf("conversation %d at %d Hz: %d of %d codes, %d of %d samples, %v", i, rate, len(gotCodes), len(codes), len(gotAudio), len(audio), err)
					}
				}
				c.Close()
			}
		}()
	}
	wait.Wait()
	stats := batcher.Stats()
	if stats.Encode.Frames <= stats.Encode.Calls || stats.Decode.Frames <= stats.Decode.Calls {
		t.Errorf("nothing ran together: %+v", stats)
	}
	if stats.Conversations != 0 || stats.Joined != 40 || stats.Load != 0 || stats.Waiting != 0 {
		t.Errorf("%+v", stats)
	}
}

func TestBatcherDoesNotAllocate(t *testing.T) {
	g, model := readGolden(t), load(t)
	c := join(t, newBatcher(t, model, mimi.BatcherOptions{Workers: 1}))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	codes, audio := make([]uint32, 0, 6), make([]float32, 0, 1920)
	frame := func() {
		for block := range slices.Chunk(g.pcm[:1920], 480) {
			codes, _ = c.Encode(ctx, codes[:0], block)
		}
		audio, _ = c.Decode(ctx, audio[:0], codes)
	}
	if allocations := testing.AllocsPerRun(50, frame); allocations != 0 || len(codes) != 6 || len(audio) != 1920 {
		t.Errorf("%v allocations, %d codes, %d samples", allocations, len(codes), len(audio))
	}
}

func TestBatcherRefusesAtTheDoor(t *testing.T) {
	model := load(t)
	batcher := newBatcher(t, model, mimi.BatcherOptions{Workers: 2, Capacity: 3})
	inside := []*mimi.Conversation{join(t, batcher), join(t, batcher)}
	half, err := batcher.Join(mimi.EncoderPart)
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	_, err = batcher.Join(mimi.BothParts)
	var overload *mimi.OverloadError
	if !errors.As(err, &overload) || overload.Conversations != 3 {
		t.Fatal(err)
	}
	says := "mimi: overloaded: 3 conversations take 83 % of the workers' time, another would make it 117 %, and 100 % is the most at which results are in time"
	if err.Error() != says {
		t.Errorf("%v\ninstead of %s", err, says)
	}
	if _, err := half.Decode(context.Background(), nil, make([]uint32, 6)); !errors.Is(err, mimi.ErrUnsupported) {
		t.Error(err)
	}
	other, err := batcher.Join(mimi.DecoderPart) // what is left
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	inside[0].Close()
	inside[0].Close() // does nothing, and makes no room
	join(t, batcher)
	if _, err := batcher.Join(mimi.BothParts); !errors.As(err, &overload) {
		t.Error(err)
	}
	// an error of the stream gives the room back
	_, err = batcher.Join(mimi.DecoderPart, mimi.Codebooks(77))
	if !errors.Is(err, mimi.ErrInvalidArgument) {
		t.Error(err)
	}
	if other, err = batcher.Join(mimi.DecoderPart); err != nil {
		t.Fatal(err)
	}
	other.Close()
	if stats := batcher.Stats(); stats.Refused != 2 || stats.Conversations != 3 || stats.Capacity != 3 {
		t.Errorf("%+v", stats)
	}
}

// Calls that make no sense, and codes that are none, take nothing.
func TestBatcherMisuse(t *testing.T) {
	g, model := readGolden(t), load(t)
	g.pcm = g.pcm[5000 : 5000+9*1920+100]
	codes, audio := solo(t, model, g.pcm)
	batcher := newBatcher(t, model, mimi.BatcherOptions{Workers: 1})
	c := join(t, batcher)
	ctx := context.Background()
	gone, cancel := context.WithCancel(ctx)
	cancel()
	misuse := func() {
		t.Helper()
		bad := slices.Clone(codes[:6])
		bad[3] = 512
		var none context.Context
		_, first := c.Encode(none, nil, g.pcm[:10])
		_, second := c.Encode(ctx, nil, g.pcm[:1921])
		_, third := c.Decode(ctx, nil, codes[:5])
		_, fourth := c.Decode(ctx, nil, bad)
		_, fifth := c.Encode(gone, nil, g.pcm[:1920])
		_, sixth := c.Decode(gone, nil, codes[:6])
		_, seventh := c.EncodeFlush(gone, nil)
		_, eighth := c.DecodeFlush(none, nil)
		for i, pair := range [][2]error{{first, mimi.ErrNullPointer}, {second, mimi.ErrInvalidArgument}, {third, mimi.ErrInvalidArgument}, {fourth, mimi.ErrCorrupt}, {fifth, context.Canceled}, {sixth, context.Canceled}, {seventh, context.Canceled}, {eighth, mimi.ErrNullPointer}} {
			if !errors.Is(pair[0], pair[1]) {
				t.Errorf("misuse %d: %v", i, pair[0])
			}
		}
	}
	var gotCodes []uint32
	var gotAudio []float32
	var err error
	for block := range slices.Chunk(g.pcm, 1000) {
		misuse()
		if gotCodes, err = c.Encode(ctx, gotCodes, block); err != nil {
			t.Fatal(err)
		}
	}
	if gotCodes, err = c.EncodeFlush(ctx, gotCodes); err != nil || !slices.Equal(gotCodes, codes) {
		t.Errorf("%d codes, %v", len(gotCodes), err)
	}
	for frame := range slices.Chunk(codes, 6) {
		misuse()
		if gotAudio, err = c.Decode(ctx, gotAudio, frame); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(gotAudio, audio) {
		t.Errorf("%d samples", len(gotAudio))
	}
	for _, numbers := range []mimi.BatcherOptions{{Workers: -1}, {MaxBatch: 1025}, {Deadline: -1}, {Window: -1}, {Capacity: -1}} {
		if _, err := mimi.NewBatcher(model, numbers); !errors.Is(err, mimi.ErrInvalidArgument) {
			t.Errorf("%+v: %v", numbers, err)
		}
	}
	if _, err := mimi.NewBatcher(nil, mimi.BatcherOptions{}); !errors.Is(err, mimi.ErrNullPointer) {
		t.Error(err)
	}
	if _, err := mimi.NewBatcher(model, mimi.BatcherOptions{Capacity: 1}, mimi.Codebooks(99)); !errors.Is(err, mimi.ErrInvalidArgument) {
		t.Error(err)
	}
	if _, err := batcher.Join(mimi.Parts(7)); !errors.Is(err, mimi.ErrInvalidArgument) {
		t.Error(err)
	}
}

// Contexts that end in every phase of a call. What such a call took not is handed in again, and every bit is as alone.
func TestBatcherContextsThatEnd(t *testing.T) {
	g, model := readGolden(t), load(t)
	g.pcm = g.pcm[5000 : 5000+9*1920+100]
	codes, audio := solo(t, model, g.pcm)
	batcher := newBatcher(t, model, mimi.BatcherOptions{Workers: 1, MaxBatch: 4})
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Add(1)
		c := join(t, batcher)
		go func() {
			defer wait.Done()
			random := rand.New(rand.NewPCG(uint64(i), 9))
			patient := func(call func(context.Context) error) {
				for attempt := 1; ; attempt++ { // ever more patient, however slow the machine is
					longest := attempt * int(time.Millisecond)
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(random.IntN(longest)))
					err := call(ctx)
					cancel()
					if err == nil {
						return
					}
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Error(err)
						return
					}
				}
			}
			var gotCodes []uint32
			var gotAudio []float32
			for block := range slices.Chunk(g.pcm, 1500) {
				patient(func(ctx context.Context) (err error) {
					gotCodes, err = c.Encode(ctx, gotCodes, block)
					return err
				})
			}
			patient(func(ctx context.Context) (err error) {
				gotCodes, err = c.EncodeFlush(ctx, gotCodes)
				return err
			})
			for frame := range slices.Chunk(gotCodes, 6) {
				patient(func(ctx context.Context) (err error) {
					gotAudio, err = c.Decode(ctx, gotAudio, frame)
					return err
				})
			}
			if !slices.Equal(gotCodes, codes) || !slices.Equal(gotAudio, audio) {
				t.Errorf("%d of %d codes, %d of %d samples", len(gotCodes), len(codes), len(gotAudio), len(audio))
			}
		}()
	}
	wait.Wait()
}

// Conversations, and the batcher, are closed while calls run and wait: each call does its work or finds them closed.
func TestBatcherCloseWhileInUse(t *testing.T) {
	g, model := readGolden(t), load(t)
	goroutines := runtime.NumGoroutine()
	for round := range 40 {
		batcher, err := mimi.NewBatcher(model, mimi.BatcherOptions{Workers: 2, MaxBatch: 3, Capacity: 100}, options...)
		if err != nil {
			t.Fatal(err)
		}
		var wait sync.WaitGroup
		for i := range 8 {
			c := join(t, batcher)
			for _, call := range []func() error{
				func() error { _, err := c.Encode(context.Background(), nil, g.pcm[:1920]); return err },
				func() error { _, err := c.Decode(context.Background(), nil, g.codes[:6]); return err },
				func() error { _, err := c.EncodeFlush(context.Background(), nil); return err },
				func() error { _, err := c.DecodeFlush(context.Background(), nil); return err },
			} {
				wait.Add(1)
				go func() {
					defer wait.Done()
					for range 4 {
						if err := closedOr(call()); err != nil {
							t.Error(err)
						}
					}
				}()
			}
			if i%2 == round%2 {
				for range 2 {
					wait.Add(1)
					go func() {
						defer wait.Done()
						if err := c.Close(); err != nil {
							t.Error(err)
						}
						if _, err := c.Encode(context.Background(), nil, g.pcm[:1920]); err != mimi.ErrClosed {
							t.Error(err)
						}
					}()
				}
			}
		}
		for range round * 10 {
			runtime.Gosched()
		}
		for range 2 {
			wait.Add(1)
			go func() {
				defer wait.Done()
				if err := batcher.Close(); err != nil {
					t.Error(err)
				}
				if _, err := batcher.Join(mimi.BothParts); err != mimi.ErrClosed {
					t.Error(err)
				}
			}()
		}
		wait.Wait()
	}
	settled(t, goroutines)
}

// settled waits until there are no more goroutines than there were.
func settled(t *testing.T, goroutines int) {
	t.Helper()
	for range 500 {
		if runtime.NumGoroutine() <= goroutines {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines instead of %d", runtime.NumGoroutine(), goroutines)
}

// Thousands of joins and leaves leave nothing behind, also of conversations that nobody closes.
func TestBatcherJoinsAndLeaves(t *testing.T) {
	g, model := readGolden(t), load(t)
	batcher := newBatcher(t, model, mimi.BatcherOptions{Workers: 2, Capacity: 16})
	codes, _ := solo(t, model, g.pcm)
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for j := range 300 {
				parts := []mimi.Parts{mimi.BothParts, mimi.EncoderPart, mimi.DecoderPart}[(i+j)%3]
				c, err := batcher.Join(parts)
				if err != nil {
					t.Error(err)
					return
				}
				if parts != mimi.DecoderPart && j%20 == 0 {
					got, err := c.Encode(context.Background(), nil, g.pcm[:1920])
					if err != nil || !slices.Equal(got, codes[:6]) {
						t.Errorf("%v, %v", got, err)
					}
				}
				c.Close()
			}
		}()
	}
	wait.Wait()
	if stats := batcher.Stats(); stats.Conversations != 0 || stats.Joined != 2400 || stats.Load != 0 {
		t.Errorf("%+v", stats)
	}
}

// A conversation that nobody has any more, and nobody closed, gives its room back.
func TestBatcherForgetsConversations(t *testing.T) {
	batcher := newBatcher(t, load(t), mimi.BatcherOptions{Workers: 1, Capacity: 2})
	collecting(t)
	for range 20 {
		for {
			_, err := batcher.Join(mimi.BothParts)
			if err == nil {
				break
			}
			if overload := (*mimi.OverloadError)(nil); !errors.As(err, &overload) {
				t.Fatal(err)
			}
			runtime.Gosched()
		}
	}
}

// One that floods, one that stalls and one that sends what are no codes, beside others that get their bits; a panic in
// what is done with a result is the caller's own.
func TestBatcherConversationsDoNotHurtEachOther(t *testing.T) {
	g, model := readGolden(t), load(t)
	g.pcm = g.pcm[5000 : 5000+9*1920+100]
	codes, audio := solo(t, model, g.pcm)
	batcher := newBatcher(t, model, mimi.BatcherOptions{Workers: 2, MaxBatch: 4})
	ctx, cancel := context.WithCancel(context.Background())
	var faulty, healthy sync.WaitGroup
	fault := func(what func(c *mimi.Conversation)) {
		c := join(t, batcher)
		faulty.Add(1)
		go func() {
			defer faulty.Done()
			what(c)
		}()
	}
	fault(func(c *mimi.Conversation) { // floods
		for ctx.Err() == nil {
			c.Encode(ctx, nil, g.pcm[:1920])
		}
	})
	fault(func(c *mimi.Conversation) { // broken codes
		for ctx.Err() == nil {
			if _, err := c.Decode(ctx, nil, []uint32{1, 2, 3, 4, 5, 1 << 20}); ctx.Err() == nil && !errors.Is(err, mimi.ErrCorrupt) {
				t.Error(err)
			}
			time.Sleep(time.Millisecond)
		}
	})
	fault(func(c *mimi.Conversation) { // stalls in the middle of a frame
		c.Encode(ctx, nil, g.pcm[:100])
		<-ctx.Done()
	})
	fault(func(c *mimi.Conversation) { // panics
		defer c.Close()
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		c.Encode(ctx, nil, g.pcm[:1920])
		panic("of a caller")
	})
	for i := range 6 {
		c := join(t, batcher)
		healthy.Add(1)
		go func() {
			defer healthy.Done()
			gotCodes, gotAudio, err := echo(c, g.pcm, 1920, rand.New(rand.NewPCG(uint64(i), 3)))
			if err != nil || !slices.Equal(gotCodes, codes) || !slices.Equal(gotAudio, audio) {
				t.Errorf("%d of %d codes, %d of %d samples, %v", len(gotCodes), len(codes), len(gotAudio), len(audio), err)
			}
		}()
	}
	healthy.Wait()
	cancel()
	faulty.Wait()
}

func TestBatcherMetrics(t *testing.T) {
	g, model := readGolden(t), load(t)
	batcher := newBatcher(t, model, mimi.BatcherOptions{Workers: 1})
	c := join(t, batcher)
	for range 5 {
		if _, err := c.Encode(context.Background(), nil, g.pcm[:1920]); err != nil {
			t.Fatal(err)
		}
	}
	var variable expvar.Var = batcher
	var stats mimi.BatcherStats
	if err := json.Unmarshal([]byte(variable.String()), &stats); err != nil || stats.Encode.Frames != 5 || stats.Encode.Calls != 5 || stats.Encode.Sizes[0] != 5 {
		t.Errorf("%s: %v", variable, err)
	}
	var counted uint64
	for _, count := range stats.Encode.Latency.Counts {
		counted += count
	}
	if counted != 5 || stats.Encode.Busy <= 0 || stats.Encode.Latency.Sum < stats.Encode.Busy {
		t.Errorf("%+v", stats)
	}
	var text strings.Builder
	if err := batcher.WritePrometheus(&text); err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`^(# (HELP|TYPE) mimi_[a-z_]+ .+|mimi_[a-z_]+(\{half="(en|de)code"(,le="[0-9.+Inf]+")?\})? [0-9.e+-]+)$`)
	for said := range strings.Lines(text.String()) {
		if !line.MatchString(strings.TrimSuffix(said, "\n")) {
			t.Errorf("%q", said)
		}
	}
	for _, says := range []string{"mimi_conversations 1\n", `mimi_frames_total{half="encode"} 5`, `mimi_latency_seconds_count{half="encode"} 5`, `mimi_call_frames_bucket{half="encode",le="1"} 5`} {
		if !strings.Contains(text.String(), says) {
			t.Errorf("no %s in\n%s", says, text.String())
		}
	}
}

// A limit that is measured carries someone on any machine that runs these tests, and half a model is enough.
func TestBatcherMeasures(t *testing.T) {
	for _, parts := range []mimi.Parts{mimi.BothParts, mimi.EncoderPart, mimi.DecoderPart} {
		model, err := mimi.Load(checkpoint, mimi.LoadParts(parts))
		if err != nil {
			t.Fatal(err)
		}
		batcher, err := mimi.NewBatcher(model, mimi.BatcherOptions{Workers: 2}, options...)
		model.Close()
		if err != nil {
			t.Fatal(err)
		}
		if stats := batcher.Stats(); stats.Limit <= 0 || stats.Capacity == 0 {
			t.Errorf("%+v", stats)
		}
		if _, err := batcher.Join(parts); err != mimi.ErrClosed {
			t.Errorf("of a closed model: %v", err)
		}
		batcher.Close()
	}
}
