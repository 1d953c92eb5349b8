// Thresholds against every integer that can occur.
#include "runtime/thresholds.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/bits.h"
#include "tests/random.h"

namespace bnn {
namespace {

using namespace testing;

// sign(act(alpha * n + bias) * scale + shift), in float32 and one operation after the other.
struct Filter {
  float alpha = 1, bias = 0, low = -std::numeric_limits<float>::infinity(), high = -low, scale = 1, shift = 0;

  bool Bit(int64_t n) const {
    volatile float v = static_cast<float>(n) * alpha;
    v = v + bias;
    v = v < low ? low : v;
    v = v > high ? high : v;
    v = v * scale;
    v = v + shift;
    return SignBit(v);
  }
};

std::vector<Threshold> Find(const Filter& f, int64_t run, bool pooled = false) {
  Stage after, pre;
  after.epilogue.bias = &f.bias;
  after.epilogue.activation.low = f.low;
  after.epilogue.activation.high = f.high;
  pre.scale = &f.scale;
  pre.shift = &f.shift;
  SignPath path;
  path.run = run;
  path.filters = 1;
  path.alpha = &f.alpha;
  path.stages = {{&after, false}, {&pre, false}};
  path.pooled = pooled;
  return FindThresholds(LoopsFor("portable"), path);
}

// Whether the signs change once at most.
bool HasThreshold(const Filter& f, int64_t run) {
  int changes = 0;
  for (int64_t n = -run; n < run; ++n) changes += f.Bit(n) != f.Bit(n + 1);
  return changes <= 1;
}

void Check(const Filter& f, int64_t run) {
  const std::vector<Threshold> found = Find(f, run);
  ASSERT_EQ(!found.empty(), HasThreshold(f, run)) << f.alpha << " " << f.bias << " " << f.scale << " " << f.shift;
  if (found.empty()) return;
  for (int64_t n = -run; n <= run; ++n) {
    ASSERT_EQ((n < found[0].least) != found[0].flip, f.Bit(n))
        << "n " << n << " alpha " << f.alpha << " bias " << f.bias << " scale " << f.scale << " shift " << f.shift;
  }
}

TEST(Thresholds, AreThoseOfTheFloats) {
  Random random(320);
  for (const int64_t run : {1, 2, 9, 147, 4608}) {
    for (int i = 0; i < 60; ++i) {
      Filter f;
      f.alpha = random.Value();
      f.bias = random.Value() * static_cast<float>(run) * 0.5f;
      f.scale = random.Value();
      f.shift = random.Value();
      if (random.Chance(0.3)) f.low = 0;
      if (random.Chance(0.3)) f.high = 1;
      ASSERT_NO_FATAL_FAILURE(Check(f, run));
    }
  }
}

// The change lies exactly where the rounded sums cross 0, be it with a bias that no float can tell from its neighbours.
TEST(Thresholds, SeeRoundings) {
  for (const float alpha : {1e-3f, -1e-3f, 0.1f, 1.0f / 3, 1e-30f, 1e-44f, 1e30f, 3e38f}) {
    for (int64_t n = -40; n <= 40; ++n) {
      for (const float nudge : {-1.0f, 0.0f, 1.0f}) {
        Filter f;
        f.alpha = alpha;
        f.bias = -static_cast<float>(n) * alpha;
        if (nudge != 0) f.bias = std::nextafter(f.bias, nudge * std::numeric_limits<float>::infinity());
        ASSERT_NO_FATAL_FAILURE(Check(f, 50));
      }
    }
  }
}

TEST(Thresholds, OfSpecialNumbers) {
  Random random(321);
  int none = 0;
  for (int i = 0; i < 4000; ++i) {
    Filter f;
    f.alpha = random.Special();
    f.bias = random.Special();
    f.scale = random.Special();
    f.shift = random.Special();
    if (random.Chance(0.3)) f.low = 0;
    ASSERT_NO_FATAL_FAILURE(Check(f, 37));
    none += Find(f, 37).empty();
  }
  EXPECT_GT(none, 0);  // inf * 0 is NaN in the middle of numbers
}

// A maximum of NaN depends on what it is compared with: no threshold can say that.
TEST(Thresholds, PoolsWantFiniteNumbers) {
  Filter f;
  EXPECT_FALSE(Find(f, 9, true).empty());
  f.alpha = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(Find(f, 9, false).empty());
  EXPECT_TRUE(Find(f, 9, true).empty());
}

}  // namespace
}  // namespace bnn
