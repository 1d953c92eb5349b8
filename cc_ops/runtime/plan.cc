#include "runtime/plan.h"

#include <algorithm>
#include <limits>

#include "core/bits.h"
#include "runtime/signs.h"

namespace bnn {
namespace {

constexpr int kForever = std::numeric_limits<int>::max();

// Memory that one value after another may live in.
struct Buffer {
  int64_t bytes = 0;
  int first = 0, last = 0;  // steps between which it is needed, both included
  Place place;
  bool placed = false;
};

class Planner {
 public:
  Planner(const Graph& graph, Plan* plan) : graph_(graph), plan_(*plan), last_use_(graph.nodes.size() + 1) {}

  Message Run() {
    FindLastUses();
    AssignBuffers();
    const int output = buffer_[graph_.output + 1];
    if (buffers_[output].place.where == Place::Where::kArena && !(output == 0 && plan_.pixels)) {
      buffers_[output].place.where = Place::Where::kOutput;
    }
    if (Message error = PlaceBuffers(); !error.empty()) return error;
    plan_.input_place = buffers_[0].place;
    for (size_t i = 0; i < graph_.nodes.size(); ++i) plan_.places.push_back(buffers_[buffer_[i + 1]].place);
    return {};
  }

 private:
  // Values are numbered from the model's input, 0, on.
  static int Value(int node) { return node + 1; }

  void FindLastUses() {
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      last_use_[Value(static_cast<int>(i))] = static_cast<int>(i);
      for (const int node : graph_.nodes[i].inputs) last_use_[Value(node)] = static_cast<int>(i);
    }
    last_use_[Value(graph_.output)] = kForever;
  }

  void AssignBuffers() {
    Buffer input;
    input.bytes = Elements(plan_.input) * static_cast<int64_t>(sizeof(float));
    input.first = -1;
    input.last = last_use_[0];
    if (!plan_.pixels) input.place.where = Place::Where::kInput;
    buffers_.push_back(input);
    buffer_.push_back(0);
    for (int i = 0; i < static_cast<int>(graph_.nodes.size()); ++i) {
      const Step& step = plan_.steps[i];
      const int first = buffer_[Value(graph_.nodes[i].inputs[0])];
      if (step.alias || (step.in_place && MayOverwrite(i, first))) {
        buffers_[first].last = std::max(buffers_[first].last, last_use_[Value(i)]);
        buffer_.push_back(first);
      } else {
        Buffer own;
        own.bytes = step.output_bytes();
        own.first = i;
        own.last = last_use_[Value(i)];
        buffer_.push_back(static_cast<int>(buffers_.size()));
        buffers_.push_back(own);
      }
    }
  }

  // Whether nobody reads the buffer after step `i`, which itself reads it through its first input alone.
  bool MayOverwrite(int i, int buffer) const {
    if (buffers_[buffer].place.where == Place::Where::kInput || buffers_[buffer].last > i) return false;
    const std::vector<int>& inputs = graph_.nodes[i].inputs;
    return std::none_of(inputs.begin() + 1, inputs.end(), [&](int node) { return buffer_[Value(node)] == buffer; });
  }

  // The largest first, each at the lowest offset where it overlaps nothing that is alive with it.
  Message PlaceBuffers() {
    std::vector<Buffer*> order, placed;
    for (Buffer& buffer : buffers_) {
      if (buffer.place.where == Place::Where::kArena) order.push_back(&buffer);
    }
    std::stable_sort(order.begin(), order.end(), [](const Buffer* a, const Buffer* b) { return a->bytes > b->bytes; });
    int64_t end = 0;
    for (Buffer* buffer : order) {
      int64_t offset = 0;
      for (const Buffer* other : placed) {  // sorted by offset
        if (other->last < buffer->first || buffer->last < other->first) continue;
        if (offset + buffer->bytes <= other->place.offset) break;
        offset = std::max(offset, RoundUp(other->place.offset + other->bytes, kScratchAlignment));
      }
      buffer->place.offset = offset;
      end = std::max(end, RoundUp(offset + buffer->bytes, kScratchAlignment));
      if (end > kMaxArenaBytes) return TooLarge(end);
      const auto later = [](const Buffer* a, const Buffer* b) { return a->place.offset < b->place.offset; };
      placed.insert(std::upper_bound(placed.begin(), placed.end(), buffer, later), buffer);
    }
    int64_t scratch = 0;
    for (const Step& step : plan_.steps) scratch = std::max(scratch, step.scratch_bytes);
    plan_.scratch_offset = end;
    plan_.arena_bytes = end + RoundUp(scratch, kScratchAlignment);
    return plan_.arena_bytes > kMaxArenaBytes ? TooLarge(plan_.arena_bytes) : Message();
  }

  Message TooLarge(int64_t bytes) const {
    return graph_.file + ": an input of shape " + Text(plan_.input) + " needs " + std::to_string(bytes) +
           " bytes of memory or more. The bound is 2^34. Use a smaller batch or image.";
  }

  const Graph& graph_;
  Plan& plan_;
  std::vector<int> last_use_, buffer_;  // of each value
  std::vector<Buffer> buffers_;
};

}  // namespace

Message MakePlan(const Graph& graph, const Machine& machine, const Sizes& input, const PlanOptions& options, Plan* plan) {
  *plan = Plan();
  plan->input = input;
  plan->pixels = options.pixels;
  if (Message error = PrepareSteps(graph, machine, input, &plan->steps); !error.empty()) return error;
  if (options.signs) {
    if (Message error = KeepSigns(graph, machine, input, &plan->steps); !error.empty()) return error;
  }
  plan->output = plan->steps[graph.output].shape;
  return Planner(graph, plan).Run();
}

}  // namespace bnn
