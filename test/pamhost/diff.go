package pamhost

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Field is something that [Snapshot.Diff] compares. Each namespace of the calling thread is a field by its name in /proc/PID/ns
// ("net", "mnt", "user", ...), each of [Snapshot.Attributes] by its key ("dumpable", "nice", ...).
type Field string

// The other fields.
const (
	ProcessID      Field = "pid"
	Proc           Field = "proc" // whether /proc can be read
	NetNamespace   Field = "net"
	MountNamespace Field = "mnt"
	Threads        Field = "threads"       // which there are, and their names
	OtherThreads   Field = "other_threads" // the namespaces and directories of all but the calling one
	Descriptors    Field = "descriptors"
	Signals        Field = "signals" // their dispositions
	BlockedSignals Field = "blocked"
	PendingSignals Field = "pending"
	AlternateStack Field = "alt_stack"
	Rlimits        Field = "rlimits"
	Environment    Field = "environment"
	Cwd            Field = "cwd"
	Root           Field = "root"
	UserIDs        Field = "uid"
	GroupIDs       Field = "gid"
	Groups         Field = "groups" // supplementary ones
	CapabilitySets Field = "capabilities"
	Umask          Field = "umask"
	Children       Field = "children"
	MappedFiles    Field = "mapped_files"
)

// Diff returns a sentence for everything that is different after, apart from memory and the ignored fields. The paths of descriptors
// are not compared, their inodes are: seen from another mount namespace, an open file may have another path.
func (before Snapshot) Diff(after Snapshot, ignore ...Field) []string {
	d := &differences{ignored: ignore}
	compare(d, ProcessID, "process ID", before.PID, after.PID)
	compare(d, Proc, "/proc can be read", before.Proc, after.Proc)
	for _, name := range keys(before.Namespaces, after.Namespaces) {
		compare(d, Field(name), name+" namespace", before.Namespaces[name], after.Namespaces[name])
	}
	d.threads(before, after)
	d.descriptors(before, after)
	d.signals(before, after)
	for _, name := range keys(before.Rlimits, after.Rlimits) {
		compare(d, Rlimits, "limit "+name, before.Rlimits[name], after.Rlimits[name])
	}
	d.environment(before, after)
	compare(d, Cwd, "working directory", before.Cwd, after.Cwd)
	compare(d, Root, "root directory", before.Root, after.Root)
	d.credentials(before.Credentials, after.Credentials)
	compare(d, Umask, "umask", before.Umask, after.Umask)
	for _, name := range keys(before.Attributes, after.Attributes) {
		compare(d, Field(name), name, before.Attributes[name], after.Attributes[name])
	}
	compareSets(d, Children, "child process %v", before.Children, after.Children)
	compare(d, Children, "has child processes", before.HasChildren, after.HasChildren)
	compareSets(d, MappedFiles, "mapped file %v", before.MappedFiles, after.MappedFiles)
	return d.sentences
}

type differences struct {
	ignored   []Field
	sentences []string
}

func (d *differences) add(field Field, format string, args ...any) {
	if !slices.Contains(d.ignored, field) {
		d.sentences = append(d.sentences, fmt.Sprintf(format, args...))
	}
}

func compare[T comparable](d *differences, field Field, what string, before, after T) {
	if before != after {
		d.add(field, "%s: %+v became %+v", what, before, after)
	}
}

func compareSets[T cmp.Ordered](d *differences, field Field, format string, before, after []T) {
	was, is := index(before, itself), index(after, itself)
	for _, element := range keys(was, is) {
		if _, ok := was[element]; !ok {
			d.add(field, format+" is new", element)
		} else if _, ok := is[element]; !ok {
			d.add(field, format+" is gone", element)
		}
	}
}

