// Core's messages as TensorFlow's errors.
#pragma once

#include "absl/status/status.h"
#include "core/geometry.h"

namespace bnn::ops {

inline absl::Status Invalid(const Message& message) {
  return message.empty() ? absl::OkStatus() : absl::InvalidArgumentError(message);
}

}  // namespace bnn::ops
