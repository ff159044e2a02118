// Package pamhost builds the programs that stand in for sshd, su, cron and the like when a PAM module is tested, and reads their
// reports: what each PAM call returned, and snapshots of the host process, which a module has to leave exactly as it was.
//
// pamhost, in C, opens a session under conditions chosen by its options; gohost does it in a Go program, whose threads come
// and go. Without arguments, pamhost prints what its options are.
package pamhost

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
)

// Paths are the programs that [Build] made.
type Paths struct {
	Pamhost string // takes the options of c/pamhost.c
	Gohost  string // takes --report, --confdir and --as-root
}

// Build compiles both programs into dir. It needs the module's sources, the Go command, gcc and libpam's headers.
func Build(dir string) (Paths, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Paths{}, err
	}
	paths := Paths{Pamhost: filepath.Join(dir, "pamhost"), Gohost: filepath.Join(dir, "gohost")}
	if err := compile(paths.Pamhost); err != nil {
		return Paths{}, err
	}
	_, err = output("go", "build", "-o", paths.Gohost, importPath+"/gohost")
	return paths, err
}

var importPath = reflect.TypeFor[Paths]().PkgPath()

func compile(program string, flags ...string) error {
	source, err := output("go", "list", "-f", "{{.Dir}}", importPath)
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(source), "c", "*.c"))
	if err != nil {
		return err
	}
	args := []string{"-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Wshadow", "-Wformat=2", "-Werror", "-o", program}
	args = append(args, flags...)
	args = append(args, files...)
	_, err = output("gcc", append(args, "-lpam", "-pthread")...)
	return err
}

func output(command string, args ...string) (string, error) {
	var stderr strings.Builder
	cmd := exec.Command(command, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, stderr.String())
	}
	return string(out), nil
}

// Report is what a host tells about one session. A snapshot that was never taken is the zero Snapshot.
type Report struct {
	Service  Text      `json:"service"`
	User     Text      `json:"user"`
	PID      int       `json:"pid"` // of the process that opened the session
	Calls    []Call    `json:"calls"`
	Messages []Message `json:"messages"`
	Command  *Command  `json:"command"` // nil if none was run
	Reaped   []int     `json:"reaped"`  // the children that the SIGCHLD handler of --sigchld-reap took

	Start  Snapshot `json:"start"`  // before pam_start
	Before Snapshot `json:"before"` // before pam_open_session
	After  Snapshot `json:"after"`  // after it
	Again  Snapshot `json:"again"`  // after the second one of --twice
	End    Snapshot `json:"end"`    // after pam_end, which unloads the modules
}

// Call is a call of libpam, in the order they were made.
type Call struct {
	Call   string `json:"call"`   // such as "pam_open_session"
	Result string `json:"result"` // such as "PAM_SUCCESS"
	Number int    `json:"number"`
}

// Message is what a module said to the user.
type Message struct {
	Style string `json:"style"` // "PAM_ERROR_MSG" or "PAM_TEXT_INFO"
	Text  Text   `json:"text"`
}

// Command is how the command in the session ended.
type Command struct {
	PID    int `json:"pid"`
	Exit   int `json:"exit"`   // -1 if a signal ended it, or if nobody can tell, as with SIGCHLD ignored
	Signal int `json:"signal"` // the one that ended it, or 0
}

// Result returns the name of the last result of a libpam call, and "" if it was not made.
func (r Report) Result(call string) string {
	result := ""
	for _, c := range r.Calls {
		if c.Call == call {
			result = c.Result
		}
	}
	return result
}

// Parse reads a report.
func Parse(data []byte) (Report, error) {
	var report Report
	if err := json.Unmarshal(data, &report); err != nil {
		return Report{}, fmt.Errorf("parse pamhost report: %w", err)
	}
	return report, nil
}

// Text is a string of arbitrary bytes. JSON has only characters: there, each byte is the character of the same number.
type Text string

// MarshalJSON implements [json.Marshaler].
func (t Text) MarshalJSON() ([]byte, error) {
	characters := make([]rune, len(t))
	for i := range len(t) {
		characters[i] = rune(t[i])
	}
	return json.Marshal(string(characters))
}

// UnmarshalJSON implements [json.Unmarshaler].
func (t *Text) UnmarshalJSON(data []byte) error {
	var characters string
	if err := json.Unmarshal(data, &characters); err != nil {
		return err
	}
	bytes := make([]byte, 0, len(characters))
	for _, character := range characters {
		if character > 0xff {
			return fmt.Errorf("character %q is no byte", character)
		}
		bytes = append(bytes, byte(character))
	}
	*t = Text(bytes)
	return nil
}
