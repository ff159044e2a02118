// SPDX-License-Identifier: GPL-2.0-or-later

package pam_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/test/expect"
)

func TestMessages(t *testing.T) {
	program := compileProgram(t, "wire", "reason.c")
	// Descriptors, by a letter each.
	files := make(map[rune]*os.File)
	for letter, path := range map[rune]string{
		'n': "/proc/self/ns/net", 'm': "/proc/self/ns/mnt", 'u': "/proc/self/ns/uts", 'p': "/proc/self/ns/pid",
		'd': "/", 'f': "/proc/self/exe", 'z': "/dev/null",
	} {
		f, err := os.Open(path)
		expect.Check(t, err)
		defer f.Close()
		files[letter] = f
	}
	for letter, path := range map[rune]string{'o': "/usr", 'P': "/proc/self/ns/net"} {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		expect.Check(t, err)
		files[letter] = os.NewFile(uintptr(fd), path)
		defer files[letter].Close()
	}
	r, w, err := os.Pipe()
	expect.Check(t, err)
	defer r.Close()
	defer w.Close()
	files['|'] = r

	long := strings.Repeat("x", 1021)
	for _, c := range []struct{ what, data, fds, want string }{
		{"a line for the log", "L\x03a line", "", "log 3: a line"},
		{"the highest priority", "L\x00x", "", "log 0: x"},
		{"the lowest priority", "L\x07x", "", "log 7: x"},
		{"a line as long as can be", "L\x03x" + long, "", "log 3: x" + long},
		{"refused", "VR\x00no", "", "verdict R 0 (-1 -1 -1 -1): no"},
		{"refused without a reason", "VR\x00", "", "verdict R 0 (-1 -1 -1 -1): "},
		{"unknown", "VU\x00down", "", "verdict U 0 (-1 -1 -1 -1): down"},
		{"an answer for each kind of module", "Amng", "", "answer mng"},
		{"an answer, the rest unknown", "A-n-", "", "answer -n-"},
		{"isolated", "VI\x00in", "nmdd", "verdict I 0 (3 4 5 6): in"},
		{"isolated, with directories by O_PATH, one of them another", "VI\x01in", "nmoo", "verdict I 1 (3 4 5 6): in"},
		{"a verdict as long as can be", "VR\x00" + long, "", "verdict R 0 (-1 -1 -1 -1): " + long},
		{"control characters become question marks", "L\x03a\nb\x00c\x1b[2J\x7f\x1f d", "", "log 3: a?b?c?[2J?? d"},
		{"other bytes stay", "VR\x00ä日\xff", "", "verdict R 0 (-1 -1 -1 -1): ä日\xff"},
	} {
		t.Run(c.what+" is good", func(t *testing.T) { decode(t, program, c.data, c.fds, files, c.want) })
	}
	for _, c := range []struct{ what, data, fds string }{
		{"nothing", "", ""},
		{"one byte", "V", ""},
		{"two bytes", "VR", ""},
		{"a line with nothing in it", "L\x03", ""},
		{"a byte too many", "VR\x00x" + long, ""},
		{"many bytes too many", "L\x03" + strings.Repeat("x", 4000), ""},
		{"another type", "X\x03x", ""},
		{"no type", "\x00\x00\x00", ""},
		{"a small letter", "vR\x00", ""},
		{"a priority that is none", "L\x08x", ""},
		{"a negative priority", "L\xffx", ""},
		{"a line with a descriptor", "L\x03x", "n"},
		{"a line with those of a verdict", "L\x03x", "nmdd"},
		{"an outcome that is none", "VX\x00x", ""},
		{"an outcome of zero", "V\x00\x00x", ""},
		{"refused, with descriptors", "VR\x00x", "nmdd"},
		{"unknown, with descriptors", "VU\x00x", "nmdd"},
		{"a verdict that the user is a non-member", "VN\x00x", ""},
		{"an answer with a descriptor", "Annn", "n"},
		{"an answer with those of a verdict", "Ammm", "nmdd"},
		{"an answer of no kind", "A", ""},
		{"an answer of too few kinds", "Ann", ""},
		{"an answer of too many kinds", "Annnn", ""},
		{"an answer that is none", "Annx", ""},
		{"an answer of zero", "A\x00nn", ""},
		{"an answer in capitals", "ANNN", ""},
		{"an answer that is an outcome", "AnIn", ""},
		{"a directory moved twice", "VI\x02x", "nmdd"},
		{"refused, the directory moved much", "VR\xffx", ""},
		{"isolated without descriptors", "VI\x00x", ""},
		{"isolated with three", "VI\x00x", "nmd"},
		{"isolated with five", "VI\x00x", "nmddd"},
		{"isolated with ten", "VI\x00x", "nmddnmddnm"},
		{"the namespaces the wrong way round", "VI\x00x", "mndd"},
		{"two network namespaces", "VI\x00x", "nndd"},
		{"a UTS namespace for the network", "VI\x00x", "umdd"},
		{"a PID namespace for the mounts", "VI\x00x", "npdd"},
		{"a pipe for the network", "VI\x00x", "|mdd"},
		{"a pipe for the mounts", "VI\x00x", "n|dd"},
		{"a file for the network", "VI\x00x", "fmdd"},
		{"a device for the network", "VI\x00x", "zmdd"},
		{"a directory for the network", "VI\x00x", "dmdd"},
		{"a directory for the mounts", "VI\x00x", "nddd"},
		{"a network namespace by O_PATH", "VI\x00x", "Pmdd"},
		{"a file for the root", "VI\x00x", "nmfd"},
		{"a pipe for the root", "VI\x00x", "nm|d"},
		{"a namespace for the root", "VI\x00x", "nmnd"},
		{"a file for the working directory", "VI\x00x", "nmdf"},
		{"a device for the working directory", "VI\x00x", "nmdz"},
	} {
		t.Run(c.what+" is malformed", func(t *testing.T) { decode(t, program, c.data, c.fds, files, "malformed") })
	}
}

// decode sends a datagram, with descriptors by their letters, to testdata/wire.c.
func decode(t *testing.T, program, data, letters string, files map[rune]*os.File, want string) {
	t.Helper()
	var fds []int
	for _, letter := range letters {
		fds = append(fds, int(files[letter].Fd()))
	}
	ours, theirs := socketpair(t)
	expect.Check(t, unix.Sendmsg(int(ours.Fd()), []byte(data), unix.UnixRights(fds...), nil, 0))
	expect.Check(t, ours.Close())
	cmd := exec.Command(program)
	cmd.Stdin = theirs
	got, _, _ := strings.Cut(output(t, cmd), "\n")
	if got != want {
		t.Errorf("%q, not %q", got, want)
	}
}

// socketpair makes one like a login's with its child.
func socketpair(t testing.TB) (ours, theirs *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	expect.Check(t, err)
	ours, theirs = os.NewFile(uintptr(fds[0]), "socket"), os.NewFile(uintptr(fds[1]), "socket")
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return ours, theirs
}
