// That the backends there should be are there, and that the one asked for is the one running.
#include "core/backend.h"

#include <gtest/gtest.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace bnn {
namespace {

// What the operating system says of this processor, which is not what the backends ask.
#if defined(__aarch64__)
// /proc/cpuinfo is another machine's under qemu-user; the auxiliary vector is this one's.
std::set<std::string> ProcessorFlags() {
  std::set<std::string> flags = {"fp"};
  if (getauxval(AT_HWCAP) & HWCAP_ASIMD) flags.insert("asimd");
  return flags;
}
#else
std::set<std::string> ProcessorFlags() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("flags", 0) != 0) continue;
    std::istringstream words(line.substr(line.find(':') + 1));
    std::set<std::string> flags;
    for (std::string word; words >> word;) flags.insert(word);
    return flags;
  }
  return {};
}
#endif

// A new backend is not tested until its line is here.
const std::map<std::string, std::vector<std::string>> kFlagsOfBackend = {
    {"avx512", {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vpopcntdq", "fma", "bmi2"}},
    {"avx512bw", {"avx512f", "avx512bw", "avx512dq", "avx512vl", "fma", "bmi2"}},
    {"avx2", {"avx2", "fma", "bmi2"}},
    {"neon", {"asimd"}},
    {"portable", {}},
};

std::string Names(const std::vector<const Backend*>& backends) {
  std::string names;
  for (const Backend* backend : backends) names += (names.empty() ? "" : ", ") + std::string(backend->name);
  return names;
}

TEST(Backends, EveryOneCompiledInIsKnownToTheTests) {
  std::set<std::string> names;
  for (const Backend* backend : AllBackends()) {
    EXPECT_TRUE(kFlagsOfBackend.count(backend->name)) << backend->name;
    EXPECT_TRUE(names.insert(backend->name).second) << backend->name << " is there twice";
  }
  EXPECT_STREQ(AllBackends().back()->name, "portable");
#if defined(__x86_64__)
  EXPECT_EQ(Names(AllBackends()), "avx512, avx512bw, avx2, portable");
#elif defined(__aarch64__)
  EXPECT_EQ(Names(AllBackends()), "neon, portable");
#endif
}

TEST(Backends, EveryOneThatTheProcessorRunsIsTested) {
  const std::set<std::string> flags = ProcessorFlags();
  if (flags.empty()) GTEST_SKIP() << "no /proc/cpuinfo";
  std::string expected;
  for (const Backend* backend : AllBackends()) {
    bool runs = true;
    for (const std::string& flag : kFlagsOfBackend.at(backend->name)) runs = runs && flags.count(flag) > 0;
    if (runs) expected += (expected.empty() ? "" : ", ") + std::string(backend->name);
  }
  // The tests that are made once a backend go over this list.
  EXPECT_EQ(Names(SupportedBackends()), expected);
}

TEST(Backends, EachHasEveryFunction) {
  for (const Backend* backend : AllBackends()) {
    SCOPED_TRACE(backend->name);
    EXPECT_TRUE(backend->supported && backend->pack_rows && backend->pack_block && backend->count_taps && backend->xnor_gemm &&
                backend->build_tables && backend->lookup_gemm && backend->float_gemm);
    EXPECT_GT(backend->table_size, 0);
  }
}

TEST(FindBackend, GivesTheOneNamed) {
  for (const Backend* backend : SupportedBackends()) {
    const Backend* found = nullptr;
    EXPECT_EQ(FindBackend(backend->name, &found), "");
    EXPECT_EQ(found, backend);
  }
}

TEST(FindBackend, TheEmptyNameGivesTheBest) {
  const Backend* found = nullptr;
  EXPECT_EQ(FindBackend("", &found), "");
  EXPECT_EQ(found, SupportedBackends().front());
}

TEST(FindBackend, AnUnknownNameIsAnErrorThatListsTheNames) {
  const Backend* found = nullptr;
  for (const char* name : {"sse9", "AVX2", " avx2", "avx"}) {
    EXPECT_EQ(FindBackend(name, &found), "BNN_TF_ISA: unknown instruction set \"" + std::string(name) + "\". Expected one of: " +
                                             Names(SupportedBackends()) + " (unset it for the fastest).");
  }
  EXPECT_EQ(found, nullptr);
}

TEST(FindBackend, AnUnsupportedNameIsAnErrorThatListsTheNames) {
  for (const Backend* backend : AllBackends()) {
    if (backend->supported()) continue;
    const Backend* found = nullptr;
    EXPECT_EQ(FindBackend(backend->name, &found), "BNN_TF_ISA: this processor does not run \"" + std::string(backend->name) +
                                                      "\". Expected one of: " + Names(SupportedBackends()) + ".");
    EXPECT_EQ(found, nullptr);
  }
}

// The environment is read once a process, so each value wants a process of its own. GoogleTest runs suites of this name first,
// while there is one thread and nothing has asked for the active backend yet.
class ActiveBackendDeathTest : public ::testing::Test {
 protected:
  static void Report() {
    const Backend* backend = nullptr;
    const Message error = ActiveBackend(&backend);
    std::fprintf(stderr, "<%s>", error.empty() ? backend->name : error.c_str());
  }
  static void ReportAndExit(const char* forced) {
    if (forced) {
      setenv("BNN_TF_ISA", forced, 1);
    } else {
      unsetenv("BNN_TF_ISA");
    }
    Report();
    std::_Exit(0);
  }
};

TEST_F(ActiveBackendDeathTest, TheForcedOneRuns) {
  for (const Backend* backend : SupportedBackends()) {
    EXPECT_EXIT(ReportAndExit(backend->name), ::testing::ExitedWithCode(0), "<" + std::string(backend->name) + ">");
  }
}

TEST_F(ActiveBackendDeathTest, NothingForcedIsTheBest) {
  const std::string best = "<" + std::string(SupportedBackends().front()->name) + ">";
  EXPECT_EXIT(ReportAndExit(nullptr), ::testing::ExitedWithCode(0), best);
  EXPECT_EXIT(ReportAndExit(""), ::testing::ExitedWithCode(0), best);
}

TEST_F(ActiveBackendDeathTest, AnUnknownNameIsAnError) {
  EXPECT_EXIT(ReportAndExit("sse9"), ::testing::ExitedWithCode(0),
              "<BNN_TF_ISA: unknown instruction set \"sse9\". Expected one of: " + Names(SupportedBackends()));
}

TEST_F(ActiveBackendDeathTest, TheEnvironmentIsReadOnce) {
  const auto change = [] {
    setenv("BNN_TF_ISA", "portable", 1);
    Report();
    ReportAndExit("sse9");
  };
  EXPECT_EXIT(change(), ::testing::ExitedWithCode(0), "<portable><portable>");
}

}  // namespace
}  // namespace bnn
