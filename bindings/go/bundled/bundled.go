// Package bundled holds what the build tag mimi_bundled links: mimi.h, and
// libmimi_GOOS_GOARCH.a for each platform that bundle.sh of this module has put there. It has no Go code.
package bundled
