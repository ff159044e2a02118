/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAMNET_GO_START_H
#define PAMNET_GO_START_H

#include <stdbool.h>

/* Whether Go can be started later, see build/module/deferred-start.ld. */
bool go_can_start(void);

/* The environment of Go's runtime, and of all that the child runs. */
char **go_environment(void);

/*
 * Starts Go's runtime, with threads of its own. Runs in the child alone, which has no other
 * thread, and 0 to 3 for its descriptors. Returns false if the runtime cannot be started.
 */
bool go_start(void);

#endif
