// Runs a target on mutated seeds without libFuzzer: driver [--runs N] [--seed S] | driver FILE... (to look at an input again).
//
// The same runs and seed give the same inputs on every machine. The input under way lies in crash-input of the current directory when the
// target aborts or crashes.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "libs/base/testing/sanitized.h"
#include "tests/fuzz/target.h"
#include "tributary/base/random.h"

namespace {

constexpr std::size_t kMaxInput = 1 << 16;
// Far more than any input of that length may make a decoder take.
constexpr std::uint64_t kMaxMemory = std::uint64_t{1} << 30;

std::string g_input;

extern "C" void KeepInput(int signal) {
  const int fd = open("crash-input", O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd >= 0) {
    [[maybe_unused]] const auto n = write(fd, g_input.data(), g_input.size());
    close(fd);
  }
  ::signal(signal, SIG_DFL);
  raise(signal);
}

// What decoders take for the ends of things.
constexpr std::string_view kWords[] = {"\xff\xff\xff\xff", "\xdd\xff\xff\xff\xff", "\xdf\x7f\xff\xff\xff", "\xc6\x00\x10\x00\x00", "{}", "[]", "\"", ": ",
                                       "\n", "- ", "null", "-1", "1e999", "18446744073709551616", "\\ud800", "\xf0\x9f\x98\x80", "\xed\xa0\x80", "../", "&a", "*a", "!!"};

std::string Mutate(const std::vector<std::string>& seeds, tributary::SplitMix64& random) {
  std::string input = seeds[random.NextBelow(seeds.size())];
  for (std::uint64_t changes = 1 + random.NextBelow(6); changes > 0; --changes) {
    const std::size_t at = random.NextBelow(input.size() + 1);
    switch (random.NextBelow(7)) {
      case 0:
        if (at < input.size()) input[at] = static_cast<char>(random.Next());
        break;
      case 1:
        if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << random.NextBelow(8)));
        break;
      case 2: input.erase(at, random.NextBelow(16)); break;
      case 3: input.insert(at, 1 + random.NextBelow(4), static_cast<char>(random.Next())); break;
      case 4: input.insert(at, kWords[random.NextBelow(std::size(kWords))]); break;
      case 5: {
        const std::string& other = seeds[random.NextBelow(seeds.size())];
        const std::size_t from = random.NextBelow(other.size() + 1);
        input.insert(at, other.substr(from, random.NextBelow(64)));
        break;
      }
      case 6: input.resize(at); break;
    }
  }
  if (input.size() > kMaxInput) input.resize(kMaxInput);
  return input;
}

int Run(const std::string& input) {
  g_input = input;
  return LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(g_input.data()), g_input.size());
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t runs = 20'000, seed = 1;
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--runs" && i + 1 < argc) {
      runs = std::strtoull(argv[++i], nullptr, 10);
    } else if (word == "--seed" && i + 1 < argc) {
      seed = std::strtoull(argv[++i], nullptr, 10);
    } else {
      files.push_back(word);
    }
  }
  for (const int fatal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE}) signal(fatal, KeepInput);
  if (!tributary::kSanitized) {
    const rlimit limit{kMaxMemory, kMaxMemory};
    setrlimit(RLIMIT_AS, &limit);
  }
  for (const std::string& file : files) {
    std::ifstream in(file, std::ios::binary);
    Run({std::istreambuf_iterator<char>(in), {}});
  }
  if (!files.empty()) return 0;
  const auto seeds = tributary::fuzz::Seeds();
  for (const std::string& input : seeds) Run(input);
  tributary::SplitMix64 random(seed);
  for (std::uint64_t i = 0; i < runs; ++i) Run(Mutate(seeds, random));
  std::printf("%llu inputs from %zu seeds\n", static_cast<unsigned long long>(runs), seeds.size());
  return 0;
}
