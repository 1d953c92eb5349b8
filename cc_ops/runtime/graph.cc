#include "runtime/graph.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "runtime/attributes.h"
#include "runtime/registry.h"

namespace bnn {
namespace {

using Kind = Json::Kind;

constexpr size_t kMaxPreprocessed = 1024;  // channels: a table of 256 values each is made of them
constexpr const char* kSections[] = {"format",        "name",  "producer", "provenance", "classes",
                                     "preprocessing", "input", "tensors",  "nodes",      "outputs"};

class GraphReader {
 public:
  GraphReader(const PackedFile& file, Graph* graph) : file_(file), json_(file.graph()), graph_(*graph) {}

  Message Read() {
    graph_.file = file_.name();
    for (auto step : {&GraphReader::ReadSections, &GraphReader::ReadTexts, &GraphReader::ReadInput,
                      &GraphReader::ReadPreprocessing, &GraphReader::ReadNodes, &GraphReader::ReadOutput}) {
      if (Message error = (this->*step)(); !error.empty()) return error;
    }
    return {};
  }

 private:
  Message Refuse(const std::string& what) const { return file_.name() + ": " + what; }

  Message ReadSections() {
    for (const char* section : kSections) {
      if (!json_.Find(section)) return Refuse("the graph has no `" + std::string(section) + "`.");
    }
    for (const std::string& key : json_.keys) {
      if (std::find(std::begin(kSections), std::end(kSections), key) == std::end(kSections)) {
        return Refuse("the graph has an unknown section " + QuoteJson(key) + ". A newer bnn_tf wrote the file.");
      }
    }
    const Json& format = *json_.Find("format");
    if (!format.is(Kind::kInteger) || format.integer != kFormatVersion) return Refuse("the graph's `format` must be 1.");
    return {};
  }

  Message ReadTexts() {
    for (auto [key, text] : {std::pair{"name", &graph_.name}, {"producer", &graph_.producer}}) {
      const Json& json = *json_.Find(key);
      if (!json.is(Kind::kText)) return Refuse("`" + std::string(key) + "` must be a string.");
      *text = json.text;
    }
    const Json& classes = *json_.Find("classes");
    for (const Json& name : classes.items) {
      if (name.is(Kind::kText)) graph_.classes.push_back(name.text);
    }
    if (!classes.is(Kind::kList) || graph_.classes.size() != classes.items.size()) {
      return Refuse("`classes` must be a list of strings.");
    }
    if (!json_.Find("provenance")->is(Kind::kObject)) return Refuse("`provenance` must be an object.");
    return {};
  }

  Message ReadInput() {
    const Json& input = *json_.Find("input");
    const Json *shape = input.Find("shape"), *resizable = input.Find("resizable");
    if (!shape || !shape->is(Kind::kList) || !resizable || !resizable->is(Kind::kBool) || input.keys.size() != 2) {
      return Refuse("`input` must have a shape and say whether it is resizable.");
    }
    graph_.resizable = resizable->boolean;
    for (const Json& size : shape->items) {
      const bool any = size.is(Kind::kNull) && graph_.resizable && graph_.input.size() < 2;
      if (!any && (!size.is(Kind::kInteger) || size.integer < 1 || size.integer > kMaxImageSide)) {
        return Refuse("the sizes of the input must lie in 1..2^20.");
      }
      graph_.input.push_back(any ? kUnknown : size.integer);
    }
    if (graph_.input.empty() || graph_.input.size() > 3 || (graph_.resizable && graph_.input.size() != 3)) {
      return Refuse("the input must have 1 to 3 sizes beside the batch, and 3 where it is resizable. Got shape " +
                    Text(graph_.input) + ".");
    }
    return {};
  }

  Message ReadPreprocessing() {
    const Json& json = *json_.Find("preprocessing");
    if (json.is(Kind::kNull)) return {};
    for (auto [key, values] : {std::pair{"mean", &graph_.mean}, {"deviation", &graph_.deviation}}) {
      const Json* list = json.Find(key);
      const bool whole = list && list->is(Kind::kList) && static_cast<int64_t>(list->items.size()) == graph_.input.back();
      for (size_t i = 0; whole && i < list->items.size(); ++i) {
        if (list->items[i].number()) values->push_back(static_cast<float>(list->items[i].real));
      }
      const auto usable = [&](float value) { return std::isfinite(value) && (key[0] == 'm' || value != 0); };
      if (!whole || values->size() != list->items.size() || !std::all_of(values->begin(), values->end(), usable)) {
        return Refuse("`preprocessing` must be null, or have a mean and a deviation other than 0 for each channel.");
      }
    }
    if (graph_.mean.size() > kMaxPreprocessed) return Refuse("`preprocessing` is for 1024 channels at most.");
    // For whoever prepares pictures; nothing here cuts any.
    const Json* side = json.Find("short_side");
    if (side && !side->is(Kind::kNull) && (!side->is(Kind::kInteger) || side->integer < 1 || side->integer > kMaxImageSide)) {
      return Refuse("the preprocessing's `short_side` must be null or lie in 1..2^20.");
    }
    if (json.keys.size() != (side ? 3 : 2)) {
      return Refuse("`preprocessing` has a mean, a deviation and perhaps a short_side, and nothing else.");
    }
    return {};
  }

