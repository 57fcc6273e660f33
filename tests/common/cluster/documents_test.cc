#include "common/cluster/documents.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(DocumentsTest, WorkerLeaseComesBackWhole) {
  WorkerLease lease;
  lease.name = "w1";
  lease.incarnation = "00ff00ff00ff00ff";
  lease.pid = 4242;
  lease.zone = "east";
  lease.cpu = 1.5;
  lease.beat = UINT64_MAX;
  PartitionReport report;
  report.job = "j";
  report.partition = 7;
  report.offset = 9;
  report.committed_at_ms = -1;
  report.state = "running";
  report.stored_for_move = true;
  lease.partitions = {report, report};
  lease.checkpoints = true;
  lease.copies = {{"u", 1, 3, 77}};
  const absl::StatusOr<WorkerLease> back = DecodeWorkerLease(Encode(lease));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(Encode(*back), Encode(lease));
  EXPECT_EQ(back->beat, UINT64_MAX);
  ASSERT_EQ(back->partitions.size(), 2u);
  EXPECT_EQ(back->partitions[1].committed_at_ms, -1);
  EXPECT_TRUE(back->partitions[1].stored_for_move);
  EXPECT_TRUE(back->checkpoints);
  EXPECT_EQ(back->copies, lease.copies);
}

TEST(DocumentsTest, EveryDocumentComesBackWhole) {
  JobRecord job{"j", "0123456789abcdef", "name: \"j\"\n", {{"-", 10, "d"}, {"b", 11, "e"}}, 16, 1000};
  EXPECT_EQ(DecodeJobRecord(Encode(job))->inputs, job.inputs);
  EXPECT_EQ(DecodeJobRecord(Encode(job))->spec_text, job.spec_text);
  job.step_version = 3;
  EXPECT_EQ(DecodeJobRecord(Encode(job))->step_version, 3u);
  CodeVersion code{1, "name: j\n", 2, 7};
  EXPECT_EQ(Encode(*DecodeCodeVersion(Encode(code))), Encode(code));
  CoordinatorLease coordinator{"c", 3, 4, "h", 5, "127.0.0.1:1"};
  EXPECT_EQ(Encode(*DecodeCoordinatorLease(Encode(coordinator))), Encode(coordinator));
  Term term{4, "c", 15000};
  EXPECT_EQ(Encode(*DecodeTerm(Encode(term))), Encode(term));
  Assignment assignment{4, 5, {{"j", "u", true, {"w1", "", "w2"}}}, {"w3"}};
  EXPECT_EQ(DecodeAssignment(Encode(assignment))->draining, assignment.draining);
  EXPECT_EQ(DecodeAssignment(Encode(assignment))->jobs[0].owners, assignment.jobs[0].owners);
  EXPECT_TRUE(DecodeAssignment(Encode(assignment))->jobs[0].paused);
  // Most jobs have neither: an assignment is one message.
  EXPECT_EQ(Encode(assignment).find("standbys"), std::string::npos);
  assignment.jobs[0].standbys = {"w2", "", "w1"};
  assignment.jobs[0].next_owners = {"", "w1", ""};
  EXPECT_EQ(DecodeAssignment(Encode(assignment))->jobs[0].standbys, assignment.jobs[0].standbys);
  EXPECT_EQ(DecodeAssignment(Encode(assignment))->jobs[0].next_owners, assignment.jobs[0].next_owners);
  job.standbys = 1;
  EXPECT_EQ(DecodeJobRecord(Encode(job))->standbys, 1u);
  Command command{"drain", "x", "p"};
  EXPECT_EQ(Encode(*DecodeCommand(Encode(command))), Encode(command));
  FinalStatus final{"failed", "why", 1, 2, 3, 4, 5};
  final.partitions.resize(2);
  final.partitions[1].offset = 7;
  EXPECT_EQ(Encode(*DecodeFinalStatus(Encode(final))), Encode(final));
  EXPECT_EQ(DecodeFinalStatus(Encode(final))->partitions[1].offset, 7u);
  InputFed fed{1, 2, 3};
  EXPECT_EQ(Encode(*DecodeInputFed(Encode(fed))), Encode(fed));
}

TEST(DocumentsTest, WhatIsSaidOfASinkComesBackWhole) {
  SinkFilePosition position;
  position.uid = "u";
  position.id = "i";
  position.job = "j";
  position.part = 3;
  position.length = UINT64_MAX;
  position.position.records = 7;
  position.position.partitions = {{-5, 6, 7, 8, 9, true}, {}};
  const auto back = DecodeSinkFilePosition(Encode(position));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, position);
  const SinkStreamPosition at = {"w", position.position};
  EXPECT_EQ(Encode(*DecodeSinkStreamPosition(Encode(at))), Encode(at));
  const SinkReport report = {"file x", 9, "full"};
  EXPECT_EQ(*DecodeSinkReport(Encode(report)), report);
  const SinkPlace place = {"i", "h", "/x"};
  EXPECT_EQ(Encode(*DecodeSinkPlace(Encode(place))), Encode(place));
  EXPECT_FALSE(DecodeSinkFilePosition("{}").ok());
}

TEST(DocumentsTest, UnknownFieldsAreIgnored) {
  EXPECT_TRUE(DecodeCommand(R"({"verb":"pause","id":"x","new":{"a":[1]}})").ok());
}

TEST(DocumentsTest, DocumentsOfEarlierVersionsLackWhatCameLater) {
  EXPECT_EQ(DecodeCommand(R"({"verb":"pause","id":"x"})")->process, "");
  EXPECT_TRUE(DecodeAssignment(R"({"term":1,"number":2,"jobs":[]})")->draining.empty());
  EXPECT_FALSE(DecodeCommand(R"({"verb":"drain","id":"x","process":7})").ok());
}

TEST(DocumentsTest, AnythingElseIsInvalid) {
  for (const char* text :
       {"", "null", "[]", "{}", "{\"verb\":1,\"id\":\"x\"}", "{\"verb\":\"x\"}", "{\"verb\"", "17"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(DecodeCommand(text).status())) << text;
  }
  for (const char* number : {"-1", "1.5", "\"1\"", "1e30", "true"}) {
    const std::string text = std::string("{\"records\":1,\"rejected\":2,\"epoch\":") + number + "}";
    EXPECT_TRUE(absl::IsInvalidArgument(DecodeInputFed(text).status())) << text;
  }
}

}  // namespace
}  // namespace millrace
