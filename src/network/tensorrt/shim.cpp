// A C ABI for TensorRT's C++ classes: only what Rust cannot call itself.
//
// Compiled once per header set (TensorRT 10, TensorRT 11, TensorRT-RTX): the classes are binary compatible only within a major
// version. VETRINA_SHIM is the name of the exported function table. TensorRT is not linked: native/ opens the libraries and
// passes their factories. Only methods that exist since 10.0 are used, so that headers of a later 10.x work with an earlier
// library.

#include <NvInfer.h>
#include <NvOnnxParser.h>

#include <cstdint>
#include <memory>
#include <new>

#ifndef VETRINA_SHIM
#error "VETRINA_SHIM is set by build.rs"
#endif

using namespace nvinfer1;

extern "C" {

// native/interface.rs defines the same types.
using LogHook = void (*)(int32_t severity, char const* text);
using ProgressHook = int32_t (*)(void* user, int32_t event, char const* phase, char const* parent, int32_t number);

struct Factories {
    int32_t version; // of the library, from getInferLibVersion
    void* (*builder)(void* logger, int32_t version);
    void* (*runtime)(void* logger, int32_t version);
    void* (*parser)(void* network, void* logger, int32_t version);
    LogHook log;
};

struct BuildOptions {
    uint64_t workspace; // maximum bytes that a layer may use at run time
    uint64_t dram;      // maximum bytes that the builder may use while it tries kernels
    int64_t least, usual, most; // sizes of every dynamic dimension
    int32_t capability; // compute capability to build for, 86 for 8.6; 0: this machine's GPU. TensorRT-RTX only.
    void* user;
    ProgressHook progress;
};

struct TensorInfo {
    char const* name; // lives as long as the engine
    int32_t input;    // 1: an input
    int32_t is_float; // 1: 32-bit floats
    int32_t open;     // 1: the first dimension is dynamic
};

} // extern "C"

namespace {

class Logger : public ILogger {
public:
    LogHook hook = nullptr;

    void log(Severity severity, AsciiChar const* text) noexcept override {
        if (hook != nullptr && severity <= Severity::kWARNING) {
            hook(static_cast<int32_t>(severity), text);
        }
    }
};

// TensorRT keeps the first logger until the process ends.
Logger& logger = *new Logger;

class Monitor : public IProgressMonitor {
public:
    explicit Monitor(BuildOptions const& options) : mOptions(options) {}

    void phaseStart(char const* phase, char const* parent, int32_t steps) noexcept override {
        mOptions.progress(mOptions.user, 0, phase, parent, steps);
    }

    bool stepComplete(char const* phase, int32_t step) noexcept override {
        return mOptions.progress(mOptions.user, 1, phase, nullptr, step) != 0;
    }

