#include "core/backend.h"

#include <cstdlib>

#include "core/kernels/kernels.h"

namespace bnn {
namespace {

std::string Names(const std::vector<const Backend*>& backends) {
  std::string names;
  for (const Backend* backend : backends) names += (names.empty() ? "" : ", ") + std::string(backend->name);
  return names;
}

}  // namespace

const std::vector<const Backend*>& AllBackends() {
  static const std::vector<const Backend*> all = {
#if defined(__x86_64__)
      &kAvx512,
      &kAvx512Bw,
      &kAvx2,
#elif defined(__aarch64__)
      &kNeon,
#endif
      &kPortable,
  };
  return all;
}

std::vector<const Backend*> SupportedBackends() {
  std::vector<const Backend*> supported;
  for (const Backend* backend : AllBackends()) {
    if (backend->supported()) supported.push_back(backend);
  }
  return supported;
}

Message FindBackend(const std::string& name, const Backend** backend) {
  const std::vector<const Backend*> supported = SupportedBackends();
  if (name.empty()) {
    *backend = supported.front();
    return {};
  }
  for (const Backend* candidate : supported) {
    if (name == candidate->name) {
      *backend = candidate;
      return {};
    }
  }
  for (const Backend* candidate : AllBackends()) {
    if (name == candidate->name) {
      return "BNN_TF_ISA: this processor does not run \"" + name + "\". Expected one of: " + Names(supported) + ".";
    }
  }
  return "BNN_TF_ISA: unknown instruction set \"" + name + "\". Expected one of: " + Names(supported) +
         " (unset it for the fastest).";
}

Message ActiveBackend(const Backend** backend) {
  struct Choice {
    const Backend* backend = nullptr;
    Message error;
    Choice() {
      const char* forced = std::getenv("BNN_TF_ISA");
      error = FindBackend(forced ? forced : "", &backend);
    }
  };
  static const Choice choice;
  *backend = choice.backend;
  return choice.error;
}

}  // namespace bnn
