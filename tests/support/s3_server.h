// An S3 server of a test's own: versitygw over a temporary folder, on a free port, ended by its pid.
//
// Which program: MILLRACE_S3_SERVER, else versitygw on the PATH. It is a Go program that Debian does not
// have: `./run test` installs the version it names where there is a Go compiler.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

namespace millrace {

class S3Server {
 public:
  static constexpr char kAccessKey[] = "millrace-test";
  static constexpr char kSecretKey[] = "millrace-secret";
  static constexpr char kBucket[] = "checkpoints";

  // Whether there is a program to start.
  static bool Available();
  // Starts one with an empty bucket and waits until it answers; nullptr (and a failed expectation) when it
  // does not.
  static std::unique_ptr<S3Server> Start();
  ~S3Server();  // kills it, removes its folder
  S3Server(const S3Server&) = delete;
  S3Server& operator=(const S3Server&) = delete;

  std::string endpoint() const;

 private:
  S3Server() = default;

  std::string folder_;
  int port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace millrace
