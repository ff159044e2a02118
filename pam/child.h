/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAMNET_CHILD_H
#define PAMNET_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "member.h"
#include "module.h"
#include "options.h"

/* What the child is to do. It has a copy of all memory that this refers to. */
struct request {
	const struct module *module;
	const struct options *options;
	const char *user;	     /* as the login service spells the name */
	const char *service, *rhost; /* PAM_SERVICE and PAM_RHOST, "" if there is none */
	bool siblings[KINDS];	     /* the other modules in the process: their questions are answered, too */
	struct account account;
	struct answer answer; /* unless it is "member", the child asks itself */
	int socket;	      /* to the login process, for the messages of wire.h */
};

/*
 * Runs in the child from fork(2) to its end, and starts with all signals blocked. It cuts
 * every tie to the login process parent, finds out whether the user is a member if the login
 * process could not, and for a member starts Go and calls the core. After the verdict it lives
 * until the login process hangs up: it keeps in use what the login process is moving into.
 */
_Noreturn void child_run(struct request *request, pid_t parent);

/*
 * Runs in the child. Asks all sources whether the user is a member, directories included, and
 * sends the answer or the verdict OUTCOME_UNKNOWN. Returns true for a member; the request has
 * the answer then.
 */
bool child_lookup(struct request *request);

/*
 * Runs in the child and in pamnetctl, never in a login process: no client of a directory may
 * be loaded there. Reads the account from all sources of nsswitch.conf.
 */
void child_read(struct account *a, const char *user);

/*
 * Runs in the child and in pamnetctl. Asks as member_ask does. A "non-member" becomes "unknown"
 * while SSSD is a source and away: its library returns "not found" then, if it was built with
 * --enable-sss-default-nss-plugin, as Fedora's is.
 */
void child_ask(struct account *a, enum kind kind, const char *group, struct answer *answer);

/*
 * Runs in the child, which has one thread. Takes from it what the user of su or sudo may have
 * set for it, and what would slow it down or give rights to what it creates: other logins wait
 * for it. What may not be undone stays as it is.
 */
void child_detach(void);

/*
 * Runs in the child. Makes the kernel kill it after so many seconds, also if it is stopped or
 * frozen by then.
 */
void child_end_after(unsigned int seconds);

/* Runs in the child. Returns the environment of Go's runtime, and of all that the child runs. */
char **child_environment(void);

/*
 * Runs in the child, which has no other thread and the descriptors 0 to 3. Starts Go's
 * runtime, with threads of its own. Returns false if that fails.
 */
bool child_start_go(void);

/* Runs in the login process. Returns whether the module was linked so that Go can be started later. */
bool child_can_start_go(void);

#endif
