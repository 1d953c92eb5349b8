#include "runtime/signs.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/bits.h"
#include "runtime/sign_ways.h"
#include "runtime/thresholds.h"

namespace bnn {
namespace {

using Reads = SignRole::Reads;

class SignPlanner {
 public:
  SignPlanner(const Graph& graph, const Machine& machine, const Sizes& input, std::vector<Step>* steps)
      : graph_(graph), machine_(machine), input_(input), steps_(*steps), ways_(graph, *steps) {}

  Message Run() {
    const int nodes = static_cast<int>(steps_.size());
    for (int node = 0; node < nodes; ++node) {
      if (ways_.Of(node) && steps_[node].role && Role(node).sums) KeepSumsOf(node);
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

  SignLayout LayoutOf(int node) const {
    const Way& way = *ways_.Of(node);
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
    const Way& way = *ways_.Of(node);
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
    for (const int next : ways_.Of(node)->nodes) {
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
    for (const int reader : ways_.Readers(node)) {
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
    const Way& way = *ways_.Of(node);
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
    for (const int next : ways_.Of(node)->nodes) Role(next).stage.Apply(machine_.loops, zeros.data(), 1, layout.channels);
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
  SignWays ways_;
};

}  // namespace

Message KeepSigns(const Graph& graph, const Machine& machine, const Sizes& input, std::vector<Step>* steps) {
  return SignPlanner(graph, machine, input, steps).Run();
}

}  // namespace bnn
