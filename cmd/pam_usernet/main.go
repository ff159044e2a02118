// SPDX-License-Identifier: GPL-2.0-or-later

// Command pam_usernet is the PAM session module pam_usernet.so. It puts the members of group usernet into the network namespace named after them.
package main

/*
#cgo CFLAGS: -I${SRCDIR}/../../pam
#include "module.h"

const struct module *const pamnet_module = &pamnet_modules[KIND_USERNET];
*/
import "C"

import _ "libpam-net/pam"

func main() {}
