// Where every activation lies: one block of memory, in which values that are not alive at the same time share bytes.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/graph.h"
#include "runtime/op.h"

namespace bnn {

// The place of a node's output.
struct Place {
  enum class Where { kArena, kInput, kOutput };  // kInput, kOutput: the caller's memory
  Where where = Where::kArena;
  int64_t offset = 0;  // in the arena
};

struct Plan {
  Sizes input, output;  // shapes
  bool pixels = false;  // the input comes as bytes, and is converted into the arena
  std::vector<Step> steps;
  std::vector<Place> places;  // of each node
  Place input_place;
  int64_t scratch_offset = 0, arena_bytes = 0;
};

struct PlanOptions {
  bool pixels = false;
  bool signs = true;  // maps of signs where they do (runtime/signs.h); else floats everywhere
};

// For an input [batch, ...] that graph.CheckInput let pass, its batch at least 1.
Message MakePlan(const Graph& graph, const Machine& machine, const Sizes& input, const PlanOptions& options, Plan* plan);

}  // namespace bnn