// What the calling thread has for itself is compared as the snapshot's own.
func (d *differences) threads(before, after Snapshot) {
	tid := func(t Thread) int { return t.TID }
	was, is := index(before.Threads, tid), index(after.Threads, tid)
	for _, tid := range keys(was, is) {
		b, wasThere := was[tid]
		a, isThere := is[tid]
		switch {
		case !wasThere:
			d.add(Threads, "thread %d (%s) was started", tid, a.Name)
			continue
		case !isThere:
			d.add(Threads, "thread %d (%s) has ended", tid, b.Name)
			continue
		}
		thread := fmt.Sprintf("thread %d (%s): ", tid, b.Name)
		compare(d, Threads, thread+"name", b.Name, a.Name)
		if tid == before.TID {
			continue
		}
		for _, name := range keys(b.Namespaces, a.Namespaces) {
			compare(d, OtherThreads, thread+name+" namespace", b.Namespaces[name], a.Namespaces[name])
		}
		compare(d, OtherThreads, thread+"working directory", b.Cwd, a.Cwd)
		compare(d, OtherThreads, thread+"root directory", b.Root, a.Root)
	}
}

func (d *differences) descriptors(before, after Snapshot) {
	number := func(f Descriptor) int { return f.Number }
	was, is := index(before.Descriptors, number), index(after.Descriptors, number)
	for _, number := range keys(was, is) {
		b, wasOpen := was[number]
		a, isOpen := is[number]
		switch {
		case !wasOpen:
			d.add(Descriptors, "descriptor %d was opened: %v", number, a)
			continue
		case !isOpen:
			d.add(Descriptors, "descriptor %d was closed: %v", number, b)
			continue
		}
		descriptor := fmt.Sprintf("descriptor %d", number)
		if !sameFile(b, a) {
			d.add(Descriptors, "%s: %v became %v", descriptor, b, a)
			continue
		}
		compare(d, Descriptors, descriptor+": close-on-exec", b.CloseOnExec, a.CloseOnExec)
		compare(d, Descriptors, descriptor+": status flags", b.Status, a.Status)
	}
}

// sameFile compares inodes, and of anonymous ones, which share a number, the kind: "anon_inode:[eventfd]".
func sameFile(b, a Descriptor) bool {
	const anonymous = "anon_inode:"
	if strings.HasPrefix(string(b.Target), anonymous) && strings.HasPrefix(string(a.Target), anonymous) && b.Target != a.Target {
		return false
	}
	return b.FileID == a.FileID
}

func (d *differences) signals(before, after Snapshot) {
	number := func(s Signal) int { return s.Number }
	was, is := index(before.Signals, number), index(after.Signals, number)
	for _, number := range keys(was, is) {
		compare(d, Signals, signalName(number), was[number], is[number])
	}
	for number := 1; number <= 64; number++ {
		compare(d, BlockedSignals, signalName(number)+" blocked", before.Blocked.Has(number), after.Blocked.Has(number))
		compare(d, PendingSignals, signalName(number)+" pending", before.Pending.Has(number), after.Pending.Has(number))
	}
	compare(d, AlternateStack, "alternate signal stack", before.AltStack, after.AltStack)
}

func signalName(number int) string {
	if name := unix.SignalName(syscall.Signal(number)); name != "" {
		return fmt.Sprintf("signal %d (%s)", number, name)
	}
	return fmt.Sprintf("signal %d", number)
}

func (d *differences) environment(before, after Snapshot) {
	compareSets(d, Environment, "environment variable %q", before.Environment, after.Environment)
	if maps.Equal(index(before.Environment, itself), index(after.Environment, itself)) {
		compare(d, Environment, "environment, reordered or repeating itself", before.EnvironmentHash, after.EnvironmentHash)
	}
}

func (d *differences) credentials(before, after Credentials) {
	compare(d, UserIDs, "user IDs", before.UID, after.UID)
	compare(d, GroupIDs, "group IDs", before.GID, after.GID)
	compareSets(d, Groups, "supplementary group %v", before.Groups, after.Groups)
	compare(d, CapabilitySets, "capabilities", before.Capabilities, after.Capabilities)
}

func index[K comparable, V any](values []V, key func(V) K) map[K]V {
	m := make(map[K]V, len(values))
	for _, value := range values {
		m[key(value)] = value
	}
	return m
}

func itself[T any](value T) T { return value }

// keys returns the keys of both maps, in order.
func keys[K cmp.Ordered, V any](before, after map[K]V) []K {
	all := make(map[K]V, len(before)+len(after))
	maps.Copy(all, before)
	maps.Copy(all, after)
	return slices.Sorted(maps.Keys(all))
}
