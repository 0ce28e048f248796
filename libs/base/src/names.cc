#include "tributary/base/names.h"

#include <algorithm>

namespace tributary {
namespace {

bool IsAlnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}
bool IsNameChar(char c) { return IsAlnum(c) || c == '.' || c == '_' || c == '-'; }

}  // namespace

Status CheckSegment(std::string_view text, std::string_view what) {
  if (text.empty() || text.size() > 63 || !IsAlnum(text.front()) ||
      !std::all_of(text.begin(), text.end(), IsNameChar)) {
    return MakeError(Code::kInvalidArgument,
                     "{} '{}': expected 1 to 63 letters, digits, '.', '_' or '-', beginning with a "
                     "letter or digit",
                     what, text.substr(0, 80));
  }
  return Ok();
}

Status CheckPath(std::string_view text, std::string_view what) {
  if (text.size() > 255) return MakeError(Code::kInvalidArgument, "{} is over 255 bytes", what);
  for (std::string_view rest = text;;) {
    const auto slash = rest.find('/');
    TRIBUTARY_TRY(CheckSegment(rest.substr(0, slash), what));
    if (slash == std::string_view::npos) return Ok();
    rest.remove_prefix(slash + 1);
  }
}

}  // namespace tributary
