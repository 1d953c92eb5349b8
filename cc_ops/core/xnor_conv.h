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
#include "core/sign_layout.h"

namespace bnn {

struct XnorOptions {
  bool input_scaling = true;  // multiply by K; else K is 1
  int pad_value = 0;          // -1, 0 or +1
};

// Signs instead of a map of floats: of each integer sum n (without K and alpha) the bit (n < threshold) xor flip. Filters are
// padded to whole blocks, with the lowest threshold and no flip.
struct SignOutput {
  SignLayout layout;                    // of the output
  const int32_t* thresholds = nullptr;  // [position][group][blocks * 16]
  const uint16_t* flips = nullptr;      // [position][group][blocks]
  const int32_t* positions = nullptr;   // of each pixel of an output image; null: thresholds are the same for all
};

// What a map is where it isn't floats: signs in a layout, which x and y then point to.
struct XnorMaps {
  const SignLayout* input = nullptr;
  const SignOutput* output = nullptr;  // without input_scaling; `alpha` and `done` are not used
};

int64_t XnorConvScratchBytes(const Executor& executor, const ConvGeometry& g, const XnorOptions& options,
                             const XnorMaps& maps = {});

// x: NHWC input. bits, alpha: of PackKernel. y: NHWC output. `done` may be null.
void XnorConv(const Executor& executor, const ConvGeometry& g, const XnorOptions& options, const float* x, const uint32_t* bits,
              const float* alpha, float* y, void* scratch, const PartDone* done = nullptr);

// The same with maps of signs for x or y, or both.
void XnorConv(const Executor& executor, const ConvGeometry& g, const XnorOptions& options, const XnorMaps& maps, const void* x,
              const uint32_t* bits, const float* alpha, void* y, void* scratch, const PartDone* done);

}  // namespace bnn
