// SPDX-License-Identifier: GPL-2.0-or-later

package join

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// plumbing connects a command to this program's terminal and to its caller.
type plumbing struct {
	keyboard    *os.File // this program's terminal, from which the command's gets its input, or nil
	screen      *os.File // this program's terminal, to which the command's output goes
	master, tty *os.File // the command's terminal, or nil
	pipes       []pipe
	ended       [2]*os.File // a pipe; its second end is closed when the command has ended
	copying     chan struct{}
	restore     func()
}

// pipe carries the output of the command.
type pipe struct {
	from, end *os.File // end is the command's
	to        io.Writer
}

// lay replaces stdin, stdout and stderr of the command where that is necessary.
func (p *plumbing) lay(c *exec.Cmd, terminal bool) (err error) {
	if p.ended[0], p.ended[1], err = os.Pipe(); err != nil {
		return fmt.Errorf("pipe: %w", err)
	}
	var own [3]*os.File
	for fd, stream := range []any{c.Stdin, c.Stdout, c.Stderr} {
		if own[fd] = terminalOf(stream); own[fd] != nil && terminal {
			c.SysProcAttr.Setctty, c.SysProcAttr.Ctty = true, fd
		}
	}
	if c.SysProcAttr.Setctty {
		if err := p.makeTerminal(cmp.Or(own[1], own[2], own[0]), int(c.SysProcAttr.Credential.Uid)); err != nil {
			return fmt.Errorf("make a terminal: %w", err)
		}
	}
	if own[0] != nil {
		c.Stdin = nil // /dev/null
		if terminal {
			c.Stdin, p.keyboard = p.tty, own[0]
		}
	}
	for i, out := range []*io.Writer{&c.Stdout, &c.Stderr} {
		_, file := (*out).(*os.File)
		switch {
		case *out == nil, file && own[i+1] == nil:
		case terminal && own[i+1] != nil:
			*out = p.tty
		default:
			r, w, err := os.Pipe()
			if err != nil {
				return fmt.Errorf("pipe: %w", err)
			}
			p.pipes = append(p.pipes, pipe{r, w, *out})
			*out = w
		}
	}
	return nil
}

// terminalOf returns the terminal that stdin, stdout or stderr is, or nil.
func terminalOf(stream any) *os.File {
	if file, ok := stream.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return file
	}
	return nil
}

// makeTerminal makes a terminal that belongs to the user and is shown on screen.
func (p *plumbing) makeTerminal(screen *os.File, uid int) (err error) {
	if p.master, p.tty, err = pty.Open(); err != nil {
		return err
	}
	p.screen = screen
	p.pipes = append(p.pipes, pipe{p.master, p.tty, screen})
	p.resize()
	return p.tty.Chown(uid, -1) // for programs that open it by its name
}

// resize gives the command's terminal the size of the screen, if that can be read.
func (p *plumbing) resize() {
	if p.tty != nil {
		_ = pty.InheritSize(p.screen, p.tty)
	}
}

// open starts to copy, once the command has been started. hangUp must end the command: the keys for that were typed.
func (p *plumbing) open(hangUp func()) error {
	p.copying = make(chan struct{}, len(p.pipes))
	for _, pipe := range p.pipes {
		go func() {
			pipe.copy(p.ended[0])
			p.copying <- struct{}{}
		}()
	}
	if p.keyboard == nil {
		return nil
	}
	fd := int(p.keyboard.Fd())
	was, err := term.MakeRaw(fd)
	if err != nil {
		return fmt.Errorf("set terminal: %w", err)
	}
	p.restore = func() { _ = term.Restore(fd, was) }
	go typeInto(p.master, p.keyboard, hangUp)
	return nil
}

// signal acts on a signal that this program has received.
func (p *plumbing) signal(pid int, s unix.Signal) {
	switch s {
	case unix.SIGWINCH:
		p.resize()
	case unix.SIGINT, unix.SIGQUIT:
		_ = unix.Kill(-pid, s)
	default:
		_ = unix.Kill(-pid, unix.SIGKILL) // the kernel hangs up the terminal for the others on it
	}
}

// drain returns when everything that the command wrote is copied.
func (p *plumbing) drain() {
	p.ended[1].Close()
	for range p.pipes {
		<-p.copying
	}
}

// close restores the keyboard's settings and closes all files, which hangs up the command's terminal.
func (p *plumbing) close() {
	if p.restore != nil {
		p.restore()
	}
	for _, file := range []*os.File{p.master, p.tty, p.ended[0], p.ended[1]} {
		file.Close() // an error if it is nil or closed already
	}
	for _, pipe := range p.pipes {
		pipe.from.Close()
		pipe.end.Close()
	}
}

// rest is how many bytes are read after the end of the command: more than a pipe or a terminal holds. Something that
// the command has left running may write on for ever.
const rest = 1 << 20

// copy copies until the command has ended and nothing is left to be read. The command's end of the pipe stays open in
// this process, so that end of file comes for no other reason.
func (p pipe) copy(ended *os.File) {
	from := int(p.from.Fd())
	polled := []unix.PollFd{{Fd: int32(from), Events: unix.POLLIN}, {Fd: int32(ended.Fd()), Events: unix.POLLIN}}
	buffer := make([]byte, 32<<10)
	for left := rest; left > 0; {
		if _, err := unix.Poll(polled, -1); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil {
			return
		}
		if polled[0].Revents&unix.POLLIN == 0 {
			return
		}
		n, err := unix.Read(from, buffer)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		_, _ = p.to.Write(buffer[:max(n, 0)]) // a screen that is gone must not stop the command
		if polled[1].Revents != 0 {
			left -= n
		}
	}
}

// away is the key Ctrl-]. Three in a row are for this program: the command may ignore all other keys.
const away = 0x1d

// typeInto passes on what is typed, until away is typed three times in a row. It calls hangUp then.
func typeInto(tty io.Writer, keyboard io.Reader, hangUp func()) {
	keys := make([]byte, 4<<10)
	for inARow := 0; ; {
		n, err := keyboard.Read(keys)
		if n == 0 || err != nil {
			return
		}
		for _, key := range keys[:n] {
			inARow++
			if key != away {
				inARow = 0
			}
			if inARow == 3 {
				hangUp()
				return
			}
		}
		if _, err := tty.Write(keys[:n]); err != nil {
			return
		}
	}
}
