// K of XNOR-Net: the mean of |x| over each window (Rastegari et al. 2016, section 3.2), zero outside the image, always divided by
// kh*kw.
//
//   K[p,q] = 1/(kh*kw) * sum_{i,j} A[p*s + i*d - top, q*s + j*d - left]
//
// Few taps are added as they are, rows first, for each line of outputs where it is wanted. For more, a summed-area table makes
// the cost independent of the kernel's size. One table over the whole image would lose digits by cancellation, and one infinity
// would spoil every window after it. So the prefix sums start anew every k taps, from both ends (van Herk 1992; Gil and Werman
// 1993): each window is the end of one block and the start of the next, nothing is subtracted, and no value outside a window
// reaches it. Sums are float64: a window of n values errs by at most n * 2^-53 of its sum, and rounding to float32 (2^-24) is all
// that is left, on an image of any size.
#pragma once

#include <cstdint>

#include "core/executor.h"
#include "core/geometry.h"
#include "core/scratch.h"

namespace bnn {

class WindowMean {
 public:
  WindowMean(const Executor& executor, const ConvGeometry& g, ScratchCursor* scratch);

  // What must be done before Line may be asked, as independent items: nothing where a window has few taps. a: [batch, group, row,
  // column], the same for both.
  int64_t items() const { return whole_ ? g_.batch * g_.groups : 0; }
  void RunItem(const float* a, int64_t item, int worker) const;

  // K of `count` outputs from (plane, p, q) on, which must not leave the row. plane: of [batch, group].
  void Line(const float* a, int64_t plane, int64_t p, int64_t q, int64_t count, float* k, int worker) const;

  // All of it. k: [batch, group, p, q].
  void Run(const float* a, float* k) const;

  // The derivative: da += sum over the windows that contain a pixel of dk / (kh*kw). da: as a, dk: as k.
  static void AddGradient(const Executor& executor, const ConvGeometry& g, const float* dk, float* da);

 private:
  // So many taps are simply added: that vectorises, and costs less than two passes of prefix sums.
  static constexpr int64_t kFewTaps = 8;

  void AddLine(const float* a, int64_t p, int64_t q, int64_t count, float* k, double* middle) const;

  const Executor& executor_;
  const ConvGeometry& g_;
  bool identity_;  // a 1x1 kernel at stride 1: K is A itself
  bool whole_;     // lines are cut from a whole K
  int64_t middle_size_, lines_size_;
  double* middle_;  // of each worker: windows of rows, columns still apart, and a line of sums
  double* prefix_;
  double* suffix_;
  float* k_;  // where it is whole
};

}  // namespace bnn
