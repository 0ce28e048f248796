// Every message of the protocol, out of a frame as it comes from a socket.
#include "libs/wire/tests/samples.h"
#include "tests/fuzz/target.h"

namespace {

using namespace tributary;

template <class M>
void RoundTrip(std::span<const std::byte> body) {
  const auto message = wire::DecodeBody<M>(body);
  if (!message.ok()) return;
  const std::string once = wire::EncodeBody(*message);
  const auto again = wire::DecodeBody<M>(wire::AsBytes(once));
  fuzz::Promise(again.ok(), "what was encoded decodes");
  fuzz::Promise(wire::EncodeBody(*again) == once, "and encodes to the same bytes");
}

}  // namespace

std::vector<std::string> tributary::fuzz::Seeds() {
  std::vector<std::string> seeds;
  char number = 0;
  wire::ForEachSample([&](const auto& sample) {
    seeds.push_back(std::string(1, '\0') + wire::EncodeFrame(wire::kSampleId, sample));
    seeds.push_back(std::string(1, ++number) + wire::EncodeBody(sample));
  });
  return seeds;
}

// The first byte: 0 for a whole frame, n for the body of the n-th message.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = fuzz::Bytes(data + 1, size - 1);
  std::uint8_t number = 0;
  if (data[0] != 0) {
    wire::ForEachSample([&](const auto& sample) {
      if (++number == data[0]) RoundTrip<std::decay_t<decltype(sample)>>(bytes);
    });
    return 0;
  }
  const auto view = wire::ParseFrame(bytes);
  if (!view.ok()) return 0;
  fuzz::Promise(view->body.size() + view->payload.size() <= bytes.size(), "a frame holds no more than came");
  if (view->type == wire::Type::kError) static_cast<void>(wire::ErrorOf(*view));
  wire::ForEachSample([&](const auto& sample) {
    using M = std::decay_t<decltype(sample)>;
    if (view->type == M::kType) RoundTrip<M>(view->body);
  });
  return 0;
}
