// Mimi-load talks to the voice server as many clients at once, in real time, and says what became of every frame.
//
//	go run ./cmd/mimi-load -conversations 8 -seconds 30 -faulty 5
//
// Without -url the server runs in this process. Modes:
//
//	(none)     conversations for a time, some of them faulty
//	-curve     more and more conversations: how latency grows with load
//	-overload  a full server, and as many clients again at its door
//	-first     waits for the first codes of a server that is just starting
//	-draw      a picture of what -curve wrote with -json
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"time"

	mimi "github.com/libmimi/libmimi/bindings/go"
	"github.com/libmimi/libmimi/bindings/go/examples/voice/internal/server"
)

// plan is what the command line says.
type plan struct {
	url, model, precision, speech, bench, draw string
	shares                                     string
	conversations, capacity, seed              int
	seconds, faulty, jitter                    float64
	curve, overload, first, asJSON             bool
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("mimi-load: ")
	var p plan
	flag.StringVar(&p.url, "url", "", "a server that runs, such as ws://localhost:8024; by default one is started here")
	flag.StringVar(&p.model, "model", "../../../../tool/demo/model.safetensors", "the server's model")
	flag.StringVar(&p.precision, "precision", "f32", "how weights are kept: f32, bf16, int16 or int8; the server's")
	flag.StringVar(&p.speech, "speech", "../../../../tests/data/golden/speech.wav", "what clients say: WAV, mono, 16 bits, 24 kHz")
	flag.IntVar(&p.conversations, "conversations", 8, "clients that do what they should")
	flag.Float64Var(&p.seconds, "seconds", 20, "how long they talk; for -curve, at each load")
	flag.Float64Var(&p.faulty, "faulty", 0, "faulty clients besides, in percent of -conversations, rounded up")
	flag.Float64Var(&p.jitter, "jitter", 5, "milliseconds by which a block of samples is sent late, at most")
	flag.IntVar(&p.capacity, "capacity", 0, "conversations that the server started here lets in; 0: as it measures")
	flag.StringVar(&p.bench, "bench", "", "what `mimi bench --json` wrote: the load is compared with its calls of eight streams")
	flag.StringVar(&p.shares, "shares", "0.25,0.5,0.7,0.8,0.85,0.9,0.95,1,1.05", "for -curve, loads of what -bench says is carried")
	flag.IntVar(&p.seed, "seed", 1, "of all that is random")
	flag.BoolVar(&p.curve, "curve", false, "latency over load")
	flag.BoolVar(&p.overload, "overload", false, "twice as many clients as there is room for")
	flag.BoolVar(&p.first, "first", false, "milliseconds until a server that is starting gives codes")
	flag.StringVar(&p.draw, "draw", "", "write a picture, SVG, of the JSON files of -curve that are named")
	flag.BoolVar(&p.asJSON, "json", false, "print JSON")
	flag.Parse()
	if err := p.run(); err != nil {
		log.Fatal(err)
	}
}

func (p plan) run() error {
	if p.draw != "" {
		return draw(p.draw, flag.Args())
	}
	if flag.NArg() > 0 {
		return fmt.Errorf("%q is no option", flag.Arg(0))
	}
	if p.first {
		return p.print(waitForFirst(p.url))
	}
	model, err := server.LoadModel(p.model, p.precision)
	if err != nil {
		return err
	}
	defer model.Close()
	speech, err := readSpeech(p.speech)
	if err != nil {
		return err
	}
	load := &load{plan: p, model: model, speech: speech, url: p.url}
	if p.url == "" {
		numbers := mimi.BatcherOptions{Workers: server.Prepare(), Capacity: p.capacity}
		if p.curve {
			if numbers.MaxBatch, err = measuredBatch(model, numbers); err != nil {
				return err
			}
			numbers.Capacity = 10000 // what is looked for is where it breaks
		}
		stop, err := load.serve(server.Config{Batcher: numbers})
		if err != nil {
			return err
		}
		defer stop()
	}
	switch {
	case p.curve:
		return p.print(load.curve())
	case p.overload:
		return p.print(load.overload())
	default:
		return p.print(load.talk())
	}
}

// measuredBatch is how many frames a batcher that measures would run in a call.
func measuredBatch(model *mimi.Model, numbers mimi.BatcherOptions) (int, error) {
	batcher, err := mimi.NewBatcher(model, numbers)
	if err != nil {
		return 0, err
	}
	defer batcher.Close()
	return batcher.Stats().MaxBatch, nil
}

// print prints a report, also one that comes with an error.
func (p plan) print(report fmt.Stringer, err error) error {
	switch {
	case report == nil:
	case p.asJSON:
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		err = errors.Join(err, encoder.Encode(report))
	default:
		fmt.Print(report)
	}
	return err
}

// serve starts a server in this process.
func (l *load) serve(config server.Config) (stop func(), err error) {
	s, err := server.New(l.model, config)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return nil, err
	}
	web := s.HTTP()
	go web.Serve(listener)
	l.server, l.url = s, "ws://"+listener.Addr().String()
	return func() {
		ctx, cancel := within(10 * time.Second)
		defer cancel()
		if err := errors.Join(web.Shutdown(ctx), s.Shutdown(ctx)); err != nil {
			log.Print(err)
		}
	}, nil
}
