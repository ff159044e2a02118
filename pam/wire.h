/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAMNET_WIRE_H
#define PAMNET_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include "member.h"
#include "module.h"
#include "reason.h"

/*
 * The messages that the child sends over its SOCK_SEQPACKET socket, each a datagram:
 *
 *	MESSAGE_LOG	priority (syslog's, 0 to 7)	text
 *	MESSAGE_ANSWER	an enum membership for each kind of module
 *	MESSAGE_VERDICT	outcome, cwd_moved (0 or 1)	text
 *
 * Priority, membership, outcome and cwd_moved are a byte each; texts are not terminated.
 *
 * - The child sends any number of log lines.
 * - It sends one answer, if the login process has none itself.
 * - It then sends one verdict, unless the answer is that the user is a non-member.
 * - The verdict of an isolated session has the descriptors of struct message with it
 *   (SCM_RIGHTS), in that order. No other message has any.
 * - Once the login process is in a network that has a name, it sends MESSAGE_MOVED, a single
 *   byte. The child sends the same byte back while it keeps that name in use.
 *
 * Twins: internal/session/verdict.go sends the same messages, with the same letters.
 */
enum message_type { MESSAGE_LOG = 'L', MESSAGE_ANSWER = 'A', MESSAGE_VERDICT = 'V' };
enum outcome {
	OUTCOME_ISOLATED = 'I',
	OUTCOME_REFUSED = 'R',
	OUTCOME_UNKNOWN = 'U', /* refused, since it is unknown whether the user is a member */
};

#define MESSAGE_MOVED 'M'
#define MESSAGE_MAX 1024
#define VERDICT_FDS 4

struct message {
	enum message_type type;
	int priority; /* of a log line */
	/*
	 * Of an answer: for the receiver's kind, the answer to its own question. For any other
	 * kind, the answer with the default of group=, which is UNKNOWN as well if that module
	 * is not loaded or the user is a member.
	 */
	enum membership answer[KINDS];
	enum outcome outcome; /* of a verdict */
	bool cwd_moved;	      /* "." is not the directory it was: a mount of the session covers it */
	char text[MESSAGE_MAX + 1]; /* of a log line or a verdict; control characters are '?' */
	int net, mnt;		    /* of an isolated session: the namespaces, */
	int root, cwd;		    /* and directories in mnt, opened with O_PATH */
};

/*
 * Runs in the login process. Receives one message, which is checked as if it came from an
 * attacker: anything but the above is malformed, the wrong kind of descriptor included.
 * Returns false with the reason if there is no good message; no descriptor is open then.
 */
bool wire_receive(int socket, struct message *m, char reason[REASON_MAX]);

/* Runs in the login process. Closes the descriptors of an isolated session. */
void wire_close(const struct message *m);

/*
 * Runs in the login process, in a network that has a name. Returns whether the child still keeps
 * the name in use. Its answer is newer than the move, so prune finds this process in the network
 * and takes down no name in use. A login process that was stopped before the move may be too late.
 */
bool wire_is_in_use(int socket);

/* Runs in the child. Answers MESSAGE_MOVED until the login process hangs up. */
void wire_serve(int socket);

/* Runs in the child. Returns false if the answer cannot be sent: the login process then refuses. */
bool wire_send_answer(int socket, const enum membership answer[KINDS]);

/* Runs in the child. Sends the verdict OUTCOME_UNKNOWN. */
void wire_send_unknown(int socket, const char *problem);

#endif
