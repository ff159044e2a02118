// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// period is the time between two looks of list --watch.
const period = 2 * time.Second

// watchSessions prints the sessions on the terminal again and again.
func watchSessions(ctx context.Context, user string) error {
	in, out := int(os.Stdin.Fd()), int(os.Stdout.Fd())
	was, err := unix.IoctlGetTermios(in, unix.TCGETS)
	if err != nil {
		return errors.New("--watch needs a terminal")
	}
	keys := *was
	keys.Lflag &^= unix.ICANON | unix.ECHO
	if err := unix.IoctlSetTermios(in, unix.TCSETS, &keys); err != nil {
		return fmt.Errorf("set terminal: %w", err)
	}
	defer func() { _ = unix.IoctlSetTermios(in, unix.TCSETS, was) }()
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, unix.SIGWINCH)
	ctx, quit := context.WithCancel(ctx)
	go func() {
		defer quit()
		for key := []byte{0}; key[0] != 'q'; {
			if n, err := os.Stdin.Read(key); n == 0 || err != nil {
				return
			}
		}
	}()
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		all, err := listSessions(user)
		if all == nil && err != nil {
			return err
		}
		var text bytes.Buffer
		fmt.Fprintf(&text, "%s  sessions: %d  (q ends)\n\n", time.Now().Format(time.TimeOnly), len(all))
		if err != nil {
			fmt.Fprintf(&text, "%s\n\n", plain(err.Error()))
		}
		if err := printSessions(&text, all); err != nil {
			return err
		}
		rows, columns := 24, 80
		if w, err := unix.IoctlGetWinsize(out, unix.TIOCGWINSZ); err == nil && w.Row > 0 && w.Col > 0 {
			rows, columns = int(w.Row), int(w.Col)
		}
		if _, err := io.WriteString(os.Stdout, "\x1b[H\x1b[2J"+fit(text.String(), rows, columns)); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-resized:
		case <-ctx.Done():
			fmt.Println()
			return nil
		}
	}
}

// fit cuts a text to the size of a screen.
func fit(text string, rows, columns int) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) > rows {
		lines = append(lines[:rows-1], fmt.Sprintf("... and %d more", len(lines)-rows+1))
	}
	for i, line := range lines {
		if runes := []rune(line); len(runes) > columns {
			lines[i] = string(runes[:columns])
		}
	}
	return strings.Join(lines, "\r\n")
}
