// Package bundled holds what the build tag mimi_bundled links: mimi.h, and in tagged releases
// libmimi_GOOS_GOARCH.a for each platform, as `bundle.sh` places them. It has no Go code.
package bundled
