// The files beside a model's weights that make tokens of text, as a sealed object of the blob-store beside the model's.
//
// Importing streams them, fetching checks every byte against the object's digest. What comes is a stranger's: names other than the
// ones listed here, files of over 64 MiB, and whatever else a directory may hold are refused before anything is written. Plain functions; one thread.
// Bytes.
#pragma once

#include <span>
#include <stop_token>
#include <string>

#include "tributary/base/result.h"
#include "tributary/blob/store.h"
#include "tributary/modeldir/directory.h"
#include "tributary/modeldir/import.h"

namespace tributary::modeldir {

constexpr std::uint64_t kMaxTokenizerFileBytes = 64u << 20;

// Names of the files that belong to a tokenizer, and how it is generated with; config.json, which tells which tokens begin and end a text,
// is not among them.
std::span<const char* const> TokenizerFileNames();

// "NAME@SHA256", NAME being the model's with ".tokenizer" after it; empty where the directory has no tokenizer. Fails as ImportModel does,
// with kInvalidArgument for a file over the bound.
Result<std::string> ImportTokenizer(blob::BlobStore& store, const ModelDirectory& directory, const ObjectName& model,
                                    const ImportOptions& options = {});

// "NAME@SHA256" of what an import put beside `model`; empty where nothing lies there. kUnavailable where its import has not ended, kInvalidArgument for
// an object that is no tokenizer's.
Result<std::string> FindTokenizer(blob::BlobStore& store, const ObjectName& model);

enum class Fetched {
  kAll,            // with config.json, from which a tokenizer knows its roles
  kBesideAModel,   // without it: the model has its own
};
// Writes the files of "NAME@SHA256" into `directory`, which is there and has none of them, and syncs them. kDataLoss for another digest;
// kInvalidArgument for an object that is no tokenizer's. After an error some of the files may be there.
Status FetchTokenizer(blob::BlobStore& store, const std::string& object, const std::string& directory, Fetched which, std::stop_token stop = {});

}  // namespace tributary::modeldir
