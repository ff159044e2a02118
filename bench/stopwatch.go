// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// stopwatch is a running c/stopwatch.c, which starts programs in a sandbox: nothing
// of Go is in what it measures.
type stopwatch struct {
	cmd      *exec.Cmd
	requests io.WriteCloser
	answers  *bufio.Reader
}

// answer is what became of a request.
type answer struct {
	status int // the exit status, or 128 and the signal
	took   time.Duration
	text   string
}

// startStopwatch starts cmd, which is the program. Stop it.
func startStopwatch(cmd *exec.Cmd) (*stopwatch, error) {
	requests, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &stopwatch{cmd, requests, bufio.NewReader(answers)}, cmd.Start()
}

func (w *stopwatch) stop() error {
	w.requests.Close()
	return w.cmd.Wait()
}

// run runs a program to its end.
func (w *stopwatch) run(argv ...string) (answer, error) { return w.ask("run", argv...) }

// many runs a program n times, so many at once, and returns how long each took.
func (w *stopwatch) many(n, atOnce int, argv ...string) (a answer, each []time.Duration, err error) {
	a, err = w.ask("many", append([]string{strconv.Itoa(n), strconv.Itoa(atOnce)}, argv...)...)
	for _, word := range strings.Fields(a.text) {
		ns, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return a, nil, err
		}
		each = append(each, time.Duration(ns))
	}
	return a, each, err
}

// hold starts a program n times, and returns the PIDs that they have in the sandbox.
func (w *stopwatch) hold(n int, argv ...string) ([]string, error) {
	a, err := w.ask("hold", append([]string{strconv.Itoa(n)}, argv...)...)
	if err == nil && a.status != 0 {
		err = fmt.Errorf("hold %q: it is not ready", argv)
	}
	return strings.Fields(a.text), err
}

// release ends what is held.
func (w *stopwatch) release() error {
	a, err := w.ask("release")
	if err == nil && a.status != 0 {
		err = fmt.Errorf("end what was held: exit status %d", a.status)
	}
	return err
}

func (w *stopwatch) ask(request string, words ...string) (answer, error) {
	if _, err := fmt.Fprintln(w.requests, strings.Join(append([]string{request}, words...), "\t")); err != nil {
		return answer{}, fmt.Errorf("ask the stopwatch: %w", err)
	}
	line, err := w.answers.ReadString('\n')
	if err != nil {
		return answer{}, fmt.Errorf("read the answer of the stopwatch: %w", err)
	}
	return parseAnswer(strings.TrimSuffix(line, "\n"))
}

func parseAnswer(line string) (answer, error) {
	words := append(strings.SplitN(line, " ", 3), "")
	status, err := strconv.Atoi(words[0])
	if err != nil {
		return answer{}, fmt.Errorf("answer of the stopwatch: %q", line)
	}
	ns, err := strconv.ParseInt(words[1], 10, 64)
	if err != nil {
		return answer{}, fmt.Errorf("answer of the stopwatch: %q", line)
	}
	return answer{status, time.Duration(ns), strings.TrimSpace(words[2])}, nil
}
