/* detect ARTIFACT [IMAGE...]: the same program for every runtime; see docs/embedded.md. */
#include "artifact.h"
#include "engine.h"
#include "fail.h"
#include "image.h"
#include "selftest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char USAGE[] =
    "usage: %s ARTIFACT [IMAGE...] [--raw] [--json] [--threads N]\n"
    "  ARTIFACT   folder with manifest.json\n"
    "  IMAGE      binary PPM; - is standard input; without one, only digests and self-test are checked\n"
    "  --raw      images are RGB bytes of the model's size, without a header\n"
    "  --json     one JSON object a line\n"
    "  --threads  CPU threads (default: 1)\n"
    "exit code: 0 done, 1 self-test failed, 2 bad input\n";
enum { MOST_THREADS = 1024 };

typedef struct {
    const char *folder;
    const char **images;
    int image_count, raw, json, threads;
} Options;

static int thread_count(const char *text) {
    char *end;
    long found = text ? strtol(text, &end, 10) : 0;
    if (!text || *end || found < 1 || found > MOST_THREADS)
        fail(BAD_INPUT, "--threads: found %s, expected a number from 1 to %d", text ? text : "nothing", MOST_THREADS);
    return (int)found;
}

static Options parse(int count, char **arguments) {
    Options options = {.threads = 1, .images = allocate((unsigned long)count * sizeof(char *))};
    for (int i = 1; i < count; i++) {
        const char *given = arguments[i];
        if (!strcmp(given, "--help")) printf(USAGE, program_name), exit(0);
        if (!strcmp(given, "--raw"))
            options.raw = 1;
        else if (!strcmp(given, "--json"))
            options.json = 1;
        else if (!strcmp(given, "--threads"))
            options.threads = thread_count(i + 1 < count ? arguments[++i] : NULL);
        else if (given[0] == '-' && given[1])
            fail(BAD_INPUT, "%s: unknown option, expected --raw, --json, --threads or --help", given);
        else if (!options.folder)
            options.folder = given;
        else
            options.images[options.image_count++] = given;
    }
    if (!options.folder) fail(BAD_INPUT, "no artifact was named; try %s --help", program_name);
    return options;
}

static double sigmoid(double logit) { return logit >= 0 ? 1 / (1 + exp(-logit)) : exp(logit) / (1 + exp(logit)); }

/* ln of the sum of exp over all logits, but for one. */
static double log_sum(const float *logits, int count, int without) {
    double largest = -INFINITY, sum = 0;
    for (int k = 0; k < count; k++)
        if (k != without && logits[k] > largest) largest = logits[k];
    for (int k = 0; k < count; k++)
        if (k != without) sum += exp(logits[k] - largest);
    return largest + log(sum);
}

static void print_string(const char *text) {
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') putchar('\\');
        if ((unsigned char)*text < 0x20)
            printf("\\u%04x", *text);
        else
            putchar(*text);
    }
    putchar('"');
}

typedef struct {
    double probability, logit;
    int label, unsure;
} Answer;

static Answer judge(const Artifact *artifact, const float *logits) {
    Answer answer = {.logit = logits[0]};
    for (int k = 1; k < artifact->logits; k++)
        if (logits[k] > logits[answer.label]) answer.label = k;
    if (artifact->logits > 1) answer.logit = logits[answer.label] - log_sum(logits, artifact->logits, answer.label);
    answer.probability = sigmoid(answer.logit);
    if (artifact->logits > 1) return answer;
    answer.label = answer.probability >= artifact->threshold;
    answer.unsure = answer.probability >= artifact->unsure_from && answer.probability < artifact->unsure_until;
    return answer;
}

/* The label, or that it had better not say. */
static const char *verdict(const Artifact *artifact, const Answer *answer) {
    return answer->unsure ? "not sure" : artifact->labels[answer->label];
}

static void print_json(const Artifact *artifact, const char *name, const Answer *answer, const float *logits) {
    fputs("{\"path\": ", stdout);
    print_string(name);
    fputs(", \"label\": ", stdout);
    print_string(artifact->labels[answer->label]);
    fputs(", \"answer\": ", stdout);
    print_string(verdict(artifact, answer));
    printf(", \"probability\": %.9g, \"logit\": %.9g, \"threshold\": ", answer->probability, answer->logit);
    if (artifact->logits == 1) {
        printf("%.17g}\n", artifact->threshold);
        return;
    }
    fputs("null, \"probabilities\": {", stdout);
    for (int k = 0; k < artifact->logits; k++) {
        if (k) fputs(", ", stdout);
        print_string(artifact->labels[k]);
        printf(": %.9g", exp(logits[k] - log_sum(logits, artifact->logits, -1)));
    }
    puts("}}");
}

static void print_answer(const Artifact *artifact, const char *name, const float *logits, int json) {
    Answer answer = judge(artifact, logits);
    if (!isfinite(answer.logit)) fail(BAD_INPUT, "%s: the model gives no number", name);
    if (json)
        print_json(artifact, name, &answer, logits);
    else if (artifact->logits == 1)
        printf("%s: %s (probability of generated %.3f, threshold %.3f)\n", name, verdict(artifact, &answer), answer.probability,
               artifact->threshold);
    else
        printf("%s: %s (probability %.3f)\n", name, artifact->labels[answer.label], answer.probability);
    if (fflush(stdout)) fail(BAD_INPUT, "output: cannot be written");
}

static void detect(const Artifact *artifact, Engine *engine, const char *name, const Options *options) {
    int from_input = !strcmp(name, "-"), count = 0;
    FILE *file = from_input ? stdin : fopen(name, "rb");
    if (!file) fail(BAD_INPUT, "%s: no such image file", name);
    unsigned char *pixels = allocate((unsigned long)artifact->size * artifact->size * 3);
    float *logits = allocate(artifact->logits * sizeof *logits);
    for (; image_next(file, name, options->raw, artifact, pixels); count++) {
        engine_run(engine, pixels, logits);
        print_answer(artifact, name, logits, options->json);
    }
    if (!count) fail(BAD_INPUT, "%s: the file is empty (0 bytes), expected an image", name);
    free(logits);
    free(pixels);
    if (!from_input) fclose(file);
}

static void test(const Artifact *artifact, Engine *engine, const Options *options) {
    double largest, tolerance;
    int images = selftest_run(artifact, engine, &largest, &tolerance);
    if (!images && !options->image_count)
        fail(BAD_INPUT, "%s: self-test not checked: the artifact holds none for %s", artifact->folder, engine_runtime);
    if (!images)
        fprintf(stderr, "%s: warning: %s: self-test not checked: the artifact holds none for %s\n", program_name, artifact->folder,
                engine_runtime);
    if (images && !options->image_count)
        printf("%s: self-test ok with %s: %d images, largest difference %.2g in a logit, %.2g allowed\n", artifact->folder,
               engine_runtime, images, largest, tolerance);
}

int main(int count, char **arguments) {
    const char *slash = count ? strrchr(arguments[0], '/') : NULL;
    if (count) program_name = slash ? slash + 1 : arguments[0];
    Options options = parse(count, arguments);
    Artifact artifact = artifact_open(options.folder);
    char *path = artifact_path(&artifact, engine_model_file);
    Engine *engine = engine_open(path, artifact.logits == 1 ? "logit" : "logits", artifact.size, artifact.logits, options.threads);
    test(&artifact, engine, &options);
    for (int i = 0; i < options.image_count; i++) detect(&artifact, engine, options.images[i], &options);
    engine_close(engine);
    free(path);
    free(options.images);
    artifact_close(&artifact);
    return 0;
}
