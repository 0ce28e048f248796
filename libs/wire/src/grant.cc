#include "tributary/wire/grant.h"

#include "fields.h"

namespace tributary::wire {
namespace {

struct GrantRow : Grant {
  static constexpr Type kType = Type::kStoreHello;  // which carries it
  static constexpr std::size_t kMaxValues = 64;     // keys to come included
};

template <class V>
void Fields(V& v, GrantRow& m) {
  v("role", m.role);
  v("name", m.name);
  v("job", m.job);
  v("kind", m.kind);
  v("reads", m.reads, kMaxGrantObjects);
  v("writes", m.writes, kMaxGrantObjects);
  v("until", m.until);
}

}  // namespace

std::string EncodeGrant(const Grant& grant) { return EncodeBody(GrantRow{grant}); }

Result<Grant> DecodeGrant(std::span<const std::byte> bytes) {
  if (bytes.size() > kMaxGrantBytes) return MakeError(Code::kProtocol, "a grant of {} bytes: at most {}", bytes.size(), kMaxGrantBytes);
  auto row = DecodeBody<GrantRow>(bytes);
  if (!row.ok()) return row.error().Wrap("grant");
  return Grant(std::move(*row));
}

}  // namespace tributary::wire
