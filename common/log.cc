#include "common/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "common/value/json_text.h"

namespace millrace {
namespace {

LogFormat g_format = LogFormat::kText;  // written once, before the first line

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

std::string JsonQuoted(std::string_view text) { return JsonText(nlohmann::json(text)); }

}  // namespace

void SetUpLogging(std::string_view component, LogLevel level, LogFormat format) {
  g_format = format;
  auto logger = spdlog::stderr_color_mt(std::string(component));
  logger->set_level(ToSpdlog(level));
  if (format == LogFormat::kJson) {
    logger->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","component":"%n",%v})",
                        spdlog::pattern_time_type::utc);
  } else {
    logger->set_pattern("%H:%M:%S.%e %^%L%$ %n: %v");
  }
  spdlog::set_default_logger(logger);
}

void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  auto* logger = spdlog::default_logger_raw();
  if (!logger->should_log(ToSpdlog(level))) return;
  std::string line;
  if (g_format == LogFormat::kJson) {
    StrAppend(&line, "\"message\":", JsonQuoted(message));
    for (const LogField& f : fields) {
      StrAppend(&line, ",", JsonQuoted(f.key), ":", f.numeric ? f.value : JsonQuoted(f.value));
    }
  } else {
    StrAppend(&line, message);
    for (const LogField& f : fields) {
      const bool plain = f.numeric || f.value.find_first_of(" \t\n\"") == std::string::npos;
      StrAppend(&line, " ", f.key, "=", plain ? f.value : JsonQuoted(f.value));
    }
  }
  logger->log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace millrace
