/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAMNET_MEMBER_H
#define PAMNET_MEMBER_H

#include "module.h"
#include "source.h"

#define NAME_SIZE 256 /* for the name of a user or a group */

/* Whether a user is a member. Twins: session.State in Go, and what a MESSAGE_ANSWER has. */
enum membership {
	UNKNOWN = '-',
	MEMBER = 'm',
	NONMEMBER = 'n',
	NO_GROUP = 'g', /* a non-member, since no source has the group */
};

/* Whether a user is a member of a group, and what proves it. */
struct answer {
	enum membership membership;
	char problem[REASON_MAX]; /* why it is unknown */
	/* Of a member: */
	char group[NAME_SIZE]; /* the group */
	gid_t gid;	       /* its ID, which is one of the user's groups', unless ... */
	bool listed;	       /* its entry lists the user */
	bool several;	       /* more groups match; group is the first */
};

/* What the name service knows of a user. Zero at first; account_free at the end. */
struct account {
	struct sources sources; /* that are asked: nsswitch_read sets them */
	char name[NAME_SIZE];	/* the spelling of the passwd entry; without an entry, the login service's */
	bool known;		/* uid and gid are those of the passwd entry */
	uid_t uid;
	gid_t gid;
	struct groups groups; /* without the primary one */
	struct buffer buffer;
	char problem[REASON_MAX]; /* why no answer can be "non-member"; "" if it can */
};

/*
 * Asks the account's sources for the user's passwd entry and groups. The entry is that of the
 * first source that has one; a later source is not asked for it.
 *
 * The actions of nsswitch.conf are not obeyed, [NOTFOUND=return], [SUCCESS=return] and
 * [SUCCESS=merge] among them: a source that libc would not ask for a group is asked as well.
 * Such a source can make a user a member, and its failure makes an answer unknown.
 *
 * Runs in the login process if all sources are of this machine. A directory must only be asked
 * in the child, where the environment is ours and a deadline holds (child_lookup.c).
 */
void account_read(struct account *a, const char *user);
void account_free(struct account *a);

/* Returns whether the user has uid 0 by this machine's own files. False if they cannot be read. */
bool account_is_local_root(const char *user);

/*
 * Asks whether the user is a member of group; for KIND_GROUPNET, of a group named GROUP-NAME.
 * A "member" is believed from any source, a "non-member" only if no source has failed.
 */
void member_ask(struct account *a, enum kind kind, const char *group, struct answer *answer);

static inline bool is_nonmember(enum membership m)
{
	return m == NONMEMBER || m == NO_GROUP;
}

#endif
