package sandbox

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"syscall"
)

// The account files are edited here and not by useradd(8), which takes no names like "alice@example.org" or
// "EXAMPLE\alice", as directories of accounts have them.

// User is an account that AddUser made.
type User struct {
	Name     string
	UID, GID int
	Home     string
	Shell    string
	Groups   []string // besides the primary group, which is named like the user
}

// UserOption changes what AddUser makes.
type UserOption func(*User)

// UID is for a user id other than the next free one from 5000. The primary group gets the same number.
func UID(uid int) UserOption { return func(u *User) { u.UID, u.GID = uid, uid } }

// Shell is for a login shell other than /bin/bash.
func Shell(path string) UserOption { return func(u *User) { u.Shell = path } }

// Groups makes the user a member of groups that exist.
func Groups(names ...string) UserOption {
	return func(u *User) { u.Groups = append(u.Groups, names...) }
}

// AddUser makes an account with a home directory, without a usable password, and open to root's ssh key.
func (s *Sandbox) AddUser(name string, opts ...UserOption) (User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.nextID()
	u := User{Name: name, UID: id, GID: id, Home: "/home/" + name, Shell: "/bin/bash"}
	for _, opt := range opts {
		opt(&u)
	}
	for _, record := range []struct{ file, line string }{
		{"/etc/group", fmt.Sprintf("%s:x:%d:", name, u.GID)},
		{"/etc/passwd", fmt.Sprintf("%s:x:%d:%d::%s:%s", name, u.UID, u.GID, u.Home, u.Shell)},
		{"/etc/shadow", name + ":*:20000:0:99999:7:::"},
	} {
		if err := s.addRecord(record.file, name, record.line); err != nil {
			return User{}, fmt.Errorf("add user %q: %w", name, err)
		}
	}
	for _, group := range u.Groups {
		if err := s.addMembers(group, []string{name}); err != nil {
			return User{}, fmt.Errorf("add user %q: %w", name, err)
		}
	}
	if err := s.makeHome(u); err != nil {
		return User{}, fmt.Errorf("make the home directory of %q: %w", name, err)
	}
	return u, nil
}

// AddGroup makes a group.
func (s *Sandbox) AddGroup(name string, members ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := fmt.Sprintf("%s:x:%d:%s", name, s.nextID(), strings.Join(members, ","))
	if err := s.addRecord("/etc/group", name, line); err != nil {
		return fmt.Errorf("add group %q: %w", name, err)
	}
	return nil
}

// AddToGroup adds members to a group that exists.
func (s *Sandbox) AddToGroup(group string, members ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addMembers(group, members)
}

// AllowSudo lets a user run everything as anybody with sudo, without a password.
func (s *Sandbox) AllowSudo(u User) error {
	// The number, not the name: names would need quoting, and sudo skips files with a dot in their name.
	rule := fmt.Sprintf("#%d ALL=(ALL:ALL) NOPASSWD: ALL\n", u.UID)
	return s.WriteFile(fmt.Sprintf("/etc/sudoers.d/%d", u.UID), rule, 0o440)
}

// nextID returns a number that is neither a uid nor a gid yet. The caller holds s.mu, as for all below.
func (s *Sandbox) nextID() int {
	s.lastID++
	return s.lastID
}

// addRecord adds the line of a new name to an account file.
func (s *Sandbox) addRecord(file, name, line string) error {
	if name == "" || strings.ContainsAny(name, ":,/\n") {
		return fmt.Errorf("%q cannot be in %s", name, file)
	}
	return s.editRecords(file, func(records []string) ([]string, error) {
		if slices.ContainsFunc(records, isRecordOf(name)) {
			return nil, fmt.Errorf("%q is already in %s", name, file)
		}
		return append(records, line), nil
	})
}

func (s *Sandbox) addMembers(group string, members []string) error {
	return s.editRecords("/etc/group", func(records []string) ([]string, error) {
		i := slices.IndexFunc(records, isRecordOf(group))
		if i < 0 {
			return nil, fmt.Errorf("add members to group %q: there is no such group", group)
		}
		if !strings.HasSuffix(records[i], ":") {
			records[i] += ","
		}
		records[i] += strings.Join(members, ",")
		return records, nil
	})
}

func isRecordOf(name string) func(string) bool {
	return func(record string) bool { return strings.HasPrefix(record, name+":") }
}

// editRecords replaces an account file by an edited one in one step, with the owner and mode that it has.
func (s *Sandbox) editRecords(file string, edit func([]string) ([]string, error)) error {
	info, err := s.Stat(file)
	if err != nil {
		return err
	}
	content, err := s.ReadFile(file)
	if err != nil {
		return err
	}
	records, err := edit(strings.Split(strings.TrimSuffix(content, "\n"), "\n"))
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	return s.replace(file, strings.NewReader(lines(records)), info.Mode(), int(owner.Uid), int(owner.Gid))
}

// makeHome makes a user's home directory, with the ssh key in it.
func (s *Sandbox) makeHome(u User) error {
	if err := s.makeKey(); err != nil {
		return err
	}
	ssh := path.Join(u.Home, ".ssh")
	if err := s.MkdirAll(ssh, 0o700); err != nil {
		return err
	}
	keys := path.Join(ssh, "authorized_keys")
	if err := s.WriteFile(keys, s.publicKey, 0o600); err != nil {
		return err
	}
	for _, name := range []string{u.Home, ssh, keys} {
		if err := s.root.Chown(inside(name), u.UID, u.GID); err != nil {
			return err
		}
	}
	return nil
}

// makeKey makes the ssh key of root, which opens every account, root's own included.
func (s *Sandbox) makeKey() error {
	if s.publicKey != "" {
		return nil
	}
	if err := s.MkdirAll("/root/.ssh", 0o700); err != nil {
		return err
	}
	if err := s.generateKey("/root/.ssh/id_ed25519"); err != nil {
		return err
	}
	key, err := s.ReadFile("/root/.ssh/id_ed25519.pub")
	if err != nil {
		return err
	}
	if err := s.WriteFile("/root/.ssh/authorized_keys", key, 0o600); err != nil {
		return err
	}
	s.publicKey = key
	return nil
}

func (s *Sandbox) generateKey(name string) error {
	return s.succeed(context.Background(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "sandbox", "-f", name)
}
