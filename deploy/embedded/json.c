#include "json.h"

#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 64 };

static const char *blank(const char *at) {
    while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r') at++;
    return at;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static int digits(const char **at) {
    const char *from = *at;
    while (**at >= '0' && **at <= '9') ++*at;
    return *at > from;
}

/* Each of these moves `at` past what it reads and returns 1, or leaves it at a mistake and returns 0. */

static int read_string(const char **at) {
    if (**at != '"') return 0;
    for (++*at; **at != '"'; ++*at) {
        if ((unsigned char)**at < 0x20) return 0;
        if (**at != '\\') continue;
        ++*at;
        if (**at == 'u') {
            for (int i = 0; i < 4; i++)
                if (hex_digit(*++*at) < 0) return 0;
        } else if (!**at || !strchr("\"\\/bfnrt", **at)) {
            return 0;
        }
    }
    ++*at;
    return 1;
}

static int read_number(const char **at) {
    if (**at == '-') ++*at;
    if (**at == '0')
        ++*at;
    else if (!digits(at))
        return 0;
    if (**at == '.') {
        ++*at;
        if (!digits(at)) return 0;
    }
    if (**at == 'e' || **at == 'E') {
        ++*at;
        if (**at == '+' || **at == '-') ++*at;
        if (!digits(at)) return 0;
    }
    return 1;
}

static int read_value(const char **at, int depth);

static int read_container(const char **at, int depth) {
    char close = **at == '{' ? '}' : ']';
    if (depth == DEEPEST) return 0;
    *at = blank(*at + 1);
    if (**at == close) return ++*at, 1;
    for (;;) {
        if (close == '}') {
            if (!read_string(at)) return 0;
            *at = blank(*at);
            if (**at != ':') return 0;
            *at = blank(*at + 1);
        }
        if (!read_value(at, depth + 1)) return 0;
        *at = blank(*at);
        if (**at == close) return ++*at, 1;
        if (**at != ',') return 0;
        *at = blank(*at + 1);
    }
}

static int read_value(const char **at, int depth) {
    static const char *const words[] = {"true", "false", "null"};
    if (**at == '{' || **at == '[') return read_container(at, depth);
    if (**at == '"') return read_string(at);
    for (int i = 0; i < 3; i++)
        if (!strncmp(*at, words[i], strlen(words[i]))) return *at += strlen(words[i]), 1;
    return read_number(at);
}

const char *json_check(const char *text) {
    const char *at = blank(text);
    if (!read_value(&at, 0)) return at;
    at = blank(at);
    return *at ? at : NULL;
}

const char *json_first(const char *container) {
    if (!container || (*container != '{' && *container != '[')) return NULL;
    container = blank(container + 1);
    return *container == '}' || *container == ']' ? NULL : container;
}

const char *json_value(const char *key) {
    read_string(&key);
    return blank(blank(key) + 1);
}

const char *json_next(const char *item) {
    read_value(&item, 0);
    item = blank(item);
    if (*item == ':') {
        item = blank(item + 1);
        read_value(&item, 0);
        item = blank(item);
    }
    return *item == ',' ? blank(item + 1) : NULL;
}

const char *json_get(const char *object, const char *key) {
    char found[64];
    if (!object || *object != '{') return NULL;
    for (const char *at = json_first(object); at; at = json_next(at))
        if (json_string(at, found, sizeof found) && !strcmp(found, key)) return json_value(at);
    return NULL;
}

int json_number(const char *value, double *number) {
    if (!value || (*value != '-' && (*value < '0' || *value > '9'))) return 0;
    *number = strtod(value, NULL); /* in the "C" locale, in which every program starts */
    return 1;
}

static unsigned four_digits(const char *at) {
    unsigned code = 0;
    for (int i = 0; i < 4; i++) code = code << 4 | (unsigned)hex_digit(at[i]);
    return code;
}

static size_t to_utf8(unsigned code, char bytes[4]) {
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, code >>= 6) bytes[i] = (char)(0x80 | (code & 0x3F));
    bytes[0] = (char)(length == 1 ? code : lead[length] | code);
    return length;
}

/* One character after a backslash, as UTF-8; moves `at` to its last character. */
static size_t unescape(const char **at, char bytes[4]) {
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *found = strchr(from, **at);
    if (**at != 'u') return bytes[0] = found ? to[found - from] : **at, 1;
    unsigned code = four_digits(*at + 1);
    *at += 4;
    if (code >= 0xD800 && code < 0xDC00 && (*at)[1] == '\\' && (*at)[2] == 'u') {
        code = 0x10000 + ((code - 0xD800) << 10) + ((four_digits(*at + 3) - 0xDC00) & 0x3FF);
        *at += 6;
    }
    return to_utf8(code, bytes);
}

int json_string(const char *value, char *text, size_t size) {
    size_t used = 0;
    if (!value || *value != '"') return 0;
    for (const char *at = value + 1; *at != '"'; at++) {
        char bytes[4] = {*at};
        size_t length = 1;
        if (*at == '\\') {
            at++;
            length = unescape(&at, bytes);
        }
        if (used + length >= size) return 0;
        memcpy(text + used, bytes, length);
        used += length;
    }
    text[used] = '\0';
    return 1;
}
