// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"libpam-net/internal/nsfs"
	"libpam-net/internal/state"
)

// records has a record for each name under which a login has created a namespace.
const records = state.Dir + "/netns"

// record identifies a namespace that a login has created, and tells how far its creation got. It is the first
// line of the file, in three words. The writer must have the lock of the name.
type record struct {
	state State  // making, made, served or failed
	id    string // see identity; of a failure: when it was
	rest  string // the setup program, if there is one; of a failure: its error
}

// recordPath returns the path of a record, in a directory that only root can enter.
func recordPath(name string) string { return records + "/" + name }

// readRecord returns the record of name, the zero record if there is none or it is not valid.
func readRecord(name string) (record, error) {
	text, err := nsfs.Read(recordPath(name), unix.PathMax+256)
	if errors.Is(err, unix.ENOENT) {
		return record{}, nil
	}
	if err != nil {
		return record{}, fmt.Errorf("read record of %q: %w", name, err)
	}
	return parseRecord(string(text)), nil
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
	if err := os.MkdirAll(records, 0o700); err != nil {
		return err
	}
	fd, err := unix.Open(recordPath(name), unix.O_WRONLY|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
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
	if err := unix.Unlink(recordPath(name)); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove record of %q: %w", name, err)
	}
	return nil
}

// recorded returns the names that have a record, sorted. It creates nothing.
func recorded() (names []string, err error) {
	files, err := os.ReadDir(records)
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
