#include "common/checkpoint/manifest.h"

#include <set>

#include "absl/strings/escaping.h"
#include "common/blob/blob_store.h"
#include "common/hash/sha256.h"
#include "common/strings.h"
#include "nlohmann/json.hpp"

namespace millrace {
namespace {

constexpr uint64_t kManifestVersion = 1;
constexpr std::string_view kSealLine = "sha256 ";
constexpr size_t kHexDigits = 64;

absl::Status BadManifest(std::string_view why) {
  return absl::DataLossError(StrCat("the checkpoint's manifest cannot be used: ", why));
}

bool IsPlainFile(const std::string& name) {
  return CheckBlobName(name).ok() && name.find('/') == std::string::npos;
}

bool IsHexDigest(const std::string& text) {
  return text.size() == kHexDigits && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

// Like `get`, throws where it is something else; a negative number, too.
uint64_t Unsigned(const nlohmann::json& number) {
  return number.get_ref<const nlohmann::json::number_unsigned_t&>();
}

// A missing or mistyped field throws inside nlohmann's `at` and `get`; the one caller catches.
CheckpointFile ReadFile(const nlohmann::json& entry) {
  CheckpointFile file;
  file.name = entry.at("name").get<std::string>();
  file.object = entry.at("object").get<std::string>();
  file.bytes = Unsigned(entry.at("bytes"));
  file.sha256 = entry.at("sha256").get<std::string>();
  return file;
}

absl::Status ReadFields(const nlohmann::json& document, CheckpointManifest* manifest) {
  if (Unsigned(document.at("millrace_checkpoint")) != kManifestVersion) {
    return BadManifest("it is of a version that this build does not know");
  }
  manifest->engine = document.at("engine").get<std::string>();
  manifest->job = document.at("job").get<std::string>();
  manifest->id = {Epoch(Unsigned(document.at("epoch"))), Offset(Unsigned(document.at("offset")))};
  manifest->created_ms = document.at("created_ms").get<int64_t>();
  std::string row;
  if (!absl::Base64Unescape(document.at("commit_row").get<std::string>(), &row)) {
    return BadManifest("its commit row is not base64");
  }
  absl::StatusOr<CommitRow> commit = DecodeCommitRow(row);
  if (!commit.ok()) return BadManifest(ToStd(commit.status().message()));
  manifest->commit = *std::move(commit);
  for (const nlohmann::json& entry : document.at("files")) manifest->files.push_back(ReadFile(entry));
  const CommitRow& held = manifest->commit;
  const bool agrees = document.at("uid").get<std::string>() == held.uid &&
                      Unsigned(document.at("segment")) == held.segment.value() &&
                      Unsigned(document.at("partition")) == held.partition.value() &&
                      manifest->id.offset == held.offset;
  return agrees ? absl::OkStatus() : BadManifest("it and its commit row differ");
}

absl::Status CheckFiles(const std::vector<CheckpointFile>& files) {
  if (files.empty() || files.size() > kMaxCheckpointFiles) {
    return BadManifest(StrCat("it names ", files.size(), " files"));
  }
  std::set<std::string> names;
  for (const CheckpointFile& file : files) {
    const bool good = IsPlainFile(file.name) && IsPlainFile(file.object) && IsHexDigest(file.sha256) &&
                      file.bytes <= kMaxBlobBytes && names.insert(file.name).second;
    if (!good) return BadManifest("a file in it has no name, size or checksum of a file");
  }
  return absl::OkStatus();
}

}  // namespace

uint64_t CheckpointManifest::bytes() const {
  uint64_t sum = 0;
  for (const CheckpointFile& file : files) sum += file.bytes;
  return sum;
}

std::string EncodeManifest(const CheckpointManifest& manifest) {
  const CommitRow& commit = manifest.commit;
  nlohmann::ordered_json document;
  document["millrace_checkpoint"] = kManifestVersion;
  document["engine"] = manifest.engine;
  document["job"] = manifest.job;
  document["uid"] = commit.uid;
  document["segment"] = commit.segment.value();
  document["partition"] = commit.partition.value();
  document["epoch"] = manifest.id.epoch.value();
  document["offset"] = manifest.id.offset.value();
  document["created_ms"] = manifest.created_ms;
  document["state_keys"] = commit.state_keys;
  document["state_bytes"] = commit.state_bytes;
  document["input_created_ns"] = commit.input_created_ns;
  document["result_created_ns"] = commit.result_created_ns;
  document["result_sequence"] = commit.result_sequence;
  document["commit_row"] = absl::Base64Escape(EncodeCommitRow(commit));
  document["files"] = nlohmann::ordered_json::array();
  for (const CheckpointFile& file : manifest.files) {
    document["files"].push_back(
        {{"name", file.name}, {"object", file.object}, {"bytes", file.bytes}, {"sha256", file.sha256}});
  }
  const std::string line = document.dump();
  return StrCat(line, "\n", kSealLine, Hex(Sha256Of(line)), "\n");
}

absl::StatusOr<CheckpointManifest> DecodeManifest(std::string_view text) {
  const size_t end = text.find('\n');
  if (end == std::string_view::npos) return BadManifest("it is cut off");
  const std::string_view line = text.substr(0, end);
  if (text.substr(end) != StrCat("\n", kSealLine, Hex(Sha256Of(line)), "\n")) {
    return BadManifest("it does not match its checksum");
  }
  const nlohmann::json document = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return BadManifest("it is no JSON object");
  CheckpointManifest manifest;
  try {
    if (absl::Status status = ReadFields(document, &manifest); !status.ok()) return status;
  } catch (const nlohmann::json::exception& error) {
    return BadManifest(error.what());
  }
  if (absl::Status status = CheckFiles(manifest.files); !status.ok()) return status;
  return manifest;
}

}  // namespace millrace
