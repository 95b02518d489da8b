package mimi_test

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/libmimi/libmimi/bindings/go"
)

// collecting runs the collector until the test ends, so that what is unreachable is freed at once.
func collecting(t *testing.T) {
	var over atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !over.Load() {
			runtime.GC()
		}
	}()
	t.Cleanup(func() {
		over.Store(true)
		<-done
	})
}

// closedOr is an error unless a call did its work or found the value closed.
func closedOr(err error) error {
	if errors.Is(err, mimi.ErrClosed) {
		return nil
	}
	return err
}

// A stream that is closed while other goroutines are inside its calls: each call does its work or finds it closed.
func TestCloseWhileInUse(t *testing.T) {
	g, model := readGolden(t), load(t)
	collecting(t)
	for round := range 60 {
		encoder, err := model.NewEncoder(options...)
		if err != nil {
			t.Fatal(err)
		}
		decoder, err := model.NewDecoder(options...)
		if err != nil {
			t.Fatal(err)
		}
		calls := []func() error{
			func() error { _, err := encoder.Append(nil, g.pcm[:4000]); return err },
			func() error { _, err := encoder.AppendFlush(nil); return err },
			func() error { _, err := encoder.Get(mimi.Frames); return err },
			func() error { return encoder.Reset() },
			func() error {
				fork, err := encoder.Clone()
				if err == nil {
					err = fork.Close()
				}
				return err
			},
			func() error { _, err := decoder.Append(nil, g.codes[:12]); return err },
			func() error { _, err := decoder.AppendFlush(nil); return err },
			func() error { _, err := decoder.Get(mimi.Frames); return err },
			func() error { return decoder.Reset() },
			func() error {
				echo, err := decoder.Clone()
				if err == nil {
					err = echo.Close()
				}
				return err
			},
			func() error {
				return mimi.EncodeMany([]*mimi.Encoder{encoder}, [][]float32{g.pcm[:1920]}, [][]uint32{make([]uint32, 6)})
			},
			func() error {
				return mimi.DecodeMany([]*mimi.Decoder{decoder}, [][]uint32{g.codes[:6]}, [][]float32{make([]float32, 1920)})
			},
		}
		var wait sync.WaitGroup
		for _, call := range calls {
			wait.Add(1)
			go func() {
				defer wait.Done()
				for range 3 {
					if err := closedOr(call()); err != nil {
						t.Error(err)
					}
				}
			}()
		}
		for range round % 7 * 100 {
			runtime.Gosched()
		}
		if err := errors.Join(encoder.Close(), decoder.Close()); err != nil {
			t.Error(err)
		}
		wait.Wait()
	}
}

// 64 goroutines on models that are dropped or closed while their streams run, with the collector at their heels.
func TestModelsDroppedWhileStreamsRun(t *testing.T) {
	g := readGolden(t)
	collecting(t)
	var wait sync.WaitGroup
	for i := range 64 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			model, err := mimi.Load(checkpoint)
			if err != nil {
				t.Error(err)
				return
			}
			encoder, err := model.NewEncoder(options...)
			if err != nil {
				t.Error(err)
				return
			}
			if i%2 == 0 {
				go model.Close()
				if _, err := model.Encode(g.pcm[:1920]); closedOr(err) != nil {
					t.Error(err)
				}
			}
			model = nil
			codes, err := encoder.Append(nil, g.pcm[:5*1920])
			if err != nil || !slices.Equal(codes, g.codes[:30]) {
				t.Errorf("%d codes: %v", len(codes), err)
			}
			if i%3 == 0 {
				encoder.Close()
			}
		}()
	}
	wait.Wait()
}

// Two goroutines on one stream take turns, and the codes are as many as they must be.
func TestOneStreamFromManyGoroutines(t *testing.T) {
	g, model := readGolden(t), load(t)
	encoders := make([]*mimi.Encoder, 3)
	for i := range encoders {
		var err error
		if encoders[i], err = model.NewEncoder(options...); err != nil {
			t.Fatal(err)
		}
	}
	var wait sync.WaitGroup
	for i := range 12 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			// in any order, or they would wait for each other for ever
			order := []*mimi.Encoder{encoders[i%3], encoders[(i+1+i/6)%3]}
			room := [][]uint32{make([]uint32, 6), make([]uint32, 6)}
			if err := mimi.EncodeMany(order, [][]float32{g.pcm[:1920], g.pcm[1920:3840]}, room); err != nil {
				t.Error(err)
			}
			if _, err := encoders[i%3].Append(nil, g.pcm[:1920]); err != nil {
				t.Error(err)
			}
		}()
	}
	wait.Wait()
	var frames int64
	for _, encoder := range encoders {
		n, err := encoder.Get(mimi.Frames)
		if err != nil {
			t.Fatal(err)
		}
		frames += n
	}
	if frames != 12*3 {
		t.Errorf("%d frames", frames)
	}
	twice := []*mimi.Encoder{encoders[0], encoders[0]}
	room := [][]uint32{make([]uint32, 6), make([]uint32, 6)}
	err := mimi.EncodeMany(twice, [][]float32{g.pcm[:1920], g.pcm[:1920]}, room)
	if !errors.Is(err, mimi.ErrInvalidArgument) {
		t.Errorf("the same stream twice: %v", err)
	}
	if err := mimi.EncodeMany([]*mimi.Encoder{nil}, [][]float32{nil}, [][]uint32{nil}); err == nil {
		t.Error("no stream at all")
	}
}
