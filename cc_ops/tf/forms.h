// The two forms that a layer takes, convolution and dense: how each reads its attributes and turns shapes into a geometry. The
// shape functions ask while a graph is built, with sizes that may be unknown; the kernels ask again when it runs.
#pragma once

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "core/arguments.h"
#include "core/geometry.h"

namespace bnn::ops {

class ConvForm {
 public:
  static constexpr int kRank = 4;

  explicit ConvForm(const std::string& op) { request_.op = op; }

  // `Context` is an OpKernelConstruction or an InferenceContext.
  template <typename Context>
  absl::Status Read(const Context& context) {
    Sizes strides, dilations, padding;
    for (auto [name, list] : {std::pair{"strides", &strides}, {"dilations", &dilations}, {"explicit_paddings", &padding}}) {
      if (absl::Status status = context.GetAttr(name, list); !status.ok()) return status;
    }
    if (absl::Status status = context.GetAttr("padding", &request_.padding); !status.ok()) return status;
    if (absl::Status status = context.GetAttr("groups", &request_.groups); !status.ok()) return status;
    return SetLists(strides, dilations, padding);
  }

  const std::string& op() const { return request_.op; }
  Message Geometry(const Sizes& x, const Sizes& kernel, ConvGeometry* g) const { return ConvOfShapes(request_, x, kernel, g); }
  static Sizes OutputShape(const ConvGeometry& g) { return ConvOutputShape(g); }

 private:
  absl::Status SetLists(const Sizes& strides, const Sizes& dilations, const Sizes& padding);

  ConvRequest request_;
};

class DenseForm {
 public:
  static constexpr int kRank = 2;

  explicit DenseForm(const std::string& op) : op_(op) {}

  template <typename Context>
  absl::Status Read(const Context&) {
    return absl::OkStatus();
  }

  const std::string& op() const { return op_; }
  Message Geometry(const Sizes& x, const Sizes& kernel, ConvGeometry* g) const { return DenseOfShapes(op_, x, kernel, g); }
  static Sizes OutputShape(const ConvGeometry& g) { return DenseOutputShape(g); }

 private:
  std::string op_;
};

}  // namespace bnn::ops
