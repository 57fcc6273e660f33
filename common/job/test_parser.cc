#include "common/job/test_parser.h"

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "common/strings.h"
#include "common/value/json_number.h"
#include "common/value/json_text.h"

namespace millrace {
namespace {

constexpr std::string_view kTestExample =
    "- { name: sums, input: [ { origin: ATL } ], expect: [ { key: ATL, value: { flights: 1 } } ] }";

std::string JsonString(const std::string& text) { return JsonText(nlohmann::json(text)); }

std::string ScalarToJson(const YamlNode& node) {
  if (node.quoted) return JsonString(node.text);
  if (node.text == "true" || node.text == "True" || node.text == "TRUE") return "true";
  if (node.text == "false" || node.text == "False" || node.text == "FALSE") return "false";
  return ClassifyNumber(node.text) != JsonNumber::kNone ? node.text : JsonString(node.text);
}

// A record of the input: a mapping is JSON, a string is the line as it is.
std::string ParseInput(const YamlNode& item, Format format, YamlReader* reader) {
  if (item.IsScalar()) return item.text;
  if (item.IsMapping() && format == Format::kJsonLines) return ToJson(item);
  reader->FailValue(item, "input",
                    format == Format::kJsonLines ? "a mapping, or a line as a string" : "a line as a string",
                    format == Format::kJsonLines ? "input: [ { origin: ATL } ]" : "input: [ 'ATL,7' ]");
  return "";
}

// {"key":…,"value":…}; the key as its bytes are, which for a list is compact JSON.
std::string ParseExpected(const YamlNode& item, YamlReader* reader) {
  constexpr std::string_view kExample = "expect: [ { key: ATL, value: { flights: 1 } } ]";
  if (!reader->Mapping(item, "expect", kExample)) return "";
  reader->CheckKeys(item, "an expected result", {"key", "value"});
  const YamlNode* key = reader->Required(item, "key", "an expected result", kExample);
  const YamlNode* value = reader->Required(item, "value", "an expected result", kExample);
  if (key == nullptr || value == nullptr) return "";
  if (!key->IsScalar() && !key->IsSequence()) {
    reader->FailValue(*key, "key", "a word, or a list of them", kExample);
  }
  const std::string bytes = key->IsScalar() ? key->text : ToJson(*key);
  return StrCat("{\"key\":", JsonString(bytes), ",\"value\":", ToJson(*value), "}");
}

TestCall ParseTestCall(const YamlNode& item, YamlReader* reader) {
  constexpr std::string_view kExample = "calls: [ { stage: score, body: { score: 7 } } ]";
  TestCall call;
  if (!reader->Mapping(item, "calls", kExample)) return call;
  reader->CheckKeys(item, "an answer", {"stage", "status", "body"});
  if (const YamlNode* stage = reader->Required(item, "stage", "an answer", kExample)) {
    call.stage = reader->Text(*stage, "stage", "a stage's name", kExample);
  }
  if (const YamlNode* status = item.Find("status")) {
    // What is answered otherwise is a record's error, with which a service has nothing to do any more.
    call.status = static_cast<int>(reader->Integer(*status, "status", 200, 299, "status: 200"));
  }
  if (const YamlNode* body = item.Find("body")) {
    call.is_json = !body->IsScalar();
    call.body = call.is_json ? ToJson(*body) : body->text;
  }
  return call;
}

TestSpec ParseTest(const YamlNode& test, Format format, YamlReader* reader) {
  TestSpec spec;
  spec.line = test.line;
  if (!reader->Mapping(test, "tests", kTestExample)) return spec;
  reader->CheckKeys(test, "a test", {"name", "input", "expect", "dead_letters", "calls"});
  if (const YamlNode* name = reader->Required(test, "name", "a test", "name: sums")) {
    spec.name = reader->Text(*name, "name", "a few words", "name: sums");
  }
  const YamlNode* input = reader->Required(test, "input", "a test", "input: [ { origin: ATL } ]");
  if (input != nullptr && reader->Sequence(*input, "input", "input: [ { origin: ATL } ]")) {
    for (const YamlNode& item : input->items) spec.input.push_back(ParseInput(item, format, reader));
  }
  const YamlNode* const calls = test.Find("calls");
  if (calls != nullptr && reader->Sequence(*calls, "calls", "calls: [ { stage: score, body: {} } ]")) {
    for (const YamlNode& item : calls->items) spec.calls.push_back(ParseTestCall(item, reader));
  }
  const YamlNode* expect = test.Find("expect");
  const YamlNode* dead_letters = test.Find("dead_letters");
  if (expect == nullptr && dead_letters == nullptr) {
    reader->Required(test, "expect", "a test", "expect: []");
  }
  if (expect != nullptr && reader->Sequence(*expect, "expect", "expect: []")) {
    for (const YamlNode& item : expect->items) spec.expect.push_back(ParseExpected(item, reader));
  }
  if (dead_letters != nullptr &&
      reader->Sequence(*dead_letters, "dead_letters", "dead_letters: [ no key ]")) {
    for (const YamlNode& item : dead_letters->items) {
      spec.dead_letters.push_back(
          reader->Text(item, "dead_letters", "a part of the error's text", "dead_letters: [ no key ]"));
    }
  }
  return spec;
}

}  // namespace

std::string ToJson(const YamlNode& node) {
  std::string json;
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "null";
    case YamlNode::Kind::kScalar:
      return ScalarToJson(node);
    case YamlNode::Kind::kSequence:
      for (const YamlNode& item : node.items) StrAppend(&json, json.empty() ? "" : ",", ToJson(item));
      return StrCat("[", json, "]");
    case YamlNode::Kind::kMapping:
      for (const YamlEntry& entry : node.entries) {
        StrAppend(&json, json.empty() ? "" : ",", JsonString(entry.key.text), ":", ToJson(entry.value));
      }
      return StrCat("{", json, "}");
  }
  return json;
}

std::vector<TestSpec> ParseTests(const YamlNode& tests, Format format, YamlReader* reader) {
  std::vector<TestSpec> specs;
  if (!reader->Sequence(tests, "tests", kTestExample)) return specs;
  for (const YamlNode& test : tests.items) specs.push_back(ParseTest(test, format, reader));
  return specs;
}

}  // namespace millrace
