#include "common/pipeline/lua_sandbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "common/strings.h"
#include "common/value/value.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

constexpr size_t kMemory = 8 << 20;

std::string Eval(LuaSandbox& lua, const std::string& expression) {
  const absl::StatusOr<LuaSandbox::ChunkId> chunk = lua.AddExpressions("test", {.line = 1}, {expression});
  if (!chunk.ok()) return std::string(chunk.status().message());
  RecordView record;
  const LuaInput input{
      .record = &record, .key = "k", .time_ms = 5, .partition = PartitionId(1), .offset = Offset(2)};
  std::string packed;
  if (absl::Status status = lua.Evaluate(*chunk, input, &packed); !status.ok())
    return std::string(status.message());
  std::string json;
  return AppendPackedJson(packed, &json).ok() ? json : "not JSON";
}
std::string Eval(const std::string& expression) { return Eval(**LuaSandbox::Create(kMemory), expression); }

TEST(LuaSandbox, NothingOfTheMachineIsThere) {
  for (const char* const name : {"os",
                                 "io",
                                 "ffi",
                                 "jit",
                                 "debug",
                                 "package",
                                 "require",
                                 "load",
                                 "loadstring",
                                 "dofile",
                                 "loadfile",
                                 "collectgarbage",
                                 "newproxy",
                                 "getfenv",
                                 "setfenv",
                                 "print",
                                 "coroutine",
                                 "setmetatable",
                                 "getmetatable",
                                 "rawset",
                                 "rawget",
                                 "_G",
                                 "module",
                                 "gcinfo",
                                 "string.dump",
                                 "math.random",
                                 "math.randomseed",
                                 "table.foreach",
                                 "(\"\").dump",
                                 "emit",
                                 "timer",
                                 "state"}) {
    EXPECT_EQ(Eval(StrCat(name, " == nil")), "true") << name;
  }
}

TEST(LuaSandbox, LibrariesAndGlobalsCannotBeWrittenTo) {
  for (const char* const attack : {"(function() math.x = 1 end)()", "(function() string.format = nil end)()",
                                   "(function() table.insert(math, 1) end)()", "(function() leak = 1 end)()",
                                   "(function() pairs = nil end)()", "(function() (\"\").x = 1 end)()"}) {
    EXPECT_THAT(Eval(attack), HasSubstr("test, line 1: ")) << attack;
  }
}

TEST(LuaSandbox, AddressesDoNotShow) {
  EXPECT_EQ(Eval("tostring({})"), "\"table\"");
  EXPECT_EQ(Eval("tostring(pairs)"), "\"function\"");
  EXPECT_EQ(Eval("string.format('%s %d%%', {}, 3)"), "\"table 3%\"");
  EXPECT_EQ(Eval("('%s'):format(type)"), "\"function\"");
  EXPECT_THAT(Eval("string.format('%p', {})"), HasSubstr("%p"));
}

TEST(LuaSandbox, PairsAndNextGoInOrderOfTheKey) {
  EXPECT_EQ(Eval("(function() local t, s = { b = 1, a = 2, [10] = 3, [2] = 4, [-1] = 5, B = 6 }, '' "
                 "for k in pairs(t) do s = s .. k .. ' ' end return s end)()"),
            "\"-1 2 10 B a b \"");
  EXPECT_EQ(Eval("(function() local t = { b = 1, a = 2 } local k = next(t) return k .. next(t, k) end)()"),
            "\"ab\"");
  EXPECT_EQ(Eval("next({})"), "null");
  EXPECT_THAT(Eval("(function() for k in pairs({ [{}] = 1 }) do end end)()"), HasSubstr("no order"));
}

TEST(LuaSandbox, ValuesOutOfLua) {
  EXPECT_EQ(Eval("{1, 2, {a = 'x'}}"), "[1,2,{\"a\":\"x\"}]");
  EXPECT_EQ(Eval("{}"), "{}");
  EXPECT_EQ(Eval("{ z = 1, a = 2, [3] = 4 }"), "{\"3\":4,\"a\":2,\"z\":1}");
  EXPECT_EQ(Eval("9007199254740992"), "9007199254740992");
  EXPECT_EQ(Eval("0.5"), "0.5");
  EXPECT_EQ(Eval("0/0"), "null");
  EXPECT_THAT(Eval("{ f = type }"), HasSubstr("a function cannot be a value"));
  EXPECT_THAT(Eval("(function() local t = {} t.t = t return t end)()"), HasSubstr("in itself"));
}

TEST(LuaSandbox, InputsAreThere) { EXPECT_EQ(Eval("key .. ' ' .. time .. ' ' .. label"), "\"k 5 0.1.2.0\""); }

