// SPDX-License-Identifier: GPL-2.0-or-later

// Package pamstack reads the PAM configuration of a machine the way libpam does
// (pam.conf(5), with Debian's @include), and follows a stack the way it does.
package pamstack

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Place is the place of a line.
type Place struct {
	File         string // its name on the machine: "/etc/pam.d/sshd"
	Number, Last int    // the first and the last line there, from 1: a backslash continues a line
}

func (p Place) String() string { return fmt.Sprintf("%s:%d", p.File, p.Number) }

// Line is a line of a service's configuration.
type Line struct {
	Place
	Service string
	Type    string   // "auth", "account", "password" or "session"
	Silent  bool     // "-session": libpam does not log that the module is missing
	Control string   // "required", "[success=ok default=die]", "substack"
	Module  string   // as it is written; "" for a line that can only fail, and for the beginning of a substack
	Args    []string // a text in brackets is one argument
	Via     []Place  // the includes that lead to it, the outermost first
	Level   int      // the number of substacks among them

	actions actions
}

// Begins returns whether the line is the beginning of a substack, and has no module.
func (l Line) Begins() bool { return l.Control == substack }

// Bad returns whether the stack fails when the module returns this code.
func (l Line) Bad(code Code) bool { return l.actions.on(code) == bad || l.actions.on(code) == die }

// Is returns whether the line has a module of this name, "pam_unix", in any directory.
func (l Line) Is(module string) bool {
	return strings.TrimSuffix(path.Base(l.Module), ".so") == module && l.Module != ""
}

// Problem is a line that libpam cannot parse.
type Problem struct {
	Place
	Text string // the problem, and its effect
}

// Other is the service whose lines libpam takes for a service without lines of a type.
const Other = "other"

// The types of lines, and of stacks.
const (
	Auth     = "auth"
	Account  = "account"
	Password = "password"
	Session  = "session"
)

var types = []string{Auth, Account, Password, Session}

const (
	confFile = "/etc/pam.conf"
	substack = "substack"
	// The depth of includes. libpam has the same limit, but some versions check it for substacks alone, and
	// crash when a file includes itself.
	maxDepth = 16
)

// The directories of services. A file in the first overrides one in the second.
var dirs = []string{"/etc/pam.d", "/usr/lib/pam.d"}

// Config is the PAM configuration of a machine.
type Config struct {
	root     string
	goesOn   bool                         // see assemble
	changed  map[string]string            // texts that files will have
	services map[string]map[string][]Line // by service and type
	files    map[string]string            // the files of services that have their own
	included map[string][]string          // the services that include a file, by file
	broken   map[string]bool              // the services that libpam cannot parse to the end
	problems []Problem
}

// Load reads the configuration of the machine whose root directory is root.
func Load(root string) (*Config, error) { return LoadChanged(root, nil) }

// LoadChanged reads the configuration as it would be if these files, by their names on the machine, had these
// texts.
func LoadChanged(root string, changed map[string]string) (*Config, error) {
	c := &Config{
		root:     root,
		goesOn:   goesOn(root),
		changed:  changed,
		services: map[string]map[string][]Line{},
		files:    map[string]string{},
		included: map[string][]string{},
		broken:   map[string]bool{},
	}
	found := false
	for _, dir := range slices.Backward(dirs) {
		entries, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		found = found || err == nil
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		for file := range changed {
			if path.Dir(file) == dir {
				names = append(names, path.Base(file))
			}
		}
		for _, name := range names {
			// Libpam looks for the name in lower case.
			file := dir + "/" + name
			if _, ok := c.read(file); ok && name == strings.ToLower(name) {
				c.files[name] = file
			}
		}
	}
	if found {
		for _, service := range slices.Sorted(maps.Keys(c.files)) {
			c.parse(service, c.files[service], true)
		}
	} else if content, ok := c.read(confFile); ok {
		for _, service := range c.servicesOf(content) {
			c.parse(service, confFile, false)
		}
	}
	if len(c.services) == 0 {
		return nil, errors.New("there is no PAM configuration: neither /etc/pam.d nor /etc/pam.conf")
	}
	if broken, ok := c.services[Other]; ok && c.broken[Other] {
		// libpam reads it with every service.
		for service := range c.services {
			c.services[service] = broken
		}
	}
	return c, nil
}