    void phaseFinish(char const* phase) noexcept override {
        mOptions.progress(mOptions.user, 2, phase, nullptr, 0);
    }

private:
    BuildOptions const& mOptions;
};

// A runtime and its engine, which must not outlive it.
struct Plan {
    IRuntime* runtime;
    ICudaEngine* engine;
};

bool addProfile(IBuilder& builder, INetworkDefinition& network, IBuilderConfig& config, BuildOptions const& options) {
    IOptimizationProfile* profile = builder.createOptimizationProfile();
    bool open = false;
    for (int32_t i = 0; i < network.getNbInputs(); ++i) {
        ITensor* input = network.getInput(i);
        Dims dims[3] = {input->getDimensions(), input->getDimensions(), input->getDimensions()};
        int64_t const sizes[3] = {options.least, options.usual, options.most};
        for (int32_t axis = 0; axis < dims[0].nbDims; ++axis) {
            if (dims[0].d[axis] >= 0) {
                continue;
            }
            open = true;
            for (int32_t k = 0; k < 3; ++k) {
                dims[k].d[axis] = sizes[k];
            }
        }
        if (!profile->setDimensions(input->getName(), OptProfileSelector::kMIN, dims[0])
            || !profile->setDimensions(input->getName(), OptProfileSelector::kOPT, dims[1])
            || !profile->setDimensions(input->getName(), OptProfileSelector::kMAX, dims[2])) {
            return false;
        }
    }
    return !open || config.addOptimizationProfile(profile) >= 0;
}

bool target(IBuilderConfig& config, int32_t capability) {
#ifdef TRT_MAJOR_RTX
    auto const chosen = capability == 0 ? ComputeCapability::kCURRENT : static_cast<ComputeCapability>(capability);
    return config.setNbComputeCapabilities(1) && config.setComputeCapability(chosen, 0);
#else
    (void)config;
    return capability == 0;
#endif
}

// Builds a serialised engine from an ONNX graph. nullptr: failed, the reason is in the log.
void* build(Factories const* make, void const* onnx, size_t size, BuildOptions const* options) {
    logger.hook = make->log;
    std::unique_ptr<IBuilder> builder(static_cast<IBuilder*>(make->builder(&logger, make->version)));
    if (!builder) {
        return nullptr;
    }
    auto const typed = 1U << static_cast<uint32_t>(NetworkDefinitionCreationFlag::kSTRONGLY_TYPED);
    std::unique_ptr<INetworkDefinition> network(builder->createNetworkV2(typed));
    std::unique_ptr<IBuilderConfig> config(builder->createBuilderConfig());
    if (!network || !config) {
        return nullptr;
    }
    std::unique_ptr<nvonnxparser::IParser> parser(
        static_cast<nvonnxparser::IParser*>(make->parser(network.get(), &logger, make->version)));
    if (!parser) {
        return nullptr;
    }
    if (!parser->parse(onnx, size)) {
        for (int32_t i = 0; i < parser->getNbErrors(); ++i) {
            logger.log(ILogger::Severity::kERROR, parser->getError(i)->desc());
        }
        return nullptr;
    }
    config->setMemoryPoolLimit(MemoryPoolType::kWORKSPACE, options->workspace);
    config->setMemoryPoolLimit(MemoryPoolType::kTACTIC_DRAM, options->dram);
    // TF32 has a 10-bit mantissa: fp32 means fp32, and fp16 exists for less.
    config->clearFlag(BuilderFlag::kTF32);
    Monitor monitor(*options);
    config->setProgressMonitor(&monitor);
    if (!target(*config, options->capability) || !addProfile(*builder, *network, *config, *options)) {
        return nullptr;
    }
    return builder->buildSerializedNetwork(*network, *config);
}

void const* blobData(void* blob, size_t* size) {
    auto* memory = static_cast<IHostMemory*>(blob);
    *size = memory->size();
    return memory->data();
}

void freeBlob(void* blob) { delete static_cast<IHostMemory*>(blob); }

// Loads a serialised engine onto the GPU. Requires a driver: without one, creating a runtime returns an invalid pointer.
void* load(Factories const* make, void const* data, size_t size) {
    logger.hook = make->log;
    std::unique_ptr<IRuntime> runtime(static_cast<IRuntime*>(make->runtime(&logger, make->version)));
    if (!runtime) {
        return nullptr;
    }
    std::unique_ptr<ICudaEngine> engine(runtime->deserializeCudaEngine(data, size));
    if (!engine) {
        return nullptr;
    }
    auto* plan = new (std::nothrow) Plan{runtime.get(), engine.get()};
    if (plan != nullptr) {
        runtime.release();
        engine.release();
    }
    return plan;
}

void unload(void* handle) {
    auto* plan = static_cast<Plan*>(handle);
    delete plan->engine;
    delete plan->runtime;
    delete plan;
}

int32_t tensorCount(void* handle) { return static_cast<Plan*>(handle)->engine->getNbIOTensors(); }

void tensorInfo(void* handle, int32_t index, TensorInfo* info) {
    ICudaEngine& engine = *static_cast<Plan*>(handle)->engine;
    info->name = engine.getIOTensorName(index);
    info->input = engine.getTensorIOMode(info->name) == TensorIOMode::kINPUT ? 1 : 0;
    info->is_float = engine.getTensorDataType(info->name) == DataType::kFLOAT ? 1 : 0;
    Dims const dims = engine.getTensorShape(info->name);
    info->open = dims.nbDims > 0 && dims.d[0] < 0 ? 1 : 0;
}

void* newContext(void* handle) { return static_cast<Plan*>(handle)->engine->createExecutionContext(); }

void freeContext(void* context) { delete static_cast<IExecutionContext*>(context); }

int32_t setInputShape(void* context, char const* name, int64_t const* sizes, int32_t rank) {
    Dims dims{};
    if (rank < 0 || rank > Dims::MAX_DIMS) {
        return 0;
    }
    dims.nbDims = rank;
    for (int32_t axis = 0; axis < rank; ++axis) {
        dims.d[axis] = sizes[axis];
    }
    return static_cast<IExecutionContext*>(context)->setInputShape(name, dims) ? 1 : 0;
}

// Returns the rank, or -1 if not known yet. `sizes` has room for Dims::MAX_DIMS.
int32_t tensorShape(void* context, char const* name, int64_t* sizes) {
    Dims const dims = static_cast<IExecutionContext*>(context)->getTensorShape(name);
    for (int32_t axis = 0; axis < dims.nbDims; ++axis) {
        sizes[axis] = dims.d[axis];
    }
    return dims.nbDims;
}

int32_t setAddress(void* context, char const* name, uint64_t device) {
    auto* address = reinterpret_cast<void*>(static_cast<uintptr_t>(device));
    return static_cast<IExecutionContext*>(context)->setTensorAddress(name, address) ? 1 : 0;
}

int32_t enqueue(void* context, void* stream) {
    return static_cast<IExecutionContext*>(context)->enqueueV3(static_cast<cudaStream_t>(stream)) ? 1 : 0;
}

} // namespace

extern "C" {

struct Shim {
    decltype(&build) build;
    decltype(&blobData) blob_data;
    decltype(&freeBlob) free_blob;
    decltype(&load) load;
    decltype(&unload) unload;
    decltype(&tensorCount) tensor_count;
    decltype(&tensorInfo) tensor_info;
    decltype(&newContext) new_context;
    decltype(&freeContext) free_context;
    decltype(&setInputShape) set_input_shape;
    decltype(&tensorShape) tensor_shape;
    decltype(&setAddress) set_address;
    decltype(&enqueue) enqueue;
};

extern Shim const VETRINA_SHIM;
Shim const VETRINA_SHIM = {build, blobData, freeBlob, load, unload, tensorCount, tensorInfo, newContext, freeContext,
    setInputShape, tensorShape, setAddress, enqueue};

} // extern "C"
