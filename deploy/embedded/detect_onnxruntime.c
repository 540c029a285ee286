/* ONNX Runtime through its C API. */
#include "engine.h"
#include "fail.h"

#include <onnxruntime_c_api.h>

#include <stdlib.h>
#include <string.h>

struct Engine {
    const OrtApi *api;
    const char *path, *output;
    OrtEnv *environment;
    OrtSessionOptions *options;
    OrtSession *session;
    OrtMemoryInfo *memory;
    unsigned char *pixels; /* what the tensors below point to */
    float *logits;
    OrtValue *image, *answer;
    int size, count;
};

const char *const engine_runtime = "onnxruntime";
const char *const engine_model_file = "model.onnx";

static void check(const Engine *engine, OrtStatus *status, const char *what) {
    if (status) fail(BAD_INPUT, "%s: onnxruntime cannot %s (%.200s)", engine->path, what, engine->api->GetErrorMessage(status));
}

static void check_shape(const Engine *engine, int is_input) {
    const OrtApi *api = engine->api;
    OrtTypeInfo *type;
    const OrtTensorTypeAndShapeInfo *shape;
    size_t values, wanted = is_input ? (size_t)engine->size * engine->size * 3 : (size_t)engine->count;
    check(engine, (is_input ? api->SessionGetInputTypeInfo : api->SessionGetOutputTypeInfo)(engine->session, !is_input, &type),
          "tell its input and output");
    check(engine, api->CastTypeInfoToTensorInfo(type, &shape), "tell its shapes");
    check(engine, api->GetTensorShapeElementCount(shape, &values), "tell its shapes");
    if (values != wanted)
        fail(BAD_INPUT, "%s: the model's %s has %lu values, the manifest says %lu", engine->path,
             is_input ? "input" : engine->output, (unsigned long)values, (unsigned long)wanted);
    api->ReleaseTypeInfo(type);
}

static void open_tensors(Engine *engine) {
    const OrtApi *api = engine->api;
    int64_t image[] = {1, engine->size, engine->size, 3}, answer[] = {1, engine->count};
    size_t pixels = (size_t)engine->size * engine->size * 3, bytes = engine->count * sizeof(float);
    engine->pixels = allocate(pixels);
    engine->logits = allocate(bytes);
    check(engine, api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &engine->memory), "describe memory");
    check(engine, api->CreateTensorWithDataAsOrtValue(engine->memory, engine->pixels, pixels, image, 4,
                                                      ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, &engine->image), "take pixels");
    /* one logit has the shape [1], logits of classes [1, K] */
    check(engine, api->CreateTensorWithDataAsOrtValue(engine->memory, engine->logits, bytes, answer, engine->count > 1 ? 2 : 1,
                                                      ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &engine->answer), "give logits");
}

Engine *engine_open(const char *path, const char *output, int size, int logits, int threads) {
    Engine *engine = allocate(sizeof *engine);
    *engine = (Engine){.path = path, .output = output, .size = size, .count = logits};
    const OrtApi *api = engine->api = OrtGetApiBase()->GetApi(ORT_API_VERSION);
    if (!api)
        fail(BAD_INPUT, "onnxruntime %s is older than the header that this program was built with, expected at least 1.%d",
             OrtGetApiBase()->GetVersionString(), ORT_API_VERSION);
    check(engine, api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "edgeproof", &engine->environment), "start");
    check(engine, api->CreateSessionOptions(&engine->options), "start");
    check(engine, api->SetIntraOpNumThreads(engine->options, threads), "use so many threads");
    check(engine, api->SetInterOpNumThreads(engine->options, 1), "use so many threads");
    check(engine, api->CreateSession(engine->environment, path, engine->options, &engine->session), "load the model");
    check_shape(engine, 1);
    check_shape(engine, 0);
    open_tensors(engine);
    return engine;
}

void engine_run(Engine *engine, const unsigned char *pixels, float *logits) {
    const char *inputs[] = {"image"}, *outputs[] = {engine->output};
    const OrtValue *images[] = {engine->image};
    memcpy(engine->pixels, pixels, (size_t)engine->size * engine->size * 3);
    check(engine, engine->api->Run(engine->session, NULL, inputs, images, 1, outputs, 1, &engine->answer), "run the model");
    memcpy(logits, engine->logits, engine->count * sizeof *logits);
}

void engine_close(Engine *engine) {
    const OrtApi *api = engine->api;
    api->ReleaseValue(engine->image);
    api->ReleaseValue(engine->answer);
    api->ReleaseMemoryInfo(engine->memory);
    api->ReleaseSession(engine->session);
    api->ReleaseSessionOptions(engine->options);
    api->ReleaseEnv(engine->environment);
    free(engine->pixels);
    free(engine->logits);
    free(engine);
}