// servicesOf returns the services that have lines in pam.conf.
func (c *Config) servicesOf(content string) (services []string) {
	lines, _ := assemble(content, c.goesOn)
	for _, l := range lines {
		rest := tokens(l.text)
		word, _ := rest.next()
		services = append(services, strings.ToLower(word))
	}
	slices.Sort(services)
	return slices.Compact(services)
}

// read returns what libpam reads of a file. It reads nothing of a directory.
func (c *Config) read(file string) (string, bool) {
	if text, ok := c.changed[file]; ok {
		return text, true
	}
	name := filepath.Join(c.root, file)
	info, err := os.Stat(name)
	if err != nil || info.IsDir() {
		return "", err == nil && !slices.Contains(dirs, path.Dir(file))
	}
	if !info.Mode().IsRegular() {
		return "", true // /dev/null
	}
	content, err := os.ReadFile(name)
	return string(content), err == nil
}

// Services returns the services that have a configuration of their own, sorted. Among them are files that are
// only included by others: see Includers.
func (c *Config) Services() []string {
	return slices.Sorted(maps.Keys(c.services))
}

// File returns the file of a service.
func (c *Config) File(service string) string {
	return cmp.Or(c.files[service], confFile)
}

// Includers returns the services whose configuration includes a file, sorted.
func (c *Config) Includers(file string) []string { return c.included[file] }

// Stack returns the lines of a service and a type ("session") in libpam's order, with includes and substacks
// in their place: those of "other" if the service has none. If libpam cannot parse the service to the end, it
// refuses every use, and the stack is one line that can only fail.
func (c *Config) Stack(service, kind string) []Line {
	if own := c.services[service][kind]; len(own) > 0 {
		return own
	}
	return c.services[Other][kind]
}

// Own returns whether a service has lines of a type, so that "other" does not count.
func (c *Config) Own(service, kind string) bool { return len(c.services[service][kind]) > 0 }

// Problems returns the lines that libpam cannot parse, by file and number.
func (c *Config) Problems() []Problem { return c.problems }

// parse parses a service. filed: it has a file of its own.
func (c *Config) parse(service, file string, filed bool) {
	p := parser{Config: c, service: service, stacks: map[string][]Line{}}
	content, _ := c.read(file)
	if !p.file(file, content, filed, "", nil, 0) {
		c.broken[service] = true
		for _, kind := range types {
			p.stacks[kind] = []Line{{Place: Place{File: file}, Service: service, Type: kind, actions: required}}
		}
	}
	c.services[service] = p.stacks
	slices.SortStableFunc(c.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Number, b.Number), cmp.Compare(a.Text, b.Text))
	})
	c.problems = slices.CompactFunc(c.problems, func(a, b Problem) bool { // those of an included file, once
		return a.File == b.File && a.Number == b.Number && a.Text == b.Text
	})
}

// parser parses a service.
type parser struct {
	*Config
	service string
	stacks  map[string][]Line
	open    []string // the files that are being parsed
}

func (p *parser) complain(at Place, text string) {
	p.problems = append(p.problems, Problem{at, text})
}

// file parses the lines of a file that have one type, or all (""). It returns false if libpam stops there and
// refuses every use of the service.
func (p *parser) file(name, content string, filed bool, only string, via []Place, level int) bool {
	p.open = append(p.open, name)
	defer func() { p.open = p.open[:len(p.open)-1] }()
	lines, unfinished := assemble(content, p.goesOn)
	for _, l := range lines {
		rest := tokens(l.text)
		if !filed {
			if service, _ := rest.next(); !strings.EqualFold(service, p.service) {
				continue
			}
		}
		if !p.line(Place{name, l.number, l.last}, rest, only, via, level) {
			return false
		}
	}
	if unfinished > 0 {
		p.complain(Place{name, unfinished, unfinished}, "the last line ends in a backslash: every use of the service fails")
	}
	return unfinished == 0
}

