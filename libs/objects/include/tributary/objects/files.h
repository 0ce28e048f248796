// A file or a directory tree as a streamed object, and back.
//
// A directory's entries are its regular files, named by their paths relative to it, in order of name; empty files, empty directories and
// which files may be executed stand in the object's info. Links, devices and the like are refused by name rather than left out in
// silence. What comes back is written beside its place and renamed at the end, so that the place holds all of it or nothing; names that
// would lead outside are refused whatever a store says. One thread. Bytes.
#pragma once

#include <memory>
#include <string>

#include "tributary/objects/stream.h"

namespace tributary::objects {

// kNotFound if nothing is there, kInvalidArgument for what cannot be sent: no byte at all, names over 255 bytes, links, more files than
// a layout has room for. Files must not change until they are sent: one that does is kDataLoss.
Result<std::unique_ptr<Source>> ReadPath(const std::string& path);

// kAlreadyExists if `path` is there, unless `overwrite` and both it and what comes are files; kResourceExhausted if the disk has not the
// room. Removes what it began if it is destroyed before Finish.
Result<std::unique_ptr<Sink>> WritePath(const std::string& path, bool overwrite);

}  // namespace tributary::objects
