#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "json.h"

__attribute__((format(printf, 2, 3)))
static void put(struct json *j, const char *format, ...)
{
	size_t room = j->size - j->len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(j->text + j->len, room, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= room)
		j->full = true;
	else
		j->len += (size_t)n;
}

static void put_char(struct json *j, char c)
{
	if (j->size - j->len < 2) {
		j->full = true;
		return;
	}
	j->text[j->len++] = c;
	j->text[j->len] = '\0';
}

static void put_key(struct json *j, const char *key)
{
	if (j->comma)
		put_char(j, ',');
	if (key)
		put(j, "\"%s\":", key);
	j->comma = true;
}

void json_open(struct json *j, const char *key, char bracket)
{
	put_key(j, key);
	put_char(j, bracket);
	j->comma = false;
}

void json_close(struct json *j, char bracket)
{
	put_char(j, bracket);
	j->comma = true;
}

void json_int(struct json *j, const char *key, long long value)
{
	put_key(j, key);
	put(j, "%lld", value);
}

void json_uint(struct json *j, const char *key, unsigned long long value)
{
	put_key(j, key);
	put(j, "%llu", value);
}

void json_bool(struct json *j, const char *key, bool value)
{
	put_key(j, key);
	put(j, "%s", value ? "true" : "false");
}

void json_string(struct json *j, const char *key, const char *bytes)
{
	const unsigned char *byte;

	put_key(j, key);
	put_char(j, '"');
	for (byte = (const unsigned char *)bytes; *byte; byte++)
		if (*byte < ' ' || *byte > '~' || *byte == '"' || *byte == '\\')
			put(j, "\\u%04x", *byte);
		else
			put_char(j, (char)*byte);
	put_char(j, '"');
}

void json_copy(struct json *j, const char *key, const struct json *value)
{
	put_key(j, key);
	put(j, "%.*s", (int)value->len, value->text);
	j->full |= value->full;
}

void json_prefault(struct json *j)
{
	memset(j->text + j->len, 0, j->size - j->len);
}
