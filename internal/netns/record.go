// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"libpam-net/internal/state"
)

// recordDir, of the state, holds a record for each name under which a login has made a namespace.
const recordDir = "netns"

// record tells which namespace that is, and how far it has got: the first line of
// the file, in three words. A namespace that no record tells of is somebody
// else's (`ip netns add`). Whoever writes one has the lock of the name.
type record struct {
	state recordState
	id    string // see identity; of a failure: when it was
	rest  string // the setup program, if there is one; of a failure: what it was
}

type recordState string

const (
	making recordState = "making" // published or about to be, but its setup program has not ended
	made   recordState = "made"
	served recordState = "served" // made, and its setup program has left processes running: see setup.Group
	failed recordState = "failed" // the setup program, and the namespace is gone
)

// readRecord returns the zero record if there is none.
func readRecord(name string) (record, error) {
	dir, err := openRecords()
	if errors.Is(err, unix.EROFS) || errors.Is(err, unix.ENOSPC) {
		return record{}, nil // there are none, and none can be made
	}
	if err != nil {
		return record{}, err
	}
	defer unix.Close(dir)
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return record{}, nil
	}
	if err != nil {
		return record{}, fmt.Errorf("open record of %q: %w", name, err)
	}
	defer unix.Close(fd)
	text := make([]byte, unix.PathMax+256)
	n, err := unix.Read(fd, text)
	if err != nil {
		return record{}, fmt.Errorf("read record of %q: %w", name, err)
	}
	return parseRecord(string(text[:n])), nil
}

// parseRecord makes the zero record of what none of this program's can be.
func parseRecord(text string) record {
	line, _, _ := strings.Cut(text, "\n")
	words := strings.SplitN(line, " ", 3)
	if len(words) != 3 {
		return record{}
	}
	r := record{recordState(words[0]), words[1], words[2]}
	switch r.state {
	case making, made, served, failed:
		return r
	default:
		return record{}
	}
}

// write replaces the record of name: in one step, for only the first line counts.
func (r record) write(name string) error {
	dir, err := openRecords()
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("create record of %q: %w", name, err)
	}
	defer unix.Close(fd)
	line := []byte(strings.Join([]string{string(r.state), r.id, strings.ReplaceAll(r.rest, "\n", " ")}, " ") + "\n")
	n, err := unix.Pwrite(fd, line, 0)
	if err == nil && n < len(line) {
		err = unix.ENOSPC
	}
	if err == nil {
		err = unix.Ftruncate(fd, int64(len(line)))
	}
	if err != nil {
		return fmt.Errorf("write record of %q: %w", name, err)
	}
	return nil
}

// tellsOf tells whether the record is of the namespace fd.
func (r record) tellsOf(fd int) (bool, error) {
	id, err := identity(fd)
	return r.state != failed && r.id == id, err
}

// removeRecord removes the record of name, if there is one.
func removeRecord(name string) error {
	dir, err := openRecords()
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	if err := unix.Unlinkat(dir, name, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove record of %q: %w", name, err)
	}
	return nil
}

func openRecords() (int, error) {
	dir, err := state.Open(unix.O_PATH)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dir)
	return state.OpenOrCreate(dir, recordDir, unix.O_RDONLY)
}

// identity tells a namespace from all others that there have been on this machine
// since it was started. The kernel gives the inode number of one that is gone to
// another, but the change time of the inode, which a handle or descriptor keeps,
// is new then.
func identity(fd int) (string, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", fmt.Errorf("stat network namespace: %w", err)
	}
	return fmt.Sprintf("%d@%d.%09d", st.Ino, st.Ctim.Sec, st.Ctim.Nsec), nil
}

// failure is the record of one that has happened now. No two are alike.
func failure(err error) record {
	return record{failed, fmt.Sprint(time.Now().UnixNano()), err.Error()}
}
