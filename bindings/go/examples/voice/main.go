// Voice is a server of conversations over WebSocket: PCM in, Mimi's frames out and back.
//
//	go run . -model ../../../../tool/demo/model.safetensors
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	mimi "github.com/libmimi/libmimi/bindings/go"
	"github.com/libmimi/libmimi/bindings/go/examples/voice/internal/server"
)

func main() {
	address := flag.String("addr", "localhost:8024", "where to listen")
	path := flag.String("model", "../../../../tool/demo/model.safetensors", "a file or a folder with a Mimi")
	precision := flag.String("precision", "f32", "how weights are kept: f32, bf16, int16 or int8")
	config := server.Config{}
	flag.IntVar(&config.Codebooks, "codebooks", 8, "codes in a frame, unless a client says otherwise")
	flag.IntVar(&config.Batcher.Workers, "workers", server.Prepare(), "cores for the codec")
	flag.IntVar(&config.Batcher.MaxBatch, "batch", 0, "most frames in a call; 0: 16")
	flag.IntVar(&config.Batcher.Capacity, "conversations", 0, "most conversations that speak and listen; 0: measured at the start")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "voice: %q is no option\n", flag.Arg(0))
		os.Exit(2)
	}
	if err := serve(*address, *path, *precision, config); err != nil {
		log.Fatal("voice: ", err)
	}
}

func serve(address, path, precision string, config server.Config) error {
	// the port first: a client that comes while the model is loaded waits, and is not turned away
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	defer listener.Close()
	model, err := server.LoadModel(path, precision)
	if err != nil {
		return err
	}
	defer model.Close()
	voice, err := server.New(model, config)
	if err != nil {
		return err
	}
	stop, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	web := voice.HTTP()
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(listener) }()
	log.Printf("listening on http://%s, %s, %s", listener.Addr(), voice, mimi.Version())
	select {
	case err = <-failed:
	case <-stop.Done():
		cancel() // a second signal ends the program at once
		log.Print("ending: conversations have ten seconds")
	}
	last, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err = errors.Join(err, web.Shutdown(last), voice.Shutdown(last))
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}
