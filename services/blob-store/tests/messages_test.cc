// Objects whose slots are no chunks: what a store takes only when it is told to.
#include <gmock/gmock.h>

#include "services/blob-store/tests/harness.h"

namespace tributary::service::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using blob::testing::LayoutOf;
using blob::testing::Object;
using blob::testing::Pattern;
using blob::testing::PutAll;

wire::ObjectSpec Tensors(tensor::Cut cut, std::uint64_t each = 6_MiB) {
  wire::ObjectSpec spec;
  spec.tensors = {{"a", tensor::DType::kU8, {each}}, {"b", tensor::DType::kU8, {each}}, {"c", tensor::DType::kU8, {100}}};
  spec.cut = cut;
  return spec;
}

class Messages : public ::testing::Test {
 protected:
  // A client that takes messages of up to `bytes`.
  std::unique_ptr<blob_client::RemoteStore> Connect(const Server& server, std::uint64_t bytes) {
    blob_client::RemoteOptions options;
    options.endpoints = {server.endpoint()};
    options.instance = "test";
    options.max_message = bytes;
    return *blob_client::ConnectStore(context_, pool_, options);
  }
  memory::Pool pool_{64_MiB};
  std::shared_ptr<transport::Context> context_ = std::make_shared<transport::Context>();
  const ObjectName name_ = Object("o");
};

TEST_F(Messages, AStoreThatWasNotToldTakesChunksAlone) {
  Server server(64_MiB);
  const auto store = Connect(server, 32_MiB);
  for (const std::uint64_t each : {6_MiB, 100_KiB}) {
    const auto created = store->Create(name_, Tensors(tensor::Cut::kTensors, each), false);
    ASSERT_FALSE(created.ok());
    EXPECT_EQ(created.error().code(), Code::kInvalidArgument);
    EXPECT_THAT(created.error().message(), AllOf(HasSubstr("chunks alone"), HasSubstr("--max-message"), HasSubstr("--memory-budget")));
  }
}

TEST_F(Messages, ABudgetThatDoesNotHoldTwoIsNamedWithWhatIsNeeded) {
  Server server(16_MiB);
  server.Kill();
  server.spec().max_message = 16_MiB;
  server.Start();
  const auto store = Connect(server, 32_MiB);
  EXPECT_TRUE(store->Create(name_, Tensors(tensor::Cut::kTensors), false).ok());
  const auto created = store->Create(Object("p"), Tensors(tensor::Cut::kSections), false);
  ASSERT_FALSE(created.ok());
  EXPECT_THAT(created.error().message(), AllOf(HasSubstr("--memory-budget"), HasSubstr(std::to_string(2 * (12_MiB + 100 + 512)))));
}

TEST_F(Messages, WholeTensorsAndWholeSetsPassWithinTheBudget) {
  for (const tensor::Cut cut : {tensor::Cut::kTensors, tensor::Cut::kSections}) {
    Server server(32_MiB);
    server.Kill();
    server.spec().max_message = 13_MiB;
    server.Start();
    const auto store = Connect(server, 13_MiB);
    const auto spec = Tensors(cut);
    const auto layout = LayoutOf(spec);
    EXPECT_EQ(layout.slot_count(), cut == tensor::Cut::kTensors ? 3u : 1u);
    ASSERT_TRUE(store->Create(name_, spec, false).ok());
    const Status put = PutAll(*store, name_, layout, 1);
    ASSERT_TRUE(put.ok()) << put.error().message();
    ASSERT_TRUE(store->Seal(name_, 0, true).ok());
    auto reader = store->Read(blob::SlotsOf(name_, layout.all_slots()), {});
    for (std::uint64_t slot = 0; slot < layout.slot_count(); ++slot) {
      const auto chunk = (*reader)->Next();
      ASSERT_TRUE(chunk.ok() && *chunk) << slot;
      EXPECT_TRUE(std::ranges::equal((*chunk)->bytes, Pattern((*chunk)->bytes.size(), slot, 1))) << slot;
    }
    EXPECT_LE(server->stats().pool.peak, 32_MiB);
    EXPECT_EQ(server->stats().credit_violations, 0u);
  }
}

TEST_F(Messages, AReaderThatTakesLessSaysSoInsteadOfLosingItsConnection) {
  Server server(64_MiB);
  server.Kill();
  server.spec().max_message = 16_MiB;
  server.Start();
  const auto spec = Tensors(tensor::Cut::kTensors);
  ASSERT_TRUE((*Connect(server, 16_MiB)).Create(name_, spec, false).ok());
  const auto store = Connect(server, wire::kMaxPayload);
  auto reader = store->Read(blob::SlotsOf(name_, {0, 1}), {});
  const auto chunk = (*reader)->Next();
  ASSERT_FALSE(chunk.ok());
  EXPECT_THAT(chunk.error().message(), AllOf(HasSubstr("6.0 MiB"), HasSubstr("4.0 MiB")));
}

}  // namespace
}  // namespace tributary::service::testing
