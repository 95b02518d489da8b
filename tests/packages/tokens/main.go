// As tokens.c, with Go's Reader and Writer.
package main

import (
	"io"
	"log"
	"os"
	"strconv"

	"github.com/libmimi/libmimi/bindings/go"
)

func run(what, weights, from string, rate int, to string) error {
	model, err := mimi.Load(weights)
	if err != nil {
		return err
	}
	defer model.Close()
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	if what == "decode" {
		var options []mimi.Option
		if rate != 0 {
			options = append(options, mimi.SampleRate(rate))
		}
		reader, err := mimi.OpenReader(model, in, options...)
		if err != nil {
			return err
		}
		defer reader.Close()
		_, err = io.Copy(out, reader)
		return err
	}
	encoder, err := model.NewEncoder(mimi.SampleRate(rate))
	if err != nil {
		return err
	}
	defer encoder.Close()
	writer := mimi.NewWriter(out, encoder)
	if _, err := io.Copy(writer, in); err != nil {
		return err
	}
	return writer.Close()
}

func main() {
	rate, err := strconv.Atoi(os.Args[4])
	if err == nil {
		err = run(os.Args[1], os.Args[2], os.Args[3], rate, os.Args[5])
	}
	if err != nil {
		log.Fatal(err)
	}
}
