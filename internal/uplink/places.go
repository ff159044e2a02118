// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"libpam-net/internal/state"
	"libpam-net/internal/uplink/config"
)

// placesFile has the places in the pools that were given out, with a line for each: "uid 1000 0".
// An administrator may delete lines; their places are given out again.
const placesFile = "/var/lib/libpam-net/addresses"

// places are the places by owner, "uid 1000".
type places map[string]uint32

// of returns the place of a user or group: the remembered one, or the first that is free. Users
// and groups have pools of their own.
func (p places) of(i identity) uint32 {
	if place, ok := p[i.String()]; ok {
		return place
	}
	kind, _, _ := strings.Cut(i.String(), " ")
	taken := make(map[uint32]bool)
	for owner, place := range p {
		if strings.HasPrefix(owner, kind+" ") {
			taken[place] = true
		}
	}
	place := uint32(0)
	for taken[place] {
		place++
	}
	return place
}

// recall makes the plan for the place of a user or group. If remember is true, the place is in
// the file afterwards.
func recall(i identity, c *config.Config, remember bool) (plan, error) {
	if remember {
		lock, err := state.Acquire(uplinksLock, patience)
		if err != nil {
			return plan{}, err
		}
		defer lock.Release()
	}
	known, err := readPlaces(placesFile)
	if err != nil {
		return plan{}, err
	}
	p, err := makePlan(i, c, known, hasIPv6())
	if _, is := known[i.String()]; err != nil || is || !remember {
		return p, err
	}
	known[i.String()] = known.of(i)
	return p, known.write(placesFile)
}

// readPlaces reads the file. Without a file nothing has been given out.
func readPlaces(path string) (places, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read remembered addresses: %w", err)
	}
	known, owners := places{}, map[string]string{}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		var err, err2 error
		var id, place uint64
		if len(words) == 3 {
			id, err = strconv.ParseUint(words[1], 10, 32)
			place, err2 = strconv.ParseUint(words[2], 10, 32)
		}
		if len(words) != 3 || words[0] != "uid" && words[0] != "gid" || err != nil || err2 != nil {
			return nil, fmt.Errorf(`read remembered addresses: %s:%d: %.40q is no line like "uid 1000 0": correct or delete it`, path, number, line)
		}
		owner := identity{group: words[0] == "gid", id: uint32(id)}.String()
		at := fmt.Sprint(words[0], " ", place)
		_, twice := known[owner]
		if other := owners[at]; other != "" || twice {
			return nil, fmt.Errorf("read remembered addresses: %s:%d: %s or its place is there already: delete one of the lines", path, number, owner)
		}
		known[owner], owners[at] = uint32(place), owner
	}
	return known, nil
}

// write replaces the file at once, and durably: an address must not be given to two users after
// a crash.
func (p places) write(path string) error {
	var lines []string
	for owner, place := range p {
		lines = append(lines, fmt.Sprintf("%s %d\n", owner, place))
	}
	slices.Sort(lines)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = replaceFile(path, strings.Join(lines, ""))
	}
	if err != nil {
		return fmt.Errorf("remember address: %w", err)
	}
	return nil
}

func replaceFile(path, text string) error {
	file, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if err == nil {
		err = file.Sync()
	}
	if failed := file.Close(); err == nil {
		err = failed
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
