// The JSON reader: what it reads, and what it refuses.
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "runtime/crc32.h"
#include "runtime/json.h"

namespace bnn {
namespace {

Json Parsed(const std::string& text) {
  Json json;
  EXPECT_EQ(ParseJson(text, &json), "") << text;
  return json;
}

TEST(Json, ReadsEveryKindOfValue) {
  const Json json = Parsed(" {\"a\" : [1, -2.5e1, true, false, null, \"x\"],\n\t\"b\": {}, \"c\": []}\r\n");
  const Json& list = *json.Find("a");
  ASSERT_EQ(list.items.size(), 6u);
  EXPECT_EQ(list.items[0].integer, 1);
  EXPECT_EQ(list.items[0].real, 1.0);
  EXPECT_TRUE(list.items[1].is(Json::Kind::kReal));
  EXPECT_EQ(list.items[1].real, -25.0);
  EXPECT_TRUE(list.items[2].boolean);
  EXPECT_FALSE(list.items[3].boolean);
  EXPECT_TRUE(list.items[4].is(Json::Kind::kNull));
  EXPECT_EQ(list.items[5].text, "x");
  EXPECT_TRUE(json.Find("b")->is(Json::Kind::kObject));
  EXPECT_TRUE(json.Find("c")->items.empty());
  EXPECT_EQ(json.Find("d"), nullptr);
  EXPECT_EQ(list.Find("a"), nullptr);
}

TEST(Json, ReadsTheLimitsOfNumbers) {
  EXPECT_EQ(Parsed("9223372036854775807").integer, std::numeric_limits<int64_t>::max());
  EXPECT_EQ(Parsed("-9223372036854775808").integer, std::numeric_limits<int64_t>::min());
  EXPECT_EQ(Parsed("1.7976931348623157e308").real, std::numeric_limits<double>::max());
  EXPECT_EQ(Parsed("0").integer, 0);
  EXPECT_EQ(Parsed("0.1").real, 0.1);
}

TEST(Json, ReadsEscapesAndUtf8) {
  EXPECT_EQ(Parsed(R"("\"\\\/\b\f\n\r\t")").text, "\"\\/\b\f\n\r\t");
  EXPECT_EQ(Parsed(R"("\u0041\u00e9\u20AC\ud83d\ude00")").text, "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
  EXPECT_EQ(Parsed("\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\x7F\"").text, "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\x7F");
}

TEST(Json, RefusesWhatIsNoJson) {
  for (const char* text : {"",
                           " ",
                           "{",
                           "[",
                           "\"",
                           "[1",
                           "[1,",
                           "[1,]",
                           "[,1]",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{\"a\":1,}",
                           "{a:1}",
                           "{1:1}",
                           "tru",
                           "nul",
                           "NaN",
                           "Infinity",
                           "-",
                           "+1",
                           "01",
                           "1.",
                           ".5",
                           "1e",
                           "1e+",
                           "0x1",
                           "1 2",
                           "[1] x",
                           "'a'",
                           "\"\\x\"",
                           "\"\\u12\"",
                           "\"\\u12g4\"",
                           "\"\\ud800\"",
                           "\"\\ud800\\u0041\"",
                           "\"\\udc00\"",
                           "\"a\nb\"",
                           "\"\x80\"",
                           "\"\xC0\xAF\"",
                           "\"\xED\xA0\x80\"",
                           "\"\xF5\x80\x80\x80\"",
                           "\"\xE2\x82\"",
                           "9223372036854775808",
                           "1e999",
                           "{\"a\":1,\"a\":2}",
                           "// no\n1",
                           "1\f"}) {
    Json json;
    EXPECT_NE(ParseJson(text, &json), "") << text;
  }
}

TEST(Json, SaysWhatAndWhere) {
  Json json;
  EXPECT_EQ(ParseJson("[1, 2 3]", &json), "a comma or ] was expected at byte 6");
  EXPECT_EQ(ParseJson("{\"a\": 1, \"a\": 2}", &json), "a key stands there twice at byte 12");
}

TEST(Json, BoundsDepthValuesAndKeys) {
  Json json;
  EXPECT_EQ(ParseJson(std::string(16, '[') + std::string(16, ']'), &json), "");
  EXPECT_NE(ParseJson(std::string(17, '[') + std::string(17, ']'), &json), "");
  EXPECT_NE(ParseJson(std::string(10'000'000, '['), &json), "");
  std::string list = "[0", object = "{\"0\":0";
  for (int i = 1; i < 1 << 18; ++i) list += ",0";
  for (int i = 1; i < 257; ++i) object += ",\"" + std::to_string(i) + "\":0";
  EXPECT_NE(ParseJson(list + "]", &json), "");
  EXPECT_NE(ParseJson(object + "}", &json), "");
}

TEST(Json, QuotesWhatItReads) {
  const std::string text = "a\"\\\n\x01\xC3\xA9";
  EXPECT_EQ(Parsed(QuoteJson(text)).text, text);
}

// The check value of the catalogue of CRCs, and one by plain division.
TEST(Crc32, IsZlibs) {
  EXPECT_EQ(Crc32("123456789", 9), 0xCBF43926u);
  EXPECT_EQ(Crc32("", 0), 0u);
  std::string text;
  for (int i = 0; i < 100; ++i) text += static_cast<char>(i * 37);
  for (int64_t bytes = 0; bytes <= 100; ++bytes) {
    uint32_t crc = ~0u;
    for (int64_t i = 0; i < bytes; ++i) {
      crc ^= static_cast<unsigned char>(text[i]);
      for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    EXPECT_EQ(Crc32(text.data(), bytes), ~crc) << bytes;
  }
}

}  // namespace
}  // namespace bnn
