// One backend an instruction set: the inner loops and the data formats they want. Everything that decides is outside of them.
//
// A backend is a table of functions. To add one, see CONTRIBUTING.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/bits.h"
#include "core/geometry.h"

namespace bnn {

// Signs instead of floats. Bit f % 16 of to[r][f / 16] is
//
//   (sum < threshold[r][f]) xor bit f % 16 of flip[r][f / 16],     0 behind the last filter
//
// `threshold` may be read up to the next multiple of 16 filters; `flip` has no bits behind the last.
struct SignRows {
  const int32_t* const* threshold = nullptr;
  const uint16_t* const* flip = nullptr;
  SignHalf* const* to = nullptr;
};

// Packed input rows against packed filters. A row is a run of `pieces` pieces, piece i of row r being `piece_words` words at
// a[r*pieces + i], both at least 1; `filters` filters follow from `bits`, blocks of 16 being words()*16 apart.
//
//   y[r*y_stride + f] = float(base[r][f] - 2*popcount(row r xor bits[f])) * alpha[f] * scale[r]
//
// `base` is the number of signs in the run, corrected at the border; it may be read up to the next multiple of 16 filters.
// `alpha` and `y` are touched for `filters` values only; not at all where `signs.to` says that signs are wanted, of the sums
// base - 2*popcount alone.
struct XnorGemm {
  int64_t words() const { return pieces * piece_words; }

  const uint32_t* const* a;
  int64_t pieces;
  int64_t piece_words;
  int64_t rows;
  const uint32_t* bits;
  int64_t filters;
  const int32_t* const* base;
  const float* alpha;
  const float* scale;  // null: 1
  float* y;
  int64_t y_stride;
  SignRows signs = {};
};

// Tables of signed sums against packed filters. A row's tables lie at table[r] + offset[t]: the signed sums of input quad t, the
// 4 inputs that bits 4t..4t+3 of the filters' run refer to.
//
//   y[r*y_stride + f] = (accumulate ? y : 0) + sum_t signed_sum(t, bits 4t..4t+3 of filter f)     then * alpha[f] where given
struct LookupGemm {
  const float* const* table;
  const int64_t* offset;  // quads of them
  int64_t rows;
  const uint32_t* bits;  // word `word[i]` of a filter's run holds quads 8i..8i+7
  const int32_t* word;
  int64_t quads;
  int64_t words;  // of the whole run: blocks of 16 filters are words*16 apart
  int64_t filters;
  const float* alpha;  // null: leave the sum as it is
  bool accumulate;
  float* y;
  int64_t y_stride;
};

// Plain float32: c[i*c_stride + j] (+)= sum_{s,l} a[i*a_row + l*a_step + s*a_slab] * b[l*b_stride + s*b_slab + j], l < k, s <
// slabs. The slabs are the rows of an image: a sum over all its pixels stays in registers.
struct FloatGemm {
  int64_t m, n, k;
  const float* a;
  int64_t a_row, a_step;
  const float* b;
  int64_t b_stride;
  float* c;
  int64_t c_stride;
  bool accumulate;
  int64_t slabs = 1, a_slab = 0, b_slab = 0;
};

struct Backend {
  const char* name;
  bool (*supported)();

  // Signs of `pixels` x `channels` consecutive floats, one dense run of bits from the start of `words`; unused bits are 0.
  // `mean`, where not null, takes the mean of |x| over each pixel's channels.
  void (*pack_rows)(const float* x, int64_t pixels, int64_t channels, uint32_t* words, float* mean);

  // One block of up to 16 filters: rows w[k*stride], k < run, of `lanes` floats. The 16 sums of |w| are added to `abs_sum`.
  void (*pack_block)(const float* w, int64_t stride, int64_t run, int lanes, uint32_t* bits, double* abs_sum);

  // Of one packed block: the weights of -1 in each of `taps` consecutive stretches of `tap_bits` bits, counts[tap][lane].
  void (*count_taps)(const uint32_t* bits, int64_t taps, int64_t tap_bits, int32_t* counts);

  void (*xnor_gemm)(const XnorGemm& gemm);

  // Floats in a table of one input quad, and the tables of `quads` consecutive quads of inputs.
  int table_size;
  void (*build_tables)(const float* x, int64_t quads, float* tables);
  void (*lookup_gemm)(const LookupGemm& gemm);

  void (*float_gemm)(const FloatGemm& gemm);

  // About what xnor_gemm takes to meet one word with a block of 16 filters, in ns: whether a call is worth sharing hangs on it.
  double word_ns;
};

// Those compiled in, best first. The last runs everywhere.
const std::vector<const Backend*>& AllBackends();

// Those this machine runs, best first.
std::vector<const Backend*> SupportedBackends();

// The backend called `name`; the best one for "". An unknown or unsupported name is an error that lists the names.
Message FindBackend(const std::string& name, const Backend** backend);

// What BNN_TF_ISA forces, else the best. The environment is read once.
Message ActiveBackend(const Backend** backend);

}  // namespace bnn
