/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAMNET_CHILD_H
#define PAMNET_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "lookup.h"
#include "module.h"
#include "options.h"

/* What the Go core is to do; it has the memory to itself, in the child. */
struct request {
	const struct module *module;
	const struct options *options;
	const char *user; /* as the login service names the user */
	const char *service, *rhost; /* PAM_SERVICE and PAM_RHOST, "" if there is none */
	const struct lookup *lookup;
	int socket; /* where the verdict goes */
};

/* Whether Go can be started later, see build/module/deferred-start.ld. */
bool child_can_start_go(void);

/*
 * The life of the child from fork(2) to its end, with all signals blocked at
 * the start: cuts every tie to the login process parent, starts Go and calls
 * the core. After the verdict it lives until the parent hangs up: meanwhile it
 * holds what the login is moving into.
 */
_Noreturn void child_run(struct request *request, pid_t parent);

#endif
