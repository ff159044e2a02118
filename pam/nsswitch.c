/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Everything here runs in the login process, in the child and in pamnetctl. */
#define _GNU_SOURCE
#include "nsswitch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Returns false if there is no room. */
static bool add_source(struct sources *s, enum database database, const char *name, size_t n)
{
	struct source *next = &s->list[s->count];

	if (s->count == SOURCES_MAX || n >= sizeof(next->name))
		return false;
	*next = (struct source){ .database = database };
	memcpy(next->name, name, n);
	s->count++;
	return true;
}

/*
 * Adds the sources of a line, if the line begins with a database's name. Returns false if
 * there is no room. It splits the line as glibc 2.36 does:
 *
 * - a colon after the database's name is a blank
 * - an action in brackets ends a word
 * - '#' is an ordinary character: "files # ldap" names ldap as a source, and "#group:"
 *   names no known database
 */
static bool read_line(struct sources *s, char *line)
{
	static const char *const names[DATABASES] = { "passwd", "group", "initgroups" };
	const char *white = " \t\r\n\v\f", *blanks = ": \t\r\n\v\f";
	enum database database = DATABASES;
	char *word;

	word = line + strspn(line, white);
	line = word + strcspn(word, blanks);
	for (size_t i = 0; i < DATABASES; i++) {
		if ((size_t)(line - word) == strlen(names[i]) &&
		    strncmp(word, names[i], strlen(names[i])) == 0)
			database = (enum database)i;
	}
	while (database != DATABASES) {
		line += strspn(line, blanks);
		word = line;
		line += strcspn(line, ": \t\r\n\v\f[");
		if (line > word && !add_source(s, database, word, (size_t)(line - word)))
			return false;
		if (*line == '[')
			line += strcspn(line, "]");
		if (!*line)
			break;
		line++;
	}
	return true;
}

static bool has(const struct sources *s, enum database database)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->list[i].database == database)
			return true;
	}
	return false;
}

/* Adds libc's default for a database without a line. Returns false if there is no room. */
static bool add_defaults(struct sources *s)
{
	for (size_t i = DATABASE_PASSWD; i <= DATABASE_GROUP; i++) {
		if (!has(s, (enum database)i) && !add_source(s, (enum database)i, "files", 5))
			return false;
	}
	return true;
}

bool nsswitch_read(struct sources *s)
{
	FILE *f = fopen("/etc/nsswitch.conf", "re");
	char *line = NULL;
	size_t size = 0;
	bool ok = f || errno == ENOENT;

	s->count = 0;
	if (f)
		errno = 0;
	/* glibc 2.36 ignores a last line without newline: the line and the defaults are both asked. */
	while (f && ok && getline(&line, &size, f) >= 0)
		ok = (strchr(line, '\n') || add_defaults(s)) && read_line(s, line);
	if (f && ok && !feof(f))
		ok = false;
	free(line);
	if (f)
		fclose(f);
	ok = ok && add_defaults(s);
	if (!ok && !errno)
		errno = EINVAL;
	return ok;
}

bool nsswitch_is_local(const char *name)
{
	static const char *const local[] = { "files", "systemd", "altfiles", "extrausers", "db" };

	for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
		if (strcmp(name, local[i]) == 0)
			return true;
	}
	return false;
}

bool nsswitch_all_local(const struct sources *s)
{
	for (size_t i = 0; i < s->count; i++) {
		if (!nsswitch_is_local(s->list[i].name))
			return false;
	}
	return true;
}
