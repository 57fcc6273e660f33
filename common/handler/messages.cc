#include "common/handler/messages.h"

#include <algorithm>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "common/handler/handler_values.h"
#include "common/strings.h"
#include "common/value/value.h"

namespace millrace {
namespace {

constexpr absl::Duration kLeastProgress = absl::Milliseconds(10);
constexpr absl::Duration kMostProgress = absl::Seconds(1);

absl::Status Wrong(std::string_view what) { return absl::InvalidArgumentError(ToAbsl(what)); }

// The keys of a body, each with the bytes of its value; a worker refuses those that it does not know.
class BodyFields {
 public:
  static absl::StatusOr<BodyFields> Read(std::string_view body, absl::Span<const std::string_view> known);

  absl::StatusOr<std::string_view> Text(std::string_view name) const {
    const absl::StatusOr<PackToken> token = Only(name);
    if (!token.ok()) return token.status();
    if (token->type != PackToken::Type::kString) return Wrong(StrCat("`", name, "` must be text"));
    return token->text;
  }
  absl::StatusOr<int64_t> Number(std::string_view name, int64_t least, int64_t most) const {
    const absl::StatusOr<PackToken> token = Only(name);
    if (!token.ok()) return token.status();
    if (token->type != PackToken::Type::kInt || token->integer < least || token->integer > most) {
      return Wrong(StrCat("`", name, "` must be a whole number of ", least, " to ", most));
    }
    return token->integer;
  }
  absl::StatusOr<std::string_view> Bytes(std::string_view name) const {
    const auto found = fields_.find(ToAbsl(name));
    if (found == fields_.end()) return Wrong(StrCat("`", name, "` is missing"));
    return found->second;
  }

 private:
  absl::StatusOr<PackToken> Only(std::string_view name) const {
    const absl::StatusOr<std::string_view> bytes = Bytes(name);
    if (!bytes.ok()) return bytes.status();
    PackReader reader(*bytes);
    PackToken token;
    reader.Next(&token);  // it was passed over before
    return token;
  }

