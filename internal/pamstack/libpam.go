// SPDX-License-Identifier: GPL-2.0-or-later

package pamstack

import (
	"debug/elf"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// libpams are the places of libpam, in a machine's root directory.
var libpams = []string{"usr/lib/*/libpam.so.0", "lib/*/libpam.so.0", "usr/lib64/libpam.so.0", "lib64/libpam.so.0", "usr/lib/libpam.so.0", "lib/libpam.so.0"}

// goesOn returns whether the libpam of the machine whose root directory is root continues a line past comments and
// empty lines, as Linux-PAM 1.5 does. 1.7 ends the line there. Both are libpam.so.0.85.1. They differ in the function
// of libc that they read lines with: fgets(3) and getline(3). The result is true if no libpam is found. Of several,
// that for this program's processor counts.
func goesOn(root string) bool {
	found, answer := false, true
	for _, pattern := range libpams {
		files, _ := filepath.Glob(filepath.Join(root, pattern)) // the patterns are sound
		for _, file := range files {
			machine, symbols, err := importsOf(root, file)
			if ours := machine == processor(); err == nil && (ours || !found) {
				found = true
				answer = slices.ContainsFunc(symbols, func(s elf.ImportedSymbol) bool { return s.Name == "fgets" })
				if ours {
					return answer
				}
			}
		}
	}
	return answer
}

// processor returns the processor that this program is for.
var processor = sync.OnceValue(func() elf.Machine {
	f, err := elf.Open("/proc/self/exe")
	if err != nil {
		return elf.EM_NONE
	}
	defer f.Close()
	return f.Machine
})

// importsOf returns the processor of a library below root, and what it imports. It follows no link out of a root other than "/", and waits
// for no pipe.
func importsOf(root, file string) (elf.Machine, []elf.ImportedSymbol, error) {
	const flags = os.O_RDONLY | unix.O_NONBLOCK
	open := func() (*os.File, error) { return os.OpenFile(file, flags, 0) }
	if dir := filepath.Clean(root); dir != "/" {
		open = func() (*os.File, error) {
			tree, err := os.OpenRoot(dir)
			if err != nil {
				return nil, err
			}
			defer tree.Close()
			return tree.OpenFile(strings.TrimPrefix(file, dir+"/"), flags, 0)
		}
	}
	f, err := open()
	if err != nil {
		return 0, nil, err
	}
	defer f.Close()
	library, err := elf.NewFile(f)
	if err != nil {
		return 0, nil, err
	}
	symbols, err := library.ImportedSymbols()
	return library.Machine, symbols, err
}
