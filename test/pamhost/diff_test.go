package pamhost

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
)

// aSnapshot is one with something of every kind.
func aSnapshot() Snapshot {
	file := FileID{Dev: "8:1", Ino: 2}
	return Snapshot{
		PID: 10, TID: 11, Proc: true,
		MappedFiles: []Text{"/lib/a.so"},
		Namespaces:  map[string]uint64{"net": 1, "mnt": 2},
		Threads: []Thread{
			{TID: 10, Name: "host", Namespaces: map[string]uint64{"net": 1, "mnt": 2}, Cwd: file, Root: file},
			{TID: 11, Name: "session", Namespaces: map[string]uint64{"net": 1, "mnt": 2}, Cwd: file, Root: file},
		},
		Descriptors: []Descriptor{
			{Number: 0, Target: "/dev/null", FileID: file},
			{Number: 4, Target: "anon_inode:[eventfd]", FileID: file},
		},
		Signals:     []Signal{{Number: 17, Disposition: "default"}, {Number: 40, Disposition: "ignored"}},
		Rlimits:     map[string]Rlimit{"NOFILE": {1024, Unlimited}},
		Environment: []Text{"A=1", "B=2"}, EnvironmentHash: "12",
		Cwd:        Directory{"/home", file},
		Root:       Directory{"/", file},
		Umask:      0o22,
		Attributes: map[string]int64{"nice": 0},
		Children:   []int{20}, HasChildren: true,
	}
}

func TestDiff(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(s *Snapshot)
		want   []string
		field  Field // ignoring it leaves nothing
	}{
		{"nothing", func(s *Snapshot) {}, nil, ""},
		{"memory", func(s *Snapshot) { s.Memory = Memory{1, 2, 3} }, nil, ""},
		{"another path of the same file", func(s *Snapshot) { s.Descriptors[0].Target = "/null" }, nil, ""},
		{"no path known", func(s *Snapshot) { s.Descriptors[1].Target = "" }, nil, ""},
		{"the order of lists", func(s *Snapshot) {
			slices.Reverse(s.Threads)
			slices.Reverse(s.Descriptors)
		}, nil, ""},

		{"process", func(s *Snapshot) { s.PID = 12 }, []string{"process ID: 10 became 12"}, ProcessID},
		{"/proc", func(s *Snapshot) { s.Proc = false }, []string{"/proc can be read: true became false"}, Proc},
		{"network namespace", func(s *Snapshot) { s.Namespaces["net"] = 3 }, []string{"net namespace: 1 became 3"}, NetNamespace},
		{"mount namespace", func(s *Snapshot) { s.Namespaces["mnt"] = 3 }, []string{"mnt namespace: 2 became 3"}, MountNamespace},
		{"lost namespace", func(s *Snapshot) { delete(s.Namespaces, "net") }, []string{"net namespace: 1 became 0"}, "net"},
		{"new thread", func(s *Snapshot) { s.Threads = append(s.Threads, Thread{TID: 12, Name: "go"}) }, []string{"thread 12 (go) was started"}, Threads},
		{"lost thread", func(s *Snapshot) { s.Threads = s.Threads[1:] }, []string{"thread 10 (host) has ended"}, Threads},
		{"renamed thread", func(s *Snapshot) { s.Threads[1].Name = "x" }, []string{"thread 11 (session): name: session became x"}, Threads},
		{"another thread's namespace", func(s *Snapshot) { s.Threads[0].Namespaces["net"] = 3 }, []string{"thread 10 (host): net namespace: 1 became 3"}, OtherThreads},
		{"another thread's directories", func(s *Snapshot) { s.Threads[0].Cwd.Ino, s.Threads[0].Root.Ino = 3, 4 }, []string{
			"thread 10 (host): working directory: {Dev:8:1 Ino:2} became {Dev:8:1 Ino:3}",
			"thread 10 (host): root directory: {Dev:8:1 Ino:2} became {Dev:8:1 Ino:4}",
		}, OtherThreads},
		{"opened", func(s *Snapshot) {
			s.Descriptors = append(s.Descriptors, Descriptor{Number: 5, Target: "socket:[7]", FileID: FileID{"0:9", 7}})
		}, []string{"descriptor 5 was opened: socket:[7] (inode 7 of 0:9)"}, Descriptors},
		{"closed", func(s *Snapshot) { s.Descriptors = s.Descriptors[1:] }, []string{"descriptor 0 was closed: /dev/null (inode 2 of 8:1)"}, Descriptors},
		{"another file", func(s *Snapshot) { s.Descriptors[0].FileID = FileID{"8:2", 2} }, []string{
			"descriptor 0: /dev/null (inode 2 of 8:1) became /dev/null (inode 2 of 8:2)",
		}, Descriptors},
		{"another anonymous inode", func(s *Snapshot) { s.Descriptors[1].Target = "anon_inode:[eventpoll]" }, []string{
			"descriptor 4: anon_inode:[eventfd] (inode 2 of 8:1) became anon_inode:[eventpoll] (inode 2 of 8:1)",
		}, Descriptors},
		{"descriptor flags", func(s *Snapshot) { s.Descriptors[0].CloseOnExec, s.Descriptors[0].Status = true, 0o4000 }, []string{
			"descriptor 0: close-on-exec: false became true", "descriptor 0: status flags: 0 became 04000",
		}, Descriptors},
		{"disposition", func(s *Snapshot) { s.Signals[0].Disposition = "ignored" }, []string{"signal 17 (SIGCHLD): default became ignored"}, Signals},
		{"handler", func(s *Snapshot) {
			s.Signals[1] = Signal{Number: 40, Disposition: "handler", Address: 16, Flags: 4, Mask: 1}
		}, []string{
			"signal 40: ignored became handler 0x10 (flags 0x4, mask 0x1)",
		}, Signals},
		{"blocked", func(s *Snapshot) { s.Blocked = 1 << 16 }, []string{"signal 17 (SIGCHLD) blocked: false became true"}, BlockedSignals},
		{"pending", func(s *Snapshot) { s.Pending = 1 << 39 }, []string{"signal 40 pending: false became true"}, PendingSignals},
		{"alternate stack", func(s *Snapshot) { s.AltStack.Size = 1 }, []string{
			"alternate signal stack: {Address:0 Size:0 Flags:0} became {Address:0 Size:1 Flags:0}",
		}, AlternateStack},
		{"limit", func(s *Snapshot) { s.Rlimits["NOFILE"] = Rlimit{Unlimited, Unlimited} }, []string{
			"limit NOFILE: {Soft:1024 Hard:unlimited} became {Soft:unlimited Hard:unlimited}",
		}, Rlimits},
		{"variable", func(s *Snapshot) { s.Environment[0], s.EnvironmentHash = "A=2", "34" }, []string{
			`environment variable "A=1" is gone`, `environment variable "A=2" is new`,
		}, Environment},
		{"order of variables", func(s *Snapshot) { s.Environment, s.EnvironmentHash = []Text{"B=2", "A=1"}, "34" }, []string{
			"environment, reordered or repeating itself: 12 became 34",
		}, Environment},
		{"working directory", func(s *Snapshot) { s.Cwd.Path = "/" }, []string{"working directory: /home (inode 2 of 8:1) became / (inode 2 of 8:1)"}, Cwd},
		{"root directory", func(s *Snapshot) { s.Root.Ino = 3 }, []string{"root directory: / (inode 2 of 8:1) became / (inode 3 of 8:1)"}, Root},
		{"user", func(s *Snapshot) { s.Credentials.UID.Filesystem = 1 }, []string{
			"user IDs: {Real:0 Effective:0 Saved:0 Filesystem:0} became {Real:0 Effective:0 Saved:0 Filesystem:1}",
		}, UserIDs},
		{"group", func(s *Snapshot) { s.Credentials.GID.Real = 1 }, []string{
			"group IDs: {Real:0 Effective:0 Saved:0 Filesystem:0} became {Real:1 Effective:0 Saved:0 Filesystem:0}",
		}, GroupIDs},
		{"groups", func(s *Snapshot) { s.Credentials.Groups = []uint32{7} }, []string{"supplementary group 7 is new"}, Groups},
		{"capabilities", func(s *Snapshot) { s.Credentials.Capabilities.Ambient = 16 }, []string{
			"capabilities: {Effective:0x0 Permitted:0x0 Inheritable:0x0 Bounding:0x0 Ambient:0x0} became " +
				"{Effective:0x0 Permitted:0x0 Inheritable:0x0 Bounding:0x0 Ambient:0x10}",
		}, CapabilitySets},
		{"umask", func(s *Snapshot) { s.Umask = 0o77 }, []string{"umask: 022 became 077"}, Umask},
		{"nice", func(s *Snapshot) { s.Attributes["nice"] = -5 }, []string{"nice: 0 became -5"}, "nice"},
		{"children", func(s *Snapshot) { s.Children = []int{21} }, []string{"child process 20 is gone", "child process 21 is new"}, Children},
		{"unlisted children", func(s *Snapshot) { s.HasChildren = false }, []string{"has child processes: true became false"}, Children},
		{"mapped file", func(s *Snapshot) { s.MappedFiles = []Text{"/lib/b.so"} }, []string{
			"mapped file /lib/a.so is gone", "mapped file /lib/b.so is new",
		}, MappedFiles},
	} {
		t.Run(test.name, func(t *testing.T) {
			after := aSnapshot()
			test.change(&after)
			if got := aSnapshot().Diff(after); !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			if got := aSnapshot().Diff(after, "unrelated", test.field); got != nil {
				t.Errorf("ignoring %s: %q", test.field, got)
			}
		})
	}
}

