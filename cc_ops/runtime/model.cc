#include "runtime/model.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <new>
#include <utility>

#include "core/fork.h"

namespace bnn {
namespace {

// Contexts kept for the next run: as many threads and shapes as are served without planning again.
constexpr size_t kIdle = 8;

using Clock = std::chrono::steady_clock;

double MicrosecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

}  // namespace

Message PackedModel::Load(const std::string& path, const ModelOptions& options, std::unique_ptr<PackedModel>* model) {
  std::shared_ptr<const Bytes> bytes;
  if (Message error = MapFile(path, &bytes); !error.empty()) return error;
  return Make(path, std::move(bytes), options, model);
}

Message PackedModel::Load(const std::string& name, const void* data, int64_t size, const ModelOptions& options,
                          std::unique_ptr<PackedModel>* model) {
  std::shared_ptr<const Bytes> bytes;
  if (Message error = CopyBytes(data, size, &bytes); !error.empty()) return name + ": " + error;
  return Make(name, std::move(bytes), options, model);
}

Message PackedModel::Make(const std::string& name, std::shared_ptr<const Bytes> bytes, const ModelOptions& options,
                          std::unique_ptr<PackedModel>* model) {
  if (options.threads < 0) {
    return "PackedModel: `threads` must not be negative. Got " + std::to_string(options.threads) + ". Use 0 for all there are.";
  }
  std::unique_ptr<PackedModel> made(new PackedModel(options.threads));
  if (Message error = options.backend.empty() ? ActiveBackend(&made->backend_) : FindBackend(options.backend, &made->backend_);
      !error.empty()) {
    return error;
  }
  made->signs_ = options.signs;
  made->loops_ = &LoopsFor(made->backend_->name);
  if (Message error = PackedFile::Read(name, std::move(bytes), &made->file_); !error.empty()) return error;
  if (Message error = ReadGraph(made->file_, &made->graph_); !error.empty()) return error;
  if (Message error = made->Validate(); !error.empty()) return error;
  made->TabulatePixels();
  *model = std::move(made);
  return {};
}

// That every node fits the ones before it: for the input that the model was made for, and in as far as that doesn't depend on its
// size where it was made for any.
Message PackedModel::Validate() const {
  Sizes input = {1};
  input.insert(input.end(), graph_.input.begin(), graph_.input.end());
  if (int64_t bytes; Known(input)) {
    if (Message error = MemoryBytes(input, &bytes); !error.empty()) return error;
  }
  std::vector<Sizes> shapes;
  if (Message error = Shapes(input, &shapes); !error.empty()) return error;
  const int64_t classes = static_cast<int64_t>(graph_.classes.size()), scores = shapes[graph_.output].back();
  if (classes != 0 && scores != kUnknown && scores != classes) {
    return file_.name() + ": names " + std::to_string(classes) + " classes and has " + std::to_string(scores) + " scores.";
  }
  return {};
}

Message PackedModel::Shapes(const Sizes& input, std::vector<Sizes>* shapes) const {
  Sizes one = input;
  if (!one.empty() && one[0] == kUnknown) one[0] = 1;
  if (Known(one)) {
    if (Message error = graph_.CheckInput(one); !error.empty()) return error;
  }
  std::vector<Step> steps;
  if (Message error = PrepareSteps(graph_, machine(), input, &steps); !error.empty()) return error;
  shapes->clear();
  for (const Step& step : steps) shapes->push_back(step.shape);
  return {};
}

Message PackedModel::PlanFor(const Sizes& input, bool pixels, Plan* plan) const {
  if (Message error = graph_.CheckInput(input); !error.empty()) return error;
  if (input[0] == 0) return file_.name() + ": the batch is empty.";
  return MakePlan(graph_, machine(), input, {pixels, signs_}, plan);
}

Message PackedModel::MemoryBytes(const Sizes& input, int64_t* bytes) const {
  Plan plan;
  Message error = PlanFor(input, false, &plan);
  *bytes = plan.arena_bytes;
  return error;
}

Message PackedModel::Activations(const Sizes& input, std::vector<ActivationMemory>* activations) const {
  Plan plan;
  if (Message error = PlanFor(input, false, &plan); !error.empty()) return error;
  activations->clear();
  for (const Step& step : plan.steps) activations->push_back({step.signs_out ? 1 : 32, step.output_bytes()});
  return {};
}

void PackedModel::TabulatePixels() {
  const auto channels = static_cast<size_t>(graph_.input.back());
  if (graph_.mean.empty()) return;
  pixel_values_.resize(channels * 256);
  for (size_t i = 0; i < pixel_values_.size(); ++i) {
    pixel_values_[i] = (static_cast<float>(i % 256) - graph_.mean[i / 256]) / graph_.deviation[i / 256];
  }
}

void PackedModel::ConvertPixels(const Sizes& shape, const uint8_t* pixels, float* x) const {
  const int64_t channels = shape.back();
  ForRows(parallel_, Elements(shape) / channels, channels, [&](int64_t first, int64_t last) {
    if (pixel_values_.empty()) {
      std::copy(pixels + first * channels, pixels + last * channels, x + first * channels);
      return;
    }
    for (int64_t i = first * channels; i < last * channels; i += channels) {
      for (int64_t c = 0; c < channels; ++c) x[i + c] = pixel_values_[c * 256 + pixels[i + c]];
    }
  });
}

Message PackedModel::Open(const Sizes& input, bool pixels, Session* session) const {
  session->Close();
  {
    Idle& idle = this->idle();
    const std::lock_guard<std::mutex> lock(idle.mutex);
    for (auto& context : idle.contexts) {
      if (context->plan.input != input || context->plan.pixels != pixels) continue;
      session->model_ = this;
      session->context_ = std::move(context);
      std::swap(context, idle.contexts.back());
      idle.contexts.pop_back();
      return {};
    }
  }
  auto context = std::make_unique<Context>();
  if (Message error = PlanFor(input, pixels, &context->plan); !error.empty()) return error;
  constexpr auto kAlign = std::align_val_t(kScratchAlignment);
  const int64_t bytes = context->plan.arena_bytes;
  context->arena = {static_cast<char*>(::operator new(std::max<int64_t>(bytes, 1), kAlign, std::nothrow)),
                    [](char* memory) { ::operator delete(memory, kAlign); }};
  if (!context->arena) {
    return file_.name() + ": there is no memory for an input of shape " + Text(input) + ", which needs " + std::to_string(bytes) +
           " bytes. Use a smaller batch or image.";
  }
  size_t most = 0;
  for (const Node& node : graph_.nodes) most = std::max(most, node.inputs.size());
  context->inputs.resize(most);
  session->model_ = this;
  session->context_ = std::move(context);
  return {};
}

// A child process gets contexts of its own: its parent's stay as they are, for another thread may have been changing them at the
// fork, under a lock that is held for ever.
PackedModel::Idle& PackedModel::idle() const {
  Idle* idle = idle_.load(std::memory_order_acquire);
  while (idle == nullptr || idle->forks != ForkCount()) {
    auto made = std::make_unique<Idle>();
    made->forks = ForkCount();
    made->contexts.reserve(kIdle + 1);
    if (idle_.compare_exchange_strong(idle, made.get(), std::memory_order_acq_rel)) idle = made.release();
  }
  return *idle;
}

PackedModel::~PackedModel() {
  Idle* const idle = idle_.load(std::memory_order_acquire);
  if (idle != nullptr && idle->forks == ForkCount()) delete idle;
}

void PackedModel::GiveBack(std::unique_ptr<Context> context) const {
  std::unique_ptr<Context> dropped;  // freed outside of the lock
  Idle& idle = this->idle();
  const std::lock_guard<std::mutex> lock(idle.mutex);
  context->used = ++idle.clock;
  auto& contexts = idle.contexts;
  contexts.push_back(std::move(context));
  if (contexts.size() <= kIdle) return;
  const auto oldest = std::min_element(contexts.begin(), contexts.end(), [](auto& a, auto& b) { return a->used < b->used; });
  dropped = std::move(*oldest);
  std::swap(*oldest, contexts.back());
  contexts.pop_back();
}

void Session::Close() {
  if (context_) model_->GiveBack(std::move(context_));
}

void Session::Run(const uint8_t* pixels, float* y) {
  const Plan& plan = context_->plan;
  auto* x = reinterpret_cast<float*>(context_->arena.get() + plan.input_place.offset);
  model_->ConvertPixels(plan.input, pixels, x);
  RunSteps(x, y, nullptr);
}

void Session::RunSteps(const float* x, float* y, double* times) {
  const Plan& plan = context_->plan;
  const Graph& graph = model_->graph_;
  char* arena = context_->arena.get();
  const auto address = [&](const Place& place) {
    return place.where == Place::Where::kInput    ? const_cast<float*>(x)
           : place.where == Place::Where::kOutput ? y
                                                  : reinterpret_cast<float*>(arena + place.offset);
  };
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = plan.steps[i];
    if (step.alias) continue;
    const std::vector<int>& inputs = graph.nodes[i].inputs;
    for (size_t j = 0; j < inputs.size(); ++j) {
      context_->inputs[j] = address(inputs[j] == kModelInput ? plan.input_place : plan.places[inputs[j]]);
    }
    const Clock::time_point start = times ? Clock::now() : Clock::time_point();
    step.run({context_->inputs.data(), address(plan.places[i]), arena + plan.scratch_offset});
    if (times) times[i] += MicrosecondsSince(start);
  }
  const float* result = address(plan.places[graph.output]);
  if (result != y) std::copy_n(result, Elements(plan.output), y);
}

}  // namespace bnn
