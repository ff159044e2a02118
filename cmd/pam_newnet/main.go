// SPDX-License-Identifier: GPL-2.0-or-later

// Command pam_newnet is the PAM session module pam_newnet.so. It gives the members of group newnet a new, empty network namespace.
package main

/*
#cgo CFLAGS: -I${SRCDIR}/../../pam
#include "module.h"

const struct module *const pamnet_module = &pamnet_modules[KIND_NEWNET];
*/
import "C"

import _ "libpam-net/pam"

func main() {}
