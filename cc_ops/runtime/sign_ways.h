// Where signs can go: from a value of the graph, through what passes signs on, to the layers that take them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "runtime/graph.h"
#include "runtime/signs.h"

namespace bnn {

// The way of a value to the layers that take its sign.
struct Way {
  std::vector<int> nodes;  // pools, stages and flattens, and at the end a reader; with several, of the first
  bool pooled = false;     // on the way to any of them
  bool by_position = false;

  // What the readers want of the layout of the value itself.
  int64_t groups = 1, before = 0, after = 0;
  bool pad_bit = false;
};

// The image [batch, height, width, channels] that a value is, where it is one and not too large for signs.
std::optional<Sizes> ImageOf(const Sizes& shape);

class SignWays {
 public:
  SignWays(const Graph& graph, const std::vector<Step>& steps);

  // None where a reader of the node's output wants floats, or another sign than the others.
  const std::optional<Way>& Of(int node) const { return ways_[node]; }

  // Once for each time.
  const std::vector<int>& Readers(int node) const { return readers_[node]; }

 private:
  const SignRole& Role(int node) const { return *steps_[node].role; }
  std::optional<Way> FindWay(int node) const;
  std::optional<Way> WayThrough(int node, int reader) const;
  bool AnyByChannel(int node) const;
  bool Join(int node, const Way& way, Way* joined) const;

  const Graph& graph_;
  const std::vector<Step>& steps_;
  std::vector<std::vector<int>> readers_;
  std::vector<std::optional<Way>> ways_;
};

}  // namespace bnn
