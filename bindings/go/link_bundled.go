//go:build mimi_bundled

package mimi

// #cgo CFLAGS: -I${SRCDIR}/bundled
// #cgo linux,amd64 LDFLAGS: -L${SRCDIR}/bundled -lmimi_linux_amd64 -lpthread -ldl -lm
// #cgo linux,arm64 LDFLAGS: -L${SRCDIR}/bundled -lmimi_linux_arm64 -lpthread -ldl -lm
// #cgo darwin,amd64 LDFLAGS: -L${SRCDIR}/bundled -lmimi_darwin_amd64
// #cgo darwin,arm64 LDFLAGS: -L${SRCDIR}/bundled -lmimi_darwin_arm64
// #cgo windows,amd64 LDFLAGS: -L${SRCDIR}/bundled -lmimi_windows_amd64 -lntdll -luserenv -lws2_32 -ldbghelp
import "C"

// so that `go mod vendor` copies the folder
import _ "github.com/libmimi/libmimi/bindings/go/bundled"
