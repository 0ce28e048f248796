// Keys of CURVE (curvezmq.org, CurveZMQ; Curve25519): who a service is, and what encrypts its connections.
//
// A key file is text, "public = " and "secret = " and 40 characters of Z85 each; one that others may read is refused (its group may, where the file
// is not our own: so it is with secrets that a cluster mounts). Values and pure
// functions, any thread. Failures: kInvalidArgument (not a key), kPermission (readable by others), kIo. Whom a server admits: peers.h.
#pragma once

#include <filesystem>
#include <string>

#include "tributary/base/result.h"

namespace tributary::transport {

struct CurveKeys {
  std::string public_key;  // Z85, 40 characters
  std::string secret_key;
};

// What a client needs to reach a server: its own keys and the server's public one.
struct CurveClient {
  CurveKeys own;
  std::string server_key;
};

Result<CurveKeys> GenerateCurveKeys();
// Makes the file, readable by its owner alone; one that exists is kept (kAlreadyExists).
Status WriteCurveKeys(const std::filesystem::path& path, const CurveKeys& keys);
// Checks that the two belong together.
Result<CurveKeys> ReadCurveKeys(const std::filesystem::path& path);

}  // namespace tributary::transport
