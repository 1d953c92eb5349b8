#include "runtime/json.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace bnn {
namespace {

// Bytes of the UTF-8 sequence that `text` begins with; 0 where it is none (overlong forms, surrogates and cut ones included).
size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto follows = [&](size_t i, unsigned first = 0x80, unsigned last = 0xBF) { return byte(i) >= first && byte(i) <= last; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return follows(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    return follows(1, lead == 0xE0 ? 0xA0 : 0x80, lead == 0xED ? 0x9F : 0xBF) && follows(2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    return follows(1, lead == 0xF0 ? 0x90 : 0x80, lead == 0xF4 ? 0x8F : 0xBF) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

void AppendUtf8(uint32_t point, std::string* text) {
  const auto add = [&](uint32_t byte) { text->push_back(static_cast<char>(byte)); };
  if (point < 0x80) {
    add(point);
  } else if (point < 0x800) {
    add(0xC0 | point >> 6);
    add(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    add(0xE0 | point >> 12);
    add(0x80 | (point >> 6 & 0x3F));
    add(0x80 | (point & 0x3F));
  } else {
    add(0xF0 | point >> 18);
    add(0x80 | (point >> 12 & 0x3F));
    add(0x80 | (point >> 6 & 0x3F));
    add(0x80 | (point & 0x3F));
  }
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Message Parse(Json* value) {
    if (static_cast<int64_t>(text_.size()) > kMaxJsonBytes) return "JSON text may have at most 64 MiB";
    if (Value(value, 1)) {
      SkipSpace();
      if (at_ != text_.size()) Fail("nothing more was expected");
    }
    return error_;
  }

 private:
  using Kind = Json::Kind;

  bool Fail(const char* what) {
    if (error_.empty()) error_ = std::string(what) + " at byte " + std::to_string(at_);
    return false;
  }

  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  bool Take(char c) {
    if (Peek() != c || at_ == text_.size()) return false;
    ++at_;
    return true;
  }

  void SkipSpace() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) ++at_;
  }

  bool Value(Json* value, int depth) {
    if (depth > kMaxJsonDepth) return Fail("values are nested more than 16 deep");
    if (++values_ > kMaxJsonValues) return Fail("there are more than 2^18 values");
    SkipSpace();
    switch (Peek()) {
      case '{':
        return Object(value, depth);
      case '[':
        return List(value, depth);
      case '"':
        value->kind = Kind::kText;
        return Text(&value->text);
      case 't':
        value->boolean = true;
        return Word("true", Kind::kBool, value);
      case 'f':
        return Word("false", Kind::kBool, value);
      case 'n':
        return Word("null", Kind::kNull, value);
      default:
        return Number(value);
    }
  }

  bool Word(std::string_view word, Kind kind, Json* value) {
    if (text_.substr(at_, word.size()) != word) return Fail("a value was expected");
    at_ += word.size();
    value->kind = kind;
    return true;
  }

  bool List(Json* value, int depth) {
    value->kind = Kind::kList;
    ++at_;
    SkipSpace();
    if (Take(']')) return true;
    do {
      value->items.emplace_back();
      if (!Value(&value->items.back(), depth + 1)) return false;
      SkipSpace();
    } while (Take(','));
    return Take(']') || Fail("a comma or ] was expected");
  }

  bool Object(Json* value, int depth) {
    value->kind = Kind::kObject;
    ++at_;
    SkipSpace();
    if (Take('}')) return true;
    do {
      SkipSpace();
      std::string key;
      if (Peek() != '"') return Fail("a key was expected");
      if (!Text(&key)) return false;
      if (value->Find(key)) return Fail("a key stands there twice");
      if (static_cast<int64_t>(value->keys.size()) == kMaxJsonKeys) return Fail("an object has more than 256 keys");
      SkipSpace();
      if (!Take(':')) return Fail("a colon was expected");
      value->items.emplace_back();
      if (!Value(&value->items.back(), depth + 1)) return false;
      value->keys.push_back(std::move(key));
      SkipSpace();
    } while (Take(','));
    return Take('}') || Fail("a comma or } was expected");
  }

  bool Text(std::string* text) {
    ++at_;
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] == '\\') {
        if (!Escape(text)) return false;
        continue;
      }
      if (static_cast<unsigned char>(text_[at_]) < 0x20) return Fail("a control character stands in a string");
      const size_t length = Utf8Length(text_.substr(at_));
      if (length == 0) return Fail("a string is not valid UTF-8");
      text->append(text_, at_, length);
      at_ += length;
    }
    return Take('"') || Fail("a string does not end");
  }

  bool Escape(std::string* text) {
    static constexpr std::string_view kNames = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
    ++at_;
    if (const size_t known = kNames.find(Peek()); known != std::string_view::npos && at_ < text_.size()) {
      text->push_back(kMeanings[known]);
      ++at_;
      return true;
    }
    uint32_t point;
    if (!Unit(&point)) return false;
    if (point >= 0xD800 && point < 0xDC00) {
      uint32_t low;
      if (!Take('\\') || !Unit(&low)) return Fail("half of a surrogate pair");
      if (low < 0xDC00 || low > 0xDFFF) return Fail("half of a surrogate pair");
      point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
    } else if (point >= 0xDC00 && point <= 0xDFFF) {
      return Fail("half of a surrogate pair");
    }
    AppendUtf8(point, text);
    return true;
  }

  // uXXXX
  bool Unit(uint32_t* unit) {
    if (!Take('u') || text_.size() - at_ < 4) return Fail("an unknown escape");
    const char* first = text_.data() + at_;
    const auto [end, code] = std::from_chars(first, first + 4, *unit, 16);
    if (code != std::errc() || end != first + 4) return Fail("an unknown escape");
    at_ += 4;
    return true;
  }

  bool Digits() {
    const size_t first = at_;
    while (Peek() >= '0' && Peek() <= '9') ++at_;
    return at_ > first;
  }

  bool Number(Json* value) {
    const size_t first = at_;
    Take('-');
    if (!Take('0') && !Digits()) return Fail("a value was expected");
    bool real = false;
    if (Take('.')) {
      real = true;
      if (!Digits()) return Fail("digits were expected");
    }
    if (Take('e') || Take('E')) {
      real = true;
      if (!Take('+')) Take('-');
      if (!Digits()) return Fail("digits were expected");
    }
    const char *begin = text_.data() + first, *end = text_.data() + at_;
    value->kind = real ? Kind::kReal : Kind::kInteger;
    if (!real && std::from_chars(begin, end, value->integer).ec != std::errc()) return Fail("an integer leaves 64 bits");
    if (std::from_chars(begin, end, value->real).ec != std::errc()) return Fail("a number leaves the range of double");
    return true;
  }

  std::string_view text_;
  size_t at_ = 0;
  int64_t values_ = 0;
  Message error_;
};

}  // namespace

const Json* Json::Find(std::string_view key) const {
  const auto found = std::find(keys.begin(), keys.end(), key);
  return found == keys.end() ? nullptr : &items[found - keys.begin()];
}

Message ParseJson(std::string_view text, Json* value) {
  *value = Json();
  return Parser(text).Parse(value);
}

std::string QuoteJson(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (byte < 0x20) {
      quoted += {'\\', 'u', '0', '0', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

}  // namespace bnn
