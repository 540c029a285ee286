#include "image.h"

#include "fail.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST_SIDE = 65535 };

static void read_bytes(FILE *file, const char *name, void *to, size_t bytes, const char *expected) {
    size_t got = fread(to, 1, bytes, file);
    if (got != bytes) fail(BAD_INPUT, "%s: truncated, expected %s", name, expected);
}

/* A number of a PPM's header, and the one character after it. */
static int header_number(FILE *file, const char *name, const char *what) {
    int c = getc(file), digits = 0;
    long value = 0;
    while (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '#') {
        if (c == '#')
            while (c != '\n' && c != EOF) c = getc(file);
        c = getc(file);
    }
    for (; c >= '0' && c <= '9' && value <= LONGEST_SIDE; c = getc(file), digits++) value = 10 * value + c - '0';
    if (!digits || value < 1 || value > LONGEST_SIDE || !(c == ' ' || c == '\t' || c == '\r' || c == '\n'))
        fail(BAD_INPUT, "%s: %s is missing in the PPM's header, expected P6, width, height and 255", name, what);
    return (int)value;
}

static void check_size(const char *name, const Artifact *artifact, int width, int height) {
    int size = artifact->size;
    if (width == size && height == size) return;
    if (strcmp(artifact->policy, "center_crop"))
        fail(BAD_INPUT, "%s: %d x %d pixels, expected %d x %d: the artifact's policy is %s, which this program cannot do", name,
             width, height, size, size, artifact->policy);
    if (width < size || height < size)
        fail(BAD_INPUT, "%s: %d x %d pixels, expected at least %d x %d: this program enlarges nothing", name, width, height,
             size, size);
}

static void read_middle(FILE *file, const char *name, int width, int height, int size, unsigned char *pixels) {
    size_t row_bytes = (size_t)width * 3;
    unsigned char *row = allocate(row_bytes);
    int left = (width - size) / 2, top = (height - size) / 2;
    for (int y = 0; y < height; y++) {
        read_bytes(file, name, row, row_bytes, "all the rows that its header promises");
        if (y >= top && y < top + size) memcpy(pixels + (size_t)(y - top) * size * 3, row + (size_t)left * 3, (size_t)size * 3);
    }
    free(row);
}

int image_next(FILE *file, const char *name, int raw, const Artifact *artifact, unsigned char *pixels) {
    int first = getc(file);
    if (first == EOF) return 0;
    if (raw) {
        char expected[64];
        size_t bytes = (size_t)artifact->size * artifact->size * 3;
        snprintf(expected, sizeof expected, "%lu bytes an image", (unsigned long)bytes);
        pixels[0] = (unsigned char)first;
        read_bytes(file, name, pixels + 1, bytes - 1, expected);
        return 1;
    }
    if (first != 'P' || getc(file) != '6') fail(BAD_INPUT, "%s: no binary PPM, expected a file that begins with P6", name);
    int width = header_number(file, name, "the width"), height = header_number(file, name, "the height");
    int deepest = header_number(file, name, "the largest value");
    if (deepest != 255) fail(BAD_INPUT, "%s: the largest value is %d, expected 255 (8 bits)", name, deepest);
    check_size(name, artifact, width, height);
    read_middle(file, name, width, height, artifact->size, pixels);
    return 1;
}
