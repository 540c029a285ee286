// OpenVINO through its C++ API.
#include "engine.h"
#include "fail.h"

#include <openvino/openvino.hpp>

#include <cstring>
#include <string>

struct Engine {
    std::string path;
    std::size_t logits = 0;
    ov::Core core;
    ov::CompiledModel model;
    ov::InferRequest request;
    ov::Tensor image, answer;
};

namespace {

template <typename Work>
auto checked(const std::string& path, const char* what, Work work) {
    try {
        return work();
    } catch (const std::exception& error) {
        std::string reason = error.what();
        for (char& c : reason)
            if (c == '\n') c = ' ';
        fail(BAD_INPUT, "%s: openvino cannot %s (%.200s)", path.c_str(), what, reason.c_str());
    }
}

void check_values(const Engine& engine, const char* what, const ov::Tensor& tensor, std::size_t wanted) {
    if (tensor.get_size() != wanted)
        fail(BAD_INPUT, "%s: the model's %s has %zu values, the manifest says %zu", engine.path.c_str(), what,
             tensor.get_size(), wanted);
}

}  // namespace

const char* const engine_runtime = "openvino";
const char* const engine_model_file = "model.xml";

Engine* engine_open(const char* path, const char* output, int size, int logits, int threads) {
    return checked(path, "load the model", [&] {
        auto* engine = new Engine;
        engine->path = path;
        engine->logits = static_cast<std::size_t>(logits);
        // f32 is named: on a CPU with AMX it would silently be bf16
        engine->model = engine->core.compile_model(path, "CPU", ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY),
                                                   ov::hint::inference_precision(ov::element::f32),
                                                   ov::inference_num_threads(threads));
        engine->request = engine->model.create_infer_request();
        engine->image = engine->request.get_tensor("image");
        engine->answer = engine->request.get_tensor(output);
        check_values(*engine, "input", engine->image, static_cast<std::size_t>(size) * size * 3);
        check_values(*engine, output, engine->answer, engine->logits);
        return engine;
    });
}

void engine_run(Engine* engine, const unsigned char* pixels, float* logits) {
    checked(engine->path, "run the model", [&] {
        std::memcpy(engine->image.data<std::uint8_t>(), pixels, engine->image.get_byte_size());
        engine->request.infer();
        std::memcpy(logits, engine->answer.data<float>(), engine->logits * sizeof *logits);
    });
}

void engine_close(Engine* engine) { delete engine; }
