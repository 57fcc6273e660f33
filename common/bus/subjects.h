// NATS subjects: tokens with dots between them; in a pattern `*` stands for one token and a last `>` for one
// or more.
#pragma once

#include <string_view>

namespace millrace {

// Whether all subjects that `narrow` stands for are among those of `wide`. Both may be patterns.
bool SubjectCovers(std::string_view wide, std::string_view narrow);

// Whether a job may read from it: well formed, and neither ours (mr.) nor the server's ($, _INBOX).
bool IsSourceSubject(std::string_view subject);
// Likewise of a stream's name.
bool IsSourceStream(std::string_view name);

}  // namespace millrace
