package main

import (
	"errors"
	"hash/maphash"
	"sync"

	mimi "github.com/libmimi/libmimi/bindings/go"
)

// expected are the hashes of a variant's answers, as streams alone give them.
type expected struct {
	codes, audio []uint64
}

// aheadFrames are worked on at once, which is quicker and changes no bit.
const aheadFrames = 8

// solo runs what was said through an encoder and a decoder of their own.
func (l *load) solo(frames int) ([variants]expected, error) {
	var all [variants]expected
	var failures [variants]error
	var wait sync.WaitGroup
	for variant := range all {
		wait.Add(1)
		go func() {
			defer wait.Done()
			all[variant], failures[variant] = l.soloVariant(variant, frames)
		}()
	}
	wait.Wait()
	return all, errors.Join(failures[:]...)
}

func (l *load) soloVariant(variant, frames int) (expected, error) {
	var e expected
	block := mimi.MaxBlock(aheadFrames * frameSamples)
	encoder, err := l.model.NewEncoder(block)
	if err != nil {
		return e, err
	}
	defer encoder.Close()
	decoder, err := l.model.NewDecoder(block)
	if err != nil {
		return e, err
	}
	defer decoder.Close()
	header, err := l.model.Header()
	if err != nil {
		return e, err
	}
	var pcm, audio, frame []float32
	var codes []uint32
	var bytes []byte
	for at := 0; at < frames; at += aheadFrames {
		pcm = pcm[:0]
		for i := range aheadFrames {
			frame = l.said(frame[:0], variant, at+i)
			pcm = append(pcm, frame...)
		}
		if codes, err = encoder.Append(codes[:0], pcm); err != nil {
			return e, err
		}
		if audio, err = decoder.Append(audio[:0], codes); err != nil {
			return e, err
		}
		for i := range aheadFrames {
			bytes, err = mimi.AppendPacked(bytes[:0], codes[i*header.Codebooks:(i+1)*header.Codebooks], header.Codebooks, header.CodeBits)
			if err != nil {
				return e, err
			}
			e.codes = append(e.codes, maphash.Bytes(hashSeed, bytes))
			bytes = appendPCM(bytes[:0], audio[i*frameSamples:(i+1)*frameSamples])
			e.audio = append(e.audio, maphash.Bytes(hashSeed, bytes))
		}
	}
	return e, nil
}
