// Reproducible values. BNN_TF_TEST_SEED chooses the seed; every failing comparison prints it.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace bnn::testing {

inline uint64_t Seed() {
  static const uint64_t seed = [] {
    const char* text = std::getenv("BNN_TF_TEST_SEED");
    return text ? std::strtoull(text, nullptr, 10) : 2016;
  }();
  return seed;
}

class Random {
 public:
  // Different streams are independent, and none depends on which tests ran before.
  explicit Random(uint64_t stream = 0) : engine_(Seed() * 0x9E3779B97F4A7C15u + stream) {}

  int64_t Int(int64_t first, int64_t last) { return std::uniform_int_distribution<int64_t>(first, last)(engine_); }
  bool Chance(double probability) { return std::bernoulli_distribution(probability)(engine_); }
  template <typename T>
  T Of(const std::vector<T>& choices) {
    return choices[Int(0, static_cast<int64_t>(choices.size()) - 1)];
  }

  // Uniform in (-2, 2): on both sides of where "clip" ends. One in 16 is a zero, of either sign: there a convention decides.
  float Value() {
    const uint64_t bits = engine_();
    const float value = static_cast<float>(static_cast<int32_t>(bits >> 32)) * 0x1p-30f;
    return bits % 16 == 0 ? std::copysign(0.0f, value) : value;
  }

  // As Value, with NaN, infinities and the extremes of float among them.
  float Special() {
    using Limits = std::numeric_limits<float>;
    static const std::vector<float> specials = {Limits::quiet_NaN(), Limits::infinity(), Limits::max(), Limits::min(),
                                                Limits::denorm_min()};
    return engine_() % 4 == 0 ? (engine_() % 2 ? -1.0f : 1.0f) * Of(specials) : Value();
  }

  std::vector<float> Values(int64_t count) {
    std::vector<float> values(count);
    for (float& value : values) value = Value();
    return values;
  }
  std::vector<float> Specials(int64_t count) {
    std::vector<float> values(count);
    for (float& value : values) value = Special();
    return values;
  }
  std::vector<float> Signs(int64_t count) {
    std::vector<float> values(count);
    for (float& value : values) value = engine_() % 2 ? 1.0f : -1.0f;
    return values;
  }
  std::vector<uint32_t> Words(int64_t count) {
    std::vector<uint32_t> words(count);
    for (uint32_t& word : words) word = static_cast<uint32_t>(engine_());
    return words;
  }

 private:
  std::mt19937_64 engine_;
};

inline std::vector<double> ToDouble(const std::vector<float>& values) { return {values.begin(), values.end()}; }

}  // namespace bnn::testing
