// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"libpam-net/test/expect"
)

// link makes a module of C, whose code for Go is in an object of that name, like `make build` links one of Go.
func link(t *testing.T, object string, flags ...string) (path string, err error) {
	t.Helper()
	dir := t.TempDir()
	args := []string{"-shared", "-fuse-ld=bfd", "-Wl,-T,../deferred-start.ld", "-Wl,--version-script=../module.map", "-Wl,-z,relro,-z,now"}
	for _, name := range []string{"go", "shim", "counter"} {
		o := filepath.Join(dir, name+".o")
		if name == "go" {
			o = filepath.Join(dir, object)
		}
		gcc(t, append(flags, "-c", "-fPIC", "-o", o, "testdata/"+name+".c")...)
		args = append(args, o)
	}
	path = filepath.Join(dir, "module.so")
	output, err := exec.Command("gcc", append(append(args, flags...), "-o", path)...).CombinedOutput()
	if err != nil {
		err = &linkError{string(output)}
	}
	return path, err
}

type linkError struct{ text string }

func (e *linkError) Error() string { return e.text }

func gcc(t *testing.T, args ...string) {
	t.Helper()
	if output, err := exec.Command("gcc", append([]string{"-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1"}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("gcc %q: %v\n%s", args, err, output)
	}
}

// load loads a module and starts what stands in for Go.
func load(t *testing.T, module string) {
	t.Helper()
	host := filepath.Join(t.TempDir(), "host")
	gcc(t, "-o", host, "testdata/host.c", "-ldl")
	if output, err := exec.Command(host, module).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, output)
	}
}

func TestGosDataIsRelocatedByTheChildAndTheShimsByTheDynamicLinker(t *testing.T) {
	for what, flags := range map[string][]string{
		"as ever":    nil,
		"--no-relax": {"-Wl,--no-relax"}, // then .got has addresses of the shim's
		"-O0":        {"-O0"},
	} {
		t.Run(what, func(t *testing.T) {
			module, err := link(t, "go.o", flags...)
			expect.Check(t, err)
			expect.Check(t, deferIn(module))
			load(t, module)
			content, err := os.ReadFile(module)
			expect.Check(t, err)
			m, err := parse(content)
			expect.Check(t, err)
			expect.Equal(t, "relocations deferred", int(uint64At(m.data(m.relro), wordSize)), 1+2*1024)
			if err := deferIn(module); err == nil || !strings.Contains(err.Error(), "before") {
				t.Errorf("once more: %v", err)
			}
		})
	}
}

func TestAModuleThatNothingIsDeferredInIsRight(t *testing.T) {
	module, err := link(t, "go.o")
	expect.Check(t, err)
	load(t, module)
}

// Of the page in which RELRO ends, the dynamic linker leaves all writable. That happens where a page is larger
// than the linker has taken it to be.
func TestWhatFollowsRELROStaysWritable(t *testing.T) {
	module, err := link(t, "go.o")
	expect.Check(t, err)
	expect.Check(t, deferIn(module))
	content, err := os.ReadFile(module)
	expect.Check(t, err)
	file, err := elf.NewFile(bytes.NewReader(content))
	expect.Check(t, err)
	for i, segment := range file.Progs {
		if segment.Type == elf.PT_GNU_RELRO {
			header := content[uint64At(content, 32)+uint64(56*i):] // e_phoff, Elf64_Phdr
			binary.LittleEndian.PutUint64(header[40:], segment.Memsz+16)
		}
	}
	expect.Check(t, os.WriteFile(module, content, 0o600))
	load(t, module)
}

func TestTheLinkFailsIfGosSectionsAreNotWhereTheyHaveToBe(t *testing.T) {
	for what, c := range map[string]struct {
		object, want string
		flags        []string
	}{
		"Go's object has another name": {"golang.o", "no entry, or several", nil},
		"Go has no constants":          {"go.o", "no .data.rel.ro", []string{`-DCONSTANTS_ARE=__attribute__((section(".go.rodata")))`}},
		"Go has no data":               {"go.o", "no .data", []string{`-DDATA_IS=__attribute__((section(".godata")))`}},
	} {
		t.Run(what, func(t *testing.T) {
			if _, err := link(t, c.object, c.flags...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestNoPageIsDeferredThatIsReadBeforeTheChild(t *testing.T) {
	module, err := link(t, "go.o", "-Wl,--no-relax")
	expect.Check(t, err)
	content, err := os.ReadFile(module)
	expect.Check(t, err)
	m, err := parse(content)
	expect.Check(t, err)
	for _, s := range m.sections {
		if s.Flags&elf.SHF_WRITE == 0 || s.Flags&elf.SHF_TLS != 0 || strings.HasPrefix(s.Name, goPrefix) {
			continue
		}
		entry := binary.LittleEndian.AppendUint64(nil, s.Addr)
		if err := m.prove([][]byte{entry}); err == nil {
			t.Errorf("a relocation in %s may be deferred", s.Name)
		}
	}
}

func TestWhatCannotBeDeferredIsSaid(t *testing.T) {
	packed, err := link(t, "go.o", "-Wl,-z,pack-relative-relocs")
	expect.Check(t, err)
	if err := deferIn(packed); err == nil || !strings.Contains(err.Error(), "nopack-relative-relocs") {
		t.Errorf("packed relocations: %v", err)
	}
	plain := filepath.Join(t.TempDir(), "plain.so")
	gcc(t, "-shared", "-fPIC", "-o", plain, "testdata/counter.c")
	if err := deferIn(plain); err == nil || !strings.Contains(err.Error(), "deferred-start.ld") {
		t.Errorf("without the link script: %v", err)
	}
}
