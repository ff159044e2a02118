/* A JSON text, written front to back into a buffer of fixed size. */
#ifndef PAMHOST_JSON_H
#define PAMHOST_JSON_H

#include <stdbool.h>
#include <stddef.h>

struct json {
	char *text;
	size_t size;
	size_t len;
	bool comma;	/* a value stands before the next one */
	bool full;	/* something did not fit: the text is worthless */
};

#define JSON_BUFFER(bytes) { .text = (char[bytes]){ 0 }, .size = (bytes) }

/* In all of these, key is NULL for an element of an array. */
void json_open(struct json *j, const char *key, char bracket);
void json_close(struct json *j, char bracket);
void json_int(struct json *j, const char *key, long long value);
void json_uint(struct json *j, const char *key, unsigned long long value);
void json_bool(struct json *j, const char *key, bool value);

/*
 * JSON holds characters, Linux holds bytes: every byte is written as the character of the same number, so nothing is
 * lost and the text is plain ASCII.
 */
void json_string(struct json *j, const char *key, const char *bytes);

/* Inserts the finished text of another. */
void json_copy(struct json *j, const char *key, const struct json *value);

/* Makes what is left of the buffer resident, so that writing to it takes no more memory. */
void json_prefault(struct json *j);

#endif
