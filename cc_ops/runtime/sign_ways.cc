#include "runtime/sign_ways.h"

#include <algorithm>
#include <utility>

namespace bnn {
namespace {

using Reads = SignRole::Reads;

// What is planned for a map must not outgrow it, nor take longer than its run: larger images stay floats.
constexpr int64_t kMaxImage = int64_t{1} << 24;

bool Apart(const ConvGeometry& g) { return g.h.stride >= g.h.kernel && g.w.stride >= g.w.kernel; }

}  // namespace

std::optional<Sizes> ImageOf(const Sizes& shape) {
  if (shape.size() == 2) return ImageOf({shape[0], 1, 1, shape[1]});
  if (shape.size() != 4 || Elements({shape[1], shape[2], shape[3]}) > kMaxImage) return std::nullopt;
  return shape;
}

SignWays::SignWays(const Graph& graph, const std::vector<Step>& steps)
    : graph_(graph), steps_(steps), readers_(steps.size()), ways_(steps.size()) {
  const int nodes = static_cast<int>(steps.size());
  for (int node = 0; node < nodes; ++node) {
    for (const int input : graph.nodes[node].inputs) {
      if (input != kModelInput) readers_[input].push_back(node);
    }
  }
  for (int node = nodes - 1; node >= 0; --node) ways_[node] = FindWay(node);
}

// Where all readers of a node's output take its sign, and the same one.
std::optional<Way> SignWays::FindWay(int node) const {
  if (node == graph_.output || readers_[node].empty() || !ImageOf(steps_[node].shape)) return std::nullopt;
  std::optional<Way> joined;
  for (const int reader : readers_[node]) {
    std::optional<Way> way = WayThrough(node, reader);
    if (!way) return std::nullopt;
    if (joined && !Join(node, *way, &*joined)) return std::nullopt;
    if (!joined) joined = std::move(way);
  }
  return joined;
}

std::optional<Way> SignWays::WayThrough(int node, int reader) const {
  if (!steps_[reader].role) return std::nullopt;
  const SignRole& role = Role(reader);
  if (role.reads == Reads::kNothing) return std::nullopt;
  Way way;
  if (role.reads == Reads::kSigns) {
    way.nodes = {reader};
    if (!role.dense) {
      const SignLayout layout = SignLayout::Of(role.window, role.pad_value < 0);
      way.groups = layout.groups;
      way.before = layout.before;
      way.after = layout.after;
      way.pad_bit = layout.pad_bit;
    }
    return way;
  }
  if (!ways_[reader]) return std::nullopt;
  way = *ways_[reader];
  way.nodes.insert(way.nodes.begin(), reader);
  if (role.reads == Reads::kPool) {
    // One position of the output for each pixel of the input: only then a pixel has one threshold.
    if (way.by_position && (way.pooled || !Apart(role.window))) return std::nullopt;
    way.pooled = true;
    way.before = way.after = 0;
  }
  if (role.reads == Reads::kPad) {
    if (way.by_position) return std::nullopt;
    way.before = way.after = 0;
  }
  if (role.reads == Reads::kFlatten) {
    const Sizes image = *ImageOf(steps_[node].shape);
    way.by_position = image[1] * image[2] > 1 && AnyByChannel(reader);
  }
  return way;
}

// Whether a stage behind `node` differs from channel to channel.
bool SignWays::AnyByChannel(int node) const {
  const std::vector<int>& nodes = ways_[node]->nodes;
  return std::any_of(nodes.begin(), nodes.end(), [&](int next) { return Role(next).stage.by_channel(); });
}

// Whether two readers want the same signs in layouts that one layout serves.
bool SignWays::Join(int node, const Way& way, Way* joined) const {
  if (way.by_position || joined->by_position || way.groups != joined->groups) return false;
  const auto stages = [&](const Way& of) {
    std::vector<const Stage*> list;
    for (const int next : of.nodes) {
      if (Role(next).reads == Reads::kStage || Role(next).reads == Reads::kSigns) list.push_back(&Role(next).stage);
    }
    return list;
  };
  const std::vector<const Stage*> ours = stages(*joined), theirs = stages(way);
  const int64_t channels = steps_[node].shape.back();
  const auto same = [&](const Stage* a, const Stage* b) { return a->Same(*b, channels); };
  if (!std::equal(ours.begin(), ours.end(), theirs.begin(), theirs.end(), same)) return false;
  const bool pads = way.before + way.after > 0, padded = joined->before + joined->after > 0;
  if (pads && padded && way.pad_bit != joined->pad_bit) return false;
  if (pads) joined->pad_bit = way.pad_bit;
  joined->before = std::max(joined->before, way.before);
  joined->after = std::max(joined->after, way.after);
  joined->pooled = joined->pooled || way.pooled;
  return true;
}

}  // namespace bnn
