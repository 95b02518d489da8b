package mimi_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/libmimi/libmimi/bindings/go"
)

func bytesOf(values any) []byte {
	data, err := binary.Append(nil, binary.LittleEndian, values)
	if err != nil {
		panic(err)
	}
	return data
}

func floatsOf(data []byte) []float32 {
	values := make([]float32, len(data)/4)
	if _, err := binary.Decode(data, binary.LittleEndian, values); err != nil {
		panic(err)
	}
	return values
}

// tone is a second of 200 Hz.
func tone() []float32 {
	pcm := make([]float32, 24000)
	for i := range pcm {
		pcm[i] = float32(0.5 * math.Sin(2*math.Pi*200*float64(i)/24000))
	}
	return pcm
}

// A whole recording.
func Example() {
	model, err := mimi.Load("testdata/tiny.safetensors")
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	codes, err := model.Encode(tone(), mimi.Codebooks(6))
	if err != nil {
		log.Fatal(err)
	}
	audio, err := model.Decode(codes, mimi.Codebooks(6))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(codes)/6, "frames,", len(audio), "samples")
	// Output: 13 frames, 24960 samples
}

// Audio as it arrives, 20 milliseconds at a time, without allocating.
func ExampleEncoder_Append() {
	model, err := mimi.Load("testdata/tiny.safetensors")
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	encoder, err := model.NewEncoder(mimi.Codebooks(6))
	if err != nil {
		log.Fatal(err)
	}
	defer encoder.Close()

	codes := make([]uint32, 0, 6)
	frames := 0
	for pcm := tone(); len(pcm) > 0; pcm = pcm[480:] {
		if codes, err = encoder.Append(codes[:0], pcm[:480]); err != nil {
			log.Fatal(err)
		}
		frames += len(codes) / 6
	}
	if codes, err = encoder.AppendFlush(codes[:0]); err != nil {
		log.Fatal(err)
	}
	fmt.Println(frames, "frames and", len(codes)/6, "at the end")
	// Output: 12 frames and 1 at the end
}

// Latents of a language model to sound, such as Pocket TTS makes: one goroutine decodes each when it comes, and the
// audio callback only copies.
func ExampleDecoder_AppendLatents() {
	model, err := mimi.Load("testdata/tiny.safetensors")
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()

	frames := make(chan []float32, 4) // 320 ms, which the callback may be ahead or behind
	go func() {
		defer close(frames)
		decoder, err := model.NewDecoder()
		if err != nil {
			log.Fatal(err)
		}
		defer decoder.Close()
		for range 10 {
			latent := make([]float32, 32) // 12.5 a second, from the language model
			pcm, err := decoder.AppendLatents(nil, latent)
			if err != nil {
				log.Fatal(err)
			}
			frames <- pcm // waits while the callback has enough
		}
	}()

	var left []float32
	callback := func(out []float32) (heard int) { // never waits, and never decodes
		for heard < len(out) {
			if len(left) == 0 {
				select {
				case left = <-frames: // nil at the end
				default:
				}
			}
			if len(left) == 0 {
				break
			}
			n := copy(out[heard:], left)
			heard, left = heard+n, left[n:]
		}
		clear(out[heard:]) // where nothing is there, silence
		return heard
	}
	heard := 0
	for sound := make([]float32, 480); heard < 10*1920; { // a sound card in a hurry
		heard += callback(sound)
		time.Sleep(time.Millisecond)
	}
	fmt.Println(heard, "samples heard")
	// Output: 19200 samples heard
}

// A voice prompt, decoded once. Each sentence is spoken by a fork of the decoder that has heard it.
func ExampleDecoder_Clone() {
	model, err := mimi.Load("testdata/tiny.safetensors")
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	voice, err := model.NewDecoder(mimi.Codebooks(6))
	if err != nil {
		log.Fatal(err)
	}
	prompt := make([]uint32, 25*6) // the codes of two seconds of the voice
	if _, err := voice.Append(nil, prompt); err != nil {
		log.Fatal(err)
	}

	var speakers []*mimi.Decoder
	for range 2 {
		speaker, err := voice.Clone()
		if err != nil {
			log.Fatal(err)
		}
		defer speaker.Close()
		speakers = append(speakers, speaker)
	}
	voice.Close() // its forks go on
	for sentence, speaker := range speakers {
		codes := make([]uint32, 3*6) // three frames that a language model has made
		pcm, err := speaker.Append(nil, codes)
		if err != nil {
			log.Fatal(err)
		}
		whole, err := model.Decode(append(prompt, codes...), mimi.Codebooks(6))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("sentence", sentence, "is as if the prompt came before:", slices.Equal(pcm, whole[25*1920:]))
	}
	// Output:
	// sentence 0 is as if the prompt came before: true
	// sentence 1 is as if the prompt came before: true
}

// From any reader to any writer.
func ExampleNewWriter() {
	model, err := mimi.Load("testdata/tiny.safetensors")
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	encoder, err := model.NewEncoder()
	if err != nil {
		log.Fatal(err)
	}
	defer encoder.Close()

	audio := bytes.NewReader(bytesOf(tone())) // os.Stdin, a connection, ...
	var codes bytes.Buffer
	writer := mimi.NewWriter(&codes, encoder)
	if _, err := io.Copy(writer, audio); err != nil {
		log.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(codes.Len(), "bytes")
	// Output: 105 bytes
}

// From a token file to audio, at the recording's own rate and as long as it was.
func ExampleOpenReader() {
	model, err := mimi.Load("testdata/tiny.safetensors")
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	header, err := model.Header(mimi.SampleRate(16000))
	if err != nil {
		log.Fatal(err)
	}
	header.Samples = 2000
	tokens, err := mimi.AppendHeader(nil, header)
	if err != nil {
		log.Fatal(err)
	}
	tokens = append(tokens, make([]byte, 2*header.FrameBytes())...) // two frames of code 0

	reader, err := mimi.OpenReader(model, bytes.NewReader(tokens)) // os.Open("speech.mtok"), a connection, ...
	if err != nil {
		log.Fatal(err)
	}
	defer reader.Close()
	audio, err := io.ReadAll(reader)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(audio)/4, "samples at", reader.SampleRate(), "Hz")
	// Output: 2000 samples at 16000 Hz
}

// Two conversations whose frames run together; a server has one goroutine for each.
func ExampleBatcher() {
	model, err := mimi.Load("testdata/tiny.safetensors")
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	// a server leaves the numbers at 0: then NewBatcher measures what this machine carries
	batcher, err := mimi.NewBatcher(model, mimi.BatcherOptions{Workers: 1, Capacity: 2}, mimi.Codebooks(6))
	if err != nil {
		log.Fatal(err)
	}
	defer batcher.Close()

	var wait sync.WaitGroup
	for range 3 {
		conversation, err := batcher.Join(mimi.BothParts)
		var overload *mimi.OverloadError
		if errors.As(err, &overload) { // its message is for the client
			fmt.Printf("%d conversations; another one would make the load %.0f %%\n", overload.Conversations, 100*overload.With)
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		defer conversation.Close()
		wait.Add(1)
		go func() {
			defer wait.Done()
			var codes []uint32
			var audio []float32
			for pcm := range slices.Chunk(tone(), 480) {
				codes, err = conversation.Encode(context.Background(), codes[:0], pcm)
				if err == nil && len(codes) > 0 {
					audio, err = conversation.Decode(context.Background(), audio[:0], codes)
				}
				if err != nil {
					log.Print(err)
					return
				}
			}
		}()
	}
	wait.Wait()
	// Output: 2 conversations; another one would make the load 150 %
}
