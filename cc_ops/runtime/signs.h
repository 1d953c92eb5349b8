// Maps of signs: what lies between two binary layers where nobody wants the floats.
//
// The graph is written with floats. Once the shapes are known, the planner looks for sums of a binary layer (without K) that only
// reach, through max pools, zero padding, stages and a flatten, layers that take signs of them. Those sums are compared with
// integer thresholds (runtime/thresholds.h), and their signs are written as the next layer reads them; pools join bits, and
// stages vanish in the thresholds. That is decided here and not by who writes the file: a file says what a network computes, the
// same to every reader and every version of this one, and which sums have exact thresholds depends on how this runtime rounds.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/sign_layout.h"
#include "core/sign_pad.h"
#include "core/sign_pool.h"
#include "core/xnor_conv.h"
#include "runtime/graph.h"
#include "runtime/stage.h"

namespace bnn {

// What a step could do with signs instead of floats.
struct SignRole {
  // With its input.
  enum class Reads { kNothing, kSigns, kPool, kPad, kStage, kFlatten };
  Reads reads = Reads::kNothing;
  Stage stage;          // kSigns: what comes before the sign. kStage: all it does
  ConvGeometry window;  // kSigns, kPool
  bool dense = false;   // kSigns of vectors: an image's pixels, one behind the other
  int pad_value = 0;    // kSigns: outside of the image

  // With its output: stage(alpha * sum), |sum| <= run.
  bool sums = false;
  int64_t run = 0;
  const float* alpha = nullptr;
  Stage after;
};

// Signs of a value of the graph, and what writes them needs to know.
struct SignMap {
  SignOutput output;  // the layout; a binary layer's thresholds
  std::vector<int32_t> thresholds, positions;
  std::vector<uint16_t> flips;
  FallingSigns falling;  // a pool's
  std::vector<uint32_t> falling_bits;
  std::vector<uint32_t> zero_bits;  // a padding's: the signs of zeros, as SignPadding has them
};

// Turns the steps that `PrepareSteps` made for floats into steps on signs where that gives the same scores, bit by bit.
Message KeepSigns(const Graph& graph, const Machine& machine, const Sizes& input, std::vector<Step>* steps);

}  // namespace bnn
