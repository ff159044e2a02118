/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CHECK_SYSLOG_H
#define CHECK_SYSLOG_H

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

struct line {
	int priority;
	char *text;
};

/* Returns line n that this process has logged, from 0 on, or NULL if there is none. */
const struct line *logged(size_t n);

void syslog(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));
void vsyslog(int priority, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
void __syslog_chk(int priority, int flag, const char *format, ...) __attribute__((format(printf, 3, 4)));
void __vsyslog_chk(int priority, int flag, const char *format, va_list args) __attribute__((format(printf, 3, 0)));

#endif
