// SPDX-License-Identifier: GPL-2.0-or-later

// Deferrelocations keeps the dynamic linker from relocating Go's data when a module is loaded.
//
// Go's data holds some 9,000 addresses on 60 pages. Only the child that starts Go reads them, but each login
// would write them. Deferrelocations moves their relocations behind the end of the module's table, which
// DT_RELASZ gives, and records their place in the module: pam/relocate.h carries them out.
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

const (
	// goPrefix begins the names of the sections that build/module/deferred-start.ld makes, and of no others.
	goPrefix = ".pamnet.go."
	// goRelro is that with Go's constants, behind two words for the address and the number of the relocations.
	goRelro = goPrefix + "relro"

	pageSize  = 4096
	relaSize  = 24 // Elf64_Rela: offset, info, addend
	dynSize   = 16 // Elf64_Dyn: tag, value
	wordSize  = 8
	pageLimit = ^uint64(pageSize - 1)
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
	m, err := parse(content)
	if err != nil {
		return err
	}
	deferred, err := m.rearrange()
	if err != nil {
		return err
	}
	if err := m.prove(deferred); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o755)
}

// module is a module's content, and what of it is changed.
type module struct {
	content               []byte
	kind                  uint32 // of relocations that can be deferred
	sections              []*elf.Section
	relro, table, dynamic *elf.Section
}

func parse(content []byte) (*module, error) {
	file, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	kind, known := relative[file.Machine]
	if !known || file.Class != elf.ELFCLASS64 || file.ByteOrder != binary.LittleEndian {
		return nil, fmt.Errorf("the processor %v is not supported", file.Machine)
	}
	m := &module{
		content: content, kind: kind, sections: file.Sections,
		relro: file.Section(goRelro), table: file.Section(".rela.dyn"), dynamic: file.Section(".dynamic"),
	}
	switch {
	case m.relro == nil || m.dynamic == nil:
		return nil, errors.New("the module was linked without build/module/deferred-start.ld")
	case file.Section(".relr.dyn") != nil:
		return nil, errors.New("the module has packed relocations: link it with -Wl,-z,nopack-relative-relocs")
	case m.table == nil:
		return nil, errors.New("the module has no relocations")
	}
	return m, nil
}

// rearrange moves the relocations of Go's data to the end of the table, and returns them. On failure
// the content may be half changed.
func (m *module) rearrange() (deferred [][]byte, err error) {
	var kept [][]byte
	count := 0 // of those kept that DT_RELACOUNT counts
	entries := m.data(m.table)
	for entry := range slices.Chunk(entries, relaSize) {
		isRelative := uint32(uint64At(entry, wordSize)) == m.kind
		if isRelative && m.ofGo(uint64At(entry, 0)) {
			deferred = append(deferred, bytes.Clone(entry))
			continue
		}
		if isRelative {
			count++
		}
		kept = append(kept, bytes.Clone(entry))
	}
	if len(deferred) == 0 {
		return nil, errors.New("the module has no relocations of Go's data")
	}
	if uint64At(m.data(m.relro), wordSize) != 0 {
		return nil, errors.New("the module's relocations have been deferred before")
	}
	copy(entries, bytes.Join(append(kept, deferred...), nil))

	size := uint64(relaSize * len(kept))
	for tag := range slices.Chunk(m.data(m.dynamic), dynSize) {
		switch elf.DynTag(uint64At(tag, 0)) {
		case elf.DT_RELASZ:
			binary.LittleEndian.PutUint64(tag[wordSize:], size)
		case elf.DT_RELACOUNT:
			binary.LittleEndian.PutUint64(tag[wordSize:], uint64(count))
		}
	}
	binary.LittleEndian.PutUint64(m.data(m.relro), m.table.Addr+size)
	binary.LittleEndian.PutUint64(m.data(m.relro)[wordSize:], uint64(len(deferred)))
	return deferred, nil
}

// ofGo tells whether an address is in one of the link script's sections.
func (m *module) ofGo(address uint64) bool {
	return slices.ContainsFunc(m.sections, func(s *elf.Section) bool {
		return address-s.Addr < s.Size && strings.HasPrefix(s.Name, goPrefix)
	})
}

// prove returns an error if a deferred relocation writes to a page with anything that the dynamic linker or
// the shim reads before the child does: a page of any section but the link script's.
func (m *module) prove(deferred [][]byte) error {
	readEarly := make(map[uint64]string) // by page
	for _, s := range m.sections {
		if s.Flags&elf.SHF_ALLOC == 0 || s.Flags&elf.SHF_TLS != 0 && s.Type == elf.SHT_NOBITS ||
			strings.HasPrefix(s.Name, goPrefix) {
			continue
		}
		for page := s.Addr & pageLimit; page < s.Addr+s.Size; page += pageSize {
			readEarly[page] = s.Name
		}
	}
	for _, entry := range deferred {
		address := uint64At(entry, 0)
		for _, page := range []uint64{address & pageLimit, (address + wordSize - 1) & pageLimit} {
			if name := readEarly[page]; name != "" {
				return fmt.Errorf("the relocation at %#x would be deferred, but its page has data of %s", address, name)
			}
		}
	}
	return nil
}

// data is the part of the content that a section has.
func (m *module) data(s *elf.Section) []byte { return m.content[s.Offset : s.Offset+s.Size] }

func uint64At(b []byte, offset int) uint64 { return binary.LittleEndian.Uint64(b[offset:]) }
