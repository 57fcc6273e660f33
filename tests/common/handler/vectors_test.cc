// sdk/vectors: the bytes that every implementation of docs/handlers.md is held to.
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/handler/batch.h"
#include "common/handler/handler_values.h"
#include "common/handler/messages.h"
#include "common/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace millrace {
namespace {

using nlohmann::json;
using testing::HasSubstr;

json Vectors(const std::string& name) {
  std::ifstream file(absl::StrCat(MILLRACE_SOURCE_DIR, "/sdk/vectors/", name));
  return json::parse(file);
}

std::vector<std::string> FramesOf(const json& message) {
  std::vector<std::string> frames;
  for (const json& frame : message["frames"]) {
    frames.push_back(std::string(absl::HexStringToBytes(frame.get<std::string>())));
  }
  return frames;
}

BatchShape ShapeOf(const json& batch, const std::string& mode) {
  BatchShape shape;
  shape.mode = mode == "keyed" ? HandlerMode::kKeyed : HandlerMode::kStateless;
  for (const json& call : batch["calls"]) shape.key_of_call.push_back(call[1]);
  return shape;
}

absl::Status ReadAny(const std::vector<std::string>& frames) {
  const absl::StatusOr<HandlerMessage> message = ReadHandlerMessage(frames);
  if (!message.ok()) return message.status();
  if (message->kind == kRegisterMessage) return ReadRegister(message->body).status();
  if (message->kind == kProgressMessage) return ReadProgress(message->body).status();
  if (message->kind == kResultMessage) {
    if (const auto id = ResultId(message->body); !id.ok()) return id.status();
    const BatchShape one_call{HandlerMode::kKeyed, {0}};
    return JudgeResult(one_call, std::make_shared<std::string>(message->body), AfterBye::kNo).status();
  }
  return CheckEmptyBody(message->body);
}

TEST(HandlerVectorsTest, WhatIsNoMessageIsRefused) {
  const json document = Vectors("malformed.json");
  for (const json& message : document["messages"]) {
    EXPECT_FALSE(ReadAny(FramesOf(message)).ok()) << message["name"];
  }
}

TEST(HandlerVectorsTest, MessagesOfHandlersAreUnderstood) {
  const json document = Vectors("sessions.json");
  for (const json& message : document["messages"]) {
    if (message["from"].get<std::string>() != "handler") continue;
    EXPECT_EQ(ReadAny(FramesOf(message)), absl::OkStatus()) << message["name"];
    if (message["kind"].get<std::string>() != "register") continue;
    const auto about = ReadRegister(FramesOf(message)[2]);
    ASSERT_TRUE(about.ok());
    EXPECT_EQ(about->name, message["body"]["name"]);
    EXPECT_EQ(about->versions, message["body"]["versions"]);
    EXPECT_EQ(about->capacity, message["body"]["capacity"]);
  }
}

TEST(HandlerVectorsTest, WhatAWorkerSendsIsThoseBytes) {
  size_t compared = 0;
  const json document = Vectors("sessions.json");
  for (const json& message : document["messages"]) {
    if (message["from"].get<std::string>() != "worker" || !message["canonical"].get<bool>()) continue;
    const json& body = message["body"];
    const std::string sent = FramesOf(message)[2];
    if (message["kind"] == "welcome" && body.size() == 9) {
      HandlerWelcome welcome;
      welcome.worker = body["worker"];
      welcome.job = body["job"];
      welcome.uid = body["uid"];
      welcome.stage = body["stage"];
      welcome.mode = body["mode"] == "keyed" ? HandlerMode::kKeyed : HandlerMode::kStateless;
      welcome.heartbeat = absl::Milliseconds(body["heartbeat_ms"].get<int64_t>());
      welcome.progress = absl::Milliseconds(body["progress_ms"].get<int64_t>());
      welcome.timeout = absl::Milliseconds(body["timeout_ms"].get<int64_t>());
      EXPECT_EQ(absl::BytesToHexString(WelcomeBody(welcome)), absl::BytesToHexString(sent))
          << message["name"];
      ++compared;
    } else if (message["kind"] == "refused") {
      EXPECT_EQ(RefusedBody(body["code"].get<std::string>(), body["why"].get<std::string>()), sent)
          << message["name"];
      ++compared;
    } else if (message["kind"] == "heartbeat" || message["kind"] == "bye") {
      EXPECT_EQ(EmptyBody(), sent);
      ++compared;
    }
  }
  EXPECT_GE(compared, 4U);
}

// The parts of a call that the worker packs record by record, cut out of the message's own bytes: what is compared is how
// a batch is put together of them.
struct Cut {
  std::vector<HandlerCall> calls;
  std::vector<std::string> states;
};
Cut CutBatch(std::string_view body) {
  Cut cut;
  PackReader reader(body);
  PackToken token;
  const auto value = [&] {
    const auto taken = TakeHandlerValue(&reader);
    EXPECT_TRUE(taken.ok()) << taken.status();
    return std::string(*taken);
  };
  std::vector<std::string> keys, key_states;
  bool ending = false;
  EXPECT_TRUE(reader.Next(&token));
  const uint32_t fields = token.count;
  for (uint32_t i = 0; i < fields; ++i) {
    EXPECT_TRUE(reader.Next(&token));
    const std::string name(token.text);
    if (name == "keys" || name == "calls") {
      EXPECT_TRUE(reader.Next(&token));
      const uint32_t rows = token.count;
      for (uint32_t row = 0; row < rows; ++row) {
        EXPECT_TRUE(reader.Next(&token));
        if (name == "keys") {
          EXPECT_TRUE(reader.Next(&token));
          keys.emplace_back(token.text);
          key_states.push_back(value());
          continue;
        }
        HandlerCall& call = cut.calls.emplace_back();
        EXPECT_TRUE(reader.Next(&token));
        call.is_timer = token.integer == 1;
        EXPECT_TRUE(reader.Next(&token));
        const auto key = static_cast<size_t>(token.integer);
        call.key = keys.at(key);
        cut.states.push_back(key_states.at(key));
        for (int part = 0; part < 4; ++part) call.packed += value();
      }
    } else if (name == "ending") {
      EXPECT_TRUE(reader.Next(&token));
      ending = token.boolean;
    } else {
      value();
    }
  }
  for (HandlerCall& call : cut.calls) call.ending = ending;
  return cut;
}

TEST(HandlerVectorsTest, BatchesArePutTogetherAsThoseBytes) {
  for (const char* name : {"batches.json", "values.json"}) {
    const json document = Vectors(name);
    for (const json& message : document["messages"]) {
      if (!message["canonical"].get<bool>()) continue;
      const std::string sent = FramesOf(message)[2];
      const Cut cut = CutBatch(sent);
      std::vector<BatchCall> calls;
      std::set<std::string> lines;
      for (size_t i = 0; i < cut.calls.size(); ++i) {
        calls.push_back({&cut.calls[i], cut.states[i], &*lines.insert(cut.calls[i].key).first});
      }
      const json& body = message["body"];
      EXPECT_EQ(absl::BytesToHexString(BatchBody(body["id"].get<std::string>(), body["attempt"], calls)),
                absl::BytesToHexString(sent))
          << message["name"];
    }
  }
}

TEST(HandlerVectorsTest, ResultsAreTakenOrRefused) {
  const json document = Vectors("results.json");
  const BatchShape shape = ShapeOf(document["batch"], document["mode"]);
  for (const json& message : document["messages"]) {
    const auto body = std::make_shared<const std::string>(FramesOf(message)[2]);
    const AfterBye after_bye = message.value("after_bye", false) ? AfterBye::kYes : AfterBye::kNo;
    const auto judged = JudgeResult(shape, body, after_bye);
    if (!message["refused"].is_null()) {
      EXPECT_THAT(ToStd(judged.status().message()), HasSubstr(message["refused"].get<std::string>()))
          << message["name"];
      continue;
    }
    ASSERT_TRUE(judged.ok()) << message["name"] << ": " << judged.status();
    EXPECT_EQ(*ResultId(*body), document["batch"]["id"]);
    std::vector<size_t> not_run;
    for (size_t i = 0; i < judged->calls.size(); ++i) {
      if (judged->calls[i].kind == CallOutcome::Kind::kVoid) not_run.push_back(i);
    }
    EXPECT_EQ(json(not_run), message["not_run"]) << message["name"];
  }
}

// Whatever bytes a handler sends, they are taken or refused, and nothing is read beyond them.
TEST(HandlerVectorsTest, NoBytesDoMoreThanBeRefused) {
  const json document = Vectors("results.json");
  const BatchShape shape = ShapeOf(document["batch"], document["mode"]);
  uint64_t random = 1;
  size_t taken = 0;
  for (const json& message : document["messages"]) {
    const std::string whole = FramesOf(message)[2];
    for (int round = 0; round < 200; ++round) {
      std::string bytes = whole;
      for (int flips = 0; flips < 1 + round % 3; ++flips) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        bytes[(random >> 33) % bytes.size()] = static_cast<char>(random >> 56);
      }
      if (round % 7 == 0) bytes.resize(bytes.size() / 2);
      taken += JudgeResult(shape, std::make_shared<const std::string>(bytes), AfterBye::kNo).ok() ? 1 : 0;
    }
  }
  EXPECT_GT(taken, 0U);
}

}  // namespace
}  // namespace millrace
