#include "runtime/signs.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "core/bits.h"
#include "runtime/thresholds.h"

namespace bnn {
namespace {

using Reads = SignRole::Reads;

// The way of a value to the layers that take its sign.
struct Way {
  std::vector<int> nodes;  // pools, stages and flattens, and at the end a reader; with several, of the first
  bool pooled = false;     // on the way to any of them
  bool by_position = false;

  // What the readers want of the layout of the value itself.
  int64_t groups = 1, before = 0, after = 0;
  bool pad_bit = false;
};

// What is planned for a map must not outgrow it, nor take longer than its run: larger images stay floats.
constexpr int64_t kMaxImage = int64_t{1} << 24;

// The image [batch, height, width, channels] that a value is.
std::optional<Sizes> ImageOf(const Sizes& shape) {
  if (shape.size() == 2) return ImageOf({shape[0], 1, 1, shape[1]});
  if (shape.size() != 4 || Elements({shape[1], shape[2], shape[3]}) > kMaxImage) return std::nullopt;
  return shape;
}

class SignPlanner {
 public:
  SignPlanner(const Graph& graph, const Machine& machine, const Sizes& input, std::vector<Step>* steps)
      : graph_(graph), machine_(machine), input_(input), steps_(*steps), readers_(steps->size()), ways_(steps->size()) {}

  Message Run() {
    const int nodes = static_cast<int>(steps_.size());
    for (int node = 0; node < nodes; ++node) {
      for (const int input : graph_.nodes[node].inputs) {
        if (input != kModelInput) readers_[input].push_back(node);
      }
    }
    for (int node = nodes - 1; node >= 0; --node) {
      ways_[node] = FindWay(node);
      if (ways_[node] && steps_[node].role && steps_[node].role->sums) KeepSumsOf(node);
    }
    for (int node = 0; node < nodes; ++node) {
      Step& step = steps_[node];
      if (step.alias || (!step.signs_in && !step.signs_out)) continue;
      Step again;
      again.signs_in = step.signs_in;
      again.signs_out = step.signs_out;
      std::vector<Sizes> shapes;
      for (const int from : graph_.nodes[node].inputs) shapes.push_back(from == kModelInput ? input_ : steps_[from].shape);
      if (Message error = graph_.nodes[node].prepare(machine_, shapes, &again); !error.empty()) return graph_.Where(node) + error;
      step = std::move(again);
    }
    return {};
  }

 private:
  const SignRole& Role(int node) const { return *steps_[node].role; }

