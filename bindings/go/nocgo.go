//go:build !cgo

package mimi

// Without cgo the package has no other code, and the compiler's error is what this line says.
var _ int = "libmimi needs cgo: CGO_ENABLED=1 and a C compiler"