  absl::flat_hash_map<std::string, std::string_view> fields_;
};

absl::StatusOr<BodyFields> BodyFields::Read(std::string_view body, absl::Span<const std::string_view> known) {
  PackReader reader(body);
  PackToken map, name;
  if (!reader.Next(&map) || map.type != PackToken::Type::kMap) return Wrong("the body is no map");
  BodyFields fields;
  for (uint32_t i = 0; i < map.count; ++i) {
    if (!reader.Next(&name) || name.type != PackToken::Type::kString)
      return Wrong("a body's keys must be text");
    const absl::StatusOr<std::string_view> value = TakeHandlerValue(&reader);
    if (!value.ok()) return value.status();
    if (std::find(known.begin(), known.end(), name.text) == known.end()) {
      return Wrong(StrCat("`", OneLineWhy(name.text.substr(0, 32)), "` is no key of this message"));
    }
    if (!fields.fields_.emplace(name.text, *value).second)
      return Wrong(StrCat("`", name.text, "` is there twice"));
  }
  if (!reader.done()) return Wrong("something stands behind the body");
  return fields;
}

absl::StatusOr<std::vector<int64_t>> ReadVersions(std::string_view bytes) {
  PackReader reader(bytes);
  PackToken list, version;
  std::vector<int64_t> versions;
  reader.Next(&list);
  if (list.type != PackToken::Type::kArray || list.count == 0)
    return Wrong("`versions` must be a list of integers");
  for (uint32_t i = 0; i < list.count; ++i) {
    if (!reader.Next(&version) || version.type != PackToken::Type::kInt) {
      return Wrong("`versions` must be a list of integers");
    }
    versions.push_back(version.integer);
  }
  return versions;
}

}  // namespace

std::string_view HandlerModeName(HandlerMode mode) {
  return mode == HandlerMode::kKeyed ? "keyed" : "stateless";
}

absl::StatusOr<HandlerMessage> ReadHandlerMessage(absl::Span<const std::string> frames) {
  if (frames.size() != 3) {
    return Wrong(StrCat("a message of ", frames.size(), " frames: it has three, version, kind and body"));
  }
  if (frames[0] != kHandlerEnvelope) return Wrong("a version that is not spoken here");
  return HandlerMessage{frames[1], frames[2]};
}

absl::StatusOr<HandlerRegister> ReadRegister(std::string_view body) {
  const auto fields = BodyFields::Read(body, {"versions", "name", "sdk", "mode", "capacity"});
  if (!fields.ok()) return fields.status();
  const auto versions = fields->Bytes("versions");
  if (!versions.ok()) return versions.status();
  absl::StatusOr<std::vector<int64_t>> numbers = ReadVersions(*versions);
  if (!numbers.ok()) return numbers.status();
  const auto name = fields->Text("name"), sdk = fields->Text("sdk"), mode = fields->Text("mode");
  const auto capacity = fields->Number("capacity", 1, kMaxHandlerCapacity);
  for (const absl::Status& status : {name.status(), sdk.status(), mode.status(), capacity.status()}) {
    if (!status.ok()) return status;
  }
  if (name->empty() || std::max(name->size(), sdk->size()) > kMaxHandlerNameBytes) {
    return Wrong(StrCat("`name` and `sdk` must be text of at most ", kMaxHandlerNameBytes, " bytes"));
  }
  if (*mode != HandlerModeName(HandlerMode::kKeyed) && *mode != HandlerModeName(HandlerMode::kStateless)) {
    return Wrong("`mode` must be keyed or stateless");
  }
  return HandlerRegister{
      *std::move(numbers), std::string(*name), std::string(*sdk),
      *mode == HandlerModeName(HandlerMode::kKeyed) ? HandlerMode::kKeyed : HandlerMode::kStateless,
      *capacity};
}

absl::StatusOr<HandlerProgress> ReadProgress(std::string_view body) {
  const auto fields = BodyFields::Read(body, {"id", "done"});
  if (!fields.ok()) return fields.status();
  const auto id = fields->Text("id");
  if (!id.ok()) return id.status();
  const auto done = fields->Number("done", 0, kMaxBatchCalls);
  if (!done.ok()) return done.status();
  return HandlerProgress{*id, *done};
}

absl::Status CheckEmptyBody(std::string_view body) { return BodyFields::Read(body, {}).status(); }

std::string WelcomeBody(const HandlerWelcome& welcome) {
  std::string body;
  PackWriter writer(&body);
  const auto text = [&](std::string_view name, std::string_view value) {
    writer.String(name);
    writer.String(value);
  };
  const auto ms = [&](std::string_view name, absl::Duration value) {
    writer.String(name);
    writer.Int(absl::ToInt64Milliseconds(value));
  };
  writer.Map(9);
  writer.String("version");
  writer.Int(kHandlerProtocol);
  text("worker", welcome.worker);
  text("job", welcome.job);
  text("uid", welcome.uid);
  text("stage", welcome.stage);
  text("mode", HandlerModeName(welcome.mode));
  ms("heartbeat_ms", welcome.heartbeat);
  ms("progress_ms", welcome.progress);
  ms("timeout_ms", welcome.timeout);
  return body;
}

std::string RefusedBody(std::string_view code, std::string_view why) {
  std::string body;
  PackWriter writer(&body);
  writer.Map(2);
  writer.String("code");
  writer.String(code);
  writer.String("why");
  writer.String(OneLineWhy(why));
  return body;
}

std::string EmptyBody() {
  std::string body;
  PackWriter(&body).Map(0);
  return body;
}

std::string OneLineWhy(std::string_view text) {
  std::string line(Shorten(text.substr(0, FindInvalidUtf8(text)), kMaxWhyBytes));
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return line.empty() ? "no reason given" : line;
}

absl::Duration ProgressInterval(absl::Duration timeout) {
  return std::clamp(absl::Floor(timeout / 4, absl::Milliseconds(1)), kLeastProgress, kMostProgress);
}

}  // namespace millrace
