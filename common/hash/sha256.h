// SHA-256 (FIPS 180-4) and HMAC over it (RFC 2104), by OpenSSL's libcrypto.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace millrace {

using Sha256Digest = std::array<uint8_t, 32>;

// Of bytes that come in pieces. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void Update(std::string_view bytes);
  // REQUIRES: called once; no Update afterwards.
  Sha256Digest Finish();

 private:
  struct Context;
  const std::unique_ptr<Context> context_;
};

Sha256Digest Sha256Of(std::string_view bytes);
Sha256Digest HmacSha256(std::string_view key, std::string_view bytes);

// 64 lower case hexadecimal digits.
std::string Hex(const Sha256Digest& digest);
std::string_view Bytes(const Sha256Digest& digest);

}  // namespace millrace
