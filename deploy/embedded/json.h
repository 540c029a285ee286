/* Reads JSON (RFC 8259) in place: a value is a pointer to its first character in a text that json_check found whole. */
#ifndef EDGEPROOF_JSON_H
#define EDGEPROOF_JSON_H

#include <stddef.h>

/* NULL if the text is one JSON value, otherwise the place of the first mistake. */
const char *json_check(const char *text);

/* The value of a key of an object; NULL where there is no such key, or `object` is NULL or no object. */
const char *json_get(const char *object, const char *key);

/* The first item of an array, or key of an object; NULL if it is empty or neither. */
const char *json_first(const char *container);

/* The item or key after this item or key; NULL after the last. */
const char *json_next(const char *item);

/* The value that belongs to a key. */
const char *json_value(const char *key);

/* 1 and the number, or 0 if `value` is NULL or no number. */
int json_number(const char *value, double *number);

/* 1 and the text in UTF-8 with a NUL, or 0 if `value` is NULL, no string, or longer than `size` - 1 bytes. */
int json_string(const char *value, char *text, size_t size);

#endif
