#include "common/checkpoint/layout.h"

#include <charconv>

#include "absl/strings/str_format.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr size_t kNumberDigits = 20;
constexpr std::string_view kManifestSuffix = ".json";

std::string Digits(uint64_t number) {
  return absl::StrFormat("%0*u", static_cast<int>(kNumberDigits), number);
}

// Takes exactly kNumberDigits digits from the front.
std::optional<uint64_t> TakeDigits(std::string_view* text) {
  if (text->size() < kNumberDigits) return std::nullopt;
  uint64_t number = 0;
  const char* const stop = text->data() + kNumberDigits;
  const auto [end, error] = std::from_chars(text->data(), stop, number);
  if (error != std::errc() || end != stop) return std::nullopt;
  text->remove_prefix(kNumberDigits);
  return number;
}

}  // namespace

CheckpointLayout::CheckpointLayout(std::string_view uid, SegmentId segment, PartitionId partition)
    : prefix_(StrCat(uid, "/", segment.value(), "-", partition.value(), "/")) {}

std::string CheckpointLayout::Manifest(const CheckpointId& id) const {
  return StrCat(manifests(), Digits(id.epoch.value()), "-", Digits(id.offset.value()), kManifestSuffix);
}

std::optional<CheckpointId> CheckpointLayout::ParseManifest(std::string_view name) const {
  const std::string folder = manifests();
  if (!name.starts_with(folder)) return std::nullopt;
  name.remove_prefix(folder.size());
  const std::optional<uint64_t> epoch = TakeDigits(&name);
  if (!epoch.has_value() || !name.starts_with('-')) return std::nullopt;
  name.remove_prefix(1);
  const std::optional<uint64_t> offset = TakeDigits(&name);
  if (!offset.has_value() || name != kManifestSuffix) return std::nullopt;
  return CheckpointId{Epoch(*epoch), Offset(*offset)};
}

std::string CheckpointLayout::File(const CheckpointId& id, std::string_view file) const {
  const std::string owner = StrCat(files(), Digits(id.epoch.value()), "-");
  return IsSharedFile(file) ? StrCat(owner, file) : StrCat(owner, Digits(id.offset.value()), "-", file);
}

std::optional<Epoch> CheckpointLayout::EpochOfFile(std::string_view name) const {
  const std::string folder = files();
  if (!name.starts_with(folder)) return std::nullopt;
  name.remove_prefix(folder.size());
  const std::optional<uint64_t> epoch = TakeDigits(&name);
  if (!epoch.has_value() || !name.starts_with('-')) return std::nullopt;
  return Epoch(*epoch);
}

bool IsSharedFile(std::string_view file) { return file.ends_with(".sst"); }

}  // namespace millrace
