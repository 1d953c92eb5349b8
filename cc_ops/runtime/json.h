// A strict reader of JSON (RFC 8259) for text that nobody vouches for: depth, number of values and keys are bounded, keys are
// unique, strings are valid UTF-8, and nothing stands behind the value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/geometry.h"

namespace bnn {

struct Json {
  enum class Kind { kNull, kBool, kInteger, kReal, kText, kList, kObject };

  Kind kind = Kind::kNull;
  bool boolean = false;
  int64_t integer = 0;
  double real = 0;  // of an integer too
  std::string text;
  std::vector<Json> items;        // of a list; of an object, in the order of `keys`
  std::vector<std::string> keys;  // of an object

  bool is(Kind other) const { return kind == other; }
  bool number() const { return is(Kind::kInteger) || is(Kind::kReal); }

  // The value of a key; null where there is none, or this is no object.
  const Json* Find(std::string_view key) const;
};

inline constexpr int64_t kMaxJsonBytes = int64_t{64} << 20;
inline constexpr int kMaxJsonDepth = 16;
inline constexpr int64_t kMaxJsonValues = int64_t{1} << 18;
inline constexpr int64_t kMaxJsonKeys = 256;  // of one object

// An error names the byte at which it was found.
Message ParseJson(std::string_view text, Json* value);

// `text` as a JSON string, quotes included.
std::string QuoteJson(std::string_view text);

}  // namespace bnn
