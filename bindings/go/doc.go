// Package mimi is the Mimi neural audio codec: 24 kHz mono speech to 12.5 frames of codes a second, and
// back.
//
//	model, err := mimi.Load("model.safetensors")
//	if err != nil {
//		return err
//	}
//	defer model.Close()
//	codes, err := model.Encode(pcm, mimi.Codebooks(8))
//
// Audio that arrives piece by piece goes through an [Encoder] and a [Decoder], one for each speaker. Where audio is
// live, a [Capture] and a [Playback] do their work in equal shares, and conceal what does not arrive.
//
// A voice server has many conversations. A [Batcher] runs the frames of all in few calls, by their deadlines, with the
// bits that each would get alone, and refuses those that it could not keep.
//
// # Audio and codes
//
// Audio is mono float32, nominally -1 to 1, at the model's sample rate or that of [SampleRate]. Codes are
// uint32, frame after frame: code k of frame f is codes[f*codebooks+k].
//
// # Latents
//
// Between the halves of a network are latents: float32, frame after frame, [LatentDim] of them in a frame. An Encoder
// gives them in place of codes, and a Decoder takes them; [Model.Quantize] and [Model.Dequantize] stand between. A
// model without a quantizer, such as the Mimi of Pocket TTS, has latents alone, and codes are [ErrUnsupported].
//
// # Token files
//
// A [Writer] makes a token file, .mtok, of the audio written to it, and [OpenReader] gives the audio of one: at the
// header's rate, and as long as the header says. The command-line tool reads and writes the same files.
//
// # Goroutines
//
// Any number of goroutines may use one [Model] at once. Calls of one [Encoder] or [Decoder] take turns, whichever
// goroutine makes them. A [Capture] or [Playback] has three sides, whose calls run beside each other. Close waits for
// the calls that use the value; calls that come later are [ErrClosed]. A [Reader] or [Writer] is for one goroutine.
//
// # Memory
//
// Models and streams hold memory that Go does not see: Close them. What becomes unreachable without
// being closed is freed by the garbage collector, some time later. A stream keeps its model's weights
// alive: they may be closed in any order.
//
// # Linking
//
// The package needs cgo, a C compiler and libmimi. By default pkg-config finds the installed library. With the build
// tag mimi_static, the installed static library goes into the program. With mimi_bundled, libmimi.a comes from this
// module's folder bundled, where bundle.sh of this module puts it once; then no library needs to be installed.
//
// cgo does not notice that libmimi.a has changed: after an update, build once with go build -a.
package mimi
