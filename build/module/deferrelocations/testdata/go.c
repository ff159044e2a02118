/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stands in for Go: an entry in .init_array, and pages of addresses, with which it knows that it has started. */
#include "module.h"

#ifndef CONSTANTS_ARE
#define CONSTANTS_ARE
#endif
#ifndef DATA_IS
#define DATA_IS
#endif

static char target;

CONSTANTS_ARE char *const go_constants[ADDRESSES] = { [0 ... ADDRESSES - 1] = &target };
DATA_IS char *go_data[ADDRESSES] = { [0 ... ADDRESSES - 1] = &target };
bool go_started;

static void start(void)
{
	go_started = go_constants[ADDRESSES - 1] == &target && go_data[ADDRESSES - 1] == &target;
}

static __attribute__((section(".init_array"), used)) void (*const entry)(void) = start;
