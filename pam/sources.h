/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAMNET_SOURCES_H
#define PAMNET_SOURCES_H

#include <stdbool.h>
#include <stddef.h>

#define SOURCES_MAX 24
#define SOURCE_NAME_MAX 32

enum database { DATABASE_PASSWD, DATABASE_GROUP, DATABASE_INITGROUPS, DATABASES };

/* A source of a database, as nsswitch.conf(5) names it: { DATABASE_GROUP, "ldap" }. */
struct source {
	enum database database;
	char name[SOURCE_NAME_MAX];
};

struct sources {
	struct source list[SOURCES_MAX];
	size_t count;
};

/*
 * Reads the sources of accounts and groups from /etc/nsswitch.conf, with libc's defaults
 * for what it does not name. Actions in brackets are skipped: see lookup.h. Returns false
 * with errno set if the file cannot be read, or names more sources than fit.
 */
bool sources_read(struct sources *s);

/* Whether the source reads files of this machine, and nothing of a directory. */
bool source_is_local(const struct source *source);

/* Whether all are. */
bool sources_are_local(const struct sources *s);

#endif
