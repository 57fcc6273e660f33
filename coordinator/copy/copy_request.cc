#include "coordinator/copy/copy_request.h"

#include <algorithm>

#include "common/code/code_files.h"
#include "common/job/job_fields.h"
#include "common/job/job_parser.h"
#include "common/job/yaml_tree.h"
#include "common/names.h"
#include "common/pipeline/pipeline.h"
#include "common/strings.h"
#include "coordinator/copy/copied_log.h"

namespace millrace {
namespace {

void Erase(YamlNode* mapping, std::string_view key) {
  std::erase_if(mapping->entries, [&](const YamlEntry& entry) { return entry.key.text == key; });
}

// Where the records come from is the copy's own affair.
absl::StatusOr<std::string> TextWithoutMessages(const JobSpec& code) {
  if (!code.source.unbounded()) return code.text;
  absl::StatusOr<YamlNode> root = ParseYaml(code.name, code.text, kMaxJobFileBytes);
  if (!root.ok()) return root.status();
  for (YamlEntry& entry : root->entries) {
    if (entry.key.text != "source") continue;
    Erase(&entry.value, "subject");
    Erase(&entry.value, "stream");
    if (!entry.value.entries.empty()) continue;
    Erase(&*root, "source");
    break;
  }
  return EmitYaml(*root);
}

// The first field of those that say how a line is read in which the two differ; empty: none.
std::string DescribeOtherReading(const JobSpec& before, const JobSpec& after) {
  const JobFields old_fields = TopFields(before), new_fields = TopFields(after);
  for (size_t i = 0; i < old_fields.size(); ++i) {
    const auto& [path, value] = old_fields[i];
    if (!path.starts_with("source.") && !path.starts_with("time.")) continue;
    if (value != new_fields[i].second) {
      return StrCat("`", path, "` was ", Quoted(value), ", is ", Quoted(new_fields[i].second));
    }
  }
  return "";
}

std::vector<std::string> SetsOf(const CopyRequest& request) {
  std::vector<std::string> sets = {StrCat("name=\"", request.name, "\"")};
  if (request.partitions.has_value()) sets.push_back(StrCat("partitions=", *request.partitions));
  sets.insert(sets.end(), request.sets.begin(), request.sets.end());
  return sets;
}

}  // namespace

absl::Status CheckCopyRequest(const CopyRequest& request) {
  if (!IsValidName(request.name) || request.name.starts_with('-')) {
    return absl::InvalidArgumentError(StrCat("copy to `", request.name,
                                             "` — a job's name is 1 to 64 letters, digits, _ and - — try "
                                             "delays-2"));
  }
  if (request.name == request.job) {
    return absl::InvalidArgumentError(
        StrCat("copy `", request.job, "` to itself — a copy is a job of its own — give it another name"));
  }
  const bool twice = std::any_of(request.sets.begin(), request.sets.end(),
                                 [](const std::string& set) { return set.starts_with("partitions="); });
  if (request.partitions.has_value() && twice) {
    return absl::InvalidArgumentError(
        "--partitions and --set partitions= — both say how many — leave one of them out");
  }
  if (request.partitions.value_or(1) >= 1 && request.partitions.value_or(1) <= int64_t{kMaxPartitions}) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(StrCat("--partitions ", *request.partitions, " — a job has 1 to ",
                                           kMaxPartitions, " — try --partitions 16"));
}

absl::StatusOr<JobSpec> SpecOfCopy(const JobSpec& code, const CopyRequest& request, const FetchTable& fetch) {
  const absl::StatusOr<std::string> text = TextWithoutMessages(code);
  if (!text.ok()) return text.status();
  absl::StatusOr<JobSpec> spec = ParseJob(request.job, *text, SetsOf(request));
  if (!spec.ok()) return spec.status();
  if (spec->name != request.name) {
    return absl::InvalidArgumentError(StrCat("--set name=", spec->name, " — the copy is called ",
                                             request.name, " — leave it out, or write `coordinator copy ",
                                             request.job, " ", spec->name, "`"));
  }
  JobSpec bounded = code;
  bounded.source.subject.clear();
  bounded.source.stream.clear();
  if (const std::string other = DescribeOtherReading(bounded, *spec); !other.empty()) {
    return absl::InvalidArgumentError(
        StrCat("cannot copy `", request.job, "` so — ", other,
               ", and its records were read before — submit its file with its input under another --name"));
  }
  // The files that the job's code consists of are the copy's, too.
  spec->files = code.files;
  if (absl::Status loaded = CodeFiles(request.plugins).Load(&*spec, fetch); !loaded.ok()) return loaded;
  if (const auto pipeline = Pipeline::Create(*spec, PipelineOptions()); !pipeline.ok()) {
    return pipeline.status();
  }
  return spec;
}

absl::StatusOr<CopiedInput> JudgeCopiedInput(const JobSpec& code, const FinalStatus* final_status, bool fed) {
  if (fed && !code.source.unbounded()) return CopiedInput::kWhole;
  if (final_status != nullptr) return CopiedInput::kCutOff;
  if (code.source.unbounded()) {
    // Of a subject that no stream held, the stream is the job's own, and no other job can have one.
    const bool others_may_read = !code.source.stream.empty();
    return absl::FailedPreconditionError(StrCat(
        "cannot copy `", code.name, "` — it reads ",
        others_may_read ? code.source.stream : code.source.subject,
        " for ever, and so its input has no end — `coordinator cancel ", code.name, "` first",
        others_may_read ? "; or submit its file with --name and --set partitions=N: that job reads the "
                          "source from its beginning"
                        : ""));
  }
  return absl::FailedPreconditionError(
      StrCat("cannot copy `", code.name,
             "` — its input was not fed whole yet — let its `coordinator submit` "
             "finish, or run it again; a job that is cancelled is copied as far as it was fed"));
}

absl::Status CheckIsCopyOf(const JobRecord& there, const JobRecord& job) {
  const auto refuse = [&](std::string_view what) {
    return absl::FailedPreconditionError(StrCat("job ", there.name, " is there already, and ", what,
                                                " — copy to another name, or `coordinator delete ",
                                                there.name, "` first"));
  };
  if (there.inputs.size() != job.partitions) return refuse(StrCat("is no copy of ", job.name));
  for (uint32_t p = 0; p < job.partitions; ++p) {
    const InputFile& input = there.inputs[p];
    const std::optional<std::string> uid = CopiedUid(input);
    if (!uid.has_value() || input.name != InputStream(job.name, kFirstSegment, PartitionId(p))) {
      return refuse(StrCat("is no copy of ", job.name));
    }
    if (*uid != job.uid) return refuse(StrCat("is a copy of another job that was called ", job.name));
  }
  return absl::OkStatus();
}

}  // namespace millrace
