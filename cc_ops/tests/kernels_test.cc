// The functions of each backend's table, called directly, against plain loops.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "core/bits.h"
#include "tests/cases.h"
#include "tests/compare.h"
#include "tests/guarded.h"
#include "tests/random.h"
#include "tests/run.h"

namespace bnn::testing {
namespace {

int CountOnes(uint32_t word) {
  int ones = 0;
  for (; word; word >>= 1) ones += word & 1;
  return ones;
}

class KernelsTest : public BackendTest {
 protected:
  std::string Where(std::initializer_list<std::pair<const char*, int64_t>> sizes) const {
    std::string text = backend().name;
    for (const auto& [name, size] : sizes) text += std::string(", ") + name + " " + std::to_string(size);
    return text;
  }
};

TEST_P(KernelsTest, PackRows) {
  Random random(40);
  std::vector<int64_t> sizes = kSizes;
  sizes.insert(sizes.end(), {16, 48});  // whole registers that end in half a word
  for (int64_t pixels : {0, 1, 2, 3, 7, 33}) {
    for (int64_t channels : sizes) {
      for (Guard guard : {Guard::kAfter, Guard::kBefore}) {
        const Guarded<float> x(random.Specials(pixels * channels), guard);
        Guarded<uint32_t> words(WordsFor(pixels * channels), guard);
        backend().pack_rows(x.data(), pixels, channels, words.data(), nullptr);
        std::vector<double> expected(WordsFor(pixels * channels), 0);
        for (int64_t i = 0; i < pixels * channels; ++i) expected[i / 32] += x.data()[i] >= 0 ? 0 : std::ldexp(1.0, i % 32);
        const std::string where = Where({{"pixels", pixels}, {"channels", channels}});
        ASSERT_TRUE(Agree(where, {WordsFor(pixels * channels)}, words.Values(), expected));

        // With the mean in the same pass: the same bits, and a sum of positive terms.
        const Guarded<float> finite(random.Values(pixels * channels), guard);
        Guarded<uint32_t> alone(WordsFor(pixels * channels), guard);
        Guarded<float> mean(pixels, guard);
        backend().pack_rows(finite.data(), pixels, channels, alone.data(), nullptr);
        backend().pack_rows(finite.data(), pixels, channels, words.data(), mean.data());
        ASSERT_TRUE(Identical(where, {WordsFor(pixels * channels)}, words.Values(), alone.Values()));
        std::vector<double> means(pixels, 0), bound;
        for (int64_t i = 0; i < pixels * channels; ++i) means[i / channels] += std::fabs(static_cast<double>(finite.data()[i]));
        for (double& value : means) {
          value /= static_cast<double>(channels);
          bound.push_back(value * (static_cast<double>(channels) / 8 + 6) * kRounding);
        }
        ASSERT_TRUE(Agree(where + ", mean", {pixels}, mean.Values(), means, bound));

        // Whoever packs a row pixel by pixel gets the same means.
        Guarded<float> single(1, guard);
        for (int64_t pixel = 0; pixel < pixels; ++pixel) {
          backend().pack_rows(finite.data() + pixel * channels, 1, channels, words.data(), single.data());
          ASSERT_EQ(single.data()[0], mean.data()[pixel]) << where << ", pixel " << pixel;
        }
      }
    }
  }
}

TEST_P(KernelsTest, PackBlock) {
  Random random(41);
  for (int64_t run : kSizes) {
    for (int lanes = 1; lanes <= kLanes; ++lanes) {
      const int64_t stride = lanes + random.Int(0, 20);
      // The last row ends with its last lane.
      const Guarded<float> w(random.Values((run - 1) * stride + lanes), Guard::kAfter);
      Guarded<uint32_t> bits(WordsFor(run) * kLanes);
      Guarded<double> abs_sum(std::vector<double>(kLanes, 1.0), Guard::kAfter);  // added to
      backend().pack_block(w.data(), stride, run, lanes, bits.data(), abs_sum.data());
      std::vector<double> expected(WordsFor(run) * kLanes, 0), sums(kLanes, 1), bound;
      for (int64_t k = 0; k < run; ++k) {
        for (int lane = 0; lane < lanes; ++lane) {
          const double value = w.data()[k * stride + lane];
          expected[k / 32 * kLanes + lane] += value >= 0 ? 0 : std::ldexp(1.0, k % 32);
          sums[lane] += std::fabs(value);
        }
      }
      for (double sum : sums) bound.push_back(sum * 32 * kRounding);
      const std::string where = Where({{"run", run}, {"lanes", lanes}, {"stride", stride}});
      ASSERT_TRUE(Agree(where, {WordsFor(run), kLanes}, bits.Values(), expected));
      ASSERT_TRUE(Agree(where + ", sum of |w|", {kLanes}, abs_sum.Values(), sums, bound));
    }
  }
}

TEST_P(KernelsTest, CountTaps) {
  Random random(42);
  for (int64_t taps : {1, 2, 9, 25}) {
    for (int64_t tap_bits : kSizes) {
      const int64_t words = WordsFor(taps * tap_bits);
      const Guarded<uint32_t> bits(random.Words(words * kLanes), Guard::kAfter);
      Guarded<int32_t> counts(taps * kLanes);
      backend().count_taps(bits.data(), taps, tap_bits, counts.data());
      std::vector<double> expected(taps * kLanes, 0);
      for (int64_t bit = 0; bit < taps * tap_bits; ++bit) {
        for (int lane = 0; lane < kLanes; ++lane) {
          expected[bit / tap_bits * kLanes + lane] += bits.data()[bit / 32 * kLanes + lane] >> (bit % 32) & 1;
        }
      }
      ASSERT_TRUE(Agree(Where({{"taps", taps}, {"bits a tap", tap_bits}}), {taps, kLanes}, counts.Values(), expected));
    }
  }
}

class XnorGemmTest : public KernelsTest {
 protected:
  void Check(int64_t rows, int64_t pieces, int64_t piece_words, int64_t filters, bool with_scale, Random* random) const {
    const int64_t blocks = CeilDiv(filters, kLanes), words = pieces * piece_words, y_stride = filters + random->Int(0, 3);
    const Guard guard = random->Chance(0.5) ? Guard::kAfter : Guard::kBefore;
    // Pieces lie in the reverse order: the first one, or the last, at the end of the data.
    const Guarded<uint32_t> a(random->Words(rows * words), guard);
    std::vector<const uint32_t*> pointers;
    for (int64_t i = rows * pieces; i-- > 0;) pointers.push_back(a.data() + i * piece_words);
    const Guarded<const uint32_t*> runs(pointers, guard);
    const Guarded<uint32_t> bits(random->Words(blocks * words * kLanes), guard);
    std::vector<int32_t> base_values(2 * blocks * kLanes);
    for (int32_t& value : base_values) value = static_cast<int32_t>(random->Int(0, 1000000));
    const Guarded<int32_t> bases(base_values, guard);
    std::vector<const int32_t*> base(rows);
    for (int64_t r = 0; r < rows; ++r) base[r] = bases.data() + (r % 2) * blocks * kLanes;
    const Guarded<const int32_t*> base_rows(base, guard);
    // Powers of two: their products are exact, so there is one right answer.
    std::vector<float> powers(filters), row_powers(rows);
    for (float& power : powers) power = std::ldexp(1.0f, static_cast<int>(random->Int(-4, 4)));
    for (float& power : row_powers) power = std::ldexp(1.0f, static_cast<int>(random->Int(-4, 4)));
    const Guarded<float> alpha(powers, guard), scale(row_powers, guard);

    const std::vector<float> untouched = random->Values((rows - 1) * y_stride + filters);
    Guarded<float> y(untouched, guard);
    backend().xnor_gemm({runs.data(), pieces, piece_words, rows, bits.data(), filters, base_rows.data(), alpha.data(),
                         with_scale ? scale.data() : nullptr, y.data(), y_stride});
    std::vector<double> expected = ToDouble(untouched);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t f = 0; f < filters; ++f) {
        int64_t different = 0;
        for (int64_t word = 0; word < words; ++word) {
          const uint32_t input = pointers[r * pieces + word / piece_words][word % piece_words];
          different += CountOnes(input ^ bits.data()[(f / kLanes * words + word) * kLanes + f % kLanes]);
        }
        const float sum = static_cast<float>(base[r][f] - 2 * different);
        expected[r * y_stride + f] = sum * powers[f] * (with_scale ? row_powers[r] : 1.0f);
      }
    }
    ASSERT_TRUE(Agree(Where({{"rows", rows}, {"pieces", pieces}, {"words", words}, {"filters", filters}, {"y_stride", y_stride}}),
                      {static_cast<int64_t>(expected.size())}, y.Values(), expected));
  }
};

