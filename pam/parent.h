/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The login process's side of its child. Everything here runs in the login process. */
#ifndef PAMNET_PARENT_H
#define PAMNET_PARENT_H

#include <signal.h>

#include "child.h"
#include "wire.h"

/* A child at work, and what has been changed in the login process for its sake. */
struct child {
	pid_t pid;
	int pidfd; /* -1 before Linux 5.3 */
	int socket;
	unsigned int timeout; /* seconds */
	long long deadline;   /* ms of CLOCK_MONOTONIC */
	sigset_t mask;	      /* the signals that were blocked */
	bool pending;	      /* SIGCHLD was, before there was a child */
};

/*
 * Starts a child with a request. Until parent_end, SIGCHLD is blocked. Returns false with the
 * reason if there is no child.
 */
bool parent_start(struct child *c, struct request *request, char reason[REASON_MAX]);

/*
 * Waits for the child's next message, until timeout= is over since the start. Returns false
 * with the reason if there is no good one.
 */
bool parent_receive(struct child *c, struct message *m, char reason[REASON_MAX]);

/* Ends the child, which has nothing left to do, and restores the login process's signals. */
void parent_end(const struct child *c);

#endif
