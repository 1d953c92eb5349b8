// The network of a packed file: nodes in the order in which they run, each with what it needs to be prepared.
#pragma once

#include <string>
#include <vector>

#include "runtime/file.h"
#include "runtime/op.h"

namespace bnn {

inline constexpr int kModelInput = -1;  // as the input of a node

struct Node {
  std::string op, name;
  std::vector<int> inputs;  // nodes before this one, or kModelInput
  Prepare prepare;
};

struct Graph {
  std::string file;  // what messages call it
  std::string name, producer;
  std::vector<std::string> classes;
  std::vector<float> mean, deviation;  // of pixels 0..255, a channel; empty: they are taken as they are
  Sizes input;                         // without the batch; kUnknown where any size will do
  bool resizable = false;
  std::vector<Node> nodes;
  int output = 0;

  // How messages name a node.
  std::string Where(size_t node) const;

  // Whether an input [batch, ...] may come in.
  Message CheckInput(const Sizes& shape) const;
};

inline constexpr size_t kMaxNodes = 4096;

// `file` must outlive the graph: weights stay where they are.
Message ReadGraph(const PackedFile& file, Graph* graph);

// The steps for an input [batch, ...], in which sizes may be kUnknown.
Message PrepareSteps(const Graph& graph, const Machine& machine, const Sizes& input, std::vector<Step>* steps);

}  // namespace bnn
