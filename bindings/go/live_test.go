package mimi_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/libmimi/libmimi/bindings/go"
)

func get(t *testing.T, from interface {
	Get(mimi.Property) (int64, error)
}, p mimi.Property) int64 {
	t.Helper()
	value, err := from.Get(p)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// Sound through a capture and a playback comes as late as they say, whoever does the work.
func TestLiveLatency(t *testing.T) {
	g, model := readGolden(t), load(t)
	pcm := g.pcm[:10*1920]
	codes, err := model.Encode(pcm, options...)
	if err != nil {
		t.Fatal(err)
	}
	expected, err := model.Decode(codes, options...)
	if err != nil {
		t.Fatal(err)
	}
	for _, work := range []mimi.LiveWork{mimi.SpreadWork, mimi.OtherWork} {
		capture, err := model.NewCapture(append(options, mimi.WorkBy(work))...)
		if err != nil {
			t.Fatal(err)
		}
		defer capture.Close()
		playback, err := model.NewPlayback(append(options, mimi.WorkBy(work), mimi.BufferFrames(2))...)
		if err != nil {
			t.Fatal(err)
		}
		defer playback.Close()
		latency := int(get(t, capture, mimi.LatencySamples) + get(t, playback, mimi.LatencySamples))
		heard := make([]float32, len(pcm))
		var ready []uint32
		for at := 0; at < len(pcm); at += 480 {
			err := errors.Join(capture.Write(pcm[at:at+480]), capture.Work())
			if ready, err = capture.AppendReady(ready[:0]); err != nil {
				t.Fatal(err)
			}
			err = errors.Join(err, playback.Write(ready), playback.Work(), playback.Read(heard[at:at+480]))
			if err != nil {
				t.Fatal(err)
			}
		}
		for i, sample := range heard {
			if i < latency && sample != 0 || i >= latency && sample != expected[i-latency] {
				t.Fatalf("sample %d: %g", i, sample)
			}
		}
		if err := playback.WriteLost(19 * 6); !errors.Is(err, mimi.ErrBufferTooSmall) {
			t.Errorf("too many frames: %v", err)
		}
		if err := errors.Join(playback.WriteLost(6), playback.Write([]uint32{1, 2, mimi.NoCode, 4, 5, 6})); err != nil {
			t.Error(err)
		}
		if lost, dropped := get(t, playback, mimi.Lost), get(t, playback, mimi.Dropped); lost != 1 || dropped != 19 {
			t.Errorf("%d lost, %d dropped", lost, dropped)
		}
		if err := errors.Join(capture.Reset(), playback.Reset()); err != nil || get(t, playback, mimi.Frames) != 0 {
			t.Error(err)
		}
	}
	if _, err := model.NewPlayback(mimi.BufferFrames(65)); !errors.Is(err, mimi.ErrInvalidArgument) {
		t.Errorf("65 frames: %v", err)
	}
}

// All sides on goroutines of their own, until they find it closed.
func TestLiveSides(t *testing.T) {
	g, model := readGolden(t), load(t)
	collecting(t)
	for range 10 {
		capture, err := model.NewCapture(append(options, mimi.WorkBy(mimi.OtherWork))...)
		if err != nil {
			t.Fatal(err)
		}
		playback, err := model.NewPlayback(append(options, mimi.WorkBy(mimi.OtherWork))...)
		if err != nil {
			t.Fatal(err)
		}
		heard := make([]float32, 480)
		sides := []func() error{
			func() error { return errors.Join(capture.Write(g.pcm[:480]), playback.Read(heard)) },
			func() error {
				ready, err := capture.AppendReady(nil)
				if err == nil && len(ready) <= 17*6 {
					err = playback.Write(ready)
				}
				if errors.Is(err, mimi.ErrBufferTooSmall) {
					return nil
				}
				return err
			},
			func() error { return errors.Join(capture.Work(), playback.Work()) },
			func() error { _, err := playback.Get(mimi.Concealed); return err },
			func() error { return errors.Join(capture.Reset(), playback.Reset()) },
		}
		var running sync.WaitGroup
		for _, side := range sides {
			running.Add(1)
			go func() {
				defer running.Done()
				for {
					if err := side(); err != nil {
						if !errors.Is(err, mimi.ErrClosed) {
							t.Error(err)
						}
						return
					}
				}
			}()
		}
		for range 200 {
			if _, err := capture.Get(mimi.Frames); err != nil {
				t.Error(err)
			}
		}
		if err := errors.Join(capture.Close(), playback.Close(), capture.Close()); err != nil {
			t.Error(err)
		}
		running.Wait()
	}
}
