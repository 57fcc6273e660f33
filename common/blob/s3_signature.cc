#include "common/blob/s3_signature.h"

#include "absl/strings/str_format.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr char kAlgorithm[] = "AWS4-HMAC-SHA256";

std::string PercentEncode(std::string_view text, std::string_view also_plain) {
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~").find(c) != std::string_view::npos ||
                       also_plain.find(c) != std::string_view::npos;
    if (plain) {
      encoded.push_back(c);
    } else {
      absl::StrAppendFormat(&encoded, "%%%02X", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

std::string SignedNames(const std::map<std::string, std::string>& headers) {
  std::string names;
  for (const auto& [name, value] : headers) StrAppend(&names, names.empty() ? "" : ";", name);
  return names;
}

std::string CanonicalRequest(const S3Request& request, const std::map<std::string, std::string>& headers) {
  std::string text =
      StrCat(request.method, "\n", S3EncodePath(request.path), "\n", S3EncodeQuery(request.query), "\n");
  for (const auto& [name, value] : headers) StrAppend(&text, name, ":", value, "\n");
  StrAppend(&text, "\n", SignedNames(headers), "\n", Hex(request.payload));
  return text;
}

}  // namespace

std::string S3EncodePath(std::string_view path) { return PercentEncode(path, "/"); }

std::string S3EncodeQuery(const std::map<std::string, std::string>& query) {
  std::string text;
  for (const auto& [name, value] : query) {
    StrAppend(&text, text.empty() ? "" : "&", PercentEncode(name, ""), "=", PercentEncode(value, ""));
  }
  return text;
}

std::map<std::string, std::string> SignS3Request(const S3Request& request, const S3Credentials& credentials,
                                                 std::string_view region, absl::Time now) {
  const std::string time = absl::FormatTime("%Y%m%dT%H%M%SZ", now, absl::UTCTimeZone());
  const std::string date = time.substr(0, 8);
  std::map<std::string, std::string> headers = request.headers;
  headers["host"] = request.host;
  headers["x-amz-date"] = time;
  headers["x-amz-content-sha256"] = Hex(request.payload);
  if (!credentials.session_token.empty()) headers["x-amz-security-token"] = credentials.session_token;

  const std::string scope = StrCat(date, "/", region, "/s3/aws4_request");
  const std::string to_sign =
      StrCat(kAlgorithm, "\n", time, "\n", scope, "\n", Hex(Sha256Of(CanonicalRequest(request, headers))));
  Sha256Digest key = HmacSha256(StrCat("AWS4", credentials.secret_key), date);
  for (const std::string_view part : {region, std::string_view("s3"), std::string_view("aws4_request")}) {
    key = HmacSha256(Bytes(key), part);
  }
  headers["authorization"] =
      StrCat(kAlgorithm, " Credential=", credentials.access_key, "/", scope,
             ",SignedHeaders=", SignedNames(headers), ",Signature=", Hex(HmacSha256(Bytes(key), to_sign)));
  return headers;
}

}  // namespace millrace
