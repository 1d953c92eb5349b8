#include "runtime/thresholds.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/bits.h"

namespace bnn {
namespace {

// Values that are computed at most to try every n: some ten milliseconds.
constexpr int64_t kMaxTried = int64_t{1} << 21;

constexpr int32_t kAlways = std::numeric_limits<int32_t>::min();

class Finder {
 public:
  Finder(const Loops& loops, const SignPath& path)
      : loops_(loops), path_(path), size_(path.positions * path.filters), values_(size_) {}

  std::vector<Threshold> Find() {
    if (path_.run > std::numeric_limits<int32_t>::max() / 2) return {};
    if (Monotone()) return Halve();
    if (path_.pooled || size_ > kMaxTried / (2 * path_.run + 1)) return {};
    return Try();
  }

 private:
  // values_ = u(v(n)) for each element's n. Returns whether all that came up on the way is finite.
  template <typename N>
  bool Compute(const N& n) {
    for (int64_t i = 0; i < size_; ++i) values_[i] = static_cast<float>(n(i)) * path_.alpha[i % path_.filters];
    bool finite = Finite();
    for (const PathStage& stage : path_.stages) {
      if (stage.by_position) {
        stage.stage->Apply(loops_, values_.data(), 1, size_);
      } else {
        stage.stage->Apply(loops_, values_.data(), path_.positions, path_.filters);
      }
      finite = finite && Finite();
    }
    return finite;
  }

  bool Finite() const {
    return std::all_of(values_.begin(), values_.end(), [](float value) { return std::isfinite(value); });
  }

  // A monotone function that is finite at both ends is finite between them.
  bool Monotone() {
    for (const PathStage& stage : path_.stages) {
      const int64_t channels = stage.by_position ? size_ : path_.filters;
      for (int64_t channel = 0; channel < channels; ++channel) {
        if (stage.stage->Direction(channel) == 0) return false;
      }
    }
    return Compute([&](int64_t) { return -path_.run; }) && Compute([&](int64_t) { return path_.run; });
  }

  std::vector<Threshold> Halve() {
    std::vector<int64_t> low(size_, -path_.run), high(size_, path_.run);
    std::vector<bool> first(size_);
    std::vector<Threshold> found(size_);
    Compute([&](int64_t) { return -path_.run; });
    for (int64_t i = 0; i < size_; ++i) first[i] = SignBit(values_[i]);
    Compute([&](int64_t) { return path_.run; });
    for (int64_t i = 0; i < size_; ++i) {
      if (SignBit(values_[i]) == first[i]) low[i] = high[i];  // the same sign everywhere
    }
    // The signs at `low` and `high` differ, until they are neighbours.
    for (int64_t width = 2 * path_.run; width > 1; width = CeilDiv(width, 2)) {
      const auto middle = [&](int64_t i) { return low[i] + (high[i] - low[i]) / 2; };
      Compute(middle);
      for (int64_t i = 0; i < size_; ++i) {
        if (high[i] - low[i] > 1) (SignBit(values_[i]) == first[i] ? low[i] : high[i]) = middle(i);
      }
    }
    for (int64_t i = 0; i < size_; ++i) {
      found[i] = low[i] == high[i] ? Threshold{kAlways, first[i]} : Threshold{static_cast<int32_t>(high[i]), !first[i]};
    }
    return found;
  }

  std::vector<Threshold> Try() {
    std::vector<Threshold> found(size_, {kAlways, false});
    for (int64_t n = -path_.run; n <= path_.run; ++n) {
      Compute([&](int64_t) { return n; });
      for (int64_t i = 0; i < size_; ++i) {
        const bool sign = SignBit(values_[i]);
        if (n == -path_.run) {
          found[i].flip = sign;
        } else if (sign != found[i].flip) {  // the sign of the last n is always `flip`
          if (found[i].least != kAlways) return {};
          found[i] = {static_cast<int32_t>(n), sign};
        }
      }
    }
    return found;
  }

  const Loops& loops_;
  const SignPath& path_;
  int64_t size_;
  std::vector<float> values_;
};

}  // namespace

std::vector<Threshold> FindThresholds(const Loops& loops, const SignPath& path) { return Finder(loops, path).Find(); }

}  // namespace bnn