TEST_P(XnorGemmTest, OddSizes) {
  Random random(43);
  for (int64_t filters : kSizes) {
    for (int64_t rows : {1, 2, 3, 5, 6, 7, 13}) ASSERT_NO_FATAL_FAILURE(Check(rows, 1, 3, filters, rows % 2 == 0, &random));
    for (int64_t words : {1, 2, 30, 31, 32, 33, 62, 63, 127}) {
      ASSERT_NO_FATAL_FAILURE(Check(5, 1, words, filters, false, &random));
    }
  }
  Check(49, 1, 72, 130, true, &random);
  Check(2, 1, 3001, 17, true, &random);
}

TEST_P(XnorGemmTest, RunsInPieces) {
  Random random(44);
  for (int64_t pieces : {2, 3, 9}) {
    for (int64_t piece_words : {1, 2, 6, 10, 31, 32, 70}) {
      for (int64_t filters : {1, 16, 50, 64}) ASSERT_NO_FATAL_FAILURE(Check(5, pieces, piece_words, filters, true, &random));
    }
  }
}

// All bits different in every word: byte counters run as full as they can.
TEST_P(XnorGemmTest, CountersDoNotOverflow) {
  for (auto [pieces, piece_words] :
       {std::pair{1, 31}, {1, 32}, {1, 62}, {1, 1000}, {2, 16}, {31, 1}, {32, 1}, {3, 31}, {9, 10}}) {
    const int64_t words = pieces * piece_words;
    const std::vector<uint32_t> a(words, 0u), bits(words * kLanes, ~0u);
    const std::vector<const uint32_t*> runs(pieces, a.data());
    const std::vector<int32_t> base(kLanes, static_cast<int32_t>(words * kWordBits));
    const int32_t* base_row = base.data();
    const float alpha = 1;
    float y = 0;
    backend().xnor_gemm({runs.data(), pieces, piece_words, 1, bits.data(), 1, &base_row, &alpha, nullptr, &y, 1});
    EXPECT_EQ(y, static_cast<float>(-words * kWordBits)) << Where({{"pieces", pieces}, {"words", words}});
  }
}

