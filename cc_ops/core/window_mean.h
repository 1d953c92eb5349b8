// K of XNOR-Net: the mean of |x| over each window (Rastegari et al. 2016, section 3.2), zero outside the image, always divided by
// kh*kw.
//
//   K[p,q] = 1/(kh*kw) * sum_{i,j} A[p*s + i*d - top, q*s + j*d - left]
//
// A summed-area table makes the cost independent of the kernel's size. One table over the whole image would lose digits by
// cancellation, and one infinity would spoil every window after it. So the prefix sums start anew every k taps, from both ends
// (van Herk 1992; Gil and Werman 1993): each window is the end of one block and the start of the next, nothing is subtracted, and
// no value outside a window reaches it. Sums are float64: a window of n values errs by at most n * 2^-53 of its sum, and rounding
// to float32 (2^-24) is all that is left, on an image of any size.
#pragma once

#include <cstdint>

#include "core/executor.h"
#include "core/geometry.h"
#include "core/scratch.h"

namespace bnn {

class WindowMean {
 public:
  WindowMean(const Executor& executor, const ConvGeometry& g, ScratchCursor* scratch);

  // The work, as independent items. a: [batch, group, row, column]. k: [batch, group, p, q].
  int64_t items() const { return g_.batch * g_.groups; }
  void RunItem(const float* a, float* k, int64_t item, int worker) const;

  // All of it.
  void Run(const float* a, float* k) const;

  // The derivative: da += sum over the windows that contain a pixel of dk / (kh*kw). da: as a, dk: as k.
  static void AddGradient(const Executor& executor, const ConvGeometry& g, const float* dk, float* da);

  // A 1x1 kernel at stride 1: K is A itself.
  static bool IsIdentity(const ConvGeometry& g);

 private:
  const Executor& executor_;
  const ConvGeometry& g_;
  int64_t middle_size_, lines_size_;
  double* middle_;  // [p, column] of each worker: windows of rows, columns still apart
  double* prefix_;
  double* suffix_;
};

}  // namespace bnn
