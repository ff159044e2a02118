/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAMNET_CHILD_H
#define PAMNET_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "lookup.h"
#include "module.h"
#include "options.h"

/* What the child is to do. It has a copy of all memory that this refers to. */
struct request {
	const struct module *module;
	const struct options *options;
	const char *user;	     /* as the login service spells the name */
	const char *service, *rhost; /* PAM_SERVICE and PAM_RHOST, "" if there is none */
	bool siblings[KINDS];	     /* other modules, whose default question is answered, too */
	struct sources sources;
	struct lookup lookup;
	struct answer answer; /* unless it is "member", the child asks itself */
	int socket;	      /* where the messages of verdict.h go */
};

/*
 * The child's life, from fork(2) to its end. All signals are blocked when it starts.
 * It cuts every tie to the login process parent, finds out whether the user is a member if
 * the login process could not, and for a member starts Go and calls the core. After the
 * verdict it lives until the parent hangs up: it holds the lock of what the login is
 * moving into.
 */
_Noreturn void child_run(struct request *request, pid_t parent);

#endif
