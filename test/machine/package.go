// SPDX-License-Identifier: GPL-2.0-or-later

package machine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
)

// ErrMissing says that there is not what `make deps package` makes, where that can be had.
var ErrMissing = errors.New("make deps package, as root")

var buildPackages = sync.OnceValue(func() error { return makeUnlessDone("package") })

// Package returns the path of the one package whose name is of a pattern.
func Package(pattern string) (string, error) {
	if err := buildPackages(); err != nil {
		return "", err
	}
	found, err := filepath.Glob(filepath.Join(Out(), "package", pattern))
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("there is not one package %s in out/package: %w", pattern, ErrMissing)
	}
	if err != nil {
		return "", err
	}
	return found[0], nil
}

// Deb returns the path of the package for Debian and this processor.
func Deb() (string, error) { return Package("libpam-net_*_" + runtime.GOARCH + ".deb") }

// DebianTree returns the directory with a fresh Debian, for sandbox.NewOn.
func DebianTree() (string, error) {
	tree := filepath.Join(Out(), "debian")
	if _, err := os.Stat(tree); err != nil {
		return "", fmt.Errorf("there is no fresh Debian in out/debian: %w", ErrMissing)
	}
	return tree, nil
}
