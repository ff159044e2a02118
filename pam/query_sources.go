// SPDX-License-Identifier: GPL-2.0-or-later

package pam

/*
#include <string.h>

#include "child.h"

// Asks a source for a user and a group that nobody has. Returns whether the source is installed; reason is "" if it
// answers.
static bool ask_source(const char *name, char reason[REASON_MAX])
{
	static const char *const nobody = "pamnet-nobody";
	struct account account = { .sources.count = 2 };
	struct source *passwd = &account.sources.list[0], *group = &account.sources.list[1];
	struct answer answer;
	bool installed;

	passwd->database = DATABASE_PASSWD;
	group->database = DATABASE_GROUP;
	strncpy(passwd->name, name, SOURCE_NAME_MAX - 1);
	strncpy(group->name, name, SOURCE_NAME_MAX - 1);
	account_read(&account, nobody);
	child_ask(&account, KIND_NEWNET, nobody, &answer);
	installed = passwd->loaded || answer.problem[0];
	memcpy(reason, answer.problem, REASON_MAX);
	account_free(&account);
	return installed;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
)

// Source is a source of accounts that nsswitch.conf(5) names.
type Source struct {
	Name          string // "sss"
	Passwd, Group bool   // the databases that name it; initgroups counts as group
}

// Sources returns the sources of users and groups that /etc/nsswitch.conf names, each once.
func Sources() (all []Source, err error) {
	var s C.struct_sources
	if ok, err := C.nsswitch_read(&s); !bool(ok) {
		return nil, fmt.Errorf("/etc/nsswitch.conf: %w", err)
	}
	for _, source := range s.list[:s.count] {
		name := C.GoString(&source.name[0])
		i := slices.IndexFunc(all, func(other Source) bool { return other.Name == name })
		if i < 0 {
			i, all = len(all), append(all, Source{Name: name})
		}
		if source.database == C.DATABASE_PASSWD {
			all[i].Passwd = true
		} else {
			all[i].Group = true
		}
	}
	return all, nil
}

// IsLocal returns whether the source of this name reads files of the machine, and nothing of a directory.
func IsLocal(name string) bool {
	var pin runtime.Pinner
	defer pin.Unpin()
	return bool(C.nsswitch_is_local(cString(&pin, name)))
}

// Ask asks the source as a login does. It returns whether the source is installed (libc and the modules skip
// one that is not), and an error if the source does not answer. It may block for as long as the source's
// client waits.
func (s Source) Ask() (installed bool, err error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	var problem [C.REASON_MAX]C.char
	installed = bool(C.ask_source(cString(&pin, s.Name), &problem[0]))
	if problem[0] != 0 {
		err = errors.New(C.GoString(&problem[0]))
	}
	return installed, err
}
