// How much of a long line a put and a get fill: link_benchmark [BYTES [DELAY_MS [BITS_PER_SECOND [CONNECTIONS]]]], JSON on stdout.
//
// A blob-store with the default budget in this process, a client with the default budget, the line between them. The share is payload
// by the line's rate, from the first call to the last acknowledgement or chunk.
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "services/blob-store/tests/harness.h"
#include "tests/link/slow_link.h"

namespace {

using namespace tributary;
using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

Status Put(blob::BlobStore& store, const ObjectName& name, const wire::ObjectSpec& spec, std::uint64_t slots) {
  TRIBUTARY_TRY(store.Create(name, spec, false).status());
  TRIBUTARY_ASSIGN(const auto writer, store.Write({}));
  for (std::uint64_t slot = 0; slot < slots; ++slot) {
    TRIBUTARY_ASSIGN(auto chunk, writer->Allocate(spec.chunk_bytes));
    std::ranges::fill(chunk->payload(), static_cast<std::byte>(slot));
    TRIBUTARY_TRY(writer->Put(name, slot, std::move(chunk)));
  }
  return writer->Flush();
}

Status Get(blob::BlobStore& store, const ObjectName& name, std::uint64_t slots) {
  TRIBUTARY_ASSIGN(const auto reader, store.Read(blob::SlotsOf(name, {0, slots}), {}));
  for (;;) {
    TRIBUTARY_ASSIGN(const auto chunk, reader->Next());
    if (!chunk) return Ok();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t bytes = (argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 256_MiB) / 1_MiB * 1_MiB;
  const Duration delay(argc > 2 ? std::atoi(argv[2]) : 100);
  const std::uint64_t bits = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 100'000'000;
  const auto connections = static_cast<std::uint32_t>(argc > 4 ? std::atoi(argv[4]) : 1);
  service::testing::Server server(64_MiB);
  auto link = tributary::testing::SlowLink::Start(server.endpoint(), {delay, bits / 8});
  if (!link.ok()) return std::fprintf(stderr, "%s\n", link.error().message().c_str()), 1;
  service::testing::Client client({(*link)->endpoint()}, connections, 64_MiB);
  const auto name = blob::testing::Object("o");
  const auto spec = blob::testing::OneTensorSpec(bytes, 1_MiB);

  const auto put_begin = Clock::now();
  const Status put = Put(*client, name, spec, bytes / 1_MiB);
  const double put_seconds = SecondsSince(put_begin);
  const auto get_begin = Clock::now();
  const Status got = put.ok() ? Get(*client, name, bytes / 1_MiB) : put;
  const double get_seconds = SecondsSince(get_begin);
  if (!got.ok()) return std::fprintf(stderr, "%s\n", got.error().message().c_str()), 1;
  const auto share = [&](double seconds) { return static_cast<double>(bytes) * 8 / seconds / static_cast<double>(bits); };
  std::printf("{\"bytes\": %llu, \"round_trip_ms\": %lld, \"bits_per_second\": %llu, \"put_seconds\": %.2f, \"put_share\": %.3f, "
              "\"get_seconds\": %.2f, \"get_share\": %.3f, \"bytes_resent\": %llu}\n",
              static_cast<unsigned long long>(bytes), static_cast<long long>(2 * delay.count()),
              static_cast<unsigned long long>(bits), put_seconds, share(put_seconds), get_seconds, share(get_seconds),
              static_cast<unsigned long long>(client->counters().bytes_resent));
  return 0;
}
