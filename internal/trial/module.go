// SPDX-License-Identifier: GPL-2.0-or-later

package trial

/*
#cgo LDFLAGS: -lpam
#include <stdlib.h>

#include "module.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// ModuleChildName is argv[0] of the child that tries a module. A program that has this name must call ModuleChild first
// of all.
const ModuleChildName = "pamnetctl-check-module"

// Module logs a non-member and a member in through one module. The member's login ends once Go has started. The error
// tells what the module does wrong: it continues a sentence that begins with the module. Nothing of the machine changes.
func Module(path string) error {
	runtime.LockOSThread() // the child ends with the thread
	defer runtime.UnlockOSThread()
	child := exec.Cmd{
		Path: "/proc/self/exe", Args: []string{ModuleChildName, path}, Dir: "/",
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		SysProcAttr: &syscall.SysProcAttr{
			Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL,
		},
	}
	wrong, err := child.Output()
	switch exit := new(exec.ExitError); {
	case err == nil && len(wrong) > 0:
		return errors.New(string(wrong))
	case errors.As(err, &exit):
		return fmt.Errorf("crashes the login process (%v)", exit)
	case err != nil:
		return fmt.Errorf("could not be tried: %w", err)
	}
	return nil
}

// ModuleChild tries a module in the child process, which the module may crash. It prints what the module does wrong, and
// never returns.
func ModuleChild() {
	path := C.CString(os.Args[1])
	wrong := C.try_nonmember(path)
	if wrong == nil {
		var untried *C.char
		wrong = C.try_member(path, &untried)
	}
	if wrong != nil {
		fmt.Print(C.GoString(wrong))
	}
	os.Exit(0)
}
