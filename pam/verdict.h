/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAMNET_VERDICT_H
#define PAMNET_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

#include "lookup.h"
#include "module.h"

/*
 * The messages of the child, over its SOCK_SEQPACKET socket, each a datagram:
 *
 *	MESSAGE_LOG	priority (syslog's, 0 to 7)	text
 *	MESSAGE_ANSWER	an enum membership for each kind of module
 *	MESSAGE_VERDICT	outcome, cwd_moved (0 or 1)	text
 *
 * Priority, known, outcome and cwd_moved are a byte each; texts are not terminated. Any
 * number of log lines; at most one answer, if the login process has none itself; then one
 * verdict, unless the answer is that the user is a non-member. The verdict of an isolated
 * session carries the descriptors of struct verdict by SCM_RIGHTS, in that order; no other
 * message carries any.
 *
 * The login process sends one byte, MESSAGE_MOVED, when it is in a network that has a
 * name. The child sends the same byte back: it still keeps that name in use.
 */
enum message { MESSAGE_LOG = 'L', MESSAGE_ANSWER = 'A', MESSAGE_VERDICT = 'V' };
#define MESSAGE_MOVED 'M'
enum outcome {
	OUTCOME_ISOLATED = 'I',
	OUTCOME_REFUSED = 'R',
	OUTCOME_UNKNOWN = 'U', /* refused, since it is unknown whether the user is a member */
};

#define MESSAGE_MAX 1024
#define VERDICT_FDS 4

struct verdict {
	enum message message;
	int priority;		 /* of a log line */
	/*
	 * Of an answer, by this module's question. By that of another kind, with the default of
	 * group=, it is UNKNOWN as well if nobody wants to know, or the user is a member.
	 */
	enum membership answer[KINDS];
	enum outcome outcome;
	bool cwd_moved; /* "." is not the directory it was: a mount of the session covers it */
	char text[MESSAGE_MAX + 1];
	int net, mnt;  /* the namespaces */
	int root, cwd; /* O_PATH, opened inside mnt */
};

/*
 * Decodes one datagram and the descriptors that came with it, which stay the
 * caller's. Control characters in the text become '?'. False if it is anything
 * but what is described above, the wrong kind of descriptor included.
 */
bool verdict_decode(struct verdict *v, const unsigned char *data, size_t size, const int *fds,
		    size_t nfds);

#endif
