// Rows as a database that nobody writes to, for the project's own reader of state.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/state/partition_db.h"
#include "tests/simulation/disk.h"

namespace millrace::sim {

// Not thread-safe. `rows` must outlive it.
class FixedDb : public PartitionDb {
 public:
  explicit FixedDb(const Rows& rows) : rows_(rows) {}
  absl::StatusOr<std::optional<std::string>> Get(std::string_view key) override {
    const auto it = rows_.find(key);
    return it == rows_.end() ? std::nullopt : std::optional(it->second);
  }
  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      absl::Span<const std::string> keys) override {
    std::vector<std::optional<std::string>> values;
    for (const std::string& key : keys) values.push_back(*Get(key));
    return values;
  }
  std::unique_ptr<Cursor> Seek(std::string_view from) override {
    return std::make_unique<FixedCursor>(rows_.lower_bound(from), rows_.end());
  }
  absl::Status CommitRows(absl::Span<const DbRow>, std::string_view) override {
    return absl::FailedPreconditionError("read only");
  }
  absl::Status LinkCheckpoint(const std::string&) override {
    return absl::FailedPreconditionError("read only");
  }
  absl::Status VerifyChecksums() override { return absl::OkStatus(); }
  const std::string& dir() const override { return dir_; }

 private:
  class FixedCursor : public Cursor {
   public:
    FixedCursor(Rows::const_iterator at, Rows::const_iterator end) : at_(at), end_(end) {}
    bool Valid() const override { return at_ != end_; }
    void Next() override { ++at_; }
    std::string_view key() const override { return at_->first; }
    std::string_view value() const override { return at_->second; }
    absl::Status status() const override { return absl::OkStatus(); }

   private:
    Rows::const_iterator at_, end_;
  };
  const Rows& rows_;
  const std::string dir_ = "a disk";
};

}  // namespace millrace::sim
