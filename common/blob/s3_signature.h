// Requests to S3 signed with AWS Signature Version 4 ("Authenticating Requests: Using the Authorization
// Header", Amazon S3 API reference). Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "common/hash/sha256.h"

namespace millrace {

struct S3Credentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;  // empty: none
};

struct S3Request {
  std::string method;                          // GET, HEAD, PUT, DELETE
  std::string host;                            // with the port, where it is not the scheme's
  std::string path;                            // "/bucket/name", not encoded
  std::map<std::string, std::string> query;    // not encoded
  std::map<std::string, std::string> headers;  // lower case names; all of them are signed
  Sha256Digest payload = Sha256Of("");         // of the body
};

// The headers to send: those of the request, host, x-amz-date, x-amz-content-sha256, where there is a token
// x-amz-security-token, and authorization.
std::map<std::string, std::string> SignS3Request(const S3Request& request, const S3Credentials& credentials,
                                                 std::string_view region, absl::Time now);

// As S3 wants them: everything but A-Z a-z 0-9 - . _ ~ (and, in a path, /) as %XX.
std::string S3EncodePath(std::string_view path);
std::string S3EncodeQuery(const std::map<std::string, std::string>& query);

}  // namespace millrace
