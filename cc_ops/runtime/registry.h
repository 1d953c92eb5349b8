// The ops that a graph may name.
#pragma once

#include <string>

#include "runtime/attributes.h"
#include "runtime/op.h"

namespace bnn {

using Reader = Prepare (*)(Attributes& a);

// Null where no op has that name.
Reader FindOp(const std::string& name);

// Their names, with commas between.
std::string OpNames();

}  // namespace bnn