  // Where all readers of a node's output take its sign, and the same one.
  std::optional<Way> FindWay(int node) const {
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

  std::optional<Way> WayThrough(int node, int reader) const {
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

  static bool Apart(const ConvGeometry& g) { return g.h.stride >= g.h.kernel && g.w.stride >= g.w.kernel; }

  // Whether a stage behind `node` differs from channel to channel.
  bool AnyByChannel(int node) const {
    const std::vector<int>& nodes = ways_[node]->nodes;
    return std::any_of(nodes.begin(), nodes.end(), [&](int next) { return Role(next).stage.by_channel(); });
  }

  // Whether two readers want the same signs in layouts that one layout serves.
  bool Join(int node, const Way& way, Way* joined) const {
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

  SignLayout LayoutOf(int node) const {
    const Way& way = *ways_[node];
    const Sizes image = *ImageOf(steps_[node].shape);
    return {image[0], image[1], image[2], image[3], way.groups, way.before, way.after, way.pad_bit};
  }

  // The shape of the image that positions count the pixels of, where thresholds depend on them.
  Sizes PositionsOf(const Way& way) const {
    for (const int node : way.nodes) {
      if (Role(node).reads == Reads::kFlatten) return *ImageOf(steps_[graph_.nodes[node].inputs[0]].shape);
    }
    return {};
  }

  void KeepSumsOf(int node) {
    const Way& way = *ways_[node];
    const SignRole& role = Role(node);
    SignPath path;
    path.run = role.run;
    path.filters = steps_[node].shape.back();
    path.alpha = role.alpha;
    path.pooled = way.pooled;
    path.stages.push_back({&role.after, false});
    bool flat = false;
    for (const int next : way.nodes) {
      flat = flat || Role(next).reads == Reads::kFlatten;
      if (Role(next).reads == Reads::kStage || Role(next).reads == Reads::kSigns) {
        path.stages.push_back({&Role(next).stage, flat && way.by_position});
      }
    }
    const Sizes positions = way.by_position ? PositionsOf(way) : Sizes{1, 1, 1, 1};
    path.positions = positions[1] * positions[2];
    const std::vector<Threshold> thresholds = FindThresholds(machine_.loops, path);
    if (thresholds.empty()) return;
    auto map = std::make_shared<SignMap>();
    map->output.layout = LayoutOf(node);
    SetThresholds(thresholds, path, role.window.groups, map.get());
    if (way.by_position) SetPositions(node, positions, map.get());
    Spread(node, std::move(map));
  }

  static void SetThresholds(const std::vector<Threshold>& thresholds, const SignPath& path, int64_t groups, SignMap* map) {
    const int64_t filters = path.filters / groups, blocks = CeilDiv(filters, kLanes);
    map->thresholds.assign(path.positions * groups * blocks * kLanes, std::numeric_limits<int32_t>::min());
    map->flips.assign(path.positions * groups * blocks, 0);
    for (int64_t i = 0; i < static_cast<int64_t>(thresholds.size()); ++i) {
      const int64_t block = i / filters * blocks + i % filters / kLanes, lane = i % filters % kLanes;
      map->thresholds[block * kLanes + lane] = thresholds[i].least;
      map->flips[block] = static_cast<uint16_t>(map->flips[block] | static_cast<unsigned>(thresholds[i].flip) << lane);
    }
    map->output.thresholds = map->thresholds.data();
    map->output.flips = map->flips.data();
  }

  // A pixel that no window of the pool sees takes any position: its signs are never read.
  void SetPositions(int node, const Sizes& positions, SignMap* map) const {
    const Sizes image = *ImageOf(steps_[node].shape);
    Axis rows{image[1], image[1], 1, 1, 1, 0, 0}, columns{image[2], image[2], 1, 1, 1, 0, 0};
    for (const int next : ways_[node]->nodes) {
      if (Role(next).reads != Reads::kPool) continue;
      rows = Role(next).window.h;
      columns = Role(next).window.w;
    }
    for (int64_t p = 0; p < image[1]; ++p) {
      for (int64_t q = 0; q < image[2]; ++q) {
        const int64_t row = std::min((p + rows.before) / rows.stride, positions[1] - 1);
        const int64_t column = std::min((q + columns.before) / columns.stride, positions[2] - 1);
        map->positions.push_back(static_cast<int32_t>(row * positions[2] + column));
      }
    }
    map->output.positions = map->positions.data();
  }

  // Gives the signs of `node` to all that read them.
  void Spread(int node, std::shared_ptr<const SignMap> map) {
    steps_[node].signs_out = map;
    for (const int reader : readers_[node]) {
      Step& step = steps_[reader];
      switch (step.role->reads) {
        case Reads::kSigns:
          step.signs_in = map;
          break;
        case Reads::kPool:
          step.signs_in = map;
          Spread(reader, PoolMap(reader));
          break;
        case Reads::kPad:
          step.signs_in = map;
          Spread(reader, PadMap(reader));
          break;
        case Reads::kStage:
        case Reads::kFlatten:
          step.alias = true;
          Spread(reader, map);
          break;
        case Reads::kNothing:
          break;
      }
    }
  }

  // The layout behind a pool, and where signs fall as its floats grow.
  std::shared_ptr<const SignMap> PoolMap(int node) const {
    const Way& way = *ways_[node];
    auto map = std::make_shared<SignMap>();
    const SignLayout& layout = map->output.layout = LayoutOf(node);
    const auto falls = [&](int64_t position, int64_t channel) {
      bool flat = false, falling = false;
      for (const int next : way.nodes) {
        flat = flat || Role(next).reads == Reads::kFlatten;
        const int64_t at = flat && way.by_position ? position * layout.channels + channel : channel;
        falling ^= Role(next).stage.Direction(at) < 0;
      }
      return falling;
    };
    const int64_t channels = layout.group_channels(), words = FallingWords(layout);
    map->falling.rows = way.by_position ? layout.height : 1;
    map->falling_bits.assign(layout.groups * map->falling.rows * words, 0);
    bool any = false;
    for (int64_t group = 0; group < layout.groups; ++group) {
      for (int64_t row = 0; row < map->falling.rows; ++row) {
        uint32_t* bits = map->falling_bits.data() + (group * map->falling.rows + row) * words;
        for (int64_t i = 0; i < layout.width * channels; ++i) {
          if (!falls(row * layout.width + i / channels, group * channels + i % channels)) continue;
          bits[i / kWordBits] |= 1u << (i % kWordBits);
          any = true;
        }
      }
    }
    if (any) map->falling.bits = map->falling_bits.data();
    return map;
  }

  // The layout behind a padding, and the signs that its zeros get.
  std::shared_ptr<const SignMap> PadMap(int node) const {
    auto map = std::make_shared<SignMap>();
    const SignLayout& layout = map->output.layout = LayoutOf(node);
    std::vector<float> zeros(layout.channels);
    for (const int next : ways_[node]->nodes) Role(next).stage.Apply(machine_.loops, zeros.data(), 1, layout.channels);
    const int64_t channels = layout.group_channels(), words = SignPadWords(layout);
    map->zero_bits.assign(layout.groups * words, 0);
    for (int64_t c = 0; c < layout.channels; ++c) {
      const int64_t bit = c % channels;
      map->zero_bits[c / channels * words + bit / kWordBits] |= static_cast<uint32_t>(SignBit(zeros[c])) << (bit % kWordBits);
    }
    return map;
  }

  const Graph& graph_;
  const Machine& machine_;
  const Sizes& input_;
  std::vector<Step>& steps_;
  std::vector<std::vector<int>> readers_;  // of each node, once for each time
  std::vector<std::optional<Way>> ways_;
};

}  // namespace

Message KeepSigns(const Graph& graph, const Machine& machine, const Sizes& input, std::vector<Step>* steps) {
  return SignPlanner(graph, machine, input, steps).Run();
}

}  // namespace bnn
