//go:build cgo

package mimi

import (
	"errors"
	"slices"
	"sync"
	"time"
)

const (
	// of audio, that the attention of the published model looks back; a frame costs more then
	windowSeconds = 10
	// worked on at once until the window is full, which is quicker
	blockFrames = 8
	// streams in a call: of more, the time follows
	mostTimed = 16
	// of a call, at least this many, in at least this time. The shortest counts: what else the machine does is not the
	// model's cost.
	timings    = 3
	timingTime = 50 * time.Millisecond
)

// measure times calls of one frame, of so many samples, and of the most. The streams' attention looks back as far as it
// can.
func measure(model *Model, samples int, numbers BatcherOptions, options []Option) (costs, error) {
	options = append(slices.Clone(options), MaxBlock(blockFrames*samples))
	var times costs
	var failures [halves]error
	var wait sync.WaitGroup
	for h := range halves {
		timed := func() {
			defer wait.Done()
			times.pass[h], times.frame[h], failures[h] = measureHalf(model, h, min(numbers.MaxBatch, mostTimed), options)
		}
		wait.Add(1)
		if numbers.Workers > 1 {
			go timed()
		} else {
			timed()
		}
	}
	wait.Wait()
	return times, bothOrOne(failures)
}

// bothOrOne is an error unless at least one half of a model works, and the other does or was not loaded.
func bothOrOne(failures [halves]error) error {
	lacking := 0
	for _, err := range failures {
		if errors.Is(err, ErrUnsupported) {
			lacking++
		} else if err != nil {
			return err
		}
	}
	if lacking == int(halves) {
		return failures[encoding]
	}
	return nil
}

// usable is an error unless streams with options can be opened.
func usable(model *Model, options []Option) error {
	encoder, first := model.NewEncoder(options...)
	if first == nil {
		_, first = encoder.Append(nil, make([]float32, encoder.header.FrameSamples))
		encoder.Close()
	}
	decoder, second := model.NewDecoder(options...)
	if second == nil {
		_, second = decoder.AppendLost(nil, decoder.header.Codebooks)
		decoder.Close()
	}
	return bothOrOne([halves]error{first, second})
}

// measureHalf is what a pass over a half's weights takes, and each frame in it.
func measureHalf(model *Model, h half, most int, options []Option) (pass, frame time.Duration, err error) {
	var call func(count int) error
	var end func()
	if h == encoding {
		call, end, err = timedEncoders(model, most, options)
	} else {
		call, end, err = timedDecoders(model, most, options)
	}
	if err != nil {
		return 0, 0, err
	}
	defer end()
	shortest := func(count int) (time.Duration, error) {
		least := forever
		began := time.Now()
		for i := 0; i < timings || time.Since(began) < timingTime; i++ {
			start := time.Now()
			if err := call(count); err != nil {
				return 0, err
			}
			least = min(least, time.Since(start))
		}
		return least, nil
	}
	all, err := shortest(most)
	if err != nil || most == 1 {
		return 0, all, err
	}
	one, err := shortest(1)
	// a frame costs something, whatever the clock says
	frame = max((all-one)/time.Duration(most-1), time.Microsecond)
	return max(one-frame, 0), frame, err
}

func timedEncoders(model *Model, most int, options []Option) (call func(int) error, end func(), err error) {
	first, err := model.NewEncoder(options...)
	if err != nil {
		return nil, nil, err
	}
	header := first.header
	_, err = first.Append(nil, make([]float32, windowFrames(header)*header.FrameSamples))
	streams, end, err := forks(first, most, err)
	pcm, codes := rooms[float32](most, header.FrameSamples), rooms[uint32](most, header.Codebooks)
	return func(count int) error { return EncodeMany(streams[:count], pcm[:count], codes[:count]) }, end, err
}

func timedDecoders(model *Model, most int, options []Option) (call func(int) error, end func(), err error) {
	first, err := model.NewDecoder(options...)
	if err != nil {
		return nil, nil, err
	}
	header := first.header
	_, err = first.Append(nil, make([]uint32, windowFrames(header)*header.Codebooks))
	streams, end, err := forks(first, most, err)
	pcm, codes := rooms[float32](most, header.FrameSamples), rooms[uint32](most, header.Codebooks)
	return func(count int) error { return DecodeMany(streams[:count], codes[:count], pcm[:count]) }, end, err
}

func windowFrames(header Header) int { return windowSeconds * header.SampleRate / header.FrameSamples }

// forks is a stream and copies of it, unless there is an error already. end closes them all.
func forks[S interface {
	Clone() (S, error)
	Close() error
}](first S, count int, err error) (streams []S, end func(), _ error) {
	streams = append(streams, first)
	for err == nil && len(streams) < count {
		var fork S
		if fork, err = first.Clone(); err == nil {
			streams = append(streams, fork)
		}
	}
	end = func() {
		for _, s := range streams {
			s.Close()
		}
	}
	if err != nil {
		end()
	}
	return streams, end, err
}

// rooms are buffers of so many values.
func rooms[T any](count, values int) [][]T {
	all := make([][]T, count)
	for i := range all {
		all[i] = make([]T, values)
	}
	return all
}
