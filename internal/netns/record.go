// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"libpam-net/internal/state"
)

// recordDir, of the state, has a record for each name under which a login has created a namespace.
const recordDir = "netns"

// record identifies a namespace that a login has created, and tells how far its creation got. It is the first
// line of the file, in three words. The writer must have the lock of the name.
type record struct {
	state State  // making, made, served or failed
	id    string // see identity; of a failure: when it was
	rest  string // the setup program, if there is one; of a failure: its error
}

// readRecord returns the record of name, the zero record if there is none or it is not valid.
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

// parseRecord returns the zero record if text is not a valid record.
func parseRecord(text string) record {
	line, _, _ := strings.Cut(text, "\n")
	words := strings.SplitN(line, " ", 3)
	if len(words) != 3 {
		return record{}
	}
	r := record{State(words[0]), words[1], words[2]}
	switch r.state {
	case making, made, served, failed:
		return r
	default:
		return record{}
	}
}

// write replaces the record of name. It does so in one step, since only the first line counts.
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

// recorded returns the names that have a record, sorted. It creates nothing.
func recorded() (names []string, err error) {
	files, err := os.ReadDir(state.Dir + "/" + recordDir)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	for _, file := range files {
		names = append(names, file.Name())
	}
	return names, err
}

// failure returns the record of a setup that has failed now. No two are equal.
func failure(err error) record {
	return record{failed, fmt.Sprint(time.Now().UnixNano()), err.Error()}
}