// line parses a line behind the service. It returns false if libpam stops there.
func (p *parser) line(at Place, rest tokens, only string, via []Place, level int) bool {
	const fails = ": a line that always fails"
	l := Line{Place: at, Service: p.service, Via: via, Level: level}
	problem := ""

	kind, _ := rest.next()
	kind, l.Silent = strings.CutPrefix(kind, "-")
	l.Type = strings.ToLower(kind)
	if l.Type == "@include" {
		target, _ := rest.next()
		return p.include(l, target, only, level) == ""
	}
	if !slices.Contains(types, l.Type) {
		problem = "it has no type (session, auth, ...)" + fails
		if l.Type != "" {
			problem = "the type \"" + kind + "\" is unknown" + fails
		}
		l.Type = cmp.Or(only, Auth)
	}
	if only != "" && l.Type != only {
		return true
	}

	control, bracketed := rest.next()
	var known bool
	switch word := strings.ToLower(control); word {
	case "include", substack:
		target, _ := rest.next()
		inner := level
		if word == substack {
			inner++
			begin := l
			begin.Control, begin.Args = substack, []string{target}
			p.stacks[l.Type] = append(p.stacks[l.Type], begin)
		}
		if p.include(l, target, l.Type, inner) == "" {
			return true
		}
		l.Control, l.actions = word, required
		if word == substack {
			l.Control = "include" // its beginning has a line already
		}
		p.stacks[l.Type] = append(p.stacks[l.Type], l)
		return true
	default:
		l.Control = word
		if l.actions, known = keywords[word]; !known {
			var err error
			l.Control = "[" + control + "]"
			if l.actions, err = parseActions(control); err != nil {
				problem = cmp.Or(problem, "the control \""+control+"\" "+err.Error()+": every return code of the module is a failure")
			}
			if !bracketed && control != "" {
				l.Control = control
			}
		}
	}
	if control == "" {
		problem = cmp.Or(problem, "it has no control (required, ...)"+fails)
		l.Control = ""
	}

	module, _ := rest.next()
	switch {
	case problem != "" && strings.HasSuffix(problem, fails):
	case module == "":
		problem = "it names no module" + fails
	default:
		l.Module = module
	}
	for rest.more() {
		word, inBrackets := rest.next()
		if word != "" || inBrackets {
			l.Args = append(l.Args, word)
		}
	}
	if problem != "" {
		p.complain(at, problem)
	}
	p.stacks[l.Type] = append(p.stacks[l.Type], l)
	return true
}

// include parses the file that a line includes. It returns the problem of the line, "" if there is none.
func (p *parser) include(l Line, target, only string, level int) (problem string) {
	name, content, ok := p.find(target)
	switch {
	case target == "":
		problem = "it names no file to include"
	case slices.Contains(p.open, name):
		problem = "\"" + target + "\" includes itself"
	case len(l.Via)+1 >= maxDepth:
		problem = "includes go deeper than 16 files"
	case !ok:
		problem = "the file \"" + target + "\" to include does not exist"
	default:
		if users := p.included[name]; !slices.Contains(users, p.service) {
			p.included[name] = append(users, p.service)
		}
		if !p.file(name, content, true, only, append(slices.Clone(l.Via), l.Place), level) {
			return "the file cannot be parsed to its end"
		}
		return ""
	}
	text := problem + ": it always fails"
	if l.Type == "@include" {
		text = problem + ": every use of the service fails"
	}
	p.complain(l.Place, text)
	return problem
}

// find returns the name and the content of an included file.
func (p *parser) find(target string) (name, content string, ok bool) {
	if strings.HasPrefix(target, "/") {
		content, ok = p.read(target)
		return path.Clean(target), content, ok
	}
	for _, dir := range dirs {
		name = path.Join(dir, target)
		if content, ok = p.read(name); ok {
			return name, content, true
		}
	}
	return "", "", false
}
