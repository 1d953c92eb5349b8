#include "py/packed_model.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/model.h"

namespace py = pybind11;
using namespace pybind11::literals;

namespace bnn {
namespace {

using Floats = py::array_t<float, py::array::c_style>;
using Pixels = py::array_t<uint8_t, py::array::c_style>;

void Check(const Message& error) {
  if (!error.empty()) throw py::value_error(error);
}

Sizes ShapeOf(const py::array& array) { return Sizes(array.shape(), array.shape() + array.ndim()); }

// An input in C order: floats of any width as float32, bytes as they are. Nothing is copied that fits already.
class Input {
 public:
  Input(const PackedModel& model, const py::array& x) : shape(ShapeOf(x)) {
    const char kind = x.dtype().kind();
    pixels = kind == 'u' && x.itemsize() == 1;
    if (kind != 'f' && !pixels) {
      Check(model.file().name() + ": an input is an array of floats, or of uint8 for pixels. Got dtype " +
            std::string(py::str(x.dtype())) + ". Convert it with x.astype(\"float32\").");
    }
    if (pixels) {
      array = py::array_t<uint8_t, py::array::c_style | py::array::forcecast>(x);
    } else {
      array = py::array_t<float, py::array::c_style | py::array::forcecast>(x);
    }
  }

  Sizes shape;
  bool pixels;
  py::array array;
};

Floats Run(const PackedModel& model, const py::array& x) {
  const Input input(model, x);
  Session session;
  {
    py::gil_scoped_release unlocked;
    if (Message error = model.Open(input.shape, input.pixels, &session); !error.empty()) {
      py::gil_scoped_acquire locked;
      Check(error);
    }
  }
  Floats y(session.output_shape());
  const void* from = input.array.data();
  float* to = y.mutable_data();
  py::gil_scoped_release unlocked;
  if (input.pixels) {
    session.Run(static_cast<const uint8_t*>(from), to);
  } else {
    session.Run(static_cast<const float*>(from), to);
  }
  session.Close();
  return y;
}

std::vector<double> Profile(const PackedModel& model, const py::array& x, int repeats) {
  const Input input(model, x);
  if (input.pixels) Check(model.file().name() + ": a profile takes floats. Convert with x.astype(\"float32\").");
  if (repeats < 1) Check("profile: `repeats` must be at least 1. Got " + std::to_string(repeats) + ".");
  Session session;
  Check(model.Open(input.shape, &session));
  const size_t nodes = model.graph().nodes.size();
  std::vector<std::vector<double>> runs(repeats, std::vector<double>(nodes));
  std::vector<float> y(session.output_size());
  const auto* from = static_cast<const float*>(input.array.data());
  py::gil_scoped_release unlocked;
  session.Run(from, y.data());  // the first run finds cold caches and pages
  for (std::vector<double>& times : runs) session.Profile(from, y.data(), times.data());
  std::vector<double> medians(nodes);
  for (size_t node = 0; node < nodes; ++node) {
    std::sort(runs.begin(), runs.end(), [&](const auto& a, const auto& b) { return a[node] < b[node]; });
    medians[node] = runs[repeats / 2][node];
  }
  return medians;
}

std::vector<std::vector<std::optional<int64_t>>> Shapes(const PackedModel& model,
                                                        const std::vector<std::optional<int64_t>>& input) {
  Sizes known;
  for (const auto& size : input) known.push_back(size.value_or(kUnknown));
  std::vector<Sizes> shapes;
  Check(model.Shapes(known, &shapes));
  std::vector<std::vector<std::optional<int64_t>>> result;
  for (const Sizes& shape : shapes) {
    auto& sizes = result.emplace_back();
    for (const int64_t size : shape) sizes.push_back(size == kUnknown ? std::nullopt : std::optional<int64_t>(size));
  }
  return result;
}

int64_t MemoryBytes(const PackedModel& model, const Sizes& input) {
  int64_t bytes;
  Check(model.MemoryBytes(input, &bytes));
  return bytes;
}

std::vector<std::pair<int, int64_t>> Activations(const PackedModel& model, const Sizes& input) {
  std::vector<ActivationMemory> activations;
  Check(model.Activations(input, &activations));
  std::vector<std::pair<int, int64_t>> result;
  for (const ActivationMemory& each : activations) result.emplace_back(each.bits, each.bytes);
  return result;
}

std::unique_ptr<PackedModel> Load(const std::string& path, int threads, const std::string& backend, bool signs) {
  std::unique_ptr<PackedModel> model;
  Message error;
  {
    py::gil_scoped_release unlocked;
    error = PackedModel::Load(path, {threads, backend, signs}, &model);
  }
  Check(error);
  return model;
}

}  // namespace

void DefinePackedModel(py::module_& m) {
  py::class_<PackedModel>(m, "PackedModel", "A packed model file, ready to run.")
      .def(py::init(&Load), "path"_a, "threads"_a = 0, "backend"_a = "", "signs"_a = true,
           "Maps and checks the file; raises ValueError with a sentence where it can't be used. Without `signs` all maps are "
           "floats: for comparison.")
      .def("run", Run, "x"_a, "The output for an input [batch, ...] of floats, or of uint8 pixels.")
      .def(
          "describe", [](const PackedModel& model) { return std::string(model.file().graph_text()); },
          "The graph of the file, as JSON.")
      .def("shapes", Shapes, "input_shape"_a, "The output shape of every node; None where a size is not known.")
      .def("memory", MemoryBytes, "input_shape"_a, "Bytes of memory that a run of this input shape takes, beside the weights.")
      .def("activations", Activations, "input_shape"_a, "Bits of a value, and bytes, of every node's output.")
      .def("profile", Profile, "x"_a, "repeats"_a = 1, "Median microseconds that each node takes.")
      .def_property_readonly("threads", &PackedModel::threads, "Threads that a run uses at most.")
      .def_property_readonly("backend", &PackedModel::backend, "The instruction set in use.")
      .def_property_readonly(
          "file_bytes", [](const PackedModel& model) { return model.file().bytes(); }, "The size of the file.");
}

}  // namespace bnn
