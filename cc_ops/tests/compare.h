// The one comparison: says where the first wrong value is, and both values.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <iomanip>
#include <limits>
#include <string>
#include <vector>

#include "tests/random.h"

namespace bnn::testing {

inline constexpr double kRounding = 0x1p-24;  // of one float32 operation, relative

inline std::string IndexText(const std::vector<int64_t>& shape, int64_t flat) {
  std::string text;
  for (size_t axis = shape.size(); axis-- > 0; flat /= shape[axis]) {
    text = std::to_string(flat % shape[axis]) + (text.empty() ? "" : ", ") + text;
  }
  return "[" + text + "]";
}

// |got - expected| <= bound, or equal where there is no bound. NaN equals NaN, and infinity itself.
template <typename Got>
::testing::AssertionResult Agree(const std::string& where, const std::vector<int64_t>& shape, const std::vector<Got>& got,
                                 const std::vector<double>& expected, const std::vector<double>& bound = {}) {
  if (got.size() != expected.size()) {
    return ::testing::AssertionFailure() << where << ": " << got.size() << " values instead of " << expected.size();
  }
  int64_t wrong = 0, first = -1;
  for (size_t i = 0; i < got.size(); ++i) {
    const double g = static_cast<double>(got[i]), e = expected[i];
    const bool same = g == e || (std::isnan(g) && std::isnan(e));
    if (same || (!bound.empty() && std::fabs(g - e) <= bound[i])) continue;
    if (wrong++ == 0) first = static_cast<int64_t>(i);
  }
  if (wrong == 0) return ::testing::AssertionSuccess();
  auto failure = ::testing::AssertionFailure();
  failure << where << ": " << wrong << " of " << got.size() << " values are wrong, the first at " << IndexText(shape, first)
          << ": " << std::setprecision(17) << static_cast<double>(got[first]) << " instead of " << expected[first];
  if (!bound.empty()) failure << " (off by " << std::fabs(got[first] - expected[first]) << ", allowed " << bound[first] << ")";
  return failure << "; BNN_TF_TEST_SEED=" << Seed();
}

// Bit for bit, of two runs of our own.
template <typename T>
::testing::AssertionResult Identical(const std::string& where, const std::vector<int64_t>& shape, const std::vector<T>& got,
                                     const std::vector<T>& expected) {
  return Agree(where, shape, got, std::vector<double>(expected.begin(), expected.end()));
}

}  // namespace bnn::testing
