//go:build mimi_static && !mimi_bundled

package mimi

// The linker prefers a shared library that lies beside the static one, unless the file is named.

// #cgo pkg-config: --static mimi
// #cgo linux LDFLAGS: -Wl,--as-needed -l:libmimi.a
import "C"
