// SPDX-License-Identifier: GPL-2.0-or-later

// Deferrelocations keeps the dynamic linker from relocating Go's data when a module is loaded.
//
// That is some 9,000 addresses on 60 pages, which each login would copy and write, those of non-members
// included, though only the child that starts Go reads them. This moves their relocations behind the end of
// the module's table, which DT_RELASZ tells, and puts where they are before Go's constants: pam/relocate.h
// carries them out. A module that this has not been run on is right as well, only slower to load.
//
// usage: deferrelocations MODULE...
package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// goConstants is the section in which build/deferred-start.ld puts Go's constants, behind two words for the
// address and the number of the relocations. All others of Go's begin with ".go", but for noPointers.
const (
	goConstants = ".go.data.rel.ro"
	noPointers  = ".noptrdata"
)

// relative is each processor's type of a relocation that adds the load address, and knows no symbol.
var relative = map[elf.Machine]uint32{
	elf.EM_X86_64:  uint32(elf.R_X86_64_RELATIVE),
	elf.EM_AARCH64: uint32(elf.R_AARCH64_RELATIVE),
}

func main() {
	for _, path := range os.Args[1:] {
		if err := deferIn(path); err != nil {
			fmt.Fprintf(os.Stderr, "deferrelocations: %s: %v\n", path, err)
			os.Exit(1)
		}
	}
}

// deferIn changes a module in its place. The caller has just linked it: nobody has loaded it yet.
func deferIn(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := rearrange(content); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o755)
}

// rearrange changes the content of a module. On failure it may be half done.
func rearrange(content []byte) error {
	file, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return err
	}
	kind, known := relative[file.Machine]
	if !known || file.Class != elf.ELFCLASS64 || file.ByteOrder != binary.LittleEndian {
		return fmt.Errorf("%v, of which nothing is known", file.Machine)
	}
	constants, table, dynamic := file.Section(goConstants), file.Section(".rela.dyn"), file.Section(".dynamic")
	if constants == nil || table == nil || dynamic == nil {
		return errors.New("it was linked without build/deferred-start.ld")
	}

	ofGo := func(address uint64) bool {
		return slices.ContainsFunc(file.Sections, func(s *elf.Section) bool {
			return address-s.Addr < s.Size && (strings.HasPrefix(s.Name, ".go") || s.Name == noPointers)
		})
	}
	var kept, deferred [][]byte
	count := 0 // of those kept that DT_RELACOUNT counts
	entries := content[table.Offset : table.Offset+table.Size]
	for entry := range slices.Chunk(entries, 24) { // Elf64_Rela: offset, info, addend
		offset, info := uint64At(entry, 0), uint64At(entry, 8)
		switch {
		case uint32(info) == kind && ofGo(offset):
			deferred = append(deferred, bytes.Clone(entry))
			continue
		case uint32(info) == kind:
			count++
		}
		kept = append(kept, bytes.Clone(entry))
	}
	if len(deferred) == 0 {
		return errors.New("there is nothing to defer; has this been run on it before?")
	}
	copy(entries, bytes.Join(append(kept, deferred...), nil))

	size := uint64(24 * len(kept))
	for tag := range slices.Chunk(content[dynamic.Offset:dynamic.Offset+dynamic.Size], 16) {
		switch elf.DynTag(uint64At(tag, 0)) {
		case elf.DT_RELASZ:
			binary.LittleEndian.PutUint64(tag[8:], size)
		case elf.DT_RELACOUNT:
			binary.LittleEndian.PutUint64(tag[8:], uint64(count))
		}
	}
	binary.LittleEndian.PutUint64(content[constants.Offset:], table.Addr+size)
	binary.LittleEndian.PutUint64(content[constants.Offset+8:], uint64(len(deferred)))
	return nil
}

func uint64At(b []byte, offset int) uint64 { return binary.LittleEndian.Uint64(b[offset:]) }