TEST(LuaSandbox, MemoryIsBoundedAndTheSandboxGoesOn) {
  const std::unique_ptr<LuaSandbox> lua = *LuaSandbox::Create(kMemory);
  const std::string hog = "(function() local t = {} for i = 1, 1e9 do t[i] = 'x' .. i end end)()";
  EXPECT_THAT(Eval(*lua, hog), HasSubstr("out of memory (limit "));
  EXPECT_THAT(Eval(*lua, StrCat("pcall(function() return ", hog, " end)")), HasSubstr("out of memory"));
  EXPECT_EQ(Eval(*lua, "1 + 1"), "2");
  EXPECT_LE(lua->memory_used(), kMemory);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// An error would make dead letters of records that another machine handles. Nobody catches what is thrown.
void EvalWithoutMemory() noexcept {
  const std::unique_ptr<LuaSandbox> lua = *LuaSandbox::Create(size_t{1} << 40);
  std::ifstream file("/proc/self/statm");
  rlim_t pages = 0;
  file >> pages;
  const rlim_t used = pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE));
  const rlimit limit = {used + (32 << 20), RLIM_INFINITY};
  setrlimit(RLIMIT_AS, &limit);
  Eval(*lua, "pcall(function() local t = {} for i = 1, 1e9 do t[i] = 'x' .. i end end)");
}

TEST(LuaSandboxDeathTest, AMachineWithoutMemoryIsNoFaultOfTheRecords) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(EvalWithoutMemory(), testing::KilledBySignal(SIGABRT), "bad_alloc");
}
#endif

TEST(LuaSandbox, RepIsBounded) {
  EXPECT_THAT(Eval("string.rep('x', 1e9)"), HasSubstr("string.rep"));
  EXPECT_THAT(Eval("('x'):rep(1e9)"), HasSubstr("string.rep"));
  EXPECT_EQ(Eval("('ab'):rep(2)"), "\"abab\"");
}

TEST(LuaSandbox, GarbageOfEarlierRecordsDoesNotDecide) {
  const std::unique_ptr<LuaSandbox> lua = *LuaSandbox::Create(kMemory);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Eval(*lua, "#string.rep('x', 3000000)"), "3000000") << i;
}

TEST(LuaSource, FieldsThatTheCodeReadsAreFound) {
  EXPECT_THAT(FindUsage("r.a + r.b.c .. x.r.z -- r").r_fields, ::testing::ElementsAre("a", "b"));
  EXPECT_FALSE(FindUsage("r.a .. r.b").whole_record);
  EXPECT_TRUE(FindUsage("pairs(r)").whole_record);
  EXPECT_TRUE(FindUsage("r[key]").whole_record);
  EXPECT_TRUE(FindUsage("'a'..r").whole_record);
  EXPECT_FALSE(FindUsage("[[ r ]] .. \"r\"").Uses("r"));
}

TEST(LuaSource, FunctionsAreCutOutAndLinesStay) {
  const absl::StatusOr<KeyedSource> split = SplitKeyedSource(
      "local A = 1\nif x then y() end\nlocal function help(v)\n  for i = 1, 2 do if v then return end "
      "end\nend\n"
      "function on_timer() help(A) end z()");
  ASSERT_TRUE(split.ok()) << split.status();
  EXPECT_TRUE(split->has_on_timer);
  EXPECT_THAT(split->definitions, HasSubstr("local A = 1\n"));
  EXPECT_THAT(split->definitions, HasSubstr("on_timer() help(A) end"));
  EXPECT_THAT(split->definitions, ::testing::Not(HasSubstr("y()")));
  EXPECT_THAT(split->record_code, ::testing::Not(HasSubstr("on_timer")));
  EXPECT_THAT(split->record_code, HasSubstr("z()"));
  EXPECT_EQ(std::count(split->record_code.begin(), split->record_code.end(), '\n'), 5);
}

TEST(LuaSource, AFunctionThatUsesARecordsLocalIsRefused) {
  const absl::Status status = SplitKeyedSource("local n = r.n\nfunction on_timer() emit(n) end").status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("`n`"));
}

TEST(LuaSource, AFieldWithTheNameOfARecordsLocalIsNoUseOfIt) {
  const auto splits = [](const std::string& body) {
    return SplitKeyedSource("local n = r.n\nfunction on_timer() " + body + " end").ok();
  };
  EXPECT_TRUE(splits("emit({ n = 1, m = { n = state.n } })"));
  EXPECT_TRUE(splits("state.n = 1"));
  EXPECT_FALSE(splits("emit({ m = n })"));
  EXPECT_FALSE(splits("emit({ m = n == 1 })"));
  EXPECT_FALSE(splits("emit({ n == 1 })"));
  EXPECT_FALSE(splits("n = 1"));
  EXPECT_FALSE(splits("emit({ f = function() n = 1 end })"));
}

}  // namespace
}  // namespace millrace