  Message ReadNodes() {
    const Json& nodes = *json_.Find("nodes");
    if (!nodes.is(Kind::kList) || nodes.items.empty() || nodes.items.size() > kMaxNodes) {
      return Refuse("`nodes` must be a list of 1 to 4096 nodes.");
    }
    graph_.nodes.resize(nodes.items.size());
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (Message error = ReadNode(nodes.items[i], i, &graph_.nodes[i]); !error.empty()) {
        return graph_.Where(i) + error;
      }
    }
    return {};
  }

  Message ReadNode(const Json& json, size_t index, Node* node) {
    const Json *op = json.Find("op"), *name = json.Find("name"), *inputs = json.Find("inputs");
    if (!op || !op->is(Kind::kText) || !name || !name->is(Kind::kText) || !inputs || !inputs->is(Kind::kList)) {
      return "must have an op, a name and inputs.";
    }
    node->op = op->text;
    node->name = name->text;
    for (const Json& input : inputs->items) {
      if (!input.is(Kind::kInteger) || input.integer < kModelInput || input.integer >= static_cast<int64_t>(index)) {
        return "its inputs must be -1, the model's input, or nodes before it.";
      }
      node->inputs.push_back(static_cast<int>(input.integer));
    }
    const Reader read = FindOp(node->op);
    if (!read) return "unknown op. Known: " + OpNames() + ". A newer bnn_tf wrote the file, or it is damaged.";
    if (node->inputs.empty()) return "has no inputs.";
    Attributes attributes(json, file_.tensors());
    node->prepare = read(attributes);
    return attributes.Finish();
  }

  Message ReadOutput() {
    const Json& outputs = *json_.Find("outputs");
    const auto nodes = static_cast<int64_t>(graph_.nodes.size());
    if (!outputs.is(Kind::kList) || outputs.items.size() != 1 || !outputs.items[0].is(Kind::kInteger) ||
        outputs.items[0].integer < 0 || outputs.items[0].integer >= nodes) {
      return Refuse("`outputs` must be a list of one node, of " + std::to_string(nodes) + ".");
    }
    graph_.output = static_cast<int>(outputs.items[0].integer);
    return {};
  }

  const PackedFile& file_;
  const Json& json_;
  Graph& graph_;
};

}  // namespace

std::string Graph::Where(size_t node) const {
  const std::string& op = nodes[node].op;
  return file + ": node " + std::to_string(node) + " " + QuoteJson(nodes[node].name) + (op.empty() ? "" : " (" + op + ")") + ": ";
}

Message Graph::CheckInput(const Sizes& shape) const {
  bool fits = shape.size() == input.size() + 1 && shape[0] >= 0;
  for (size_t axis = 0; fits && axis < input.size(); ++axis) {
    const int64_t size = shape[axis + 1];
    const bool free = resizable && axis < 2;
    fits = free ? size >= 1 : size == input[axis];
  }
  if (!fits) {
    Sizes expected = {kUnknown};
    for (size_t axis = 0; axis < input.size(); ++axis) expected.push_back(resizable && axis < 2 ? kUnknown : input[axis]);
    return file + ": takes an input of shape " + Text(expected) + ". Got shape " + Text(shape) + ".";
  }
  if (Elements(shape) > kMaxActivation) return file + ": an input may have at most 2^31 values. Use a smaller batch.";
  return {};
}

Message ReadGraph(const PackedFile& file, Graph* graph) { return GraphReader(file, graph).Read(); }

Message PrepareSteps(const Graph& graph, const Machine& machine, const Sizes& input, std::vector<Step>* steps) {
  steps->assign(graph.nodes.size(), Step());
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    std::vector<Sizes> shapes;
    for (const int node : graph.nodes[i].inputs) shapes.push_back(node == kModelInput ? input : (*steps)[node].shape);
    Step& step = (*steps)[i];
    if (Message error = graph.nodes[i].prepare(machine, shapes, &step); !error.empty()) return graph.Where(i) + error;
    if (step.scratch_bytes > kMaxArenaBytes) {
      return graph.Where(i) + "needs " + std::to_string(step.scratch_bytes) + " bytes of scratch memory. The bound is 2^34.";
    }
  }
  return {};
}

}  // namespace bnn
