// The readers of all ops; registry.cc lists them by name.
#pragma once

#include "runtime/attributes.h"
#include "runtime/op.h"

namespace bnn {

// A failed `a` may return anything: the node is refused.
Prepare ReadConv2D(Attributes& a);
Prepare ReadDense(Attributes& a);
Prepare ReadBinaryConv2D(Attributes& a);
Prepare ReadBinaryConvInput2D(Attributes& a);
Prepare ReadBinaryDense(Attributes& a);
Prepare ReadBinaryDenseInput(Attributes& a);

Prepare ReadMaxPool2D(Attributes& a);
Prepare ReadAveragePool2D(Attributes& a);
Prepare ReadGlobalAveragePool(Attributes& a);
Prepare ReadGlobalMaxPool(Attributes& a);

Prepare ReadScaleShift(Attributes& a);
Prepare ReadActivationOp(Attributes& a);
Prepare ReadAdd(Attributes& a);
Prepare ReadMultiply(Attributes& a);
Prepare ReadSubtract(Attributes& a);
Prepare ReadMaximum(Attributes& a);
Prepare ReadAverage(Attributes& a);
Prepare ReadLrn(Attributes& a);
Prepare ReadSoftmax(Attributes& a);

Prepare ReadConcat(Attributes& a);
Prepare ReadPad(Attributes& a);
Prepare ReadPadChannels(Attributes& a);
Prepare ReadFlatten(Attributes& a);
Prepare ReadReshape(Attributes& a);
Prepare ReadWindows(Attributes& a);

}  // namespace bnn
