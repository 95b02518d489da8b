// A program in a module of its own: encodes speech and compares its codes with those in a file.
package main

import (
	"encoding/binary"
	"fmt"
	"log"
	"os"

	"github.com/libmimi/libmimi/bindings/go"
)

// consumer MODEL WAV CODES.npy: six codebooks, 16-bit codes, codebook after codebook.
func main() {
	model, err := mimi.Load(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	wav, err := os.ReadFile(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	var pcm []float32
	for b := wav[44:]; len(b) >= 2; b = b[2:] {
		pcm = append(pcm, float32(int16(binary.LittleEndian.Uint16(b)))/32768)
	}
	codes, err := model.Encode(pcm, mimi.Codebooks(6), mimi.LastFrame(mimi.LayerPad))
	if err != nil {
		log.Fatal(err)
	}
	npy, err := os.ReadFile(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	golden := npy[10+int(binary.LittleEndian.Uint16(npy[8:])):]
	if len(golden) != 2*len(codes) {
		log.Fatalf("%d codes instead of %d", len(codes), len(golden)/2)
	}
	frames := len(codes) / 6
	for i, code := range codes {
		if want := binary.LittleEndian.Uint16(golden[2*(i%6*frames+i/6):]); uint32(want) != code {
			log.Fatalf("code %d: %d instead of %d", i, code, want)
		}
	}
	fmt.Println(len(codes), "golden codes from", mimi.Version())
}
