// Binary weights, binary input (XNOR-Net, Rastegari et al. 2016, equations 8-11):
//
//   y[n,p,q,o] = K[n,p,q] * alpha[o] * sum_{i,j,c} sign(x)[n, p*s + i*d - top, q*s + j*d - left, c] * sign(w[i,j,c,o])
//
// The sum is an exact integer. Outside the image sign(x) is `pad_value`. K and alpha are float32; the sum of |x| over the
// channels of a pixel is too, so that inputs near the largest float make K infinite.
#pragma once

#include <cstdint>

#include "core/executor.h"
#include "core/geometry.h"

namespace bnn {

struct XnorOptions {
  bool input_scaling = true;  // multiply by K; else K is 1
  int pad_value = 0;          // -1, 0 or +1
};

int64_t XnorConvScratchBytes(const Executor& executor, const ConvGeometry& g, const XnorOptions& options);

// x: NHWC input. bits, alpha: of PackKernel. y: NHWC output. `done` may be null.
void XnorConv(const Executor& executor, const ConvGeometry& g, const XnorOptions& options, const float* x, const uint32_t* bits,
              const float* alpha, float* y, void* scratch, const PartDone* done = nullptr);

}  // namespace bnn
