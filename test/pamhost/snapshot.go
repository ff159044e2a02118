package pamhost

import (
	"fmt"
	"math"
	"strconv"
)

// Snapshot is the state of a host process, and of the thread that makes the PAM calls where a thread has its own.
type Snapshot struct {
	PID             int               `json:"pid"`
	TID             int               `json:"tid"`  // the thread that makes the PAM calls
	Proc            bool              `json:"proc"` // /proc could be read; if not, what it tells is missing
	Memory          Memory            `json:"memory"`
	MappedFiles     []Text            `json:"mapped_files"`
	Namespaces      map[string]uint64 `json:"namespaces"` // of the thread TID, as in /proc/PID/ns: inode by name
	Threads         []Thread          `json:"threads"`    // the thread TID included
	Descriptors     []Descriptor      `json:"descriptors"`
	Signals         []Signal          `json:"signals"`
	Blocked         SignalSet         `json:"blocked"`
	Pending         SignalSet         `json:"pending"`
	AltStack        AltStack          `json:"alt_stack"`
	Rlimits         map[string]Rlimit `json:"rlimits"` // by name: "NOFILE"
	Environment     []Text            `json:"environment"`
	EnvironmentHash string            `json:"environment_hash"`
	Cwd             Directory         `json:"cwd"`
	Root            Directory         `json:"root"`
	Credentials     Credentials       `json:"credentials"`
	Umask           Octal             `json:"umask"`
	Attributes      map[string]int64  `json:"attributes"`   // "dumpable", "pdeathsig", "nice" and other numbers
	Children        []int             `json:"children"`     // process IDs, zombies included
	HasChildren     bool              `json:"has_children"` // known without /proc, too
}

// Memory is what the process takes. It changes with everything the process does, so [Snapshot.Diff] leaves it out.
type Memory struct {
	PrivateCleanKB int64 `json:"private_clean_kb"`
	PrivateDirtyKB int64 `json:"private_dirty_kb"`
	VirtualKB      int64 `json:"virtual_kb"`
}

// PrivateKB is the memory that nobody shares: what ending the process would give back.
func (m Memory) PrivateKB() int64 { return m.PrivateCleanKB + m.PrivateDirtyKB }

// FileID tells one file from every other.
type FileID struct {
	Dev string `json:"dev"` // "MAJOR:MINOR"
	Ino uint64 `json:"ino"`
}

// Directory is a working directory or a root.
type Directory struct {
	Path Text `json:"path"`
	FileID
}

func (d Directory) String() string { return fmt.Sprintf("%s (inode %d of %s)", d.Path, d.Ino, d.Dev) }

// Thread is a thread of the host, with its own namespaces and directories.
type Thread struct {
	TID        int               `json:"tid"`
	Name       Text              `json:"name"`
	Namespaces map[string]uint64 `json:"namespaces"`
	Cwd        FileID            `json:"cwd"`
	Root       FileID            `json:"root"`
}

// Descriptor is an open file.
type Descriptor struct {
	Number      int   `json:"number"`
	Target      Text  `json:"target"` // as /proc/PID/fd has it
	CloseOnExec bool  `json:"cloexec"`
	Status      Octal `json:"status"` // access mode and O_APPEND, O_NONBLOCK, ...
	FileID
}

func (f Descriptor) String() string {
	return fmt.Sprintf("%s (inode %d of %s)", f.Target, f.Ino, f.Dev)
}

// Signal is what the process does about a signal.
type Signal struct {
	Number      int       `json:"number"`
	Disposition string    `json:"disposition"` // "default", "ignored" or "handler"
	Address     uint64    `json:"address"`     // of the handler
	Flags       uint64    `json:"flags"`       // SA_RESTART and so on
	Mask        SignalSet `json:"mask"`
}

func (s Signal) String() string {
	text := s.Disposition
	if text == "handler" {
		text = fmt.Sprintf("handler %#x", s.Address)
	}
	if s.Flags != 0 || s.Mask != 0 {
		text += fmt.Sprintf(" (flags %#x, mask %v)", s.Flags, s.Mask)
	}
	return text
}

// SignalSet has bit n-1 set for signal n.
type SignalSet uint64

// Has reports whether signal n is in the set.
func (s SignalSet) Has(n int) bool { return s>>(n-1)&1 == 1 }

func (s SignalSet) String() string { return fmt.Sprintf("%#x", uint64(s)) }

// AltStack is the alternate signal stack of the thread.
type AltStack struct {
	Address uint64 `json:"address"`
	Size    uint64 `json:"size"`
	Flags   int    `json:"flags"`
}

// Rlimit is a resource limit.
type Rlimit struct {
	Soft Limit `json:"soft"`
	Hard Limit `json:"hard"`
}

// Limit is one value of a resource limit.
type Limit uint64

// Unlimited is RLIM_INFINITY.
const Unlimited Limit = math.MaxUint64

func (l Limit) String() string {
	if l == Unlimited {
		return "unlimited"
	}
	return strconv.FormatUint(uint64(l), 10)
}

// Credentials are those of the thread.
type Credentials struct {
	UID          IDs          `json:"uid"`
	GID          IDs          `json:"gid"`
	Groups       []uint32     `json:"groups"`
	Capabilities Capabilities `json:"capabilities"`
}

// IDs are the four user or group IDs.
type IDs struct {
	Real       uint32 `json:"real"`
	Effective  uint32 `json:"effective"`
	Saved      uint32 `json:"saved"`
	Filesystem uint32 `json:"filesystem"`
}

// Capabilities are the five capability sets.
type Capabilities struct {
	Effective   CapabilitySet `json:"effective"`
	Permitted   CapabilitySet `json:"permitted"`
	Inheritable CapabilitySet `json:"inheritable"`
	Bounding    CapabilitySet `json:"bounding"`
	Ambient     CapabilitySet `json:"ambient"`
}

// CapabilitySet has bit n set for capability n.
type CapabilitySet uint64

// Has reports whether capability n, such as unix.CAP_SYS_ADMIN, is in the set.
func (s CapabilitySet) Has(n int) bool { return s>>n&1 == 1 }

func (s CapabilitySet) String() string { return fmt.Sprintf("%#x", uint64(s)) }

// Octal is a number that people read in octal.
type Octal uint32

func (o Octal) String() string { return fmt.Sprintf("%#o", uint32(o)) }
