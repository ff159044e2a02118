/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAMNET_LOOKUP_H
#define PAMNET_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "module.h"
#include "sources.h"

#define LOOKUP_NAME_MAX 256

/* Whether a user is a member, as it is also sent (verdict.h). */
enum membership {
	UNKNOWN = '-',
	MEMBER = 'm',
	NONMEMBER = 'n',
	NO_GROUP = 'g', /* a non-member, since no source has the group */
};

/* Whether a user is a member of a group, and what proves it. */
struct answer {
	enum membership membership;
	char problem[LOOKUP_NAME_MAX]; /* why it is unknown */
	/* Of a member: */
	char group[LOOKUP_NAME_MAX]; /* the group */
	gid_t gid;		     /* its ID, which is one of the user's groups', unless ... */
	bool listed;		     /* its entry lists the user */
	bool several;		     /* more groups match; group is the first */
};

/* A source that can be asked. */
struct library {
	const struct source *source;
	void *handle; /* of dlopen(3) */
};

/* What the name service knows of a user. lookup_begin and lookup_end frame its life. */
struct lookup {
	struct library libraries[SOURCES_MAX];
	size_t nlibraries;
	const char *asked;	     /* the user's name, as the login service spells it */
	char user[LOOKUP_NAME_MAX];  /* the spelling of the passwd entry, if there is one */
	bool user_known;	     /* uid and gid are those of the passwd entry */
	uid_t uid;
	gid_t gid;
	gid_t *gids; /* of the user's groups, without the primary one */
	long count, capacity;
	char *buffer;
	size_t buffer_size;
	char problem[LOOKUP_NAME_MAX]; /* why no answer can be "non-member"; "" if it can */
};

/*
 * Asks the sources for the user's account and groups. Each source is asked by itself, with
 * the functions that libc calls ("NSS Module Function Internals" in the glibc manual), for
 * three reasons:
 *
 * - The answer of libc's chain is the last source's: a directory that is down, or an
 *   /etc/group that cannot be read, looks like "no such group" if systemd comes after it.
 * - getgrouplist(3) skips sources that fail.
 * - nscd turns failures into "not found".
 *
 * A source that is not installed is skipped, as by libc. The actions of nsswitch.conf are
 * not obeyed, [NOTFOUND=return], [SUCCESS=return] and [SUCCESS=merge] among them: a source
 * that libc would not ask for a group is asked as well. Such a source can make a user a
 * member, and its failure makes an answer unknown. The account is that of the first source
 * that has it; a source behind that one is not asked for accounts.
 *
 * The sources and the name must outlive l. Threads and processes: any, but a source that is
 * not local must be asked in the child alone, where the environment is ours and a deadline
 * holds.
 */
void lookup_begin(struct lookup *l, const struct sources *sources, const char *user);

/*
 * Asks whether the user is a member of group; of KIND_GROUPNET: of a group named GROUP-NAME.
 * A "member" is believed from any source, a "non-member" only if no source has failed.
 */
void lookup_ask(struct lookup *l, enum kind kind, const char *group, struct answer *a);

void lookup_end(struct lookup *l);

/* Whether the user has uid 0 by this machine's own files. False if they cannot be read. */
bool lookup_is_local_root(const char *user);

#endif
