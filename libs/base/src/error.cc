#include <cerrno>
#include <cstring>

#include "tributary/base/result.h"

namespace tributary {

std::string_view CodeName(Code code) {
  switch (code) {
    case Code::kUnknown: return "unknown";
    case Code::kInvalidArgument: return "invalid argument";
    case Code::kNotFound: return "not found";
    case Code::kAlreadyExists: return "already exists";
    case Code::kConflict: return "conflict";
    case Code::kUnavailable: return "unavailable";
    case Code::kDeadline: return "deadline";
    case Code::kResourceExhausted: return "resource exhausted";
    case Code::kDataLoss: return "data loss";
    case Code::kIo: return "i/o";
    case Code::kProtocol: return "protocol";
    case Code::kPermission: return "permission";
    case Code::kCancelled: return "cancelled";
    case Code::kInternal: return "internal";
  }
  return "unknown";
}

Code CodeFromInt(int number) {
  return number > 0 && number <= static_cast<int>(Code::kInternal) ? static_cast<Code>(number)
                                                                   : Code::kUnknown;
}

Error ErrnoError(int errno_value, std::string_view what) {
  Code code = Code::kIo;
  switch (errno_value) {
    case ENOSPC:
    case EDQUOT: code = Code::kResourceExhausted; break;
    case ENOENT: code = Code::kNotFound; break;
    case EACCES:
    case EPERM: code = Code::kPermission; break;
    default: break;
  }
  return MakeError(code, "{}: {}", what, std::strerror(errno_value));
}

}  // namespace tributary
