package mimi_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"math"

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
	tokens = append(tokens, make([]byte, 2*((header.Codebooks*header.CodeBits+7)/8))...) // two frames of code 0

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
