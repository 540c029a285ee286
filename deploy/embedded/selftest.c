#include "selftest.h"

#include "cpu.h"
#include "fail.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The largest difference of one image's logits, and where; never less than infinity for what is no number. */
static double difference(const float *found, const double *expected, int logits, int *where) {
    double largest = -1;
    for (int k = 0; k < logits; k++) {
        double apart = fabs((double)found[k] - expected[k]);
        if (!(apart <= largest)) largest = isnan(apart) ? INFINITY : apart, *where = k;
    }
    return largest;
}

static _Noreturn void report(const Artifact *artifact, const SelfTest *test, int index, double found, double expected) {
    char here[256], lacks[512];
    cpu_name(here, sizeof here);
    cpu_lacks(test->isa_flags, lacks, sizeof lacks);
    fail(GATE_FAILED, "%s: self-test failed on %s with %s: image %d gives logit %.4f, expected %.4f \u00b1 %.3g as on %s (%s%s)",
         artifact->folder, here, engine_runtime, index, found, expected, test->tolerance, test->cpu_model,
         lacks[0] ? "it lacks " : "it lacks no instruction set of that one", lacks);
}

int selftest_run(const Artifact *artifact, Engine *engine, double *largest, double *tolerance) {
    SelfTest test = artifact_selftest(artifact, engine_runtime);
    unsigned char *pixels = allocate((unsigned long)artifact->size * artifact->size * 3);
    float *logits = allocate(artifact->logits * sizeof *logits);
    double found = 0, expected = 0;
    int worst = 0;
    *largest = 0;
    *tolerance = test.tolerance;
    for (int i = 0; i < test.count; i++) {
        const double *wanted = test.expected + (size_t)i * artifact->logits;
        int where = 0;
        selftest_unfold(&test, i, artifact->size, pixels);
        engine_run(engine, pixels, logits);
        double apart = difference(logits, wanted, artifact->logits, &where);
        if (apart > *largest) *largest = apart, worst = i, found = logits[where], expected = wanted[where];
    }
    if (!(*largest <= test.tolerance)) report(artifact, &test, worst, found, expected);
    free(logits);
    free(pixels);
    free(test.pixels);
    free(test.expected);
    return test.count;
}