class LookupGemmTest : public KernelsTest {
 protected:
  void Check(int64_t rows, int64_t quads, int64_t filters, bool accumulate, bool with_alpha, Random* random) const {
    const int64_t blocks = CeilDiv(filters, kLanes), used = CeilDiv(quads, 8), words = used + random->Int(0, 3);
    const int64_t table_size = backend().table_size, y_stride = filters + random->Int(0, 3);
    const Guard guard = random->Chance(0.5) ? Guard::kAfter : Guard::kBefore;
    const std::vector<float> x = random->Values(rows * quads * 4);
    const Guarded<float> inputs(x, guard);
    Guarded<float> tables(rows * quads * table_size, guard);
    backend().build_tables(inputs.data(), rows * quads, tables.data());

    // Quads and words in an order of their own.
    std::vector<const float*> table(rows);
    for (int64_t r = 0; r < rows; ++r) table[r] = tables.data() + r * quads * table_size;
    std::vector<int64_t> place(quads), offset(quads);
    std::iota(place.begin(), place.end(), 0);
    for (int64_t t = quads; t-- > 1;) std::swap(place[t], place[random->Int(0, t)]);
    for (int64_t t = 0; t < quads; ++t) offset[t] = place[t] * table_size;
    std::vector<int32_t> word(used);
    for (int64_t i = 0; i < used; ++i) word[i] = static_cast<int32_t>(words - 1 - i);
    const Guarded<const float*> table_rows(table, guard);
    const Guarded<int64_t> offsets(offset, guard);
    const Guarded<int32_t> word_numbers(word, guard);
    const Guarded<uint32_t> bits(random->Words(blocks * words * kLanes), guard);
    const Guarded<float> alpha(random->Values(filters), guard);
    const std::vector<float> before = random->Values((rows - 1) * y_stride + filters);
    Guarded<float> y(before, guard);
    backend().lookup_gemm({table_rows.data(), offsets.data(), rows, bits.data(), word_numbers.data(), quads, words, filters,
                           with_alpha ? alpha.data() : nullptr, accumulate, y.data(), y_stride});

    std::vector<double> expected = ToDouble(before), bound(before.size(), 0);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t f = 0; f < filters; ++f) {
        const double start = accumulate ? before[r * y_stride + f] : 0.0;
        double sum = start, magnitude = std::fabs(start);
        for (int64_t t = 0; t < quads; ++t) {
          const uint32_t run = bits.data()[(f / kLanes * words + word[t / 8]) * kLanes + f % kLanes] >> (t % 8 * 4);
          for (int b = 0; b < 4; ++b) {
            const double value = x[(r * quads + place[t]) * 4 + b];
            sum += run >> b & 1 ? -value : value;
            magnitude += std::fabs(value);
          }
        }
        const double factor = with_alpha ? alpha.data()[f] : 1.0;
        expected[r * y_stride + f] = sum * factor;
        // Three additions make a table, one takes each quad, one joins what was there; a product.
        bound[r * y_stride + f] = magnitude * std::fabs(factor) * static_cast<double>(quads + 5) * kRounding;
      }
    }
    ASSERT_TRUE(Agree(Where({{"rows", rows}, {"quads", quads}, {"filters", filters}, {"accumulate", accumulate}}),
                      {static_cast<int64_t>(expected.size())}, y.Values(), expected, bound));
  }
};

