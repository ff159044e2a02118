package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

const (
	sshdPIDFile = "/run/sshd.pid"
	sshdHostKey = "/run/sandbox/host_key"
)

// sshdConfig takes the extra lines first, because the first value of an option counts. A Match block among them ends
// where the included file does.
const sshdConfig = `Include /run/sandbox/sshd_extra
ListenAddress 127.0.0.1
ListenAddress 192.0.2.1
HostKey ` + sshdHostKey + `
PidFile ` + sshdPIDFile + `
UsePAM yes
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 500
MaxSessions 100
LogLevel VERBOSE
Subsystem sftp internal-sftp
`

// sshConfig is that of ssh(1) inside, also for those who call it by hand. The default key exchange, which resists
// quantum computers, takes a third of the time of a login.
const sshConfig = `BatchMode yes
StrictHostKeyChecking yes
KexAlgorithms curve25519-sha256
`

// StartSSHD starts sshd on 127.0.0.1 and 192.0.2.1, port 22, and returns when it listens. The lines of extraConfig
// (sshd_config(5)) win over those that a sandbox needs.
func (s *Sandbox) StartSSHD(extraConfig ...string) error {
	if _, err := s.Stat(sshdPIDFile); err == nil {
		return errors.New("start sshd: it runs already")
	}
	if err := s.writeSSHFiles(extraConfig); err != nil {
		return fmt.Errorf("configure sshd: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	// sshd wants its full path, to execute itself for each connection.
	if err := s.succeed(ctx, "/usr/sbin/sshd", "-f", "/run/sandbox/sshd_config"); err != nil {
		return fmt.Errorf("start sshd: %w", err)
	}
	err := poll(ctx, func() (bool, error) {
		_, err := s.SSHDPID()
		return err == nil, nil
	})
	if err != nil {
		log, _ := s.Log()
		return fmt.Errorf("wait for sshd to listen: %w; the log:\n%s", err, log)
	}
	return nil
}

func (s *Sandbox) writeSSHFiles(extraConfig []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.makeKey(); err != nil {
		return err
	}
	if _, err := s.Stat(sshdHostKey); err != nil {
		if err := s.generateKey(sshdHostKey); err != nil {
			return err
		}
	}
	hostKey, err := s.ReadFile(sshdHostKey + ".pub")
	if err != nil {
		return err
	}
	for _, file := range []struct{ name, content string }{
		{"/run/sandbox/sshd_config", sshdConfig},
		{"/run/sandbox/sshd_extra", lines(extraConfig)},
		{"/root/.ssh/config", sshConfig},
		{"/root/.ssh/known_hosts", "* " + hostKey},
	} {
		if err := s.WriteFile(file.name, file.content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// SSHDPID returns the PID of the sshd that listens.
func (s *Sandbox) SSHDPID() (int, error) {
	// sshd writes this file when it listens.
	content, err := s.ReadFile(sshdPIDFile)
	if err != nil {
		return 0, fmt.Errorf("find sshd: %w", err)
	}
	inside, err := strconv.Atoi(strings.TrimSuffix(content, "\n"))
	if err != nil {
		return 0, fmt.Errorf("find sshd: read %s: %w", sshdPIDFile, err)
	}
	return s.HostPID(inside)
}

// SSHCommand returns a command that logs in with ssh(1) over 127.0.0.1. args are options of ssh, then the remote
// command; with none, the login shell reads stdin.
func (s *Sandbox) SSHCommand(user string, args ...string) *exec.Cmd {
	return s.Command("ssh", sshArgs(user, args...)...)
}

// SSH lets the user's login shell run a script. Its error is that of Run, its ExitCode that of the script, or 255
// where ssh failed or the login was refused.
func (s *Sandbox) SSH(ctx context.Context, user, script string) (Result, error) {
	return s.Run(ctx, nil, "ssh", sshArgs(user, "--", script)...)
}

func sshArgs(user string, args ...string) []string {
	return append([]string{"-F", "/root/.ssh/config", "-l", user, "127.0.0.1"}, args...)
}
