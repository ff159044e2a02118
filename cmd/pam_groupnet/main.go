// SPDX-License-Identifier: GPL-2.0-or-later

// Command pam_groupnet is the PAM session module pam_groupnet.so. It puts the members of a group groupnet-NAME into the network namespace NAME.
package main

/*
#cgo CFLAGS: -I${SRCDIR}/../../pam
#include "module.h"

const struct module *const pamnet_module = &pamnet_modules[KIND_GROUPNET];
*/
import "C"

import _ "libpam-net/pam"

func main() {}