TEST_P(LookupGemmTest, OddSizes) {
  Random random(44);
  for (int64_t filters : kSizes) {
    for (int64_t rows : {1, 2, 3, 4, 5, 6, 7, 13}) {
      ASSERT_NO_FATAL_FAILURE(Check(rows, 9, filters, rows % 2 == 0, rows % 3 == 0, &random));
    }
    for (int64_t quads : {1, 2, 7, 8, 15, 16, 17, 65})
      ASSERT_NO_FATAL_FAILURE(Check(3, quads, filters, quads % 2 == 0, true, &random));
  }
  Check(49, 144, 130, true, true, &random);
}

class FloatGemmTest : public KernelsTest {
 protected:
  // transposed: a is stored [k][m], as where pixels are summed over.
  void Check(int64_t m, int64_t n, int64_t k, bool transposed, bool accumulate, Random* random) const {
    const int64_t a_stride = (transposed ? m : k) + random->Int(0, 3);
    const int64_t a_row = transposed ? 1 : a_stride, a_step = transposed ? a_stride : 1;
    const int64_t b_stride = n + random->Int(0, 3), c_stride = n + random->Int(0, 3);
    const Guard guard = random->Chance(0.5) ? Guard::kAfter : Guard::kBefore;
    const Guarded<float> a(random->Values(k == 0 ? 0 : (m - 1) * a_row + (k - 1) * a_step + 1), guard);
    const Guarded<float> b(random->Values(k == 0 ? 0 : (k - 1) * b_stride + n), guard);
    const std::vector<float> before = random->Values((m - 1) * c_stride + n);
    Guarded<float> c(before, guard);
    backend().float_gemm({m, n, k, a.data(), a_row, a_step, b.data(), b_stride, c.data(), c_stride, accumulate});

    std::vector<double> expected = ToDouble(before), bound(before.size(), 0);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = accumulate ? before[i * c_stride + j] : 0.0, magnitude = std::fabs(sum);
        for (int64_t l = 0; l < k; ++l) {
          const double product = static_cast<double>(a.data()[i * a_row + l * a_step]) * b.data()[l * b_stride + j];
          sum += product;
          magnitude += std::fabs(product);
        }
        expected[i * c_stride + j] = sum;
        bound[i * c_stride + j] = magnitude * static_cast<double>(k + 1) * kRounding;
      }
    }
    ASSERT_TRUE(Agree(Where({{"m", m}, {"n", n}, {"k", k}, {"transposed", transposed}, {"accumulate", accumulate}}),
                      {static_cast<int64_t>(expected.size())}, c.Values(), expected, bound));
  }
};

TEST_P(FloatGemmTest, OddSizes) {
  Random random(45);
  for (int64_t n : kSizes) {
    for (int64_t m : {1, 2, 5, 6, 7, 8, 9, 17}) {
      for (bool transposed : {false, true}) ASSERT_NO_FATAL_FAILURE(Check(m, n, 5, transposed, m % 2 == 0, &random));
    }
    for (int64_t k : {0, 1, 2, 33}) ASSERT_NO_FATAL_FAILURE(Check(3, n, k, k % 2 == 0, k % 3 == 0, &random));
  }
  Check(50, 130, 70, true, true, &random);
}

BNN_FOR_EACH_BACKEND(KernelsTest);
BNN_FOR_EACH_BACKEND(XnorGemmTest);
BNN_FOR_EACH_BACKEND(LookupGemmTest);
BNN_FOR_EACH_BACKEND(FloatGemmTest);

TEST(Bits, Between) {
  for (int64_t first = -3; first < 40; ++first) {
    for (int64_t last = first; last < 70; last += 3) {
      uint32_t expected = 0;
      for (int64_t bit = 0; bit < 32; ++bit) expected |= static_cast<uint32_t>(bit >= first && bit < last) << bit;
      EXPECT_EQ(BitsBetween(first, last), expected) << first << ".." << last;
    }
  }
}

}  // namespace
}  // namespace bnn::testing
