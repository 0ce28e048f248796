// Job texts that tests vary; each is accepted as it stands.
#pragma once

namespace tributary::job {

inline constexpr const char* kText = R"(name: letters
rounds: 3
model: {family: gpt2, layers: 2, heads: 4, hidden: 64, positions: 128}
data: {name: books, format: text, path: /srv/books, partition: {scheme: by-file, count: 2}}
train: {mode: step, steps: 10, max_length: 64}
)";

inline constexpr const char* kBytes = R"(name: bytes
rounds: 2
model: {family: synthetic, bytes: 4MiB, tensors: 3}
data: {partition: {count: 2}}
)";

}  // namespace tributary::job
