#include "artifact.h"

#include "fail.h"
#include "json.h"
#include "sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char MANIFEST[] = "manifest.json";
enum { OLDEST = 1, NEWEST = 4, WITH_DIGEST = 4, SMALLEST = 16, LARGEST = 4096, MOST_LABELS = 10000, MOST_IMAGES = 64 };

char *artifact_path(const Artifact *artifact, const char *file) {
    size_t bytes = strlen(artifact->folder) + strlen(file) + 2;
    char *path = allocate(bytes);
    snprintf(path, bytes, "%s/%s", artifact->folder, file);
    return path;
}

static char *read_text(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) fail(BAD_INPUT, "%s: no such file, expected an artifact folder with %s", path, MANIFEST);
    size_t room = 1 << 16, bytes = 0;
    char *text = allocate(room);
    for (size_t got; (got = fread(text + bytes, 1, room - bytes - 1, file)) > 0;) {
        bytes += got;
        if (room - bytes > 1) continue;
        text = realloc(text, room *= 2);
        if (!text) fail(BAD_INPUT, "%s: too large for this machine's memory", path);
    }
    int failed = ferror(file);
    fclose(file);
    text[bytes] = '\0';
    if (failed) fail(BAD_INPUT, "%s: cannot be read", path);
    const char *mistake = strlen(text) == bytes ? json_check(text) : text + strlen(text);
    if (mistake) fail(BAD_INPUT, "%s: not readable as JSON (byte %ld)", path, (long)(mistake - text));
    return text;
}

/* Values of the manifest, of which each must be there. */

static _Noreturn void wrong(const Artifact *artifact, const char *key, const char *expected) {
    fail(BAD_INPUT, "%s/%s: %s: expected %s", artifact->folder, MANIFEST, key, expected);
}

static double number(const Artifact *artifact, const char *value, const char *key) {
    double found;
    if (!json_number(value, &found)) wrong(artifact, key, "a number");
    return found;
}

static int whole(const Artifact *artifact, const char *value, const char *key, int least, int most) {
    double found = number(artifact, value, key);
    if (found < least || found > most || found != (int)found)
        fail(BAD_INPUT, "%s/%s: %s is %g, expected a whole number from %d to %d", artifact->folder, MANIFEST, key, found,
             least, most);
    return (int)found;
}

static void string(const Artifact *artifact, const char *value, const char *key, char *text, size_t size) {
    if (!json_string(value, text, size)) wrong(artifact, key, "a short string");
}

/* Whether a name is that of a plain file, so that it cannot leave the folder. */
static int plain(const char *name) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    return *name && *name != '.' && *name != '-' && name[strspn(name, allowed)] == '\0';
}

/* Adds JSON to a hash without the space between its values. */
static void add_compact(Sha256 *hash, const char *from, const char *end) {
    int quoted = 0;
    for (; from < end; from++) {
        if (*from == '"') quoted = !quoted;
        if (quoted && *from == '\\') sha256_add(hash, from++, 1);
        if (quoted || !strchr(" \t\n\r", *from)) sha256_add(hash, from, 1);
    }
}

/* The manifest's last member is the digest of all before it. */
static void check_digest(const Artifact *artifact) {
    char name[16] = "", wanted[65], found[65];
    const char *last = NULL;
    for (const char *key = json_first(artifact->manifest); key; key = json_next(key)) last = key;
    if (!json_string(last, name, sizeof name) || strcmp(name, "digest") || !json_string(json_value(last), wanted, sizeof wanted))
        wrong(artifact, "digest", "the SHA-256 of all before it at its end");
    Sha256 hash;
    sha256_start(&hash);
    add_compact(&hash, artifact->manifest, last);
    sha256_finish(&hash, found);
    if (strcmp(found, wanted))
        fail(BAD_INPUT, "%s/%s: was changed after it was written: its content has the digest %s, expected %s", artifact->folder,
             MANIFEST, found, wanted);
}

static void check_file(const Artifact *artifact, const char *name, const char *record) {
    char wanted[65], found[65], buffer[1 << 14];
    char *path = artifact_path(artifact, name);
    string(artifact, json_get(record, "sha256"), name, wanted, sizeof wanted);
    double wanted_bytes = number(artifact, json_get(record, "bytes"), name);
    FILE *file = fopen(path, "rb");
    if (!file) fail(BAD_INPUT, "%s: missing, expected %.0f bytes with sha256 %s", path, wanted_bytes, wanted);
    Sha256 hash;
    sha256_start(&hash);
    for (size_t got; (got = fread(buffer, 1, sizeof buffer, file)) > 0;) sha256_add(&hash, buffer, got);
    double bytes = (double)hash.bytes;
    sha256_finish(&hash, found);
    if (ferror(file) || bytes != wanted_bytes || strcmp(found, wanted))
        fail(BAD_INPUT, "%s: found %.0f bytes with sha256 %s, expected %.0f bytes with sha256 %s", path, bytes, found,
             wanted_bytes, wanted);
    fclose(file);
    free(path);
}

static void check_files(const Artifact *artifact) {
    const char *files = json_get(artifact->manifest, "files");
    char name[129];
    if (!json_first(files)) wrong(artifact, "files", "an object of file names");
    for (const char *key = json_first(files); key; key = json_next(key)) {
        if (!json_string(key, name, sizeof name) || !plain(name)) wrong(artifact, "files", "plain file names");
        check_file(artifact, name, json_value(key));
    }
}

