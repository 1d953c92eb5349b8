// A packed model, ready to run: the public interface of the runtime.
//
//   std::unique_ptr<bnn::PackedModel> model;
//   if (bnn::Message error = bnn::PackedModel::Load("net.bnn", {}, &model); !error.empty()) ...
//   bnn::Session session;
//   if (bnn::Message error = model->Open({1, 224, 224, 3}, &session); !error.empty()) ...
//   std::vector<float> scores(session.output_size());
//   session.Run(image.data(), scores.data());
//
// Nothing throws, prints or ends the process: an error is a sentence. A model may serve several threads at a time, each with a
// session of its own; sessions that were given back are kept, so that the next input of a known shape runs without allocating.
// A child process after fork() may use its parent's models, whatever the parent's threads were doing.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/pool.h"
#include "runtime/file.h"
#include "runtime/graph.h"
#include "runtime/plan.h"

namespace bnn {

struct ModelOptions {
  int threads = 0;      // 0: as many as OMP_NUM_THREADS or the machine says
  std::string backend;  // "": what BNN_TF_ISA forces, else the best
  bool signs = true;    // false: floats between all layers, for comparison; the scores are the same
};

// How a node's output lies in memory.
struct ActivationMemory {
  int bits;  // of a value: 32, or 1 for signs
  int64_t bytes;
};

class PackedModel;

// A plan and its memory; one run at a time.
struct Context {
  Plan plan;
  std::vector<const float*> inputs;  // of the step that runs
  std::unique_ptr<char, void (*)(char*)> arena{nullptr, nullptr};
  uint64_t used = 0;  // when it was last given back
};

// A context that is lent by a model, which must outlive it.
class Session {
 public:
  Session() = default;
  ~Session() { Close(); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const Sizes& output_shape() const { return context_->plan.output; }
  int64_t output_size() const { return Elements(output_shape()); }
  int64_t memory_bytes() const { return context_->plan.arena_bytes; }
  const Plan& plan() const { return context_->plan; }

  // x: the input, NHWC. y: output_size() floats, not overlapping x.
  void Run(const float* x, float* y) { RunSteps(x, y, nullptr); }

  // The same from pixels 0..255, of a session opened for them.
  void Run(const uint8_t* pixels, float* y);

  // Also adds the microseconds of each node to `times`, which has one place a node.
  void Profile(const float* x, float* y, double* times) { RunSteps(x, y, times); }

  void Close();

 private:
  friend class PackedModel;
  void RunSteps(const float* x, float* y, double* times);

  const PackedModel* model_ = nullptr;
  std::unique_ptr<Context> context_;
};

class PackedModel {
 public:
  ~PackedModel();

  static Message Load(const std::string& path, const ModelOptions& options, std::unique_ptr<PackedModel>* model);

  // From bytes, which are copied; `name` is what messages call them.
  static Message Load(const std::string& name, const void* data, int64_t size, const ModelOptions& options,
                      std::unique_ptr<PackedModel>* model);

  const Graph& graph() const { return graph_; }
  const PackedFile& file() const { return file_; }
  int threads() const { return parallel_.workers(); }
  const char* backend() const { return backend_->name; }

  // For inputs [batch, ...], the batch at least 1; as floats, or as pixels 0..255 that the model's preprocessing is for.
  Message Open(const Sizes& input, Session* session) const { return Open(input, false, session); }
  Message Open(const Sizes& input, bool pixels, Session* session) const;

  // Bytes of memory that a session takes beside the weights.
  Message MemoryBytes(const Sizes& input, int64_t* bytes) const;

  // Of every node's output.
  Message Activations(const Sizes& input, std::vector<ActivationMemory>* activations) const;

  // Of every node's output; the batch, and height and width of a resizable model, may be kUnknown.
  Message Shapes(const Sizes& input, std::vector<Sizes>* shapes) const;

 private:
  friend class Session;

  // Contexts that were given back.
  struct Idle {
    std::mutex mutex;
    std::vector<std::unique_ptr<Context>> contexts;  // at most kIdle
    uint64_t clock = 0;
    int forks = 0;
  };

  explicit PackedModel(int threads) : parallel_(threads) {}
  static Message Make(const std::string& name, std::shared_ptr<const Bytes> bytes, const ModelOptions& options,
                      std::unique_ptr<PackedModel>* model);
  Message Validate() const;
  Message PlanFor(const Sizes& input, bool pixels, Plan* plan) const;
  void TabulatePixels();
  void ConvertPixels(const Sizes& shape, const uint8_t* pixels, float* x) const;
  Machine machine() const { return {{*backend_, parallel_}, *loops_}; }
  Idle& idle() const;
  void GiveBack(std::unique_ptr<Context> context) const;

  PackedFile file_;
  Graph graph_;
  PoolFor parallel_;
  const Backend* backend_ = nullptr;
  const Loops* loops_ = nullptr;
  bool signs_ = true;
  std::vector<float> pixel_values_;  // [channel][256]

  mutable std::atomic<Idle*> idle_{nullptr};
};

}  // namespace bnn
