/* What a runtime gives. Each runtime is one file that has these; the rest of the program knows no runtime. */
#ifndef EDGEPROOF_ENGINE_H
#define EDGEPROOF_ENGINE_H

#ifdef __cplusplus
extern "C" {
#endif

typedef struct Engine Engine;

extern const char *const engine_runtime;    /* its name in a manifest */
extern const char *const engine_model_file; /* the file to load; the manifest has checked it and what it refers to */

/* Loads a model with one input "image", uint8 [1, size, size, 3], and an output `output` of `logits` floats. */
Engine *engine_open(const char *path, const char *output, int size, int logits, int threads);
void engine_run(Engine *engine, const unsigned char *pixels, float *logits);
void engine_close(Engine *engine);

#ifdef __cplusplus
}
#endif
#endif
