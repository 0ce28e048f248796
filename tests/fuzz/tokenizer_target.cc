// tokenizer.json files, and text through those that open.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "tests/fuzz/target.h"
#include "tributary/text/tokenizer.h"

using namespace tributary;

std::vector<std::string> tributary::fuzz::Seeds() {
  return {R"({"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"Ġ":3,"Ġa":4},"merges":["a b","Ġ a"]},"added_tokens":[{"id":5,"content":"<|endoftext|>","special":true}],)"
          R"("pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":true},"decoder":{"type":"ByteLevel"}})",
          R"({"model":{"type":"BPE","vocab":{"a":0},"merges":[["a","a"]]}})",
          R"({"added_tokens":[{"id":0,"content":"<unk>","special":true},{"id":5,"content":"ab","lstrip":true,"rstrip":true,"single_word":true,"normalized":true}],)"
          R"("normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"_"},{"type":"Replace","pattern":{"String":" "},"content":"_"}]},)"
          R"("pre_tokenizer":{"type":"Metaspace","replacement":"_","prepend_scheme":"first","split":true},)"
          R"("post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<unk>"}},{"Sequence":{"id":"A"}}],"special_tokens":{"<unk>":{"ids":[0]}}},)"
          R"("decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"_"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]},)"
          R"("model":{"type":"BPE","unk_token":"<unk>","fuse_unk":true,"byte_fallback":true,"vocab":{"<unk>":0,"<0x0A>":1,"_":2,"a":3,"_a":4},"merges":[["_","a"]]}})"};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A file that is nowhere on a disk.
  static const int fd = memfd_create("tokenizer.json", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(fd);
  const bool written = ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == static_cast<ssize_t>(size);
  fuzz::Promise(written, "the input can be written");
  const auto tokenizer = text::OpenTokenizer(path);
  if (!tokenizer.ok()) return 0;
  for (const bool special : {false, true}) {
    const text::EncodeOptions options{.add_special_tokens = special, .parse_special_tokens = special};
    const auto ids = (*tokenizer)->Encode(fuzz::Text(data, std::min<std::size_t>(size, 256)), options);
    if (!ids.ok()) continue;
    for (const std::int32_t id : *ids) {
      fuzz::Promise(id >= 0 && static_cast<std::uint32_t>(id) < (*tokenizer)->VocabularySize(), "an id is in the vocabulary");
    }
    (*tokenizer)->Decode(*ids);
  }
  return 0;
}
