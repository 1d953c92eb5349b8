// bnn_tf._core.PackedModel: the runtime for NumPy.
#pragma once

#include <pybind11/pybind11.h>

namespace bnn {

void DefinePackedModel(pybind11::module_& m);

}  // namespace bnn
