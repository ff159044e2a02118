/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAMNET_SOURCE_H
#define PAMNET_SOURCE_H

#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "nsswitch.h"
#include "reason.h"

/*
 * Calls the functions of one source, those that libc calls ("NSS Module Function Internals" in
 * the glibc manual). Each source is called by itself, for three reasons:
 *
 * - The answer of libc's chain is the last source's. A directory that is down, or an
 *   /etc/group that cannot be read, looks like "no such group" if systemd comes after it.
 * - getgrouplist(3) ignores sources that fail.
 * - nscd turns failures into "not found".
 *
 * A function returns false if the source has no such entry, or has failed. It writes the reason
 * only if the source has failed. A source without the function has no such entry.
 *
 * Sources of this machine are called in the login process, all sources in the child and in
 * pamnetctl.
 */

/* Where the strings of an entry are, until the next call. Zero at first; free data at the end. */
struct buffer {
	char *data;
	size_t size;
};

/* IDs of groups. Zero at first; free gids at the end. */
struct groups {
	gid_t *gids;
	long count, capacity;
};

/*
 * Loads the library of a source. Returns false if the source cannot be called: it has failed,
 * unless its library is not installed. libc ignores such a source, too.
 */
bool source_load(struct source *s, char reason[REASON_MAX]);

bool source_user(const struct source *s, const char *name, struct passwd *entry, struct buffer *b,
		 char reason[REASON_MAX]);
bool source_group(const struct source *s, const char *name, struct group *entry, struct buffer *b,
		  char reason[REASON_MAX]);
bool source_group_of_id(const struct source *s, gid_t gid, struct group *entry, struct buffer *b,
			char reason[REASON_MAX]);

/* Adds the user's groups of a source, without the primary one. */
void source_groups_of_user(const struct source *s, const char *user, gid_t primary, struct groups *g,
			   struct buffer *b, char reason[REASON_MAX]);

/* Returns whether the entry of a group lists the user. */
bool group_lists(const struct group *entry, const char *user);

/* Writes that a source has failed, with errno. Returns false. */
bool source_fail(const char *source, char reason[REASON_MAX]);

#endif
