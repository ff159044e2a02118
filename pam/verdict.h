/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAMNET_VERDICT_H
#define PAMNET_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What the child says over its SOCK_SEQPACKET socket, one message a datagram:
 *
 *	MESSAGE_LOG	priority (syslog's, 0 to 7)	text
 *	MESSAGE_VERDICT	outcome, cwd_moved (0 or 1)	text
 *
 * The first three are a byte each, texts are not terminated. Any number of log
 * lines, then one verdict. An isolated one carries the descriptors of struct
 * verdict by SCM_RIGHTS, in that order; nothing else carries any.
 */
enum message { MESSAGE_LOG = 'L', MESSAGE_VERDICT = 'V' };
enum outcome {
	OUTCOME_ISOLATED = 'I',
	OUTCOME_REFUSED = 'R',
	OUTCOME_UNKNOWABLE = 'U', /* refused, for it cannot be known who is a member */
	OUTCOME_NOT_CONCERNED = 'N',
};

#define MESSAGE_MAX 1024
#define VERDICT_FDS 4

struct verdict {
	enum message message;
	int priority; /* of a log line */
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