static void read_labels(Artifact *artifact) {
    char task[16];
    const char *labels = json_get(artifact->manifest, "labels");
    for (const char *at = json_first(labels); at; at = json_next(at)) artifact->label_count++;
    if (artifact->label_count < 2 || artifact->label_count > MOST_LABELS) wrong(artifact, "labels", "2 or more");
    artifact->labels = allocate((unsigned long)artifact->label_count * LABEL_BYTES);
    int index = 0;
    for (const char *at = json_first(labels); at; at = json_next(at))
        string(artifact, at, "labels", artifact->labels[index++], LABEL_BYTES);
    string(artifact, json_get(artifact->manifest, "task"), "task", task, sizeof task);
    int binary = !strcmp(task, "binary");
    if (!binary && strcmp(task, "multiclass")) wrong(artifact, "task", "binary or multiclass");
    if (binary && artifact->label_count != 2) wrong(artifact, "labels", "2 for task binary");
    artifact->logits = binary ? 1 : artifact->label_count;
    if (binary) artifact->threshold = number(artifact, json_get(artifact->manifest, "threshold"), "threshold");
}

static void read_band(Artifact *artifact) {
    const char *band = json_get(artifact->manifest, "band");
    if (!json_first(band)) return; /* absent or null */
    artifact->unsure_from = number(artifact, json_get(band, "low"), "band.low");
    artifact->unsure_until = number(artifact, json_get(band, "high"), "band.high");
}

Artifact artifact_open(const char *folder) {
    Artifact artifact = {.folder = folder};
    char *path = artifact_path(&artifact, MANIFEST);
    artifact.manifest = read_text(path);
    free(path);
    int version = whole(&artifact, json_get(artifact.manifest, "schema_version"), "schema_version", OLDEST, NEWEST);
    if (version >= WITH_DIGEST) check_digest(&artifact);
    const char *spec = json_get(artifact.manifest, "preprocess");
    artifact.size = whole(&artifact, json_get(spec, "size"), "preprocess.size", SMALLEST, LARGEST);
    string(&artifact, json_get(spec, "policy"), "preprocess.policy", artifact.policy, sizeof artifact.policy);
    read_labels(&artifact);
    read_band(&artifact);
    check_files(&artifact);
    return artifact;
}

void artifact_close(Artifact *artifact) {
    free(artifact->manifest);
    free(artifact->labels);
}

static void read_tiles(const Artifact *artifact, SelfTest *test) {
    const char *files = json_get(artifact->manifest, "files");
    char name[129];
    string(artifact, json_get(json_get(artifact->manifest, "selftest"), "images"), "selftest.images", name, sizeof name);
    if (!plain(name) || !json_get(files, name)) wrong(artifact, "selftest.images", "one of the manifest's files");
    char *path = artifact_path(artifact, name);
    size_t bytes = (size_t)test->count * test->side * test->side * 3;
    test->pixels = allocate(bytes);
    FILE *file = fopen(path, "rb");
    if (!file || fread(test->pixels, 1, bytes, file) != bytes) fail(BAD_INPUT, "%s: expected %lu bytes", path, (unsigned long)bytes);
    fclose(file);
    free(path);
}

static void read_expected(const Artifact *artifact, SelfTest *test, const char *rows) {
    double *next = test->expected = allocate((unsigned long)test->count * artifact->logits * sizeof(double));
    const char *row = json_first(rows);
    for (int i = 0; i < test->count; i++, row = json_next(row)) {
        const char *value = json_first(row);
        for (int k = 0; k < artifact->logits; k++) {
            *next++ = number(artifact, value, "selftest.expected");
            value = json_next(value);
            if (!value && k + 1 < artifact->logits) wrong(artifact, "selftest.expected", "a logit for each class");
        }
        if (i + 1 < test->count && !json_next(row)) wrong(artifact, "selftest.expected", "a row for each image");
    }
}

SelfTest artifact_selftest(const Artifact *artifact, const char *runtime) {
    SelfTest test = {0};
    const char *found = json_get(artifact->manifest, "selftest");
    const char *rows = json_get(json_get(found, "expected"), runtime);
    if (!rows) return test;
    const char *shape = json_first(json_get(found, "shape"));
    test.count = whole(artifact, shape, "selftest.shape", 1, MOST_IMAGES);
    test.side = whole(artifact, json_next(shape), "selftest.shape", 1, LARGEST);
    test.tolerance = number(artifact, json_get(found, "tolerance"), "selftest.tolerance");
    string(artifact, json_get(found, "cpu_model"), "selftest.cpu_model", test.cpu_model, sizeof test.cpu_model);
    test.isa_flags = json_get(found, "isa_flags");
    read_expected(artifact, &test, rows);
    read_tiles(artifact, &test);
    return test;
}

static int fold(int place, int side) {
    place %= 2 * side;
    return place < side ? place : 2 * side - 1 - place;
}

void selftest_unfold(const SelfTest *test, int index, int size, unsigned char *pixels) {
    const unsigned char *small = test->pixels + (size_t)index * test->side * test->side * 3;
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x++, pixels += 3)
            memcpy(pixels, small + ((size_t)fold(y, test->side) * test->side + fold(x, test->side)) * 3, 3);
}
