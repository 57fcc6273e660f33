#include "tests/simulation/disk.h"

#include <cassert>
#include <filesystem>
#include <utility>

#include "common/failpoint.h"
#include "common/state/row_key.h"
#include "common/strings.h"

namespace millrace::sim {
namespace {

constexpr absl::Duration kLeastWrite = absl::Microseconds(50);
constexpr absl::Duration kMostWrite = absl::Milliseconds(3);
constexpr uint64_t kCommitsASync = 4;

class SimCursor : public PartitionDb::Cursor {
 public:
  SimCursor(std::shared_ptr<const Rows> rows, std::string_view from)
      : rows_(std::move(rows)), at_(rows_->lower_bound(from)) {}
  bool Valid() const override { return at_ != rows_->end(); }
  void Next() override { ++at_; }
  std::string_view key() const override { return at_->first; }
  std::string_view value() const override { return at_->second; }
  absl::Status status() const override { return absl::OkStatus(); }

 private:
  const std::shared_ptr<const Rows> rows_;
  Rows::const_iterator at_;
};

}  // namespace

class SimDb : public PartitionDb {
 public:
  SimDb(Disk& disk, Process& process, std::string dir, const Disk::OnCommit& on_commit)
      : disk_(disk), process_(process), dir_(std::move(dir)), on_commit_(on_commit) {
    file().open = true;
  }
  ~SimDb() override { file().open = false; }

  absl::StatusOr<std::optional<std::string>> Get(std::string_view key) override {
    const Rows& rows = *file().rows;
    const auto it = rows.find(key);
    return it == rows.end() ? std::nullopt : std::optional(it->second);
  }
  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      absl::Span<const std::string> keys) override {
    if (disk_.delay_ > absl::ZeroDuration() && disk_.kernel_.current() != nullptr)
      disk_.kernel_.Sleep(disk_.delay_);
    std::vector<std::optional<std::string>> values;
    for (const std::string& key : keys) values.push_back(*Get(key));
    return values;
  }
  std::unique_ptr<Cursor> Seek(std::string_view from) override {
    return std::make_unique<SimCursor>(file().rows, from);
  }

  // The process may die before it, and between it and the answer.
  absl::Status CommitRows(absl::Span<const DbRow> rows, std::string_view commit_row) override {
    Take();
    if (disk_.full_)
      return absl::ResourceExhaustedError(StrCat("cannot write the state in ", dir_, ": no space"));
    Disk::Change change;
    for (const DbRow& row : rows) {
      if (row.erased()) {
        change.erased.emplace_back(row.key());
      } else {
        change.put.emplace_back(row.key(), row.value());
      }
    }
    if (MILLRACE_DEFECT("offset_outside_state_write")) {
      disk_.Write(file(), std::exchange(change, {}));
      MILLRACE_FAILPOINT("in_commit");
      Take();
    } else {
      MILLRACE_FAILPOINT("in_commit");
    }
    change.put.emplace_back(kCommitRowKey, commit_row);
    disk_.Write(file(), std::move(change));
    on_commit_(dir_, *file().rows);
    MILLRACE_FAILPOINT("after_commit");
    Take();
    return absl::OkStatus();
  }

  absl::Status LinkCheckpoint(const std::string& dir) override {
    disk_.files_[dir].rows = std::make_shared<Rows>(*file().rows);
    disk_.files_[dir].synced = *file().rows;
    return absl::OkStatus();
  }
  absl::Status VerifyChecksums() override { return absl::OkStatus(); }
  const std::string& dir() const override { return dir_; }

 private:
  Disk::File& file() { return disk_.files_[dir_]; }
  void Take() {
    if (disk_.kernel_.current() == nullptr) return;
    disk_.kernel_.Sleep(disk_.kernel_.RandomDuration(kLeastWrite, kMostWrite) + disk_.delay_);
  }

  Disk& disk_;
  [[maybe_unused]] Process& process_;
  const std::string dir_;
  const Disk::OnCommit on_commit_;
};

class SimDbResources : public DbResources {
 public:
  SimDbResources(Disk& disk, Process& process, Disk::OnCommit on_commit)
      : disk_(disk), process_(process), on_commit_(std::move(on_commit)) {}

  absl::StatusOr<std::unique_ptr<PartitionDb>> OpenDb(const std::string& dir) override {
    // The worker removes state by its folder, which is a real one.
    std::error_code error;
    if (!std::filesystem::exists(dir, error)) disk_.files_.erase(dir);
    std::filesystem::create_directories(dir, error);
    const Disk::File& file = disk_.files_[dir];
    if (file.open) return absl::FailedPreconditionError(StrCat("the lock of ", dir, " is held"));
    if (file.damaged)
      return absl::DataLossError(StrCat("cannot open the state in ", dir, ": checksum mismatch"));
    return std::make_unique<SimDb>(disk_, process_, dir, on_commit_);
  }

 private:
  Disk& disk_;
  Process& process_;
  const Disk::OnCommit on_commit_;
};

std::shared_ptr<DbResources> Disk::Mount(Process& process, OnCommit on_commit) {
  return std::make_shared<SimDbResources>(*this, process, std::move(on_commit));
}

void Disk::Apply(const Change& change, Rows* rows) {
  for (const std::string& key : change.erased) rows->erase(key);
  for (const auto& [key, value] : change.put) (*rows)[key] = value;
}

void Disk::Write(File& file, Change change) {
  if (file.rows.use_count() > 1) file.rows = std::make_shared<Rows>(*file.rows);  // a cursor has the old ones
  Apply(change, file.rows.get());
  file.unsynced.push_back(std::move(change));
  if (!kernel_.Chance(kCommitsASync)) return;
  file.synced = *file.rows;
  file.unsynced.clear();
}

void Disk::CutPower() {
  for (auto& [dir, file] : files_) {
    assert(!file.open);
    const size_t kept = kernel_.Random(file.unsynced.size() + 1);
    for (size_t i = 0; i < kept; ++i) Apply(file.unsynced[i], &file.synced);
    file.unsynced.clear();
    file.rows = std::make_shared<Rows>(file.synced);
  }
}

void Disk::FlipABit() {
  if (files_.empty()) return;
  std::next(files_.begin(), static_cast<int64_t>(kernel_.Random(files_.size())))->second.damaged = true;
}

void Disk::LoseEverything() { files_.clear(); }

Rows Disk::Look(const std::string& dir) const {
  const auto it = files_.find(dir);
  return it == files_.end() ? Rows() : *it->second.rows;
}

std::vector<std::string> Disk::folders() const {
  std::vector<std::string> dirs;
  for (const auto& [dir, file] : files_) dirs.push_back(dir);
  return dirs;
}

}  // namespace millrace::sim
