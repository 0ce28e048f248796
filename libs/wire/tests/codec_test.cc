#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "raw.h"

namespace tributary::wire {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(Codec, EveryMessageComesBackAsItWas) {
  int count = 0;
  ForEachSample([&](const auto& sample) {
    using M = std::decay_t<decltype(sample)>;
    const std::string body = EncodeBody(sample);
    const auto decoded = DecodeBody<M>(AsBytes(body));
    ASSERT_TRUE(decoded.ok()) << decoded.error().message();
    EXPECT_EQ(EncodeBody(*decoded), body) << TypeName(M::kType);
    ++count;
  });
  EXPECT_EQ(count, 55);
}

TEST(Codec, InputsComeBackWithTheirNamesWeightsAndDigests) {
  const auto back = [](std::vector<Input> inputs) {
    Assignment assignment{"", {SampleTaskSpec()}};
    assignment.tasks[0].inputs = std::move(inputs);
    const auto decoded = DecodeBody<Assignment>(AsBytes(EncodeBody(assignment)));
    EXPECT_TRUE(decoded.ok());
    return decoded.ok() ? decoded->tasks[0].inputs : std::vector<Input>();
  };
  const std::string digest(64, 'e');
  for (const std::vector<Input>& inputs : {
           std::vector<Input>{},
           {{"alone", 1.0, digest}},
           {{"a/b/c", 0.25, digest}, {"a/b/cd", 0.5, ""}, {"a/bc", 0.25, digest}},
           {{"a", 0.5, ""}, {"b", 0.5, ""}},
           {{"same/name", 0.5, digest}, {"same/name", 0.5, digest}},
           {{std::string(300, 'x') + "/y/0", 0.5, digest}, {std::string(300, 'x') + "/y/1", 0.5, digest}}}) {
    EXPECT_EQ(back(inputs), inputs);
  }
}

TEST(Codec, AThousandInputsFitAFrame) {
  TaskSpec task = SampleTaskSpec();
  task.inputs.clear();
  for (int i = 0; i < 1000; ++i) {
    task.inputs.push_back({fmt::format("jobs/a-job-of-some-name/rounds/100/updates/hospital/{}", i), 0.001, std::string(64, 'e')});
  }
  EXPECT_LT(EncodeFrame(1, Assignment{"", {task}}).size(), kMaxControlFrame);
}

TEST(Codec, KeysOfALaterVersionAreSkipped) {
  ForEachSample([](const auto& sample) {
    using M = std::decay_t<decltype(sample)>;
    const std::string body = EncodeBody(sample);
    const auto decoded = DecodeBody<M>(AsBytes(RawMap(body).With("", RawMap::Change::kNone, 3)));
    ASSERT_TRUE(decoded.ok()) << TypeName(M::kType) << ": " << decoded.error().message();
    EXPECT_EQ(EncodeBody(*decoded), body);
  });
}

TEST(Codec, KeysThatAreMissingKeepTheirDefaults) {
  const std::string empty("\x80", 1);
  ForEachSample([&](const auto& sample) {
    using M = std::decay_t<decltype(sample)>;
    const auto decoded = DecodeBody<M>(AsBytes(empty));
    ASSERT_TRUE(decoded.ok()) << TypeName(M::kType);
    EXPECT_EQ(EncodeBody(*decoded), EncodeBody(M{}));
    const RawMap map(EncodeBody(sample));
    for (const auto& key : map.Keys()) {
      EXPECT_TRUE(DecodeBody<M>(AsBytes(map.With(key, RawMap::Change::kDrop))).ok()) << TypeName(M::kType) << "." << key;
    }
  });
}

TEST(Codec, AWrongTypeNamesMessageAndField) {
  ForEachSample([](const auto& sample) {
    using M = std::decay_t<decltype(sample)>;
    const RawMap map(EncodeBody(sample));
    for (const auto& key : map.Keys()) {
      const std::string body = map.With(key, RawMap::Change::kNil);
      const auto decoded = DecodeBody<M>(AsBytes(body));
      ASSERT_FALSE(decoded.ok()) << TypeName(M::kType) << "." << key;
      EXPECT_EQ(decoded.error().code(), Code::kProtocol);
      EXPECT_EQ(decoded.error().message(), fmt::format("malformed {} message, field {}", TypeName(M::kType), key));
    }
  });
}

TEST(Codec, ANumberThatDoesNotFitIsAWrongType) {
  // {"role": -1}, {"role": 2^32}
  for (const std::string& body : {std::string("\x81\xa4role\xff"), std::string("\x81\xa4role\xcf\0\0\0\1\0\0\0\0", 15)}) {
    const auto hello = DecodeBody<Hello>(AsBytes(body));
    ASSERT_FALSE(hello.ok());
    EXPECT_THAT(hello.error().message(), HasSubstr("field role"));
  }
}

TEST(Codec, ADigestOfAnotherLengthIsAWrongType) {
  const std::string body("\x81\xa6xxh128\xc4\x02\x01\x02");
  const auto chunk = DecodeBody<Chunk>(AsBytes(body));
  ASSERT_FALSE(chunk.ok());
  EXPECT_THAT(chunk.error().message(), HasSubstr("field xxh128"));
}

TEST(Expect, TakesTheMessageOrTheErrorOrComplains) {
  const std::string pong = EncodeFrame(1, Pong{"s", "v"});
  EXPECT_TRUE(Expect<Pong>(*ParseFrame(AsBytes(pong))).ok());
  const std::string error = EncodeError(1, Error(Code::kNotFound, "no such job"));
  const auto failed = Expect<Pong>(*ParseFrame(AsBytes(error)));
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code(), Code::kNotFound);
  EXPECT_EQ(failed.error().message(), "no such job");
  const std::string other = EncodeFrame(1, Ping{});
  EXPECT_THAT(Expect<Pong>(*ParseFrame(AsBytes(other))).error().message(), AllOf(HasSubstr("expected a pong"), HasSubstr("got ping")));
}

TEST(Errors, AreBoundedAndUnknownCodesStayErrors) {
  const std::string frame = EncodeError(1, Error(Code::kIo, std::string(100'000, 'x')));
  EXPECT_LT(frame.size(), 8192u);
  const std::string later = EncodeFrame(1, ErrorBody{999, "of a later version"});
  EXPECT_EQ(ErrorOf(*ParseFrame(AsBytes(later))).code(), Code::kUnknown);
}

}  // namespace
}  // namespace tributary::wire
