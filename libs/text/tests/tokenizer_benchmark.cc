// How fast a tokenizer encodes, on one core; and ids for tests/golden/compare_ids.py.
//
//     tokenizer_benchmark TOKENIZER TEXT [IDS] [--parse] [--special] [--lines]
//     tokenizer_benchmark --mixed BYTES PROSE TEXT        writes the mixed text of the tests
//
// --lines encodes each line by itself (as many small texts are). Run by hand.
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>

#include "mixed_text.h"
#include "tributary/text/tokenizer.h"

using namespace tributary;

namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) std::fprintf(stderr, "%s cannot be read\n", path.c_str());
  return text.str();
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::vector<std::int32_t> EncodeAll(const text::Tokenizer& tokenizer, const std::string& all,
                                    bool lines, const text::EncodeOptions& options) {
  std::vector<std::int32_t> ids;
  for (std::string_view left(all); !left.empty();) {
    const std::size_t length = lines ? std::min(left.find('\n'), left.size() - 1) + 1 : left.size();
    const auto some = tokenizer.Encode(left.substr(0, length), options);
    if (!some.ok()) {
      std::fprintf(stderr, "%s\n", some.error().message().c_str());
      std::exit(1);
    }
    ids.insert(ids.end(), some->begin(), some->end());
    left.remove_prefix(length);
  }
  return ids;
}

}  // namespace

int main(int argc, char** argv) {
  std::set<std::string> flags;
  std::vector<std::string> words;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.starts_with("--"))
      flags.insert(word);
    else
      words.push_back(word);
  }
  if (flags.contains("--mixed") && words.size() == 3) {
    std::ofstream(words[2], std::ios::binary)
        << text::MixedText::Make(std::stoull(words[0]), ReadAll(words[1]));
    return 0;
  }
  if (words.size() < 2) {
    std::fprintf(
        stderr,
        "usage: tokenizer_benchmark TOKENIZER TEXT [IDS] [--parse] [--special] [--lines]\n");
    return 2;
  }
  const double before_open = CpuSeconds();
  const auto tokenizer = text::OpenTokenizer(words[0]);
  if (!tokenizer.ok()) {
    std::fprintf(stderr, "%s\n", tokenizer.error().message().c_str());
    return 1;
  }
  const double opened = CpuSeconds() - before_open;
  const std::string all = ReadAll(words[1]);
  const text::EncodeOptions options{.add_special_tokens = flags.contains("--special"),
                                    .parse_special_tokens = flags.contains("--parse")};
  std::vector<std::int32_t> ids;
  double first = 0;
  double best = 0;
  for (int run = 0; run < 5; ++run) {
    const double before = CpuSeconds();
    ids = EncodeAll(**tokenizer, all, flags.contains("--lines"), options);
    const double seconds = CpuSeconds() - before;
    if (run == 0) first = seconds;
    if (run == 0 || seconds < best) best = seconds;
  }
  const double megabytes = static_cast<double>(all.size()) / 1e6;
  std::printf(
      "opened in %.3f s; %.2f MB, %zu ids; first run %.1f MB/s, best of 5 %.1f MB/s (CPU time)\n",
      opened, megabytes, ids.size(), megabytes / first, megabytes / best);
  if (words.size() > 2) {
    std::ofstream(words[2], std::ios::binary)
        .write(reinterpret_cast<const char*>(ids.data()),
               static_cast<std::streamsize>(ids.size() * sizeof ids[0]));
  }
  return 0;
}
