#include "coordinator/service/front_page.h"

#include "absl/strings/str_replace.h"
#include "common/strings.h"
#include "common/value/json_text.h"
#include "coordinator/views/views.h"

namespace millrace {
namespace {

constexpr char kHead[] = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2"><title>Millrace</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: #223; }
table { border-collapse: collapse; margin-bottom: 2rem; }
th, td { text-align: left; padding: .25rem 1.2rem .25rem 0; border-bottom: 1px solid #dde; }
</style></head><body><h1>Millrace</h1>
)";

std::string Escaped(const std::string& text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

std::string Cell(const ViewJson& value) {
  if (value.is_null()) return "–";
  return Escaped(value.is_string() ? value.get<std::string>() : JsonText(value));
}

// A column for each field of the first row.
std::string Table(const std::string& title, const ViewJson& rows, const std::string& none) {
  std::string html = StrCat("<h2>", title, "</h2>\n");
  if (rows.empty()) return StrCat(html, "<p>", none, "</p>\n");
  StrAppend(&html, "<table><tr>");
  for (const auto& [field, value] : rows.front().items()) StrAppend(&html, "<th>", Escaped(field), "</th>");
  StrAppend(&html, "</tr>\n");
  for (const ViewJson& row : rows) {
    StrAppend(&html, "<tr>");
    for (const auto& [field, value] : row.items()) StrAppend(&html, "<td>", Cell(value), "</td>");
    StrAppend(&html, "</tr>\n");
  }
  return StrCat(html, "</table>\n");
}

}  // namespace

std::string FrontPage(const Cluster& cluster) {
  return StrCat(kHead,
                Table("Jobs", JobsView(cluster), "No job yet: <code>coordinator submit JOB.yaml</code>"),
                Table("Workers", WorkersView(cluster), "No worker yet: <code>worker --nats URL</code>"),
                "<p><a href=\"/api/v1/jobs\">jobs</a> · <a href=\"/api/v1/workers\">workers</a> · "
                "<a href=\"/metrics\">metrics</a></p></body></html>\n");
}

}  // namespace millrace