// A new field of Snapshot has to get into Diff, too.
func TestDiffComparesEveryField(t *testing.T) {
	uncompared := map[string]bool{"Memory": true, "TID": true}
	for i := range reflect.TypeFor[Snapshot]().NumField() {
		field := reflect.TypeFor[Snapshot]().Field(i)
		var before, after Snapshot
		fill(reflect.ValueOf(&after).Elem().Field(i))
		if same := before.Diff(after) == nil; same != uncompared[field.Name] {
			t.Errorf("%s: a difference is left out: %t", field.Name, same)
		}
	}
}

// fill gives v a value other than zero.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString("x")
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		value := reflect.New(v.Type().Elem()).Elem()
		fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("x"), value)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	}
}

func TestTextHoldsEveryByte(t *testing.T) {
	var all Text
	for b := range 256 {
		all += Text([]byte{byte(b)})
	}
	data, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	var got Text
	if err := json.Unmarshal(data, &got); err != nil || got != all {
		t.Errorf("got %q, %v", got, err)
	}
	for _, bad := range []string{`"\u0100"`, `1`} {
		if err := json.Unmarshal([]byte(bad), &got); err == nil {
			t.Errorf("%s is no text but became %q", bad, got)
		}
	}
}

func TestParseRefusesWhatIsNoReport(t *testing.T) {
	for _, data := range []string{"", "[]", `{"pid":`} {
		if _, err := Parse([]byte(data)); err == nil {
			t.Errorf("%q is a report", data)
		}
	}
}
