/* An artifact folder: its manifest, the digests of its files, its self-test. */
#ifndef EDGEPROOF_ARTIFACT_H
#define EDGEPROOF_ARTIFACT_H

#include <stddef.h>

enum { LABEL_BYTES = 256 };

typedef struct {
    const char *folder;
    char *manifest;           /* its text */
    int size;                 /* the model's input is uint8 [1, size, size, 3], RGB */
    int logits;               /* 1, or one a class */
    char (*labels)[LABEL_BYTES]; /* 2, or one a class */
    int label_count;
    double threshold;         /* on the probability of labels[1]; unused where there is a logit a class */
    double unsure_from, unsure_until; /* from the one up to the other a probability means "not sure"; equal: never */
    char policy[16];          /* how a larger image becomes the input: resize, center_crop or tiles */
} Artifact;

/* What a self-test expects of one runtime. */
typedef struct {
    int count;             /* images; 0: the artifact holds no self-test for this runtime */
    int side;              /* of the small images */
    unsigned char *pixels; /* [count, side, side, 3] */
    double *expected;      /* [count, logits] */
    double tolerance;
    char cpu_model[256];
    const char *isa_flags; /* JSON array */
} SelfTest;

/* Reads `folder`/manifest.json and checks every file that it names; fails with BAD_INPUT. */
Artifact artifact_open(const char *folder);
SelfTest artifact_selftest(const Artifact *artifact, const char *runtime);
void artifact_close(Artifact *artifact);

/* `folder`/`file`, to be freed. */
char *artifact_path(const Artifact *artifact, const char *file);

/* The model's input `[size, size, 3]` from a small image: tiles, every other one mirrored. */
void selftest_unfold(const SelfTest *test, int index, int size, unsigned char *pixels);

#endif
