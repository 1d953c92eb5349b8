// Signs of sums: the kernel of each backend against plain loops.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "core/bits.h"
#include "tests/cases.h"
#include "tests/compare.h"
#include "tests/guarded.h"
#include "tests/random.h"
#include "tests/run.h"

namespace bnn::testing {
namespace {

int64_t Different(const uint32_t* a, const uint32_t* bits, int64_t words, int64_t filter) {
  int64_t different = 0;
  for (int64_t word = 0; word < words; ++word) {
    uint32_t x = a[word] ^ bits[(filter / kLanes * words + word) * kLanes + filter % kLanes];
    for (; x; x &= x - 1) ++different;
  }
  return different;
}

class XnorSignsTest : public BackendTest {
 protected:
  void Check(int64_t rows, int64_t words, int64_t filters, Random* random) const {
    const int64_t blocks = CeilDiv(filters, kLanes);
    const Guard guard = random->Chance(0.5) ? Guard::kAfter : Guard::kBefore;
    const Guarded<uint32_t> a(random->Words(rows * words), guard), bits(random->Words(blocks * words * kLanes), guard);
    // Sums lie around 0: so do thresholds, and some are equal to the sum.
    std::vector<int32_t> bases(blocks * kLanes, static_cast<int32_t>(words * kWordBits)), thresholds(2 * blocks * kLanes);
    for (int32_t& threshold : thresholds) threshold = static_cast<int32_t>(2 * random->Int(-8, 8));
    std::vector<uint16_t> flips(2 * blocks);
    for (uint16_t& flip : flips) flip = static_cast<uint16_t>(random->Int(0, 0xffff));
    if (filters % kLanes) flips[blocks - 1] &= static_cast<uint16_t>((1 << filters % kLanes) - 1);
    if (filters % kLanes) flips[2 * blocks - 1] &= static_cast<uint16_t>((1 << filters % kLanes) - 1);
    const Guarded<int32_t> base(bases, guard), threshold(thresholds, guard);
    const Guarded<uint16_t> flip(flips, guard);
    Guarded<uint16_t> to(rows * blocks, guard);
    std::vector<const int32_t*> row_bases(rows, base.data()), row_thresholds(rows);
    std::vector<const uint16_t*> row_flips(rows);
    const auto row_to = std::make_unique<SignHalf*[]>(rows);
    for (int64_t r = 0; r < rows; ++r) {
      row_thresholds[r] = threshold.data() + r % 2 * blocks * kLanes;
      row_flips[r] = flip.data() + r % 2 * blocks;
      row_to[r] = to.data() + (rows - 1 - r) * blocks;
    }
    const int64_t pieces = words % 3 ? 1 : 3;
    std::vector<const uint32_t*> runs;
    for (int64_t i = 0; i < rows * pieces; ++i) runs.push_back(a.data() + i * (words / pieces));
    XnorGemm gemm{};
    gemm.a = runs.data();
    gemm.pieces = pieces;
    gemm.piece_words = words / pieces;
    gemm.rows = rows;
    gemm.bits = bits.data();
    gemm.filters = filters;
    gemm.base = row_bases.data();
    gemm.signs = {row_thresholds.data(), row_flips.data(), row_to.get()};
    backend().xnor_gemm(gemm);
    std::vector<double> expected;
    for (int64_t r = rows; r-- > 0;) {
      for (int64_t block = 0; block < blocks; ++block) {
        int half = 0;
        for (int64_t f = block * kLanes; f < std::min(filters, (block + 1) * kLanes); ++f) {
          const int64_t sum = words * kWordBits - 2 * Different(a.data() + r * words, bits.data(), words, f);
          const bool flipped = flips[r % 2 * blocks + block] >> (f % kLanes) & 1;
          half |= ((sum < thresholds[r % 2 * blocks * kLanes + f]) != flipped) << f % kLanes;
        }
        expected.push_back(half);
      }
    }
    ASSERT_TRUE(
        Agree(Where("rows " + std::to_string(rows) + ", words " + std::to_string(words) + ", filters " + std::to_string(filters)),
              {rows, blocks}, std::vector<int>(to.data(), to.data() + rows * blocks), expected));
  }
};

TEST_P(XnorSignsTest, OddSizes) {
  Random random(330);
  for (int64_t filters : kSizes) {
    for (int64_t rows : {1, 2, 3, 4, 5, 7, 13}) ASSERT_NO_FATAL_FAILURE(Check(rows, 3, filters, &random));
    for (int64_t words : {1, 2, 31, 32, 63}) ASSERT_NO_FATAL_FAILURE(Check(5, words, filters, &random));
  }
}

BNN_FOR_EACH_BACKEND(XnorSignsTest);

}  // namespace
}  // namespace bnn::testing
