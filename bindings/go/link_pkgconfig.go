//go:build !mimi_bundled && !mimi_static

package mimi

// #cgo pkg-config: mimi
import "C"
